"""A video is known by its content: what a later run does with videos that were renamed, moved,
replaced, relabelled or taken away."""

import json
import os
from pathlib import Path

import pytest
from conftest import rows_of, write_metadata

import processing
from deepfake_detector.videos.content import content_of


@pytest.fixture
def contents(mp4) -> list[bytes]:
    """Videos of different content and of one size: bytes behind the last atom change nothing."""
    return [mp4 + bytes([0, 0, 0, 9]) + b"free" + bytes([number]) for number in range(5)]


@pytest.fixture
def videos(tmp_path, contents) -> Path:
    root = tmp_path / "videos"
    for path, content in zip(
        ("real/a.mp4", "real/b.mp4", "fake/c.mp4", "fake/d.mp4"), contents, strict=False
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


class Runs:
    """Runs processing.py on one folder of faces, and notes which videos are decoded."""

    def __init__(self, faces: Path, monkeypatch, capsys):
        self.faces, self._capsys, self._decoded = faces, capsys, []
        real_job = processing.process_video

        def note(video, **words):
            self._decoded.append(video.name)
            return real_job(video, **words)

        monkeypatch.setattr(processing, "process_video", note)

    def __call__(self, *locations: Path, **words) -> list[str]:
        """Run, check that the index fits the folders, and return the videos that were decoded."""
        self._decoded.clear()
        self._capsys.readouterr()
        rows = processing.processing(locations, self.faces, capture_sec=0.1, face_size=16, **words)
        self.rows = {row["filename"]: row for row in rows}
        self.said = self._capsys.readouterr().out
        entries = json.loads((self.faces / "metadata.json").read_text())
        self.labels = {name: entry["label"] for name, entry in entries.items()}
        assert all((self.faces / name).is_dir() for name in entries)
        rows = {row["filename"]: row for row in rows_of(self.faces / "manifest.csv")}
        assert all(entry["content"] == rows[name]["content"] for name, entry in entries.items())
        return list(self._decoded)

    def folders(self) -> set[str]:
        return {path.name for path in self.faces.iterdir() if path.is_dir()}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Runs:
    return Runs(tmp_path / "faces", monkeypatch, capsys)


R, F = "REAL", "FAKE"
LABELS = {"fake__c.mp4": F, "fake__d.mp4": F, "real__a.mp4": R, "real__b.mp4": R}


def test_an_unchanged_video_is_not_read_again_and_a_touched_one_once(videos, run, monkeypatch):
    assert len(run(videos)) == 4
    entries = json.loads((run.faces / "metadata.json").read_text())
    assert entries["real__a.mp4"]["content"] == content_of(videos / "real/a.mp4")
    read = []
    monkeypatch.setattr(
        "deepfake_detector.face_dataset.folder.content_of",
        lambda path: read.append(path.name) or content_of(path),
    )
    os.utime(videos / "real/a.mp4", (1, 1))
    assert [run(videos), read] == [[], ["a.mp4"]]
    assert [run(videos), read] == [[], ["a.mp4"]]  # the new time was written down
    assert run.labels == LABELS


def test_a_renamed_or_moved_video_keeps_its_faces_under_its_new_name_and_label(videos, run):
    """real/a.mp4 was in the folder of faces as real and as fake, with the same pixels."""
    run(videos)
    (videos / "real/a.mp4").rename(videos / "fake/a.mp4")
    (videos / "fake/c.mp4").rename(videos / "fake/new name.mp4")
    assert run(videos) == []
    assert run.labels == {
        "fake__a.mp4": F, "fake__d.mp4": F, "fake__new name.mp4": F, "real__b.mp4": R,
    }  # fmt: skip
    assert run.folders() == run.labels.keys()
    assert "2 videos known under another name, such as fake__a.mp4, before real__a.mp4" in run.said
    assert run(videos) == [] and "note" not in run.said


def test_videos_that_went_to_another_disk_are_not_done_again(videos, run, tmp_path):
    run(videos)
    moved = videos.rename(tmp_path / "other_disk")
    assert run(moved) == []
    assert run.labels == LABELS
    assert {row["location"] for row in run.rows.values()} == {
        str(moved / "real"), str(moved / "fake"),
    }  # fmt: skip


def test_names_that_were_swapped_are_not_taken_for_each_other(videos, run):
    run(videos)
    a, b, between = videos / "real/a.mp4", videos / "real/b.mp4", videos / "real/x"
    a.rename(between), b.rename(a), between.rename(b)
    assert run(videos) == ["real__a.mp4", "real__b.mp4"]
    assert run.rows["real__a.mp4"]["content"] == content_of(a)
    b.rename(a)  # a is gone, and b has its name
    assert run(videos) == []
    assert run.labels == {name: label for name, label in LABELS.items() if name != "real__b.mp4"}


def test_other_content_under_a_known_name_and_size_is_made_again(videos, run, contents):
    """ "Done before", said the run: two people's videos of one name were one."""
    run(videos)
    (videos / "real/a.mp4").write_bytes(contents[4])
    assert run(videos) == ["real__a.mp4"]
    assert run.labels == LABELS


def test_other_content_of_the_same_size_and_time_is_made_again(videos, run, contents):
    """Archives give their files one time, so `cp -p` and `tar` leave no newer one."""
    run(videos)
    before = (videos / "real/a.mp4").stat()
    (videos / "real/a.mp4").write_bytes(contents[4])
    os.utime(videos / "real/a.mp4", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(videos) == ["real__a.mp4"]
    assert run.rows["real__a.mp4"]["content"] == content_of(videos / "real/a.mp4")


def test_a_run_killed_before_a_replaced_video_leaves_no_old_faces_in_the_index(
    videos, run, contents, monkeypatch
):
    """The faces of the old video had the label of the new one until the next run."""
    run(videos)
    (videos / "real/a.mp4").unlink()
    (videos / "real/c.mp4").write_bytes(contents[4])
    (videos / "fake/c.mp4").rename(videos / "fake/e.mp4")
    (videos / "real/b.mp4").write_bytes(contents[0] + b"x")

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(processing, "process_videos", die)
    with pytest.raises(KeyboardInterrupt):
        run(videos)
    labels = {
        name: entry["label"]
        for name, entry in json.loads((run.faces / "metadata.json").read_text()).items()
    }
    assert labels == {"fake__d.mp4": F, "fake__e.mp4": F}


def test_another_video_of_the_same_name_elsewhere_takes_its_place_and_is_named(
    videos, run, tmp_path, contents
):
    run(videos)
    other = tmp_path / "other"
    (other / "real").mkdir(parents=True)
    (other / "real/a.mp4").write_bytes(contents[4])
    assert run(other) == ["real__a.mp4"]
    assert run.labels == {"real__a.mp4": R}
    assert "4 videos of earlier calls in none of the locations of this one" in run.said
    assert run(videos, other) == ["videos__real__a.mp4"]  # part 2, then parts 1 and 2
    assert run.labels == {
        "fake__c.mp4": F, "fake__d.mp4": F, "other__real__a.mp4": R, "real__b.mp4": R,
        "videos__real__a.mp4": R,
    }  # fmt: skip
    assert run.folders() == run.labels.keys()
    assert run(other, videos) == []


def test_what_no_location_holds_any_more_is_named_and_not_trained_on(videos, run, tmp_path):
    run(videos)
    (videos / "real/a.mp4").rename(tmp_path / "a.mp4")
    assert run(videos) == []
    assert "1 video of earlier calls in none of the locations" in run.said
    assert "real__a.mp4" not in run.labels
    assert "real__a.mp4" in run.folders()
    (tmp_path / "a.mp4").rename(videos / "real/a.mp4")
    assert run(videos) == []  # it is back
    assert run.labels == LABELS
    (videos / "real/a.mp4").unlink()
    run(videos, overwrite=True)
    assert run.folders() == LABELS.keys() - {"real__a.mp4"}


def test_labels_corrected_after_extraction_are_those_of_the_next_run(videos, run):
    """An entry that became unusable kept its old label, and was trained on."""
    entries = {"a.mp4": R, "b.mp4": R}
    write_metadata(videos / "real", entries)
    run(videos / "real")
    assert run.labels == entries
    write_metadata(videos / "real", {"a.mp4": F, "b.mp4": "UNSURE"})
    run(videos / "real")
    assert "1 video of another label than in the last run, such as a.mp4, now FAKE" in run.said
    assert run.labels == {"a.mp4": F}
    assert run.rows["b.mp4"]["status"] == "invalid_entry"
    write_metadata(videos / "real", {"a.mp4": {"label": F, "split": "test"}, "b.mp4": R})
    assert run(videos / "real") == ["b.mp4"]
    assert run.labels == {"a.mp4": F, "b.mp4": R}


def test_a_copy_that_appears_later_does_not_make_a_second_folder(videos, run):
    run(videos)
    (videos / "real/a copy.mp4").write_bytes((videos / "real/a.mp4").read_bytes())
    assert run(videos) == []
    assert run.labels == LABELS
    (videos / "fake/leaked.mp4").write_bytes((videos / "real/a.mp4").read_bytes())
    run(videos)
    assert run.labels == {name: label for name, label in LABELS.items() if name != "real__a.mp4"}


def test_a_choice_of_renamed_videos_takes_each_once(videos, run):
    run(videos)
    (videos / "real").rename(videos / "original")
    assert [run(videos, num_vids=1, seed=seed) for seed in (0, 1)] == [[], []]
    assert run.labels.keys() == {name.replace("real", "original") for name in LABELS}


def test_a_video_that_moved_and_is_still_listed_at_its_old_place_is_one_video(videos, run):
    """One content was in the metadata twice, as real and as fake."""
    paths = [f"{path.parent.name}/{path.name}" for path in sorted(videos.rglob("*.mp4"))]
    (videos / "videos.csv").write_text("path\n" + "\n".join(paths) + "\n")
    run(videos)
    (videos / "real/a.mp4").rename(videos / "real/z.mp4")
    (videos / "real/b.mp4").rename(videos / "fake/b.mp4")
    assert sorted(run(videos)) == ["real__a.mp4", "real__b.mp4"]  # which are missing
    assert run.labels == {"fake__b.mp4": F, "fake__c.mp4": F, "fake__d.mp4": F, "real__z.mp4": R}


def test_a_missing_video_does_not_get_the_faces_of_another_of_its_name(
    videos, run, tmp_path, contents
):
    run(videos)
    other = tmp_path / "other"
    for path, content in (("real/e.mp4", contents[4]), ("fake/f.mp4", contents[4] + b"more")):
        (other / path).parent.mkdir(parents=True)
        (other / path).write_bytes(content)
    (other / "videos.csv").write_text("path,people\nreal/a.mp4,Ann\n")  # not downloaded
    run(other)
    assert run.labels == {"real__e.mp4": R, "fake__f.mp4": F}
    assert run.rows["real__a.mp4"]["status"] == "missing"
