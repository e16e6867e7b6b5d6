"""Ends every script at random moments with Ctrl-C and SIGTERM, and shows what comes of it.

    python -m benchmarks.interrupts --tries 10

makes a small set of synthetic videos, its faces and a run, starts each script on them again and
again, sends the signal after a random time, and prints a table: exit codes, the longest time until
the script had ended, folders and files that were left behind, tracebacks, processes that lived on.
An exit code 0 belongs to a script that was done before the signal came; it is then started again.
Run it on a machine that does nothing else: the seconds grow with its load. The processor time from
the signal to the end, of all threads together, does not.
"""

import argparse
import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.small_runs import make_inputs

COUNTS = ("left behind", "tracebacks", "lived on", "more than a line")
PROMISED_SEC = 3.0
MOST_STARTS = 3  # for each signal that is to be sent
SIGNALS = {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}


@dataclass
class Outcomes:
    """What came of the tries of one script with one signal."""

    sent: int = 0  # signals; the other tries were done before
    codes: Counter = field(default_factory=Counter)
    longest_sec: float = 0.0
    longest_processor_sec: float = 0.0
    leftovers: int = 0
    tracebacks: int = 0
    lived_on: int = 0
    more_lines: int = 0  # than one

    def in_words(self) -> str:
        codes = ", ".join(f"{code}: {number}" for code, number in sorted(self.codes.items()))
        counts = (self.leftovers, self.tracebacks, self.lived_on, self.more_lines)
        columns = zip(counts, COUNTS, strict=True)
        shown = "  ".join(f"{count:>{len(title)}}" for count, title in columns)
        longest = f"{self.longest_sec:>5.1f} s  {self.longest_processor_sec:>7.1f} s"
        return f"{codes:<16}  {longest}   {shown}"


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        commands = make_inputs(Path(folder))
        moments = random.Random(args.seed)
        chosen = [name for name in commands if name in (args.scripts or commands)]
        print(
            "script       signal   tries  exit codes        longest  processor   "
            + "  ".join(COUNTS)
        )
        for name in chosen:
            seconds = _seconds_of(commands[name](Path(folder) / f"{name}-whole"), Path(folder))
            for word, number in SIGNALS.items():
                outcomes, started = Outcomes(), 0
                while started < MOST_STARTS * args.tries and outcomes.sent < args.tries:
                    command = commands[name](Path(folder) / f"{name}-{word}-{started}")
                    delay_sec = moments.uniform(0.05, seconds)
                    # It may be faster than at first, where other programs share the processor.
                    seconds = min(
                        seconds, try_once(command, number, delay_sec, Path(folder), outcomes)
                    )
                    started += 1
                print(f"{name:<12} {word:<8} {outcomes.sent:>5}  {outcomes.in_words()}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=10, help="of each script and signal")
    parser.add_argument("--scripts", nargs="*", help="such as predict train (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args()


def _seconds_of(command: list[str], folder: Path) -> float:
    started = time.monotonic()
    subprocess.run(command, env=_environment(folder), check=True, capture_output=True)
    return time.monotonic() - started


def _environment(folder: Path) -> dict[str, str]:
    (folder / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(folder / "tmp")}


def try_once(
    command: list[str], number: int, delay_sec: float, folder: Path, outcomes: Outcomes
) -> float:
    """Start a command, end it after some seconds, and count what came of it.

    Returns the seconds that it took by itself, infinity where it was ended.
    """
    before_sec = _processor_sec()
    # A shell in the background lets its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command,
        env=_environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    began, took_sec, at_signal_sec = time.monotonic(), math.inf, math.inf
    try:
        process.wait(delay_sec)
        took_sec = time.monotonic() - began
    except subprocess.TimeoutExpired:
        outcomes.sent += 1
        at_signal_sec = _processor_sec(process.pid)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)  # as systemd and Kubernetes do to the first process
    started = time.monotonic()
    assert process.stderr is not None
    process.wait()
    end_sec = time.monotonic() - started
    outcomes.longest_sec = max(outcomes.longest_sec, end_sec)
    processor_sec = _processor_sec() - before_sec - at_signal_sec
    outcomes.longest_processor_sec = max(outcomes.longest_processor_sec, processor_sec)
    if end_sec > PROMISED_SEC:
        load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
        words = f"{end_sec:.1f} s until its end, {processor_sec:.1f} of the processor, load {load}"
        print(f"after {delay_sec:.2f} s, {words}", file=sys.stderr)
    outcomes.codes[process.returncode] += 1
    outcomes.lived_on += not _is_gone(process.pid)
    said = "".join(line for line in process.stderr if not line.startswith("note: "))
    outcomes.tracebacks += "Traceback" in said
    outcomes.more_lines += process.returncode != 0 and said.count("\n") != 1
    if "Traceback" in said or (process.returncode not in {0, 130, 143}) or said.count("\n") > 1:
        print(
            f"after {delay_sec:.2f} s, code {process.returncode}:\n{said[-1500:]}", file=sys.stderr
        )
    left = [*(folder / "tmp").iterdir(), *folder.rglob(".partial.*"), *folder.rglob(".work-*")]
    outcomes.leftovers += len(left)
    for path in left:
        print(f"left: {path}", file=sys.stderr)
        subprocess.run(["rm", "-rf", str(path)], check=True)
    return took_sec


def _processor_sec(process: int | None = None) -> float:
    """Return the processor time of a process, or of those that have ended here, with all that they
    waited for."""
    if process is None:
        times = os.times()
        return times.children_user + times.children_system
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf  # the system does not say it
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


def _is_gone(group: int) -> bool:
    """Wait a little until no process of the group is left, but for those that are only to be
    counted as dead."""
    for _ in range(20):
        table = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True)
        rows = [line.split() for line in table.stdout.splitlines()]
        if not any(row[0] == str(group) and not row[1].startswith("Z") for row in rows):
            return True
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return False


if __name__ == "__main__":
    main()
