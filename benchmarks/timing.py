"""Times of things that run interleaved, on machines that others use as well."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Seconds(NamedTuple):
    """Seconds that something takes: by the clock, and of all processor cores together."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.3f} s, {self.processor:.3f} s of a core"


def seconds_of(run: Callable) -> Seconds:
    started, used = time.perf_counter(), time.process_time()
    run()
    return Seconds(time.perf_counter() - started, time.process_time() - used)


def medians(runs: dict[str, Callable], rounds: int) -> dict[str, Seconds]:
    """Return the median seconds of each; interleaved, all meet the same disturbances."""
    for run in runs.values():
        run()
    taken: dict[str, list[Seconds]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(seconds_of(run))
    return {
        name: Seconds(*(statistics.median(column) for column in zip(*seconds, strict=True)))
        for name, seconds in taken.items()
    }


def ratios(seconds: dict[str, Seconds], ours: str) -> list[tuple[str, str]]:
    """Return rows of a table: how many times as long the others take as `ours`."""
    return [
        (
            f"{name} : {ours}",
            f"{value.wall / seconds[ours].wall:.2f}, "
            f"{value.processor / seconds[ours].processor:.2f} of a core",
        )
        for name, value in seconds.items()
        if name != ours
    ]


def machine() -> list[tuple[str, str]]:
    """Return rows of a table that say where this runs."""
    name, about = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    for line in about.read_text().splitlines() if about.exists() else ():
        if "model name" in line:
            name = line.partition(":")[2].strip()
    version = f"Python {platform.python_version()}, {platform.system()}"
    return [("processor", f"{name}, {os.cpu_count()} cores"), ("version", version)]
