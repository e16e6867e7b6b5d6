"""Writes MP4 files that browsers play: H.264 pictures, without sound.

    with VideoWriter(Path("out.mp4"), fps=25, size=(640, 480)) as writer:
        writer.write(image_bgr, time_sec=0.0)

https://pyav.basswood-io.com/docs/stable/
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from deepfake_detector.images import CAN_ENCODE_H264, H264_ENCODER

ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast"}
CLOCK = Fraction(1, 90_000)
BT709, LIMITED_RANGE = 1, 1  # AVCOL_SPC_BT709, AVCOL_RANGE_MPEG: what players assume
MAX_FPS = 1000.0


class VideoWriter:
    """An MP4 file that is written frame by frame; `size` is (width, height), both even.

    Raises OSError if it cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]):
        if not CAN_ENCODE_H264:
            raise OSError(0, "this PyAV has no encoder of H.264; install it with pip", str(path))
        fps = min(fps, MAX_FPS)
        self._frame_sec, self._last_pts = 1 / fps, -1
        # Players begin before all is there.
        options = {"movflags": "faststart"}
        self._out = av.open(f"file:{path.absolute()}", "w", format="mp4", options=options)
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._out.add_stream(H264_ENCODER, rate=rate, options=ENCODER_OPTIONS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = CLOCK
        stream.codec_context.colorspace = BT709
        stream.codec_context.color_range = LIMITED_RANGE
        self._stream = stream

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._out.mux(self._stream.encode(None))
        finally:
            self._out.close()

    def write(self, image_bgr: np.ndarray, time_sec: float) -> None:
        """Append a picture, `(height, width, 3) uint8`, shown from a time on; times ascend."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE
        )
        self._last_pts = max(self._last_pts + 1, round(time_sec / CLOCK))
        frame.pts, frame.time_base = self._last_pts, CLOCK
        frame.duration = round(self._frame_sec / CLOCK)
        self._out.mux(self._stream.encode(frame))
