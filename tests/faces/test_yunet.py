"""--detector yunet=FILE: which file it is, what it must be, and where it is needed again."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import processing
from deepfake_detector.console import UserError
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.face_dataset.settings import DETECTOR, FaceSettings
from deepfake_detector.faces import yunet
from deepfake_detector.prediction.task import _face_settings


@pytest.fixture
def stand_in(tmp_path) -> Path:
    """A file for what does not open it."""
    path = tmp_path / "face_detection_yunet_2023mar.onnx"
    path.write_bytes(b"weights")
    return path


def test_the_file_is_known_by_its_content_whatever_it_is_called(stand_in, tmp_path):
    named = yunet.detector_settings(f"yunet={stand_in}")
    copy = shutil.copyfile(stand_in, tmp_path / "other name=1.onnx")
    assert yunet.detector_settings(f"yunet={copy}")["detector"] == named["detector"]
    stand_in.write_bytes(b"other weights")
    assert yunet.detector_settings(f"yunet={stand_in}")["detector"] != named["detector"]


def test_settings_name_the_detector_but_no_path_of_this_machine(stand_in):
    settings = FaceSettings(**yunet.detector_settings(f"yunet={stand_in}"))
    assert settings.saved()["detector"].startswith("yunet sha256:")
    assert str(stand_in.parent) not in json.dumps(settings.saved())
    assert FaceSettings(**yunet.detector_settings(None)) == FaceSettings()


@pytest.mark.parametrize("option", ["mtcnn", "yunet", "yunet=", "haar=x.xml"])
def test_a_detector_that_is_not_there_is_refused_with_what_there_is(option):
    with pytest.raises(UserError, match=r"it must be haar or yunet=FILE\.onnx"):
        yunet.detector_settings(option)


def test_a_missing_file_is_one_sentence(sample_videos, tmp_path, capsys):
    words = ["--location", str(sample_videos), "--save-path", str(tmp_path / "faces")]
    assert processing.main([*words, "--detector", f"yunet={tmp_path / 'no.onnx'}"]) == 2
    error = capsys.readouterr().err
    assert "no.onnx: No such file" in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_yunet_is_one_sentence(sample_videos, stand_in, tmp_path, capsys):
    words = ["--location", str(sample_videos), "--save-path", str(tmp_path / "faces")]
    assert processing.main([*words, "--detector", f"yunet={stand_in}"]) == 2
    error = capsys.readouterr().err
    assert f"is not a YuNet that OpenCV {cv2.__version__} can run" in error
    assert error.count("\n") == 1


def test_a_model_of_yunet_faces_needs_the_file_that_found_them(stand_in, tmp_path):
    found_by = yunet.detector_settings(f"yunet={stand_in}")
    model = {"faces": FaceSettings(**found_by).saved()}
    settings = _face_settings(model, Path("model.keras"), f"yunet={stand_in}")
    assert settings.detector_file == found_by["detector_file"]
    with pytest.raises(UserError, match="give that file: --detector yunet=FILE"):
        _face_settings(model, Path("model.keras"), None)
    other = tmp_path / "other.onnx"
    other.write_bytes(b"other weights")
    with pytest.raises(UserError, match="other.onnx is another one; give that file"):
        _face_settings(model, Path("model.keras"), f"yunet={other}")


def test_a_model_of_haar_faces_takes_no_other_detector(stand_in):
    model = {"faces": FaceSettings().saved()}
    assert _face_settings(model, Path("model.keras"), None).detector == DETECTOR
    with pytest.raises(UserError, match="Haar cascades found; leave --detector out"):
        _face_settings(model, Path("model.keras"), f"yunet={stand_in}")


def test_boxes_of_infinite_width_are_no_faces():
    class Overflows:
        """Stands in for the network on a picture that is too much for it."""

        def setInputSize(self, size):
            pass

        def detect(self, image_bgr):
            widths = np.array([np.inf, np.nan, 1e30, 40], np.float32)
            return 4, np.stack([np.full(15, width) for width in widths])

    detector = yunet.YuNet.__new__(yunet.YuNet)
    detector._network = Overflows()
    (found,) = detector.search_frame(frame_of_image(np.zeros((120, 160, 3), np.uint8)), 1)
    assert found[2] == pytest.approx(42)


@pytest.mark.parametrize("workers", [0, 1])
def test_yunet_finds_the_faces_of_a_folder_in_any_process(
    sample_videos, yunet_path, tmp_path, workers
):
    rows = processing.processing(
        sample_videos, tmp_path, 0.5, 1, detector=f"yunet={yunet_path}", workers=workers
    )
    assert {row["status"] for row in rows} == {"ok"}
    assert all(int(row["detected"]) == int(row["frames_read"]) for row in rows)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["detector"].startswith("yunet sha256:")
    with pytest.raises(UserError, match="detector=yunet sha256"):
        processing.processing(sample_videos, tmp_path, 0.5, 1)
