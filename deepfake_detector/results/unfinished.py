"""The file from which a stopped run of predict.py goes on.

unfinished = UnfinishedResults(Path("a.json.unfinished.jsonl"), origin, videos)
done = unfinished.take_up()
unfinished.add(number, verdict)
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from deepfake_detector.console import counted, reason_of, say
from deepfake_detector.decoding.diagnosis import UnreadableError, is_folder
from deepfake_detector.decoding.pictures import picture_files
from deepfake_detector.results.video_verdict import VideoVerdict, verdict_of

# What verdicts depend on (`outputs._origin`) that is no option of its name.
OPTIONS = dict.fromkeys(("contract", "version"), "its version") | {
    "model_sha256": "the files of the model",
    "faces": "--faces, --search-sec or --detector",
    "rule": "--operating-point or --windows",
    "timeline": "--json, --html or --annotate",
    "pictures": "--annotate",
}


class UnfinishedResults:
    """The verdicts of a run until it is done, one JSON line each, written as they come.

    The first line is what all of them depend on, `origin`; a line of a video has `video`, which
    file it was, `verdict`, and its `section` of a page, "" without --html. A run that is killed
    leaves whole lines, and half a line at most. Memory holds only where the lines are; without a
    `path` it holds the lines.
    """

    def __init__(self, path: Path | None, origin: Mapping, videos: Sequence[Path]):
        self.path = path
        self._origin = json.loads(json.dumps(origin))
        self._videos = videos
        self._places: dict[int, int] = {}  # where the line of each video begins
        self._unwritten: dict[int, dict] = {}  # lines that did not fit on the disk
        self._begun = self._resumes = False

    def take_up(self) -> list[VideoVerdict | None]:
        """Return the verdict of each video that an earlier run has left, None where there is none.

        Those of another model, of other options or of a file that has changed since are left out.
        """
        self._resumes = True
        found: list[VideoVerdict | None] = [None] * len(self._videos)
        numbers = {str(path): number for number, path in enumerate(self._videos)}
        for place, line in self._whole_lines():
            with contextlib.suppress(KeyError, TypeError):
                number = numbers.get(line["video"]["path"])
                if number is not None and line["video"] == _file_facts(self._videos[number]):
                    found[number] = verdict_of(line["verdict"])
                    self._places[number] = place
        return found

    def _whole_lines(self) -> Iterator[tuple[int, dict]]:
        """Yield where each line of a video begins and what it holds; cuts off half a line."""
        if self.path is None or not self.path.is_file():
            return
        with self.path.open("rb+") as file:
            lines = iter(file.readline, b"")
            saved = _parsed(next(lines, b"")).get("origin")
            if saved != self._origin:
                say(
                    f"note: {self.path} {_differences(saved, self._origin)}; all is scored again",
                    sys.stderr,
                )
                return
            self._begun, end = True, file.tell()
            for line in lines:
                parsed = _parsed(line)
                if not parsed:
                    break
                yield end, parsed
                end += len(line)
            file.truncate(end)

    def add(self, number: int, verdict: VideoVerdict, section: str = "") -> None:
        """Append a verdict; where that fails, say so once and keep it in memory."""
        facts = _file_facts(self._videos[number])
        line = {"video": facts, "verdict": asdict(verdict), "section": section}
        if self.path is None:
            self._unwritten[number] = line
            return
        try:
            if not self._begun:
                self._begin(self.path)
            with self.path.open("ab") as file:
                place = file.tell()
                file.write(f"{json.dumps(line)}\n".encode())
            self._places[number] = place
        except OSError as error:
            if not self._unwritten:
                say(
                    f"note: {self.path}: {reason_of(error)}; --resume will not know what is "
                    "scored from here on",
                    sys.stderr,
                )
            self._unwritten[number] = line

    def _begin(self, path: Path) -> None:
        if path.is_file():
            with path.open("rb") as file:
                lost = sum(1 for _ in file) - 1
            what = f"note: {path}: {counted(lost, 'verdict')} of a stopped run dropped"
            if lost > 0 and not self._resumes:
                say(f"{what}; --resume would have taken them up", sys.stderr)
        path.write_text(f"{json.dumps({'origin': self._origin})}\n", encoding="utf-8")
        self._begun = True

    def entries(self) -> Iterator[dict]:
        """Yield the verdicts as `dataclasses.asdict` gives them, in the order of the videos."""
        return (line["verdict"] for line in self._lines())

    def sections(self) -> Iterator[str]:
        """Yield the sections of a page, in the order of the videos."""
        return (line["section"] for line in self._lines())

    def _lines(self) -> Iterator[dict]:
        with contextlib.ExitStack() as stack:
            path = self.path if self._places else None
            file = stack.enter_context(path.open("rb")) if path else None
            for number in sorted(self._places.keys() | self._unwritten.keys()):
                if number in self._unwritten or file is None:
                    yield self._unwritten[number]
                else:
                    file.seek(self._places[number])
                    yield json.loads(file.readline())

    def remove(self) -> None:
        """Delete the file, once everything in it stands elsewhere."""
        if self.path is not None and self._begun:
            self.path.unlink(missing_ok=True)


def _parsed(line: bytes) -> dict:
    """Return the object in a line of JSON; an empty one where the line is not whole."""
    with contextlib.suppress(ValueError):
        parsed = json.loads(line) if line.endswith(b"\n") else {}
        return parsed if isinstance(parsed, dict) else {}
    return {}


def _differences(saved: object, wanted: Mapping) -> str:
    if not isinstance(saved, Mapping):
        return "is no list of verdicts of this script"
    names = [name for name in wanted if saved.get(name) != wanted[name]]
    said = dict.fromkeys(OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in names)
    return f"is of another run, which differs in {', '.join(said) or 'its version'}"


def _file_facts(path: Path) -> dict:
    """Return what says that a file is the same as before; of a folder its pictures."""
    facts: dict = {"path": str(path), "size": None, "mtime_ns": None}
    with contextlib.suppress(OSError, ValueError, UnreadableError):
        files = picture_files(path) if is_folder(path) else [path]
        found = [file.stat() for file in files]
        facts["size"] = sum(stat.st_size for stat in found)
        facts["mtime_ns"] = max((stat.st_mtime_ns for stat in found), default=None)
    return facts
