"""Videos that OpenCV cannot write: interlaced, anamorphic, with sound, with times of their own."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

INTERLACED = 1 << 18 | 1 << 29  # AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME
TICKS_A_SECOND = 90_000


def encode(
    path: Path,
    frames_rgb: np.ndarray,
    times_sec: Sequence[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pixel_aspect: Fraction | None = None,
    flags: int = 0,
    sound_sec: float = 0.0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write `(num_frames, height, width, 3) uint8` RGB frames, by default 25 a second."""
    times_sec = np.arange(len(frames_rgb)) / 25 if times_sec is None else times_sec
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames_rgb.shape[1:3]
        stream.pix_fmt, stream.bit_rate = pix_fmt, 8_000_000
        stream.codec_context.flags |= flags
        if not codec.startswith("mpeg"):  # which have fixed frame rates only
            stream.codec_context.time_base = Fraction(1, TICKS_A_SECOND)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        sound = container.add_stream("aac", rate=48_000) if sound_sec else None
        for image, time_sec in zip(frames_rgb, times_sec, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.time_base = Fraction(1, TICKS_A_SECOND)
            frame.pts = round(time_sec * TICKS_A_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            for start in range(0, round(sound_sec * 48_000), 1024):
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
                )
                silence.rate, silence.pts, silence.time_base = 48_000, start, Fraction(1, 48_000)
                container.mux(sound.encode(silence))
            container.mux(sound.encode())
    return path
