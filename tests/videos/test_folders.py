"""Folders as people have them: what the names of folders say about the videos in them."""

from pathlib import Path

import pytest
from conftest import list_videos, make_files, write_metadata

from deepfake_detector.console import UserError
from deepfake_detector.videos import layouts
from deepfake_detector.videos.listing import read_locations
from deepfake_detector.videos.metadata import Video
from deepfake_detector.videos.search import find_videos

R, F = "REAL", "FAKE"


def videos_of(root: Path, *paths: str, pictures: str = "auto") -> dict[str, Video]:
    """Return the videos by their path, of a folder that is made of empty files."""
    listing = read_locations([make_files(root, *paths)], pictures=pictures)
    assert not [video.problem for video in listing.videos if video.problem]
    return {str(video.path.relative_to(root)): video for video in listing.videos}


def known(videos: dict[str, Video], key: str) -> dict[str, object]:
    return {path: video.entry.get(key) for path, video in videos.items()}


# Classes and splits


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("0_real", "1_fake"),
        ("original", "manipulated"),
        ("real_videos", "fake_videos"),
        ("Real", "Deepfake"),
        ("training_real", "training_fake"),
        ("RealVideos", "FakeVideos"),
        ("DFD_original sequences", "DFD_manipulated_sequences/DFD_manipulated_sequences"),
        ("YouTube-real", "Celeb-synthesis"),
        ("original_sequences/youtube/c23/videos", "manipulated_sequences/Deepfakes/c23/videos"),
        ("RealVideo-FakeAudio/African/men/id00076", "FakeVideo-RealAudio/African/men/id00076"),
        ("deepfake dataset/Real", "deepfake dataset/Fake"),
        ("real-vs-fake/real", "real-vs-fake/fake"),
    ],
)
def test_class_folders_are_known_by_whole_words(tmp_path, real, fake):
    found = videos_of(tmp_path, f"{real}/a.mp4", f"{fake}/b.mp4")
    assert known(found, "label") == {f"{real}/a.mp4": R, f"{fake}/b.mp4": F}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_a_split_above_the_classes_is_the_official_split(tmp_path, val):
    paths = [f"{split}/{kind}/a.mp4" for split in ("train", val, "test") for kind in (R, F)]
    found = videos_of(tmp_path, *paths)
    splits = ["train", "train", "validation", "validation", "test", "test"]
    assert known(found, "split") == dict(sorted(zip(paths, splits, strict=True)))
    # Files of all splits have the same name, and each fake its own original.
    assert known(found, "original")[f"{val}/FAKE/a.mp4"] == f"{val}__REAL__a.mp4"
    assert len({video.name for video in found.values()}) == 6


@pytest.mark.parametrize("name", ["eval", "Testset", "Evaluation set"])
def test_a_folder_of_test_videos_by_another_word_is_not_trained_on(tmp_path, name):
    found = videos_of(tmp_path, "train/real/a.mp4", "train/fake/b.mp4", f"{name}/fake/c.mp4")
    assert list(known(found, "split").values()).count("test") == 1


def test_folders_of_no_split_next_to_folders_of_splits_are_named(tmp_path):
    make_files(tmp_path, "train/real/a.mp4", "unseen/fake/b.mp4", "test-dev/fake/c.mp4")
    (note,) = read_locations([tmp_path]).notes
    assert note.startswith("note: 2 videos in folders that name no split, or two, taken as train")
    make_files(tmp_path / "other", "real/a.mp4", "fake/b.mp4")
    assert not read_locations([tmp_path / "other"]).notes


def test_method_folders_next_to_original_are_fakes_of_that_method(tmp_path):
    """As in the copy of FaceForensics++ c23 on Kaggle."""
    methods = ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"]
    found = videos_of(tmp_path, "original/000.mp4", *(f"{m}/000_003.mp4" for m in methods))
    assert known(found, "method") == {"original/000.mp4": None} | {
        f"{method}/000_003.mp4": method for method in methods
    }


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("fake/real/a.mp4", "'fake' says fake, 'real' says real"),
        ("my_fakes/real_person/a.mp4", "'my_fakes' says fake, 'real_person' says real"),
        ("real_and_fake/a.mp4", "'real_and_fake' says fake and real"),
        ("train/real/test/b.mp4", "'train' says train, 'test' says test"),
        ("is_fake_0/a.mp4", "'is_fake_0' says fake and real"),
        ("not_fake/a.mp4", "'not_fake' says fake and real"),
        ("NoDeepfake/a.mp4", "'NoDeepfake' says fake and real"),
        ("faceswap_of_original/a.mp4", "'faceswap_of_original' says fake and real"),
    ],
)
def test_folders_that_contradict_each_other_are_shown_with_what_was_read(tmp_path, path, sentence):
    make_files(tmp_path, "real/b.mp4", path)
    with pytest.raises(UserError, match=sentence) as caught:
        list_videos([tmp_path])
    assert str((tmp_path / path).parent) in str(caught.value)


def test_a_location_that_is_called_the_opposite_of_what_is_read_in_it_is_named(tmp_path):
    """The fakes of real people in fake/real_john were real ones."""
    fakes = make_files(tmp_path / "fake", "real_john/a.mp4", "real_jane/b.mp4")
    (note,) = read_locations([fakes]).notes
    assert note.startswith("note: 2 videos taken as REAL by folders in one called fake, such as")
    make_files(fakes, "fake/c.mp4")
    assert not read_locations([fakes]).notes


def test_a_name_that_says_nothing_but_the_class_counts_before_others(tmp_path):
    found = videos_of(tmp_path, "real/a.mp4", "fake/real_person/b.mp4", "fake/take_test/c.mp4")
    assert list(known(found, "label").values()) == [F, F, R]
    assert list(known(found, "method").values()) == ["real_person", "take_test", None]


def test_folders_that_say_nothing_are_left_out_counted_and_named(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4", "surreal/c.mp4", "extra/d.mkv", "masks/e.mp4")
    listing = read_locations([tmp_path])
    assert [video.name for video in listing.videos] == ["fake__b.mp4", "real__a.mp4"]
    assert listing.lines == [f"{tmp_path}: 2 videos; folder words fake, real"]
    assert [line.split("left out: ")[1] for line in listing.left_out] == [
        "1 (.mp4 1): masks/e.mp4",
        "2 (.mkv 1, .mp4 1): extra/d.mkv, surreal/c.mp4",
    ]


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (["a.mp4", "holiday/b.mp4"], "nothing says what is real .*, which holds 2 videos; name"),
        (["a.mp4", "labels.csv"], "holds 1 video, and labels.csv has no column or key path; name"),
        ([], "holds no videos; give a folder of videos"),
        (["a/000.jpeg", "settings.json", "manifest.csv", "metadata.json"], "is a folder of faces"),
    ],
)
def test_a_folder_without_labelled_videos_is_one_sentence(tmp_path, paths, sentence):
    with pytest.raises(UserError, match=sentence):
        list_videos([make_files(tmp_path, *paths)])
    with pytest.raises(UserError, match="nowhere does not exist"):
        list_videos([tmp_path / "nowhere"])


# Layouts


def faceforensics(root: Path) -> Path:
    return make_files(
        root,
        "original_sequences/youtube/c23/videos/000.mp4",
        "original_sequences/youtube/c23/videos/.hidden.mp4",
        "original_sequences/youtube/c23/videos/notes.txt",
        "original_sequences/actors/c23/videos/01__walking_outside.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4",
        "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking_outside__YVGY8LOK.mp4",
    )


def test_faceforensics_names_tell_method_original_and_people(tmp_path):
    faceforensics(tmp_path)
    found = {video.path.name: video for video in list_videos([tmp_path])}
    known = {
        name: (video.entry.get("method"), video.entry["original"], video.entry["people"])
        for name, video in found.items()
    }
    youtube, actor = found["000.mp4"].name, found["01__walking_outside.mp4"].name
    assert youtube == "original_sequences__youtube__c23__videos__000.mp4"
    assert known == {
        "000.mp4": (None, None, ["youtube 000"]),
        "000_003.mp4": ("Deepfakes", youtube, ["youtube 000", "youtube 003"]),
        "01__walking_outside.mp4": (None, None, ["actor 01"]),
        "01_02__walking_outside__YVGY8LOK.mp4": (
            "DeepFakeDetection", actor, ["actor 01", "actor 02"],
        ),
    }  # fmt: skip


@pytest.mark.parametrize("place", [".", "splits", "dataset/splits"])
def test_official_faceforensics_splits_mark_originals_and_fakes(tmp_path, place):
    faceforensics(tmp_path)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "train.json").write_text('[["720", "672"]]')
    (tmp_path / place / "val.json").write_text('[["000", "003"]]')
    splits = {video.path.name: video.entry["split"] for video in list_videos([tmp_path])}
    assert splits["000.mp4"] == splits["000_003.mp4"] == "validation"
    assert splits["01__walking_outside.mp4"] == "train"
    (tmp_path / place / "test.json").write_text('{"000": "003"}')
    with pytest.raises(UserError, match=r"test.json is not a JSON list of pairs such as"):
        list_videos([tmp_path])


def test_a_list_of_pairs_of_numbers_is_not_lost(tmp_path):
    """[[0, 3]] was a list of no video, and its test videos were trained on."""
    faceforensics(tmp_path)
    (tmp_path / "test.json").write_text("[[0, 3], [998, 999]]")
    listing = read_locations([tmp_path])
    splits = {video.path.name: video.entry["split"] for video in listing.videos}
    assert splits["000.mp4"] == splits["000_003.mp4"] == "test"
    assert not listing.notes
    (tmp_path / "test.json").write_text('[["a", "b"]]')
    assert (
        "test.json that no video has, or several have, such as a"
        in read_locations([tmp_path]).notes[0]
    )


def test_celeb_df_names_recur_in_every_method_and_the_testing_list_marks_videos(tmp_path):
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00000.mp4\r\n0 Celeb-synthesis/FaceSwap/InSwapper/id0_id1_0000.mp4\n\n"
    )
    found = videos_of(
        tmp_path, "Celeb-real/id0_0000.mp4", "YouTube-real/00000.mp4",
        "Celeb-synthesis/FaceSwap/InSwapper/id0_id1_0000.mp4",
        "Celeb-synthesis/TalkingFace/Real3DPortrait/id0_id1_0000.mp4",
    )  # fmt: skip
    real, in_swapper, talking, youtube = found.values()
    for fake, method in ((in_swapper, "InSwapper"), (talking, "Real3DPortrait")):
        assert (fake.entry["original"], fake.entry["method"]) == (real.name, method)
        assert fake.entry["people"] == ["id0", "id1"]
    assert [video.entry["split"] for video in (real, in_swapper, talking, youtube)] == [
        "train", "test", "train", "test",
    ]  # fmt: skip


def test_dfdc_parts_are_found_in_the_folders_that_their_archives_unpack_to(tmp_path):
    for number, name in enumerate(("a.mp4", "b.mp4")):
        part = tmp_path / f"dfdc_train_part_{number}" / f"dfdc_train_part_{number}"
        write_metadata(make_files(part, name, "extra.mp4"), {name: "REAL"})
    make_files(tmp_path, "faces/settings.json", "faces/manifest.csv")
    write_metadata(tmp_path / "faces", {"a.mp4": "FAKE"})  # what an earlier run made is no part
    listing = read_locations([tmp_path])
    assert [(v.name, v.label) for v in listing.videos] == [("a.mp4", 0), ("b.mp4", 0)]
    assert "calls real or fake, left out: 2 (.mp4 2): dfdc_train_part_0" in listing.left_out[0]


def test_plain_real_and_fake_folders_pair_fakes_with_real_videos_by_name(tmp_path):
    found = videos_of(
        tmp_path, "Real/a.mp4", "Real/sub/b.mov", "FAKE/a.mp4", "FAKE/swap/b_by_someone.mp4",
        "FAKE/swap/c.mp4",
    )  # fmt: skip
    fakes = {path: v.entry for path, v in found.items() if path.startswith("FAKE")}
    assert [(e["original"], e.get("method")) for e in fakes.values()] == [
        ("Real__a.mp4", None),
        ("Real__sub__b.mov", "swap"),
        (None, "swap"),
    ]


# Files, pictures, folders of frames


def test_a_file_without_the_suffix_of_a_video_is_left_out_and_named(tmp_path):
    listing = read_locations([make_files(tmp_path, "real/a.MTS", "real/notes", "fake/c.mxf")])
    assert [video.name for video in listing.videos] == ["fake__c.mxf", "real__a.MTS"]
    assert "or a picture, left out: 1 (no suffix 1): real/notes" in listing.left_out[0]


def test_numbered_pictures_in_a_folder_are_one_video_and_others_are_single(tmp_path):
    found = videos_of(
        tmp_path,
        *(f"real/clip_7/{number}.png" for number in range(3)),
        *(f"fake/{name}.jpg" for name in ("ann", "bob")),
        *(f"fake/c/{number:03d}.png" for number in (1, 2)), "fake/c/movie.mp4",
        "real/thumbnail.jpg", "real/thumbnail.mp4",
    )  # fmt: skip
    assert list(found) == [
        "fake/ann.jpg", "fake/bob.jpg", "fake/c/001.png", "fake/c/002.png", "fake/c/movie.mp4",
        "real/clip_7", "real/thumbnail.mp4",
    ]  # fmt: skip


def test_pictures_of_many_people_taken_as_one_video_are_named_with_the_way_out(tmp_path):
    paths = ["real/holiday/IMG_1.jpg", "real/holiday/IMG_2.jpg"]
    (note,) = read_locations([make_files(tmp_path, *paths)]).notes
    assert str(tmp_path / "real/holiday") in note and "--pictures single" in note
    assert list(videos_of(tmp_path, pictures="single")) == paths
    more = ["fake/FaceSwap/1.jpg", "fake/FaceSwap/2.jpg"]
    assert list(videos_of(tmp_path, *more)) == [*more, "real/holiday"]
    assert list(videos_of(tmp_path, pictures="frames")) == ["fake/FaceSwap", "real/holiday"]
    with pytest.raises(UserError, match="pictures is 'all'; it must be one of auto, frames"):
        read_locations([tmp_path], pictures="all")


def test_loops_of_links_end_and_folders_are_as_deep_as_they_are(tmp_path):
    make_files(tmp_path, "real/" + "deep/" * 100 + "a.mp4", "fake/b.mp4")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "real")
    (tmp_path / "fake" / "self").symlink_to("self")
    names = [video.path.name for video in list_videos([tmp_path])]
    assert names == ["b.mp4", "a.mp4"]


def test_a_folder_one_may_not_enter_is_one_sentence(tmp_path, monkeypatch):
    make_files(tmp_path, "real/a.mp4", "fake/private/c.mp4")
    real_scandir = layouts.os.scandir

    def refuse(path):  # root may enter any
        if path.name == "private":
            raise PermissionError(13, "Permission denied", path)
        return real_scandir(path)

    monkeypatch.setattr(layouts.os, "scandir", refuse)
    with pytest.raises(UserError, match="fake/private may not be entered"):
        read_locations([tmp_path])


# For predict.py


def test_predict_takes_what_processing_takes_and_counts_the_rest(tmp_path, capsys):
    make_files(
        tmp_path, "a.m2ts", "a.jpg", "photo.png", "notes.txt", "more.md",
        "frames/001.png", "frames/002.png", ".hidden/b.mp4", "crops/x.png",
    )  # fmt: skip
    names = [str(path.relative_to(tmp_path)) for path in find_videos([tmp_path])]
    assert names == ["a.m2ts", "crops/x.png", "frames/001.png", "frames/002.png", "photo.png"]
    assert find_videos([tmp_path / "frames"]) == [tmp_path / "frames"]
    said = capsys.readouterr().err
    assert "left out: 2 (.md 1, .txt 1): more.md, notes.txt" in said
    assert "pictures of a video next to them, left out: 1 (.jpg 1): a.jpg" in said


def test_a_folder_given_twice_is_scored_once_and_named_once(tmp_path, capsys):
    make_files(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    assert len(find_videos([tmp_path, tmp_path, tmp_path / "a.mp4"])) == 3
    assert capsys.readouterr().err.count("\n") == 2
    with pytest.raises(UserError, match=f"--annotate {tmp_path} is a folder to score; give a"):
        find_videos([tmp_path], left_out=tmp_path)
