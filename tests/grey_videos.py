"""Faces of plain grey and a model whose score is their brightness: scores that are known."""

from pathlib import Path

import cv2
import keras
import numpy as np

from deepfake_detector.face_dataset.face_tracks import FaceTrack

NUM_FRAMES, SIDE = 3, 16  # of a clip of the model
SETTINGS = {"num_frames": NUM_FRAMES, "img_size": [SIDE, SIDE], "faces": {"face_size": 32}}


def write_grey_video(folder: Path, greys, side=32) -> FaceTrack:
    """Write a crop of each grey level, ten a second, and return their face track."""
    folder.mkdir()
    for number, grey in enumerate(greys):
        cv2.imwrite(f"{folder}/{number:03d}.jpeg", np.full((side, side, 3), grey, np.uint8))
    lines = [f"{number},{number / 10},0,0,9,9,detected" for number in range(len(greys))]
    (folder / "boxes.csv").write_text("\n".join(["frame,time_sec,x,y,w,h,source", *lines]))
    return FaceTrack(folder.name, str(folder), 0, len(greys), 3, folder.name, folder.name)


def brightness_model() -> keras.Model:
    """Return a model whose score is the mean brightness of the clip, 0..1."""
    clip = keras.Input((NUM_FRAMES, SIDE, SIDE, 3))
    mean = keras.layers.GlobalAveragePooling3D()(keras.layers.Rescaling(1 / 255)(clip))
    dense = keras.layers.Dense(1)
    model = keras.Model(clip, dense(mean))
    dense.set_weights([np.full((3, 1), 1 / 3), np.zeros(1)])
    return model
