"""The synthetic set: reproducible, in the form of DFDC, and fakes differ in the face alone."""

import json

import numpy as np
import pytest

import sample_data
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.faces.detector import Detector
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.face_swap import swap_faces
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.listing import read_locations


def frames_of(path):
    with open_video(path) as reader:
        return np.stack([frame.image_bgr.copy() for frame in reader.frames(60, None)])


def test_the_set_has_the_form_of_a_dfdc_part(sample_videos):
    metadata = json.loads((sample_videos / "metadata.json").read_text())
    assert sorted(metadata) == sorted(path.name for path in sample_videos.glob("*.mp4"))
    fakes = {name: entry for name, entry in metadata.items() if entry["label"] == "FAKE"}
    assert len(fakes) == 8
    assert all(entry["synthetic"] is True for entry in metadata.values())
    assert all(metadata[entry["original"]]["label"] == "REAL" for entry in fakes.values())
    assert not [video.problem for video in read_locations([sample_videos]).videos if video.problem]


def test_nobody_is_in_training_and_test_neither_as_target_nor_as_source(sample_videos):
    metadata = json.loads((sample_videos / "metadata.json").read_text())
    people = {"train": set(), "test": set()}
    for name, entry in metadata.items():
        people[entry["split"]] |= set(
            name.removesuffix(".mp4").replace("person_", "").split("_face_")
        )
    assert people["train"].isdisjoint(people["test"])
    assert len(people["test"]) == 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_videos_with_any_number_of_workers(tmp_path):
    options = {"num_people": 2, "seconds": 0.2, "fps": 10, "frame_size": 96, "test_share": 0}
    for workers in (1, 2):
        sample_data.make_sample_set(tmp_path / str(workers), workers=workers, **options)
    sample_data.make_sample_set(tmp_path / "other", seed=1, **options)
    for path in (tmp_path / "1").glob("*.mp4"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()
    real = "person_000.mp4"
    assert (tmp_path / "1" / real).read_bytes() != (tmp_path / "other" / real).read_bytes()


def test_a_second_run_makes_what_is_missing_and_other_settings_are_refused(tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--num-people", "2", "--seconds", "0.1", "--workers", "0"]
    assert sample_data.main(arguments) == 0
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()}
    missing = tmp_path / "person_000_face_001.mp4"
    missing.unlink()
    assert sample_data.main(arguments) == 0
    assert missing.read_bytes() == before.pop(missing)[1]
    assert all(
        path.stat().st_mtime_ns == time
        for path, (time, _) in before.items()
        if path.suffix == ".mp4"
    )
    assert sample_data.main([*arguments, "--fps", "10"]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_haar_finds_the_synthetic_faces(sample_videos):
    detector = Detector()
    found = [
        len(detector.search_frame(frame_of_image(frame), smallest_side=1))
        for path in sorted(sample_videos.glob("*.mp4"))
        for frame in frames_of(path)[::3]
    ]
    assert np.mean([count == 1 for count in found]) > 0.95


def test_a_fake_differs_from_its_original_in_the_face_alone(tmp_path):
    person, source = people.random_person(3), people.random_person(4)
    real = draw_frames(person, num_frames=4, frame_size=160, fps=25, seed=3)
    fake = swap_faces(real, person, source, fps=25, seed=3)
    change = np.abs(real.astype(int) - fake).mean(axis=(0, 3))
    box = Detector().search_frame(frame_of_image(real[0][:, :, ::-1].copy()), 1)[0]
    x, y, w, h = box.astype(int)
    assert change[y : y + h, x : x + w].mean() > 2
    assert change[:15].max() == change[-15:].max() == 0  # above the head, and the shoulders


def test_values_that_make_no_set_are_one_sentence(tmp_path, capsys):
    assert sample_data.main(["--out", str(tmp_path / "x"), "--num-people", "1"]) == 2
    assert capsys.readouterr().err == "error: --num-people is 1; it must be from 2 to 1000\n"
    assert not (tmp_path / "x").exists()
