"""From folders of faces to clips: the split, the order of an epoch, the arrays that come out."""

import itertools
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

import data_pipeline
from console import UserError
from data_pipeline import FaceVideo


def video(name, label=0, original=None, split="train", people=(), video=None):
    return FaceVideo(
        name,
        f"faces/{name}",
        label,
        num_frames=10,
        digits=3,
        video=video or name,
        family=original or name,
        split=split,
        people=tuple(people),
    )


def dfdc_part(num_originals=20, fakes_each=3):
    """Return videos as a DFDC part has them: every original with a few fakes of it."""
    videos = []
    for i in range(num_originals):
        videos.append(video(f"real_{i}.mp4", 0, f"real_{i}.mp4"))
        videos += [video(f"fake_{i}_{k}.mp4", 1, f"real_{i}.mp4") for k in range(fakes_each)]
    return videos


@pytest.fixture
def numbered_faces(tmp_path) -> Path:
    """Faces whose grey level is ten times the number of the frame: a real one of 12 frames and a
    fake one of 3."""
    metadata = {}
    for name, label, num_frames in (("long.mp4", "REAL", 12), ("short.mp4", "FAKE", 3)):
        (tmp_path / name).mkdir()
        for index in range(num_frames):
            image = np.full((32, 32, 3), 10 * index, np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{index:03d}.jpeg"), image)
        metadata[name] = {"label": label, "split": "train", "original": None}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    return tmp_path


# The folder of faces


def test_listed_faces_know_label_frames_and_group(sample_faces):
    faces = data_pipeline.list_faces(sample_faces)
    assert len(faces) == 16
    assert [face.name for face in faces] == sorted(face.name for face in faces)
    fake = next(face for face in faces if face.label == 1)
    assert fake.name.startswith(fake.family.removesuffix(".mp4"))
    assert fake.num_frames == 10


@pytest.mark.parametrize("damage", ["folder gone", "no frames", "a frame missing"])
def test_a_damaged_folder_is_named_before_training_starts(sample_faces, tmp_path, damage):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    folder = faces / "person_000.mp4"
    if damage == "folder gone":
        shutil.rmtree(folder)
    else:
        for path in folder.glob("*.jpeg" if damage == "no frames" else "004.jpeg"):
            path.unlink()
    with pytest.raises(UserError, match="person_000.mp4 is listed .* run processing.py again"):
        data_pipeline.list_faces(faces)


def test_a_folder_without_faces_is_one_sentence(tmp_path):
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match="holds no faces; run processing.py"):
        data_pipeline.list_faces(tmp_path)


# The split


def faces_of(folder: Path, metadata: dict) -> dict[str, FaceVideo]:
    for name, entry in metadata.items():
        (folder / name).mkdir()
        (folder / name / "000.jpeg").touch()
        entry.setdefault("label", "REAL")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return {face.name: face for face in data_pipeline.list_faces(folder)}


def test_a_chain_of_originals_is_one_family_and_a_group_key_is_a_person(tmp_path):
    faces = faces_of(
        tmp_path,
        {
            "a.mp4": {"original": "b.mp4"},
            "b.mp4": {"original": "c.mp4"},
            "c.mp4": {},
            "d.mp4": {"group": "person 1"},
            "e.mp4": {"group": "person 1", "original": None},
            "f.mp4": {"original": "not in the folder.mp4", "people": ["Ann", "Bob"]},
            "g.mp4": {"original": "not in the folder.mp4"},
            "h.mp4": {},
        },
    )
    families = {name: face.family for name, face in faces.items()}
    assert len({families[name] for name in ("a.mp4", "b.mp4", "c.mp4")}) == 1
    assert families["f.mp4"] == families["g.mp4"]
    assert len(set(families.values())) == 5
    assert faces["d.mp4"].people == faces["e.mp4"].people == ("group person 1",)
    assert faces["f.mp4"].people == ("Ann", "Bob")


def test_further_faces_belong_to_the_video_and_its_family(tmp_path):
    faces = faces_of(
        tmp_path,
        {
            "a.mp4": {},
            "a.mp4#1": {"video": "a.mp4"},
            "b.mp4": {"label": "FAKE", "original": "a.mp4"},
            "b.mp4#1": {"label": "FAKE", "original": "a.mp4", "video": "b.mp4"},
        },
    )
    assert {face.family for face in faces.values()} == {"a.mp4"}
    assert [face.video for face in faces.values()] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert data_pipeline.count_videos(faces.values()) == 2


def test_split_keeps_originals_together_and_the_shares_about_right():
    videos = dfdc_part(num_originals=40)
    parts = data_pipeline.split(videos, 0.15, 0.15, seed=0)
    homes = {}
    for part, members in parts.items():
        for member in members:
            assert homes.setdefault(member.family, part) == part
    assert sum(map(len, parts.values())) == len(videos)
    for part in ("validation", "test"):
        assert len(parts[part]) / len(videos) == pytest.approx(0.15, abs=0.06)
        assert np.mean([member.label for member in parts[part]]) == pytest.approx(0.75, abs=0.05)


def test_split_is_a_function_of_the_seed():
    videos = dfdc_part()
    assert data_pipeline.split(videos, seed=5) == data_pipeline.split(videos, seed=5)
    assert data_pipeline.split(videos, seed=5) != data_pipeline.split(videos, seed=6)


def test_marks_in_the_metadata_are_taken_as_they_are():
    videos = dfdc_part(10) + [video("held_out.mp4", 1, split="test"), video("r.mp4", split="test")]
    parts = data_pipeline.split(videos, seed=0)
    assert [member.name for member in parts["test"]] == ["held_out.mp4", "r.mp4"]
    assert parts["validation"]


def test_marks_that_leak_are_refused_with_the_names():
    videos = [*dfdc_part(5), video("sly_fake.mp4", 1, "real_0.mp4", split="test")]
    with pytest.raises(UserError, match=r"same original.*two sides.*real_0.mp4.*sly_fake.mp4"):
        data_pipeline.split(videos)


def test_too_few_originals_for_a_split_are_one_sentence():
    with pytest.raises(UserError, match="cannot draw a test part from 4 videos of 1 originals"):
        data_pipeline.split(dfdc_part(num_originals=1))


def test_a_part_of_few_originals_is_larger_than_asked_rather_than_torn():
    parts = data_pipeline.split(dfdc_part(num_originals=3), 0.15, 0, seed=0)
    assert [len(parts[part]) for part in ("train", "validation", "left_out")] == [8, 4, 0]


def test_a_share_of_zero_leaves_the_part_empty():
    assert data_pipeline.split(dfdc_part(), 0.2, 0)["test"] == []


# People


def celeb_df(num_people=12, videos_each=3):
    """Return videos as Celeb-DF has them: of everybody, with everybody else's face on it, and of
    people without a number."""
    videos = [video(f"{i:05d}.mp4") for i in range(num_people)]
    for i in range(num_people):
        for k in range(videos_each):
            original = f"id{i}_{k:04d}.mp4"
            videos.append(video(original, people=[f"id{i}"]))
            videos += [
                video(f"id{i}_id{j}_{k:04d}.mp4", 1, original, people=[f"id{i}", f"id{j}"])
                for j in range(num_people)
                if j != i
            ]
    return videos


def marked(videos, *names):
    """Return the videos with those whose name begins with one of the names marked test."""
    return [replace(v, split="test" if v.name.startswith(names) else "train") for v in videos]


def people_of(videos):
    return {person for video in videos for person in video.people}


def test_people_who_were_swapped_in_pairs_stay_together():
    videos = []
    for one in range(0, 40, 2):
        for target, source in ((one, one + 1), (one + 1, one)):
            original = f"{target}.mp4"
            videos.append(video(original, people=[f"p{target}"]))
            videos.append(
                video(f"{target}_{source}.mp4", 1, original, people=[f"p{target}", f"p{source}"])
            )
    parts = data_pipeline.split(videos, seed=0)
    assert parts.pop("left_out") == []
    for part, others in itertools.permutations(parts.values(), 2):
        assert part
        assert people_of(part).isdisjoint(people_of(others))


def test_people_are_drawn_where_everybody_was_swapped_with_everybody():
    videos = celeb_df()
    parts = data_pipeline.split(videos, 0.2, 0.2, seed=0)
    assert parts == data_pipeline.split(videos, 0.2, 0.2, seed=0)
    assert parts != data_pipeline.split(videos, 0.2, 0.2, seed=1)
    left_out = parts.pop("left_out")
    for part, others in itertools.permutations(parts.values(), 2):
        assert {member.label for member in part} == {0, 1}
        assert people_of(part).isdisjoint(people_of(others))
    assert len(videos) == len(left_out) + sum(map(len, parts.values()))
    homes = {person: part for part, members in parts.items() for person in people_of(members)}
    assert all(len({homes[person] for person in video.people}) == 2 for video in left_out)


def test_a_family_stays_together_also_where_people_are_drawn():
    """Of these fakes the original is not in the folder, and nobody is in both."""
    videos = celeb_df()
    videos += [
        video("a.mp4", 1, "gone.mp4", people=["id0"]),
        video("b.mp4", 1, "gone.mp4", people=["id1"]),
    ]
    for seed in range(20):
        data_pipeline.check_no_leak(data_pipeline.split(videos, 0.2, 0.2, seed))


def test_people_of_marked_test_videos_are_in_no_video_of_training():
    videos = marked(celeb_df(), "id0_0", "id1_0", "id0_id1_", "id1_id0_0000", "00000")
    parts = data_pipeline.split(videos, 0.2, seed=0)
    assert parts["test"] == [member for member in videos if member.split == "test"]
    others = parts["train"] + parts["validation"]
    assert people_of(others) == {f"id{i}" for i in range(2, 12)}
    assert "id1_id0_0001.mp4" in [member.name for member in parts["left_out"]]


def test_marks_that_show_everybody_are_refused_with_the_way_out():
    videos = marked(celeb_df(), *[f"id{i}_0000" for i in range(12)])
    with pytest.raises(UserError, match=r"train part is left with 12 real and 0 .*--ignore-marks"):
        data_pipeline.split(videos)
    assert data_pipeline.split(data_pipeline.without_marks(videos))["train"]


def test_marks_that_leave_no_fakes_to_validate_on_are_refused_with_the_way_out():
    videos = marked(celeb_df(), *[f"id{i}_0000" for i in range(10)])
    with pytest.raises(UserError, match=r"cannot draw a validation part.*--ignore-marks"):
        data_pipeline.split(videos)


def test_a_person_on_two_sides_is_a_leak_with_the_names_of_the_videos():
    parts = {
        "train": [video("ann_1.mp4", people=["Ann"])],
        "validation": [],
        "test": [video("ann_2.mp4", people=["Ann", "Bob"])],
    }
    with pytest.raises(UserError, match=r"1 people are on two sides.*ann_1.mp4, ann_2.mp4"):
        data_pipeline.check_no_leak(parts)


def test_one_person_in_all_videos_is_one_sentence():
    videos = [replace(member, people=("Ann",)) for member in dfdc_part(5)]
    with pytest.raises(UserError, match="of 1 originals: each class needs"):
        data_pipeline.split(videos)


def test_a_few_clusters_of_swapped_people_do_not_make_a_part_far_too_large():
    """Whole groups would be a third of the videos each."""
    videos = []
    for cluster in "abc":
        for member in celeb_df(8):
            people = [cluster + person for person in member.people]
            videos.append(
                video(cluster + member.name, member.label, cluster + member.family, people=people)
            )
    parts = data_pipeline.split(videos, 0.15, 0.15, seed=0)
    assert len(parts["train"]) > 3 * len(parts["test"]) > 0


# The order of an epoch


def test_an_epoch_has_every_real_once_beside_a_fake_of_the_same_original():
    videos = dfdc_part(num_originals=10, fakes_each=4)
    order = data_pipeline.draw_epoch(videos, seed=0, epoch=0)
    drawn = [videos[index] for index in order]
    assert [member.label for member in drawn] == [0, 1] * 10
    assert len({member.name for member in drawn}) == 20
    assert all(a.family == b.family for a, b in zip(drawn[::2], drawn[1::2], strict=True))


def test_a_fake_is_paired_with_its_own_original_not_with_one_of_the_same_people():
    videos = [member for member in celeb_df(4, 2) if member.people]
    drawn = [videos[index] for index in data_pipeline.draw_epoch(videos, seed=0, epoch=0)]
    assert [member.label for member in drawn] == [0, 1] * 8
    assert all(a.family == b.family for a, b in zip(drawn[::2], drawn[1::2], strict=True))


def test_the_larger_class_is_drawn_anew_each_epoch():
    videos = dfdc_part(num_originals=5, fakes_each=4)
    epochs = [data_pipeline.draw_epoch(videos, seed=0, epoch=epoch) for epoch in range(30)]
    used = Counter(int(index) for order in epochs for index in order if videos[index].label == 1)
    assert len(used) == 20
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(epochs[1], data_pipeline.draw_epoch(videos, seed=0, epoch=1))


def test_videos_without_a_relative_are_paired_with_strangers():
    videos = [video(f"r{i}.mp4") for i in range(6)] + [video(f"f{i}.mp4", 1) for i in range(3)]
    drawn = [videos[index] for index in data_pipeline.draw_epoch(videos, seed=0, epoch=0)]
    assert [member.label for member in drawn] == [0, 1] * 3
    assert len({member.name for member in drawn}) == 6


def test_a_shuffle_buffer_mixes_only_nearby_couples():
    videos = dfdc_part(num_originals=100, fakes_each=1)
    order = data_pipeline.draw_epoch(videos, seed=0, epoch=0, shuffle_buffer=5)[::2] // 2
    assert sorted(order) == list(range(100))
    assert 0 < np.abs(order - np.arange(100)).max() <= 5


@pytest.mark.parametrize(
    ("videos", "sentence"),
    [
        ([video("a.mp4"), video("b.mp4")], "2 real and 0 fake; add the missing class"),
        (dfdc_part(2), "2 real and 6 fake videos make 4 balanced clips, less than a batch of 8"),
    ],
)
def test_training_data_that_make_no_batch_are_one_sentence(videos, sentence):
    with pytest.raises(UserError, match=sentence):
        data_pipeline.build_dataset(videos=videos, training=True, batch_size=8)


# The arrays


def test_the_seeds_words_still_work(sample_faces):
    dataset = data_pipeline.build_dataset(
        file_loc=str(sample_faces), img_size=[48, 40], shuffle_buffer=800, batch_size=4
    )
    clips, labels, weights = next(iter(dataset))
    assert clips.shape == (4, 8, 48, 40, 3)
    assert clips.dtype == tf.uint8
    assert labels.shape == weights.shape == (4, 1)


@pytest.mark.parametrize("training", [True, False])
def test_every_axis_is_static_because_keras_goes_wrong_otherwise(sample_faces, training):
    dataset = data_pipeline.build_dataset(
        sample_faces, (32, 32), batch_size=4, num_frames=6, training=training
    )
    assert dataset.element_spec[0].shape == (4, 6, 32, 32, 3)


def test_frames_are_spread_over_the_video_and_repeated_in_order_where_it_is_short(numbered_faces):
    dataset = data_pipeline.build_dataset(numbered_faces, (32, 32), batch_size=2, num_frames=6)
    clips, labels, _ = next(iter(dataset))
    levels = np.round(clips.numpy().mean(axis=(2, 3, 4)) / 10).astype(int)
    assert levels[0].tolist() == [1, 3, 5, 7, 9, 11]  # 12 frames
    assert levels[1].tolist() == [0, 0, 1, 1, 2, 2]  # 3 frames
    assert labels.numpy().ravel().tolist() == [0, 1]


def test_no_frame_of_a_clip_is_a_silent_zero(sample_faces):
    """What a TensorArray whose write is not re-assigned gives."""
    for clips, _, _ in data_pipeline.build_dataset(sample_faces, (32, 32), batch_size=4):
        assert clips.numpy().max(axis=(2, 3, 4)).min() > 60


def test_clips_are_the_faces_on_disk_in_rgb(sample_faces):
    video = data_pipeline.list_faces(sample_faces)[0]
    dataset = data_pipeline.build_dataset(
        videos=[video], img_size=(64, 64), num_frames=10, batch_size=1
    )
    clip = next(iter(dataset))[0][0].numpy().astype(int)
    on_disk = cv2.imread(f"{video.folder}/003.jpeg")[:, :, ::-1].astype(int)
    assert np.abs(clip[3] - on_disk).mean() < 2  # two JPEG decoders


@pytest.mark.parametrize("equal_classes", [False, True])
def test_padding_weighs_nothing_and_the_weights_give_the_mean_over_the_videos(
    sample_faces, equal_classes
):
    faces = data_pipeline.list_faces(sample_faces)
    reals, fakes = ([f for f in faces if f.label == label] for label in (0, 1))
    dataset = data_pipeline.build_dataset(
        videos=reals[:4] + fakes[:1],
        img_size=(16, 16),
        batch_size=3,
        equal_classes=equal_classes,
    )
    labels = np.concatenate([batch[1].numpy() for batch in dataset]).ravel()
    weights = np.concatenate([batch[2].numpy() for batch in dataset]).ravel()
    assert len(weights) == 6
    assert weights[5] == 0
    fake_share = (weights * labels).sum() / weights.sum()
    assert fake_share == pytest.approx(0.5 if equal_classes else 0.2)
    assert weights.mean() == pytest.approx(1)


def batches(sample_faces, count=4, **options):
    dataset = data_pipeline.build_dataset(
        sample_faces, (32, 32), batch_size=4, training=True, **options
    )
    return [clips.numpy() for clips, _ in dataset.take(count)]


def test_training_clips_are_the_same_for_the_same_seed_and_differ_between_epochs(sample_faces):
    first, again = batches(sample_faces, 8), batches(sample_faces, 8)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[4])  # 8 couples: an epoch is four batches
    assert not np.array_equal(first[0], batches(sample_faces, 1, seed=1)[0])


def test_a_later_epoch_can_be_started_from(sample_faces):
    later = batches(sample_faces, 4, first_epoch=1)
    assert np.array_equal(later[0], batches(sample_faces, 5)[4])


def test_one_draw_a_clip_the_frames_of_a_still_video_stay_alike(tmp_path):
    """Augmenting frame by frame would draw in the very flicker that fakes are known by."""
    rng = np.random.default_rng(0)
    face = cv2.GaussianBlur(rng.integers(0, 255, (64, 64, 3), np.uint8), (0, 0), 4)
    metadata = {}
    for name, label in (("a.mp4", "REAL"), ("b.mp4", "FAKE")):
        (tmp_path / name).mkdir()
        for index in range(5):
            cv2.imwrite(str(tmp_path / name / f"{index:03d}.jpeg"), face)
        metadata[name] = {"label": label}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    dataset = data_pipeline.build_dataset(tmp_path, (48, 48), batch_size=2, training=True)
    clips = [clips.numpy().astype(int) for clips, _ in dataset.take(12)]
    for real, fake in clips:
        assert np.ptp(real, axis=0).max() == 0
        assert np.array_equal(real, fake)  # a couple is augmented alike
    assert max(np.abs(a[0] - b[0]).mean() for a, b in zip(clips, clips[1:], strict=False)) > 5
