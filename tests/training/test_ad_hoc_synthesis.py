"""PoseRefiner's wrong poses: each rule alone does what it says, as often as it says."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.pose_errors.taxonomy import LabelledPeople, Status, classify
from posefix.skeletons import load_skeleton
from posefix.training.ad_hoc_synthesis import AdHocOptions, synthesize_ad_hoc

COCO = load_skeleton("coco17")
NOTHING = AdHocOptions(
    switch_rate=0, neighbour_rate=0, short_shift=0, long_shift=0, long_shift_rate=0, removal_rate=0
)
PAIRED = COCO.flip_index != np.arange(17)


def crowd(count: int, neighbours: int, seed: int, *, labelled_share: float = 1.0) -> LabelledPeople:
    """People of 100 x 100 pixels and neighbours whose keypoints are 30, 60 ... pixels to the right."""
    generator = np.random.default_rng(seed)
    keypoints = generator.uniform(0, 100, (count, 17, 2)).astype(np.float32)
    shift = np.array([30.0, 0.0], np.float32) * np.arange(1, neighbours + 1, dtype=np.float32)[:, None]
    return LabelledPeople(
        keypoints,
        generator.random((count, 17)) < labelled_share,
        np.full(count, 1e4, np.float32),
        keypoints[:, None] + shift[None, :, None],
        generator.random((count, neighbours, 17)) < labelled_share,
        np.full((count, neighbours), 1e4, np.float32),
        np.full(count, neighbours),
    )


def draw(people: LabelledPeople, seed: int = 0, **changes: float) -> np.ndarray:
    wrong = synthesize_ad_hoc(people, COCO, np.random.default_rng(seed), replace(NOTHING, **changes))
    assert wrong.present.all()
    return np.asarray(wrong.keypoints)


def test_no_rule_no_change() -> None:
    people = crowd(20, 2, seed=0)
    np.testing.assert_array_equal(draw(people), people.keypoints)


def test_pairs_are_switched_together() -> None:
    people = crowd(2000, 0, seed=1)
    found = draw(people, switch_rate=0.1)
    switched = (found != people.keypoints).any(axis=-1)
    np.testing.assert_array_equal(switched, switched[:, COCO.flip_index])
    np.testing.assert_array_equal(found[switched], people.keypoints[:, COCO.flip_index][switched])
    assert switched[:, PAIRED].mean() == pytest.approx(0.1, abs=0.01)
    assert not switched[:, ~PAIRED].any()


def test_pairs_without_a_label_are_not_switched() -> None:
    people = crowd(50, 0, seed=2, labelled_share=0.5)
    wrong = synthesize_ad_hoc(people, COCO, np.random.default_rng(0), replace(NOTHING, switch_rate=1))
    np.testing.assert_array_equal(wrong.present, people.labelled)
    switched = (wrong.keypoints != people.keypoints).any(axis=-1)
    np.testing.assert_array_equal(switched, people.labelled & people.labelled[:, COCO.flip_index] & PAIRED)


def test_keypoints_go_to_the_nearest_neighbour_in_reach() -> None:
    """30 pixels away is .3 of the square root of the area; the second neighbour, at .6, is never the nearest."""
    people = crowd(2000, 2, seed=3)
    np.testing.assert_array_equal(draw(people, neighbour_rate=1, neighbour_reach=0.29), people.keypoints)
    found = draw(people, neighbour_rate=0.3, neighbour_reach=0.31)
    gone = (found != people.keypoints).any(axis=-1)
    np.testing.assert_array_equal(found[gone], people.neighbour_keypoints[:, 0][gone])
    assert gone.mean() == pytest.approx(0.3, abs=0.01)


def test_unlabelled_neighbours_are_nobody() -> None:
    people = crowd(50, 2, seed=4)
    people.neighbour_labelled[:, 0] = False
    found = draw(people, neighbour_rate=1, neighbour_reach=1)
    np.testing.assert_array_equal(found, people.neighbour_keypoints[:, 1])


def test_shifts_are_mostly_short_and_go_everywhere() -> None:
    people = crowd(3000, 0, seed=5)
    offset = (draw(people, short_shift=0.2, long_shift=0.8, long_shift_rate=0.1) - people.keypoints) / 100
    length = np.linalg.norm(offset, axis=-1)
    assert length.max() <= 0.8 + 1e-4
    assert (length > 0.2).mean() == pytest.approx(0.1, abs=0.01)
    # Even lengths: the means are the middles of the two ranges.
    assert length[length <= 0.2].mean() == pytest.approx(0.1, abs=0.005)
    assert length[length > 0.2].mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(offset.mean(axis=(0, 1)), 0, atol=0.005)


def test_removed_keypoints_stay_where_they_were_and_have_no_status() -> None:
    people = crowd(2000, 1, seed=6)
    wrong = synthesize_ad_hoc(people, COCO, np.random.default_rng(0))
    assert 1 - wrong.present.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(wrong.keypoints[~wrong.present], people.keypoints[~wrong.present])
    assert (wrong.status[~wrong.present] == int(Status.UNLABELLED)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_statuses_are_those_of_the_taxonomy(seed: int, neighbours: int) -> None:
    people = crowd(8, neighbours, seed, labelled_share=0.8)
    wrong = synthesize_ad_hoc(people, COCO, np.random.default_rng(seed))
    found = classify(wrong.keypoints, people, COCO)
    np.testing.assert_array_equal(wrong.status[wrong.present], found[wrong.present])
    assert not (wrong.present & ~people.labelled).any()
    assert wrong.keypoints.dtype == np.float32


def test_the_same_generator_state_gives_the_same_poses_and_inputs_are_left_alone() -> None:
    people = crowd(8, 2, seed=7)
    before = people.keypoints.copy()
    first, second, other = (
        synthesize_ad_hoc(people, COCO, np.random.default_rng(seed)).keypoints for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(people.keypoints, before)


def test_torch_tensors_give_torch_tensors_of_the_same_statistics() -> None:
    torch = pytest.importorskip("torch")
    people = crowd(1500, 2, seed=8)
    tensors = LabelledPeople(*(torch.from_numpy(getattr(people, item.name)) for item in fields(people)))
    wrong = synthesize_ad_hoc(tensors, COCO, torch.Generator().manual_seed(0))
    reference = synthesize_ad_hoc(people, COCO, np.random.default_rng(0))
    counts = [
        np.bincount(np.asarray(w.status)[np.asarray(w.present)], minlength=5) for w in (wrong, reference)
    ]
    found, expected = (count / count.sum() for count in counts)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"removal_rate": 1.5}, "removal_rate must be from 0 to 1, got 1.5"),
        ({"neighbour_reach": -1.0}, "neighbour_reach must be at least 0"),
        ({"long_shift": 0.01}, "long_shift must be at least short_shift"),
    ],
)
def test_bad_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AdHocOptions(**options)
