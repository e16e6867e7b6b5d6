"""The detectors that every test of a detector and of the tracker runs on."""

import os
from pathlib import Path

import pytest

from deepfake_detector.faces.detector import Detector, FaceDetector
from deepfake_detector.faces.yunet import YuNet


@pytest.fixture(scope="session")
def yunet_path() -> Path:
    """The file that YUNET_FILE names; OpenCV does not come with it."""
    path = os.environ.get("YUNET_FILE")
    if not path:
        pytest.skip("YUNET_FILE names no .onnx file of YuNet")
    return Path(path)


@pytest.fixture(params=["haar", "yunet"])
def detector(request) -> FaceDetector:
    if request.param == "haar":
        return Detector()
    return YuNet(request.getfixturevalue("yunet_path"))
