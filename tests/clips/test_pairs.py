"""Which clips make an epoch: real-fake pairs, and self-blends of the real."""

from collections import Counter

import numpy as np
import pytest
from face_dataset.test_splits import celeb_df, dfdc_part, video

import data_pipeline
from deepfake_detector.clips.pairs import (
    ORIGINAL,
    SELF_BLEND,
    SELF_BLEND_TARGET,
    SWAP,
    SWAPPED_SHARE,
    count_clips,
    sample_epoch,
    steps_per_epoch,
)
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack


def indices_of(videos, **options) -> np.ndarray:
    """Return the indices of an epoch in which every video is shown as it is."""
    indices, roles = sample_epoch(videos, **options)
    assert set(roles) == {ORIGINAL}
    return indices


def test_an_epoch_has_every_real_once_next_to_a_fake_of_the_same_original():
    videos = dfdc_part(num_originals=10, fakes_each=4)
    order = indices_of(videos, seed=0, epoch=0)
    shown = [videos[index] for index in order]
    assert [member.label for member in shown] == [0, 1] * 10
    assert len({member.name for member in shown}) == 20
    assert all(
        a.source_group == b.source_group for a, b in zip(shown[::2], shown[1::2], strict=True)
    )


def test_a_fake_is_paired_with_its_own_original_not_with_one_of_the_same_people():
    videos = [member for member in celeb_df(4, 2) if member.people]
    shown = [videos[index] for index in indices_of(videos, seed=0, epoch=0)]
    assert [member.label for member in shown] == [0, 1] * 8
    assert all(
        a.source_group == b.source_group for a, b in zip(shown[::2], shown[1::2], strict=True)
    )


def test_the_larger_class_is_sampled_again_in_each_epoch():
    videos = dfdc_part(num_originals=5, fakes_each=4)
    orders = [indices_of(videos, seed=0, epoch=epoch) for epoch in range(30)]
    used = Counter(int(index) for order in orders for index in order if videos[index].label == 1)
    assert len(used) == 20
    assert not np.array_equal(orders[0], orders[1])
    assert np.array_equal(orders[1], indices_of(videos, seed=0, epoch=1))


def test_videos_without_a_relative_are_unmatched_pairs():
    videos = [video(f"r{i}.mp4") for i in range(6)] + [video(f"f{i}.mp4", 1) for i in range(3)]
    shown = [videos[index] for index in indices_of(videos, seed=0, epoch=0)]
    assert [member.label for member in shown] == [0, 1] * 3
    assert len({member.name for member in shown}) == 6


def test_a_shuffle_buffer_mixes_only_nearby_pairs():
    videos = dfdc_part(num_originals=100, fakes_each=1)
    order = indices_of(videos, seed=0, epoch=0, shuffle_buffer=5)[::2] // 2
    assert sorted(order) == list(range(100))
    assert 0 < np.abs(order - np.arange(100)).max() <= 5


@pytest.mark.parametrize(
    ("videos", "sentence"),
    [
        ([video("a.mp4"), video("b.mp4")], "2 real and 0 fake; add the missing class"),
        (dfdc_part(2), "2 real and 6 fake, make 4 balanced clips, less than a batch of 8"),
    ],
)
def test_training_data_that_make_no_batch_are_one_sentence(videos, sentence):
    with pytest.raises(UserError, match=sentence):
        data_pipeline.build_dataset(videos=videos, training=True, batch_size=8)


# Fakes made from the real


MADE = [[SELF_BLEND_TARGET, SELF_BLEND], [ORIGINAL, SWAP]]  # roles of a pair without a given fake


def test_half_of_the_fakes_are_made_and_every_real_video_has_one_pair():
    videos = dfdc_part(num_originals=10, fakes_each=4)
    indices, roles = sample_epoch(videos, seed=0, epoch=0, self_blend=0.5)
    pairs = list(zip(indices.reshape(-1, 2), roles.reshape(-1, 2).tolist(), strict=True))
    assert len(pairs) == 10
    made = [pair for pair, kinds in pairs if kinds in MADE]
    plain = [pair for pair, kinds in pairs if kinds == [ORIGINAL, ORIGINAL]]
    assert (len(made), len(plain)) == (5, 5)
    assert all(real == fake and videos[real].label == 0 for real, fake in made)
    assert all((videos[real].label, videos[fake].label) == (0, 1) for real, fake in plain)
    assert all(videos[real].source_group == videos[fake].source_group for real, fake in plain)


def test_real_videos_alone_are_enough_where_the_fakes_are_made():
    videos = [video(f"r{i}.mp4") for i in range(8)]
    assert steps_per_epoch(videos, batch_size=4, self_blend=1) == 4
    for share in (1, 0.5):
        indices, roles = sample_epoch(videos, seed=0, epoch=0, self_blend=share)
        assert sorted(indices[::2]) == list(range(8))
        assert all(kinds in MADE for kinds in roles.reshape(-1, 2).tolist())


def test_a_third_of_the_fakes_that_are_made_have_another_face():
    videos = [video(f"r{i}.mp4") for i in range(500)]
    _, roles = sample_epoch(videos, seed=0, epoch=0, self_blend=1.0)
    assert np.mean(roles[1::2] == SWAP) == pytest.approx(SWAPPED_SHARE, abs=0.06)


def test_real_videos_without_a_fake_are_in_no_unmatched_pair():
    """A network would learn where the videos come from."""
    videos = [*dfdc_part(num_originals=4, fakes_each=1), *(video(f"r{i}.mp4") for i in range(12))]
    for epoch in range(20):
        indices, roles = sample_epoch(videos, seed=0, epoch=epoch, self_blend=0.5)
        pairs = zip(indices.reshape(-1, 2), roles.reshape(-1, 2), strict=True)
        plain = [pair for pair, kinds in pairs if kinds.tolist() == [ORIGINAL, ORIGINAL]]
        assert len(plain) == 4
        assert all(videos[real].source_group == videos[fake].source_group for real, fake in plain)


def test_a_small_set_is_passed_several_times_in_an_epoch_of_many_steps():
    videos = dfdc_part(num_originals=4, fakes_each=2)
    assert steps_per_epoch(videos, batch_size=4) == 2
    assert steps_per_epoch(videos, batch_size=4, min_steps=7) == 7
    indices, roles = sample_epoch(videos, seed=0, epoch=0, num_clips=28)
    assert (len(indices), len(roles)) == (28, 28)
    assert Counter(indices[::2]).most_common()[-1][1] >= 3
    once = sample_epoch(videos, seed=0, epoch=0)[0]
    assert np.array_equal(indices[:8], once)


def test_without_fakes_the_sentence_says_how_to_make_some():
    videos = [video("a.mp4"), video("b.mp4")]
    with pytest.raises(UserError, match="or make fakes from the real: --self-blend 1"):
        steps_per_epoch(videos, batch_size=2)
    with pytest.raises(
        UserError, match="training needs real videos, and the videos to train on are 0 real"
    ):
        steps_per_epoch([video("f.mp4", 1)], batch_size=2, self_blend=0.5)


def test_photographs_by_the_hundred_do_not_crowd_out_the_videos():
    def track(number, label, num_frames):
        name = f"{number:03d}"
        return FaceTrack(name, name, label, num_frames, 3, name, name)

    tracks = [track(number, 0, 9) for number in range(10)]
    tracks += [track(number, 0, 1) for number in range(10, 200)]
    assert count_clips(tracks, self_blend=1.0) == 40
    indices, _ = sample_epoch(tracks, seed=0, epoch=0, self_blend=1.0)
    is_photograph = np.array([tracks[index].is_photograph for index in indices])
    assert is_photograph.mean() == 0.5
    others, _ = sample_epoch(tracks, seed=0, epoch=1, self_blend=1.0)
    assert set(indices[is_photograph]) != {i for i in others if tracks[i].is_photograph}


def test_photographs_alone_are_all_shown():
    tracks = [
        FaceTrack(f"{number}", f"{number}", 0, 1, 3, f"{number}", f"{number}")
        for number in range(9)
    ]
    assert count_clips(tracks, self_blend=1.0) == 18
