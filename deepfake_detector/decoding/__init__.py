"""Decoding: a video file, a picture or a folder of numbered pictures in, frames with times out.

In: a path. Out: `Frame` objects in order, as a player would show them. Open `reader.py` first.
FFmpeg (by PyAV) decodes videos, OpenCV decodes pictures. `video_writer.py` is the way back: frames
to an mp4 file. No TensorFlow.
"""
