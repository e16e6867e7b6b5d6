"""Which clips make an epoch: real-fake pairs, and fakes made from the real."""

from collections import Counter

import numpy as np
import pytest

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

MADE = [[SELF_BLEND_TARGET, SELF_BLEND], [ORIGINAL, SWAP]]  # roles of a pair without a given fake


def track(name, label=0, original=None, num_frames=9, people=()) -> FaceTrack:
    group = original or name
    return FaceTrack(name, name, label, num_frames, 3, name, group, people=people)


def originals_and_fakes(num_originals, fakes_each):
    return [
        track(f"{number}-{fake}", int(fake > 0), f"{number}-0")
        for number in range(num_originals)
        for fake in range(fakes_each + 1)
    ]


def pairs_of(tracks, **options):
    """Return the pairs of tracks of an epoch, and the roles of each."""
    indices, roles = sample_epoch(tracks, **{"seed": 0, "epoch": 0} | options)
    shown = [tracks[index] for index in indices]
    return list(zip(shown[::2], shown[1::2], strict=True)), roles.reshape(-1, 2).tolist()


def test_an_epoch_has_every_real_once_next_to_a_fake_of_the_same_original():
    pairs, roles = pairs_of(originals_and_fakes(10, fakes_each=4))
    assert roles == [[ORIGINAL, ORIGINAL]] * 10
    assert len({real.name for real, _ in pairs}) == 10
    assert all((real.label, fake.label) == (0, 1) for real, fake in pairs)
    assert all(real.source_group == fake.source_group for real, fake in pairs)


def test_a_fake_is_paired_with_its_own_original_not_with_one_of_the_same_people():
    tracks = [track(f"r{n}", people=("Ann",)) for n in range(6)]
    tracks += [track(f"f{n}", 1, f"r{n}", people=("Ann", "Bob")) for n in range(6)]
    pairs, _ = pairs_of(tracks)
    assert all(fake.source_group == real.name for real, fake in pairs)


def test_the_larger_class_is_sampled_again_in_each_epoch():
    tracks = originals_and_fakes(5, fakes_each=4)
    epochs = [pairs_of(tracks, epoch=epoch)[0] for epoch in range(30)]
    assert len({fake.name for pairs in epochs for _, fake in pairs}) == 20
    assert epochs[0] != epochs[1] == pairs_of(tracks, epoch=1)[0]


def test_videos_without_a_relative_are_unmatched_pairs():
    tracks = [track(f"r{n}") for n in range(6)] + [track(f"f{n}", 1) for n in range(3)]
    pairs, _ = pairs_of(tracks)
    assert [(real.label, fake.label) for real, fake in pairs] == [(0, 1)] * 3
    assert len({member.name for pair in pairs for member in pair}) == 6


def test_a_shuffle_buffer_mixes_only_nearby_pairs():
    indices, _ = sample_epoch(originals_and_fakes(100, 1), seed=0, epoch=0, shuffle_buffer=5)
    order = indices[::2] // 2
    assert sorted(order) == list(range(100))
    assert 0 < np.abs(order - np.arange(100)).max() <= 5


@pytest.mark.parametrize(
    ("tracks", "self_blend", "sentence"),
    [
        ([track("a"), track("b")], 0, "2 real and 0 fake; add the missing class.*--self-blend 1"),
        (originals_and_fakes(2, 3), 0, "4 balanced clips, less than a batch of 8"),
        ([track("f", 1)], 0.5, "training needs real videos.* 0 real"),
    ],
)
def test_training_data_that_make_no_batch_are_one_sentence(tracks, self_blend, sentence):
    with pytest.raises(UserError, match=sentence):
        steps_per_epoch(tracks, batch_size=8, self_blend=self_blend)


def test_half_of_the_fakes_are_made_and_every_real_video_has_one_pair():
    pairs, roles = pairs_of(originals_and_fakes(10, fakes_each=4), self_blend=0.5)
    made = [pair for pair, kinds in zip(pairs, roles, strict=True) if kinds in MADE]
    plain = [pair for pair, kinds in zip(pairs, roles, strict=True) if kinds not in MADE]
    assert (len(made), len(plain)) == (5, 5)
    assert all(real is fake and real.label == 0 for real, fake in made)
    assert all((real.label, fake.label) == (0, 1) for real, fake in plain)
    assert all(real.source_group == fake.source_group for real, fake in plain)


@pytest.mark.parametrize("share", [1, 0.5])
def test_real_videos_alone_are_enough_if_the_fakes_are_made(share):
    tracks = [track(f"r{n}") for n in range(8)]
    assert steps_per_epoch(tracks, batch_size=4, self_blend=share) == 4
    pairs, roles = pairs_of(tracks, self_blend=share)
    assert sorted(real.name for real, _ in pairs) == [member.name for member in tracks]
    assert all(kinds in MADE for kinds in roles)


def test_most_fakes_that_are_made_have_another_face():
    _, roles = pairs_of([track(f"r{n}") for n in range(500)], self_blend=1.0)
    assert np.mean([fake == SWAP for _, fake in roles]) == pytest.approx(SWAPPED_SHARE, abs=0.06)


def test_real_videos_without_a_fake_are_in_no_unmatched_pair():
    """A network would learn where the videos come from."""
    tracks = [*originals_and_fakes(4, fakes_each=1), *(track(f"r{n}") for n in range(12))]
    for epoch in range(20):
        pairs, roles = pairs_of(tracks, epoch=epoch, self_blend=0.5)
        plain = [pair for pair, kinds in zip(pairs, roles, strict=True) if kinds not in MADE]
        assert len(plain) == 4
        assert all(real.source_group == fake.source_group for real, fake in plain)


def test_a_small_set_is_passed_several_times_in_an_epoch_of_many_steps():
    tracks = originals_and_fakes(4, fakes_each=2)
    assert steps_per_epoch(tracks, batch_size=4) == 2
    assert steps_per_epoch(tracks, batch_size=4, min_steps=7) == 7
    pairs, roles = pairs_of(tracks, num_clips=28)
    assert len(pairs) == len(roles) == 14
    assert min(Counter(real.name for real, _ in pairs).values()) >= 3
    assert pairs[:4] == pairs_of(tracks)[0]


def test_photographs_by_the_hundred_do_not_crowd_out_the_videos():
    photographs = [track(f"p{n:03d}", num_frames=1) for n in range(190)]
    assert count_clips(photographs, self_blend=1.0) == 380  # alone they are all shown
    tracks = [*(track(f"r{n}") for n in range(10)), *photographs]
    assert count_clips(tracks, self_blend=1.0) == 40
    first, second = (
        {real.name for real, _ in pairs_of(tracks, epoch=epoch, self_blend=1.0)[0]}
        for epoch in (0, 1)
    )
    assert sum(name.startswith("p") for name in first) == 10
    assert first != second
