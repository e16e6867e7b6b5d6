"""Folders as people have them: what their names, index files and file names say about videos."""

import json
import os
from pathlib import Path

import pytest
from conftest import list_videos, write_metadata

from deepfake_detector.console import UserError
from deepfake_detector.videos.listing import read_locations, select_videos
from deepfake_detector.videos.metadata import Video
from deepfake_detector.videos.search import find_videos

R, F = "REAL", "FAKE"


def make_files(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def videos_of(root: Path, *paths: str, pictures: str = "auto") -> dict[str, Video]:
    """Return the videos by their path, of a folder that is made of empty files."""
    listing = read_locations([make_files(root, *paths)], pictures=pictures)
    assert not [video.problem for video in listing.videos if video.problem]
    return {str(video.path.relative_to(root)): video for video in listing.videos}


def labels_of(root: Path, *paths: str) -> dict[str, str]:
    return {path: video.entry["label"] for path, video in videos_of(root, *paths).items()}


def known(videos: dict[str, Video], key: str) -> dict[str, object]:
    return {path: video.entry.get(key) for path, video in videos.items()}


# Class folders


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("0_real", "1_fake"),
        ("original", "fake"),
        ("original", "manipulated"),
        ("reals", "fakes"),
        ("real_videos", "fake_videos"),
        ("Real", "Deepfake"),
        ("training_real", "training_fake"),
        ("RealVideos", "FakeVideos"),
        ("DFD_original sequences", "DFD_manipulated_sequences/DFD_manipulated_sequences"),
        ("DFD_original_sequences/DFD_original_sequences", "DFD_manipulated_sequences"),
        ("YouTube-real", "Celeb-synthesis"),
        ("original_sequences/youtube/c23/videos", "manipulated_sequences/Deepfakes/c23/videos"),
        ("RealVideo-RealAudio/African/men/id00076", "FakeVideo-FakeAudio/African/men/id00076"),
        ("RealVideo-FakeAudio/African/men/id00076", "FakeVideo-RealAudio/African/men/id00076"),
        ("deepfake dataset/Real", "deepfake dataset/Fake"),
        ("real-vs-fake/real", "real-vs-fake/fake"),
        ("FFIW10K-v1-release/source/train/videos", "FFIW10K-v1-release/target/train/videos"),
        ("source_videos/W136/light_up", "manipulated_videos/end_to_end"),
    ],
)
def test_class_folders_are_known_by_whole_words(tmp_path, real, fake):
    found = labels_of(tmp_path, f"{real}/a.mp4", f"{fake}/b.mp4")
    assert found == {f"{real}/a.mp4": R, f"{fake}/b.mp4": F}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_a_split_above_the_classes_is_the_official_split(tmp_path, val):
    paths = [f"{split}/{kind}/a.mp4" for split in ("train", val, "test") for kind in (R, F)]
    found = videos_of(tmp_path, *paths)
    splits = ["train", "train", "validation", "validation", "test", "test"]
    assert known(found, "split") == dict(sorted(zip(paths, splits, strict=True)))
    # Files of all splits have the same name, and each fake its own original.
    assert known(found, "original")[f"{val}/FAKE/a.mp4"] == f"{val}__REAL__a.mp4"
    assert len({video.name for video in found.values()}) == 6


def test_a_split_in_the_name_of_the_class_folder_counts(tmp_path):
    found = videos_of(tmp_path, "training_real/a.mp4", "testing_fake/b.mp4")
    assert list(known(found, "split").values()) == ["test", "train"]


def test_method_folders_next_to_original_are_fakes_of_that_method(tmp_path):
    """As in the copy of FaceForensics++ c23 on Kaggle."""
    methods = ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"]
    found = videos_of(tmp_path, "original/000.mp4", *(f"{m}/000_003.mp4" for m in methods))
    assert known(found, "method") == {"original/000.mp4": None} | {
        f"{method}/000_003.mp4": method for method in methods
    }
    assert {video.entry["original"] for video in found.values()} == {None, "original__000.mp4"}
    assert found["FaceSwap/000_003.mp4"].name == "FaceSwap__000_003.mp4"


def test_celeb_df_pp_names_recur_in_every_method(tmp_path):
    found = videos_of(
        tmp_path,
        "Celeb-real/id0_0000.mp4",
        "Celeb-synthesis/FaceSwap/InSwapper/id0_id1_0000.mp4",
        "Celeb-synthesis/TalkingFace/Real3DPortrait/id0_id1_0000.mp4",
        "Celeb-synthesis/FaceReenact/new_method/id0_id1_0001.mp4",
    )
    assert sorted(video.name for video in found.values()) == [
        "Celeb-synthesis__FaceSwap__InSwapper__id0_id1_0000.mp4",
        "Celeb-synthesis__TalkingFace__Real3DPortrait__id0_id1_0000.mp4",
        "id0_0000.mp4",
        "id0_id1_0001.mp4",
    ]
    methods = [video.entry.get("method") for video in found.values()]
    assert methods == ["InSwapper", "Real3DPortrait", None, "FaceReenact"]
    originals = ["id0_0000.mp4", "id0_0000.mp4", None, "id0_0001.mp4"]
    assert list(known(found, "original").values()) == originals


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("fake/real/a.mp4", "'fake' says fake, 'real' says real"),
        ("my_fakes/real_person/a.mp4", "'my_fakes' says fake, 'real_person' says real"),
        ("real_and_fake/a.mp4", "'real_and_fake' says fake and real"),
    ],
)
def test_folders_that_contradict_each_other_are_shown_with_what_was_read(tmp_path, path, sentence):
    make_files(tmp_path, "real/b.mp4", path)
    with pytest.raises(UserError, match=sentence) as caught:
        list_videos([tmp_path])
    assert str((tmp_path / path).parent) in str(caught.value)


def test_a_name_that_says_nothing_but_the_class_counts_before_others(tmp_path):
    found = videos_of(tmp_path, "real/a.mp4", "fake/real_person/b.mp4", "fake/take_test/c.mp4")
    assert list(known(found, "label").values()) == [F, F, R]
    assert list(known(found, "method").values()) == ["real_person", "take_test", None]


def test_a_layout_that_is_asked_for_knows_the_class_by_its_own_folders(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/real/b.mp4", "fakes/c.mp4")
    videos = list_videos([tmp_path], "real-fake")
    assert [(video.name, video.label) for video in videos] == [
        ("fake__real__b.mp4", 1),
        ("real__a.mp4", 0),
    ]


def test_a_metadata_json_about_something_else_is_no_index(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    (tmp_path / "real" / "metadata.json").write_text('{"fps": 25, "camera": "mine"}')
    assert len(list_videos([tmp_path])) == 2


def test_a_folder_of_faces_is_no_location(tmp_path):
    make_files(tmp_path, "a.mp4/000.jpeg", "a.mp4/001.jpeg", "settings.json", "manifest.csv")
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    with pytest.raises(UserError, match="is a folder of faces; give the folder that holds"):
        list_videos([tmp_path])


def test_a_path_of_two_splits_is_refused(tmp_path):
    make_files(tmp_path, "train/real/test/b.mp4")
    with pytest.raises(UserError, match="'train' says train, 'test' says test"):
        list_videos([tmp_path])


def test_folders_that_say_nothing_are_left_out_counted_and_named(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4", "surreal/c.mp4", "extra/d.mkv", "masks/e.mp4")
    listing = read_locations([tmp_path])
    assert [video.name for video in listing.videos] == ["fake__b.mp4", "real__a.mp4"]
    assert listing.left_out == [
        f"note: {tmp_path}: files in folders of masks, landmarks, sound, left out: 1 (.mp4 1): "
        "masks/e.mp4",
        f"note: {tmp_path}: videos that no folder name and no index file calls real or "
        "fake, left out: 2 (.mkv 1, .mp4 1): extra/d.mkv, surreal/c.mp4",
    ]


def test_what_was_understood_is_one_line(tmp_path):
    make_files(tmp_path, "train/real/a.mp4", "test/fake/b.mp4", "test/fake/v_1/0.png")
    make_files(tmp_path, "test/fake/v_1/1.png")
    (line,) = read_locations([tmp_path]).lines
    assert line == (
        f"{tmp_path}: layout folders; 2 videos, 1 folder of frames; folder words fake, real; "
        "splits test, train"
    )


# Index files


@pytest.mark.parametrize("entry", ["FAKE", "fake", {"label": "fake"}, {"label": "FAKE"}])
def test_metadata_may_have_lower_case_or_plain_labels(tmp_path, entry):
    (tmp_path / "metadata.json").write_text(json.dumps({"a.mp4": entry, "b.mp4": "real"}))
    assert labels_of(tmp_path, "a.mp4", "b.mp4") == {"a.mp4": F, "b.mp4": R}


def test_metadata_next_to_class_folders_may_name_paths(tmp_path):
    write_metadata(
        tmp_path,
        {
            "fake/a.mp4": {"label": "FAKE", "original": "real/b.mp4", "people": ["Ann"]},
            "real/c.mp4": {"label": "FAKE"},
        },
    )
    found = videos_of(tmp_path, "fake/a.mp4", "real/b.mp4", "real/c.mp4")
    assert known(found, "label") == {"fake/a.mp4": F, "real/b.mp4": R, "real/c.mp4": F}
    assert found["fake/a.mp4"].entry["original"] == found["real/b.mp4"].name == "real__b.mp4"


def test_metadata_may_name_videos_that_were_sorted_into_folders(tmp_path):
    write_metadata(tmp_path, {"a.mp4": {"label": "FAKE", "original": "b.mp4"}, "b.mp4": "REAL"})
    found = videos_of(tmp_path, "videos/fake/a.mp4", "videos/real/b.mp4")
    assert known(found, "original")["videos/fake/a.mp4"] == "videos__real__b.mp4"


def test_lav_df_lists_files_and_a_fake_sound_is_no_fake_video(tmp_path):
    row = {"split": "train", "n_fakes": 1, "modify_audio": True, "original": None}
    rows = [
        row | {"file": "train/000001.mp4", "modify_video": False},
        row | {"file": "train/000002.mp4", "modify_video": True, "original": "train/000001.mp4"},
        row | {"file": "dev/000001.mp4", "split": "dev"},
    ]
    (tmp_path / "metadata.json").write_text(json.dumps(rows))
    found = videos_of(tmp_path, "train/000001.mp4", "train/000002.mp4", "dev/000001.mp4")
    assert known(found, "label") == {
        "dev/000001.mp4": F,
        "train/000001.mp4": R,
        "train/000002.mp4": F,
    }
    assert known(found, "split")["dev/000001.mp4"] == "validation"
    assert known(found, "original")["train/000002.mp4"] == "train__000001.mp4"


def test_the_preview_of_dfdc_says_label_split_and_people(tmp_path):
    (tmp_path / "dataset.json").write_text(
        json.dumps(
            {
                "original_videos/64/a.mp4": {"label": "real", "set": "train", "target_id": "64"},
                "method_A/64/64_A/b.mp4": {
                    "label": "fake",
                    "set": "test",
                    "target_id": "64",
                    "swapped_id": "12",
                },
            }
        )
    )
    found = videos_of(tmp_path, "original_videos/videos/64/a.mp4", "method_A/videos/64/64_A/b.mp4")
    fake, real = found.values()
    assert (fake.entry["label"], fake.entry["split"], fake.entry["method"]) == (
        F,
        "test",
        "method_A",
    )
    assert (real.entry["label"], real.entry["people"]) == (R, ["actor 64"])
    assert fake.entry["people"] == ["actor 64", "actor 12"]


def test_the_test_set_of_dfdc_has_a_table_of_labels(tmp_path):
    (tmp_path / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\n")
    assert labels_of(tmp_path, "videos/a.mp4", "videos/b.mp4") == {
        "videos/a.mp4": F,
        "videos/b.mp4": R,
    }


def test_fakeavceleb_names_people_and_methods(tmp_path):
    (tmp_path / "meta_data.csv").write_text(
        "source,target1,target2,method,category,type,race,gender,path,\n"
        "id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4,"
        "FakeAVCeleb/RealVideo-RealAudio/African/men/id00076\n"
        "id00076,id00476,10,wav2lip,D,FakeVideo-FakeAudio,African,men,"
        "00109_10_id00476_wavtolip.mp4,FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076\n"
    )
    found = videos_of(
        tmp_path,
        "RealVideo-RealAudio/African/men/id00076/00109.mp4",
        "RealVideo-RealAudio/African/men/id00077/00109.mp4",
        "FakeVideo-FakeAudio/African/men/id00076/00109_10_id00476_wavtolip.mp4",
    )
    fake, real, other = found.values()
    assert fake.entry["people"] == ["id00076", "id00476"]
    assert fake.entry["method"] == "wav2lip"
    assert fake.entry["original"] == real.name
    assert (real.entry["people"], other.entry["people"]) == (["id00076"], ["id00077"])


def test_deeperforensics_lists_its_splits(tmp_path):
    make_files(tmp_path, "lists/splits/test.txt")
    (tmp_path / "lists/splits/test.txt").write_text("000_M101.mp4\n")
    found = videos_of(
        tmp_path,
        "manipulated_videos/end_to_end/000_M101.mp4",
        "manipulated_videos/end_to_end_level_1/000_M101.mp4",
        "source_videos/M101/BlendShape/camera_front/M101_BlendShape_camera_front.mp4",
    )
    assert list(known(found, "split").values()) == ["test", "test", "train"]
    assert list(known(found, "people").values()) == [["youtube 000", "M101"]] * 2 + [["M101"]]
    assert [video.entry.get("method") for video in found.values()] == [
        "end_to_end",
        "end_to_end_level_1",
        None,
    ]


# videos.csv


def test_a_videos_csv_overrides_what_names_say(tmp_path):
    (tmp_path / "videos.csv").write_text(
        "path,label,original,people,split,method,note\n"
        "real/a.mp4,,,Ann,test,,\n"
        "real/b.mp4,fake,real/a.mp4,Ann; Bob,val,mine,odd\n"
        "gone/c.mp4,real,,,,,\n",
        encoding="utf-8-sig",
    )
    make_files(tmp_path, "real/a.mp4", "real/b.mp4", "fake/a.mp4", "gone/x.txt")
    found = {video.name: dict(video.entry) for video in list_videos([tmp_path])}
    assert found == {
        "fake__a.mp4": {"label": F, "split": "train", "original": None},
        "gone__c.mp4": {"label": R, "split": "train", "original": None},
        "real__a.mp4": {"label": R, "split": "test", "original": None, "people": ["Ann"]},
        "real__b.mp4": {
            "label": F,
            "split": "validation",
            "original": "real__a.mp4",
            "people": ["Ann", "Bob"],
            "method": "mine",
            "note": "odd",
        },
    }


def test_a_videos_csv_alone_is_enough_and_counts_before_metadata(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    (tmp_path / "videos.csv").write_text("path,label\na.mp4,1\nsub/b.bin,0\n")
    assert labels_of(tmp_path, "a.mp4", "sub/b.bin") == {"a.mp4": F, "sub/b.bin": R}


def test_a_videos_csv_may_name_any_file_and_folder_words_say_the_rest(tmp_path):
    (tmp_path / "videos.csv").write_text("path,people\ntest/fake/mine/a.dat,Ann\n")
    found = videos_of(tmp_path, "test/fake/mine/a.dat", "train/real/b.mp4")
    assert found["test/fake/mine/a.dat"].entry == {
        "label": F,
        "split": "test",
        "original": None,
        "people": ["Ann"],
        "method": "mine",
    }


def test_a_videos_csv_changes_no_names(tmp_path):
    part = tmp_path / "part_0"
    make_files(tmp_path, "part_0/a.mp4", "real/b.mp4")
    write_metadata(part, {"a.mp4": "REAL"})
    before = [video.name for video in list_videos([tmp_path])]
    (tmp_path / "videos.csv").write_text("path,people\npart_0/a.mp4,Ann\n")
    (tmp_path / "real" / "videos.csv").write_text("path,people\nb.mp4,Ann\n")
    videos = list_videos([tmp_path])
    assert [video.name for video in videos] == before == ["a.mp4", "real__b.mp4"]
    assert [video.entry["people"] for video in videos] == [["Ann"], ["Ann"]]


def test_a_videos_csv_works_in_a_layout_that_is_asked_for(tmp_path):
    (tmp_path / "videos.csv").write_text("path,people\nreal/a.mp4,Ann\n")
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    assert [v.entry.get("people") for v in list_videos([tmp_path], "real-fake")] == [None, ["Ann"]]


@pytest.mark.parametrize(
    ("line", "problem"),
    [("../a.mp4,real", "is a path"), ("real/a.mp4,maybe", "'maybe', not FAKE or REAL")],
)
def test_a_line_of_a_videos_csv_that_cannot_be_used_is_a_row_with_a_reason(tmp_path, line, problem):
    (tmp_path / "videos.csv").write_text(f"path,label\n{line}\n")
    videos = list_videos([make_files(tmp_path, "real/a.mp4")])
    assert problem in "".join(video.problem for video in videos)


def test_a_videos_csv_without_a_path_is_one_sentence(tmp_path):
    (tmp_path / "videos.csv").write_text("file,label\na.mp4,real\n")
    with pytest.raises(UserError, match=r"videos.csv has no column path; the first line"):
        list_videos([make_files(tmp_path, "a.mp4")])


# People and originals


@pytest.mark.parametrize("prefix", ["", "SCLBD__", "a__b__"])
@pytest.mark.parametrize(
    ("real", "fake", "people"),
    [
        ("469", "469_481", ["youtube 469", "youtube 481"]),
        ("id13_0011", "id13_id10_0011", ["id13", "id10"]),
        ("01__walking", "01_02__walking__YVGY8LOK", ["actor 01", "actor 02"]),
        ("469", "469_W010", ["youtube 469", "W010"]),
    ],
)
def test_names_of_benchmarks_say_who_is_in_real_and_fake_folders(
    tmp_path, prefix, real, fake, people
):
    found = videos_of(tmp_path, f"real/{prefix}{real}.mp4", f"fake/{prefix}{fake}.mp4")
    fake_video, real_video = found.values()
    assert fake_video.entry["people"] == people
    assert real_video.entry["people"] == people[:1]
    assert fake_video.entry["original"] == real_video.name


def test_files_renamed_after_the_folders_they_were_in_are_known(tmp_path):
    found = videos_of(tmp_path, "real/a__youtube_183.mp4", "fake/a__Face2Face_183_253.mp4")
    assert list(known(found, "people").values()) == [
        ["youtube 183", "youtube 253"],
        ["youtube 183"],
    ]
    assert list(known(found, "original").values()) == ["real__a__youtube_183.mp4", None]


def test_people_are_the_same_in_two_locations(tmp_path):
    """The numbers of FaceForensics++ are no names on their own."""
    make_files(tmp_path, "one/real/469.mp4", "two/fake/469_481.mp4", "two/real/20.mp4")
    fake, other, real = list_videos([tmp_path / "one", tmp_path / "two"])
    assert fake.entry["people"] == ["youtube 469", "youtube 481"]
    assert real.entry["people"] == ["youtube 469"]
    assert "people" not in other.entry
    assert fake.entry["original"] == real.name


def test_plain_numbers_are_nobody_where_no_fake_is_of_two_of_them(tmp_path):
    found = videos_of(tmp_path, "real/469.mp4", "fake/481.mp4")
    assert list(known(found, "people").values()) == [None, None]


def test_x_and_x_fake_belong_together(tmp_path):
    found = videos_of(tmp_path, "real/0000.mp4", "fake/0000_fake.mp4", "fake/0001_fake.mp4")
    assert list(known(found, "original").values()) == ["real__0000.mp4", None, None]


def test_numbers_of_pictures_are_no_names(tmp_path):
    found = videos_of(tmp_path, "real/00001.jpg", "fake/00001.jpg")
    assert list(known(found, "original").values()) == [None, None]


# What is a video


def test_whatever_ffmpeg_opens_is_a_video(tmp_path, mp4):
    names = ["a.m2ts", "b.VOB", "c.gif", "d.ogv", "e.asf", "f.mxf", "g.dv", "h.f4v", "i.rm"]
    others = ["notes.txt", "table.csv", "sound.mp3", "LICENSE", "blob.xyz"]
    make_files(tmp_path / "real", *names, *others, "j.y4m", ".hidden.mp4")
    (tmp_path / "real/no_suffix").write_bytes(mp4)
    (tmp_path / "real/odd.suffix").write_bytes(mp4)
    (tmp_path / "real/list.other").write_text("ffconcat version 1.0\nfile no_suffix\n")
    listing = read_locations([tmp_path])
    assert {v.path.name for v in listing.videos} == {*names, "j.y4m", "no_suffix", "odd.suffix"}
    assert listing.left_out == [
        f"note: {tmp_path}: files that are no videos, left out: 6 (no suffix 1, .xyz 1, .other 1, "
        ".txt 1, .mp3 1, .csv 1): real/LICENSE, real/blob.xyz, real/list.other, ..."
    ]


def test_numbered_pictures_in_a_folder_are_one_video_and_others_are_single(tmp_path):
    paths = [f"{kind}/clip_{n}/frame_{i:03d}.png" for kind in (R, F) for n in "12" for i in (0, 9)]
    found = videos_of(
        tmp_path, *paths, "real/ann.jpg", "real/bob.jpg", "real/001.webp", "real/002.webp",
        "real/party/ann.jpg", "real/party/bob.jpg", "fake/one/000.png", "fake/a.mp4", "fake/a.jpg",
    )  # fmt: skip
    assert [path for path, video in found.items() if video.path.is_dir()] == [
        "FAKE/clip_1", "FAKE/clip_2", "REAL/clip_1", "REAL/clip_2",
    ]  # fmt: skip
    assert "fake/one/000.png" in found and "fake/a.jpg" not in found
    assert {path for path in found if path.startswith("real")} == {
        "real/ann.jpg", "real/bob.jpg", "real/001.webp", "real/002.webp",
        "real/party/ann.jpg", "real/party/bob.jpg",
    }  # fmt: skip
    assert known(found, "original")["FAKE/clip_1"] == found["REAL/clip_1"].name == "real__clip_1"


def test_ambiguous_folders_of_pictures_are_decided_by_the_user(tmp_path):
    paths = ["real/holiday/IMG_1.jpg", "real/holiday/IMG_2.jpg"]
    assert list(videos_of(tmp_path, *paths)) == ["real/holiday"]
    assert list(videos_of(tmp_path, *paths, pictures="single")) == paths
    more = ["fake/FaceSwap/1.jpg", "fake/FaceSwap/2.jpg"]
    assert list(videos_of(tmp_path, *paths, *more)) == [*more, "real/holiday"]
    assert list(videos_of(tmp_path, pictures="frames")) == ["fake/FaceSwap", "real/holiday"]
    with pytest.raises(UserError, match="pictures is 'all'; it must be one of auto, frames"):
        read_locations([tmp_path], pictures="all")


def test_frames_of_deepfakebench_know_people_and_splits(tmp_path):
    make_files(tmp_path, "test.json")
    (tmp_path / "test.json").write_text('[["000", "003"]]')
    found = videos_of(
        tmp_path,
        *(f"original_sequences/youtube/c23/frames/000/{i:03d}.png" for i in (0, 13)),
        *(f"manipulated_sequences/Face2Face/c23/frames/000_003/{i:03d}.png" for i in (0, 13)),
        "manipulated_sequences/Face2Face/c23/masks/000_003/000.png",
    )
    fake, real = found.values()
    assert fake.entry == {
        "label": F,
        "split": "test",
        "original": real.name,
        "people": ["youtube 000", "youtube 003"],
        "method": "Face2Face",
    }


def test_a_loop_of_links_ends(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "real")
    assert len(list_videos([tmp_path])) == 2


def test_two_links_to_one_file_are_two_videos(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/c.mp4")
    (tmp_path / "real" / "b.mp4").symlink_to(tmp_path / "real" / "a.mp4")
    assert len(list_videos([tmp_path])) == 3


def test_predict_takes_what_processing_takes_and_counts_the_rest(tmp_path, capsys):
    make_files(
        tmp_path, "a.m2ts", "a.jpg", "photo.png", "notes.txt", "more.md",
        "frames/001.png", "frames/002.png", ".hidden/b.mp4", "crops/x.png",
    )  # fmt: skip
    names = [str(path.relative_to(tmp_path)) for path in find_videos([tmp_path])]
    assert names == ["a.m2ts", "crops/x.png", "frames/001.png", "frames/002.png", "photo.png"]
    assert find_videos([tmp_path / "frames"]) == [tmp_path / "frames"]
    assert capsys.readouterr().err.splitlines() == [
        f"note: {tmp_path}: files that are no videos, left out: 2 (.md 1, .txt 1): more.md, "
        "notes.txt",
        f"note: {tmp_path}: pictures of a video next to them, left out: 1 (.jpg 1): a.jpg",
    ]


def test_a_name_that_is_no_text_comes_through(tmp_path):
    name = os.fsdecode(b"f\xff.mp4")
    make_files(tmp_path, f"0_real/{name}", f"train/1_fake/{name}")
    assert [video.name for video in list_videos([tmp_path])] == [
        "0_real__f?.mp4",
        "train__1_fake__f?.mp4",
    ]


def test_a_folder_given_twice_was_a_line_for_each_of_its_videos(tmp_path, capsys):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    assert len(find_videos([tmp_path, tmp_path, tmp_path / "a.mp4"])) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"note: {tmp_path}: 3 videos are given twice and scored once",
        f"note: {tmp_path / 'a.mp4'} is given twice and scored once",
    ]


def test_the_folder_of_the_pictures_was_said_to_hold_no_videos(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UserError, match=f"--annotate {tmp_path} is a folder to score; give a"):
        find_videos([tmp_path], left_out=tmp_path)


def test_nobody_knew_where_there_was_no_video_to_take(tmp_path):
    """ "no video to take in there"."""
    with pytest.raises(UserError, match="no video to process: the index files list none; check"):
        select_videos([])
    gone = Video("a.mp4", tmp_path / "a.mp4", {"label": "REAL"})
    with pytest.raises(UserError, match="none of the videos that are listed is there"):
        select_videos([gone], num_vids=3)
