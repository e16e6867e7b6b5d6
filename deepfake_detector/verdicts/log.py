"""The log of verdicts: a JSON Lines file to which each verdict is added as soon as it is there.

    with VerdictLog(Path("verdicts.jsonl"), header_of(task), paths) as log:
        log.add(verdict)            # at once on the disk
        for verdict in log: ...     # in the order of the paths

The first line is what the verdicts depend on; each further line is `dataclasses.asdict` of a
verdict, and which file it was, or of some windows of a long video that is not done. So the same
command again skips what is in the log. Memory holds only where the lines are.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepfake_detector import __version__
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.files import begins_with
from deepfake_detector.verdicts.options import Task
from deepfake_detector.verdicts.verdict import Verdict, Window, verdict_of, window_of
from deepfake_detector.videos.content import stamp_of

FIRST_KEY = "deepfake_detector"
REMEDY = "give another path, or --overwrite to begin anew"


def header_of(task: Task, **outputs: object) -> dict[str, Any]:
    """Return what verdicts depend on, next to the videos themselves.

    `outputs` are options without which a verdict, or what is drawn with it, would lack something.
    """
    files = (task.model_path, task.model_path.parent / SETTINGS_NAME)
    return {
        FIRST_KEY: __version__,
        "model": task.model.path,
        "model_sha256": [hashlib.sha256(path.read_bytes()).hexdigest() for path in files],
        "operating_point": asdict(task.rule.point),
        "faces": asdict(task.face_settings),
        "whole": task.options.whole,
        "timeout_sec": task.timeout_sec,
        "explain": task.options.explain,
        **outputs,
    }


def is_log(path: Path) -> bool:
    """Return whether a file was begun as a log by this project; an empty one may have been."""
    return begins_with(path, f'{{"{FIRST_KEY}": ') or path.stat().st_size == 0


class VerdictLog:
    """The verdicts on these videos, in a file.

    What is there already is kept if its header is the same, and half a line at its end is cut off.
    Raises UserError if the header differs or a line is damaged, unless `anew`; OSError if it cannot
    be written.
    """

    def __init__(
        self, path: Path, header: Mapping[str, Any], videos: Sequence[Path], anew: bool = False
    ):
        self._videos = list(map(str, videos))
        self._places: dict[str, int] = {}  # where the line of each video begins
        self._parts: dict[str, list[int]] = {}  # the same for the windows of one that is not done
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")
        self._file.seek(0)
        first = b"" if anew else self._file.readline()
        try:
            if not first.endswith(b"\n"):
                self._file.truncate(0)
                self._append(header)
            elif first == line_of_json(header).encode():
                self._read_lines()
            else:
                saved = json.loads(first)
                names = [name for name in header if saved.get(name) != header[name]]
                what = f"holds verdicts of another run, which differs in {', '.join(names)}"
                raise UserError(f"{path} {what}; {REMEDY}")
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} was changed and cannot be read; {REMEDY}") from None

    def __enter__(self) -> "VerdictLog":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __contains__(self, video: Path) -> bool:
        return str(video) in self._places

    def __iter__(self) -> Iterator[Verdict]:
        """Yield the verdicts in the order of the videos."""
        for video in self._videos:
            if video in self._places:
                yield self[video]

    def __getitem__(self, video: Path | str) -> Verdict:
        self._file.seek(self._places[str(video)])
        return verdict_of(json.loads(self._file.readline())["verdict"])

    def add(self, verdict: Verdict) -> None:
        """Append a verdict; raises OSError if that fails."""
        entry = {"file": _file_facts(Path(verdict.path)), "verdict": asdict(verdict)}
        self._places[verdict.path] = self._append(entry)

    def add_windows(self, video: str, windows: Sequence[Window]) -> None:
        """Append the next windows of a video that is not done; raises OSError if that fails."""
        self._append({"file": _file_facts(Path(video)), "windows": list(map(asdict, windows))})

    def windows_of(self, video: Path) -> tuple[Window, ...]:
        """Return the windows of a video that was not done when an earlier run was stopped."""
        entries = []
        for place in self._parts.get(str(video), ()):
            self._file.seek(place)
            entries += json.loads(self._file.readline())["windows"]
        return tuple(map(window_of, entries))

    def _append(self, entry: Mapping[str, Any]) -> int:
        """Write a line and return where it begins."""
        place = self._file.seek(0, 2)
        self._file.write(line_of_json(entry).encode())
        self._file.flush()
        return place

    def _read_lines(self) -> None:
        """Find the lines of these videos whose files are the same as then; the last one counts."""
        wanted, end = set(self._videos), self._file.tell()
        for line in iter(self._file.readline, b""):
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            video = entry["file"]["path"]
            if video not in wanted or entry["file"] != _file_facts(Path(video)):
                self._places.pop(video, None)
                self._parts.pop(video, None)
            elif "windows" in entry:
                self._parts.setdefault(video, []).append(end)
            else:
                self._places[video] = end
            end += len(line)
        self._file.truncate(end)


def line_of_json(entry: Mapping[str, Any]) -> str:
    return f"{json.dumps(entry)}\n"


def _file_facts(path: Path) -> dict[str, Any]:
    """Return path, size and time of change of a file, to recognise it; of a folder, those of its
    pictures."""
    size, changed_ns = stamp_of(path) or (None, None)
    return {"path": str(path), "size": size, "changed_ns": changed_ns}
