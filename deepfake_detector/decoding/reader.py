"""Opens whatever has frames: a video file, a picture, a folder of numbered pictures.

    with open_video(path) as reader:
        for frame in reader.frames(capture_sec=5, fps=None):
            ...

Files are only read. Only frames that decode count, whatever the headers promise.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from deepfake_detector.decoding import diagnosis
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.pictures import Pictures, is_picture, picture_files
from deepfake_detector.decoding.video_file import VideoFile


class Reader:
    """An open video; `with` closes it."""

    def __init__(self, source: VideoFile | Pictures):
        self.fps = source.fps  # as the header says
        self.ended = False  # whether `frames` has come to the end of the video
        self._source = source

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    @property
    def header_sec(self) -> float:
        """Length in seconds as the header says; nan where it says none, and of a picture."""
        return self._source.header_sec

    @property
    def damage(self) -> str:
        """What the decoder or the container said is wrong with the frames read; often nothing."""
        return self._source.damage(self.ended)

    def frames(self, capture_sec: float, fps: float | None) -> Iterator[Frame]:
        """Yield the frames of the first `capture_sec` seconds, at most `fps` a second (None: all).

        Time counts from the first frame. Can be called once.
        """
        time_sec, start_sec, last_slot = -1 / self.fps, math.nan, -1
        for index, picture in enumerate(self._source.pictures()):
            following_sec = time_sec + 1 / self.fps
            if math.isnan(start_sec):  # nan too where a picture has no clock
                start_sec = picture.clock_sec - following_sec
            clock_sec = picture.clock_sec - start_sec
            # A picture without a usable time follows the last one.
            time_sec = clock_sec if time_sec < clock_sec < math.inf else following_sec
            if time_sec > capture_sec - 1e-6:
                return
            slot = index if fps is None else math.floor(time_sec * fps + 1e-6)
            if slot == last_slot:
                continue
            last_slot = slot
            yield Frame(index, time_sec, picture.pixels())
        self.ended = True


def open_video(path: Path) -> Reader:
    """Return the reader of a video file, a picture or a folder of numbered pictures.

    Raises UnreadableError, whose text is one clause for the manifest.
    """
    if diagnosis.is_folder(path):
        files = picture_files(path)
        if not files:
            raise UnreadableError("a folder without numbered pictures")
        return Reader(Pictures(files))
    diagnosis.check_is_file(path)
    return Reader(Pictures([path]) if is_picture(path) else VideoFile(path))
