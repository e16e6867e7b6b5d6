"""One frame; colour is converted where it is asked for.

    frame.grey                                 # (height, width) uint8: what Haar looks at
    frame.pixels.bgr(120, 60, 300, 240)        # (180, 180, 3) uint8: left, top, right, bottom

Video is stored as YUV. Its luma plane is a grey picture already, and to convert the surroundings of
a face to colour costs a fraction of converting all of a frame. Other pixels are BGR from the start.
"""

import functools
import threading
from dataclasses import dataclass
from functools import cached_property

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

# Formats of 8 bits a sample, and how many columns and rows of pixels share a chroma sample.
PLANAR_FORMATS = {
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
    "yuv444p": (1, 1),
    "yuvj444p": (1, 1),
}
# To prepare FFmpeg's converter takes longer than to convert a face. Pictures of the same size share
# it, so the sides of parts are rounded up.
SIDES_STEP = 64
UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED, no matrix is named


class BgrPixels:
    """Pixels in an array, `(height, width, 3) uint8` BGR."""

    def __init__(self, image_bgr: np.ndarray):
        self._image_bgr = image_bgr
        self.height, self.width = image_bgr.shape[:2]
        self.nbytes = image_bgr.nbytes

    @cached_property
    def grey(self) -> np.ndarray:
        """`(height, width) uint8`."""
        return cv2.cvtColor(self._image_bgr, cv2.COLOR_BGR2GRAY)

    def bgr(self, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """Return a rectangle as a view, `(bottom - top, right - left, 3) uint8`."""
        return self._image_bgr[top:bottom, left:right]


class PlanarPixels:
    """Pixels in one of PLANAR_FORMATS, as FFmpeg decodes them."""

    def __init__(self, planes: av.VideoFrame):
        self._planes = planes
        self.height, self.width = planes.height, planes.width
        self.nbytes = sum(plane.buffer_size for plane in planes.planes)

    @cached_property
    def _arrays(self) -> list[np.ndarray]:
        return [_plane_array(self._planes, number) for number in range(3)]

    @property
    def grey(self) -> np.ndarray:
        """`(height, width) uint8`: the luma plane, a view."""
        return self._arrays[0]

    def bgr(self, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """Return a rectangle, `(bottom - top, right - left, 3) uint8`.

        The result is equal to that part of the whole frame converted, with the matrix and the range
        of colours that the video names.
        """
        # Even sides and corners, as far as the frame has them: FFmpeg converts pictures of an odd
        # height by another method, of slightly other results.
        x, y = left - left % 2, top - top % 2
        width = min(right + right % 2, self.width) - x
        height = min(bottom + bottom % 2, self.height) - y
        whole = (width, height) == (self.width, self.height)
        image_bgr = convert(self._planes if whole else self._copied(x, y, width, height))
        return image_bgr[top - y : bottom - y, left - x : right - x]

    def _copied(self, left: int, top: int, width: int, height: int) -> av.VideoFrame:
        """Return a copy of a rectangle whose sides are rounded up to multiples of SIDES_STEP."""
        sides = [-(-side // SIDES_STEP) * SIDES_STEP for side in (width, height)]
        part = av.VideoFrame(sides[0], sides[1], self._planes.format.name)
        part.colorspace, part.color_range = self._planes.colorspace, self._planes.color_range
        chroma = PLANAR_FORMATS[part.format.name]
        for number, (columns, rows) in enumerate(((1, 1), chroma, chroma)):
            pixels = self._arrays[number][
                top // rows : -(-(top + height) // rows),
                left // columns : -(-(left + width) // columns),
            ]
            _plane_array(part, number)[: pixels.shape[0], : pixels.shape[1]] = pixels
        return part


Pixels = BgrPixels | PlanarPixels


def convert(planes: av.VideoFrame, width: int = 0, height: int = 0) -> np.ndarray:
    """Return a decoded picture of any format as `(height, width, 3) uint8` BGR; 0 keeps a side."""
    size = (width or planes.width, height or planes.height)
    reformat = _reformatter(threading.get_ident()).reformat
    try:
        return reformat(planes, *size, "bgr24", threads=1).to_ndarray()
    except av.error.FFmpegError:
        # A matrix that FFmpeg cannot undo, often named by mistake: as if none was named.
        planes.colorspace = UNSPECIFIED
        return reformat(planes, *size, "bgr24", threads=1).to_ndarray()


@functools.cache
def _reformatter(thread: int) -> VideoReformatter:
    """Return the converter of this thread, which is prepared for the size it was used for last."""
    return VideoReformatter()


def _plane_array(planes: av.VideoFrame, number: int) -> np.ndarray:
    """Return a plane as a view, `(height, width) uint8`; its rows have padding in memory."""
    plane = planes.planes[number]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
        : plane.height, : plane.width
    ]


@dataclass(frozen=True)
class Frame:
    """One frame as a player shows it, and its place in the video."""

    index: int  # from 0
    time_sec: float  # since the first frame
    pixels: Pixels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.height, self.pixels.width

    @property
    def grey(self) -> np.ndarray:
        """`(height, width) uint8`."""
        return self.pixels.grey

    @property
    def image_bgr(self) -> np.ndarray:
        """`(height, width, 3) uint8`; may be a view, so copy it to draw."""
        return self.pixels.bgr(0, 0, self.pixels.width, self.pixels.height)


def frame_of_image(image_bgr: np.ndarray, index: int = 0, time_sec: float = 0.0) -> Frame:
    """Return a frame of an image, `(height, width, 3) uint8` BGR."""
    return Frame(index, time_sec, BgrPixels(image_bgr))
