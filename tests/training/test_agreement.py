"""Where estimators agree about people whom nobody labelled."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posefix import Poses, load_skeleton, match_keypoints
from posefix.errors import InputError
from posefix.pose.poses import FloatArray, ImageId
from posefix.training.agreement import Agreement, AgreementRule, find_agreement

COCO = load_skeleton("coco17")
SIZE = (640, 480)


def person(seed: int = 0, x: float = 100.0, y: float = 100.0, size: float = 200.0) -> FloatArray:
    """A pose (17, 2) in a square of the photo."""
    return np.random.default_rng(seed).uniform((x, y), (x + size, y + size), (17, 2))


def poses(*people: FloatArray, score: float = 0.8, image_ids: tuple[ImageId, ...] | None = None) -> Poses:
    count = len(people)
    return Poses(
        keypoints=np.array(people).reshape(-1, 17, 2),
        scores=np.full((count, 17), score),
        valid=np.ones((count, 17), dtype=bool),
        image_ids=image_ids or (1,) * count,
        pose_scores=np.full(count, score),
        skeleton=COCO,
    )


def agree(*estimates: Poses, **rule: Any) -> Agreement:
    return find_agreement(estimates, lambda _: SIZE, AgreementRule(**rule))


def moved(pose: FloatArray, keypoint: int, by: tuple[float, float]) -> FloatArray:
    """A pose with one keypoint elsewhere."""
    changed = pose.copy()
    changed[keypoint] += by
    return changed


def test_a_label_is_the_mean_of_who_agrees() -> None:
    pose = person()
    found = agree(poses(pose - 1), poses(pose), poses(pose + 1))
    assert (found.alone, found.disputed, found.overlapping) == (0, 0, 0)
    np.testing.assert_allclose(found.poses.keypoints, pose[None])
    assert found.poses.valid.all()
    assert ((found.poses.scores > 0.75) & (found.poses.scores < 0.8)).all()
    np.testing.assert_allclose(found.poses.pose_scores, found.poses.scores.mean(axis=1))


def test_who_disagrees_has_no_say_in_the_place_and_lowers_the_certainty() -> None:
    pose = person()
    found = agree(poses(pose), poses(pose), poses(moved(pose, 4, (150, 0))))
    np.testing.assert_allclose(found.poses.keypoints[0], pose)
    np.testing.assert_allclose(found.poses.scores[0, 4], 0.8 * 2 / 3)
    np.testing.assert_allclose(np.delete(found.poses.scores[0], 4), 0.8)


def test_the_surer_side_wins() -> None:
    pose, other = person(), moved(person(), 4, (150, 0))
    sure, unsure = poses(pose, score=0.9), poses(other, score=0.5)
    found = agree(unsure, sure, unsure, sure)
    np.testing.assert_allclose(found.poses.keypoints[0, 4], pose[4])
    np.testing.assert_allclose(found.poses.scores[0, 4], 0.45)


def test_without_two_in_one_place_there_is_no_label() -> None:
    pose = person()
    found = agree(poses(pose), poses(moved(pose, 4, (150, 0))), poses(moved(pose, 4, (0, 150))))
    assert np.flatnonzero(~found.poses.valid[0]).tolist() == [4]
    assert found.poses.scores[0, 4] == 0
    assert (found.poses.keypoints[0, 4] == 0).all()


def test_doubt_is_no_label() -> None:
    pose = person()
    assert len(agree(poses(pose, score=0.29), poses(pose, score=0.3)).poses) == 0
    assert len(agree(poses(pose, score=0.31), poses(pose, score=0.3)).poses) == 1


def test_a_keypoint_that_one_has_alone_is_no_label() -> None:
    pose = person()
    half = dataclasses.replace(poses(pose), valid=np.arange(17)[None] < 9)
    found = agree(poses(pose), half)
    assert found.poses.valid[0].tolist() == [True] * 9 + [False] * 8


def test_keypoints_outside_of_the_photo_are_no_labels_and_boxes_end_there() -> None:
    pose = person(x=500.0)
    found = agree(poses(pose), poses(pose))
    outside = pose[:, 0] > SIZE[0] - 0.5
    assert outside.any()
    assert (found.poses.valid[0] == ~outside).all()
    np.testing.assert_allclose(found.bbox_xywh[0, 0] + found.bbox_xywh[0, 2], SIZE[0])


def test_the_box_holds_keypoints_without_a_label_too() -> None:
    pose = person()
    lower = pose.copy()
    lower[13:] += (0, 100)
    found = agree(poses(pose), poses(lower), poses(moved(lower, 0, (1, 0))), same_person=0.3)
    x, y, width, height = found.bbox_xywh[0]
    inside = (lower >= (x, y)) & (lower <= (x + width, y + height))
    assert inside.all()
    np.testing.assert_allclose(found.area, 0.53 * width * height)


def test_people_whom_one_found_alone_are_left_out_and_counted() -> None:
    left, right = person(1, x=10), person(2, x=400)
    found = agree(poses(left, right), poses(left), poses(left))
    assert (len(found.poses), found.alone) == (1, 1)
    np.testing.assert_allclose(found.poses.keypoints[0], left)


def test_each_finds_its_own_person_whatever_the_order() -> None:
    left, right = person(1, x=10), person(2, x=400)
    found = agree(poses(left, right), poses(right + 1, left + 1), poses(right - 1, left - 1))
    np.testing.assert_allclose(found.poses.keypoints, [left, right])


def test_people_of_different_photos_are_different_people() -> None:
    pose = person()
    found = agree(poses(pose, image_ids=("a",)), poses(pose, image_ids=("b",)))
    assert (len(found.poses), found.alone) == (0, 2)


def test_too_few_labels_are_left_out_and_counted() -> None:
    pose = person()
    few = dataclasses.replace(poses(pose), valid=np.arange(17)[None] < 4)
    found = agree(few, few)
    assert (len(found.poses), found.disputed) == (0, 1)
    assert len(agree(few, few, keypoints=4).poses) == 1


def test_people_on_top_of_each_other_are_left_out_and_counted() -> None:
    first, second = person(1), person(2, x=120)
    both = poses(first, second)
    found = agree(both, both)
    assert (len(found.poses), found.overlapping) == (0, 2)
    assert len(agree(both, both, overlap=1.0).poses) == 2


def test_layouts_are_matched_by_name() -> None:
    body = load_skeleton("lsp14")
    pose = person()
    mapped = poses(pose).in_layout(match_keypoints(COCO, body))
    found = agree(poses(pose), mapped)
    assert found.poses.skeleton == COCO
    shared = [name in body.keypoint_names for name in COCO.keypoint_names]
    assert found.poses.valid[0].tolist() == shared
    assert sum(shared) == 12


def test_one_estimator_agrees_with_nobody() -> None:
    with pytest.raises(InputError, match="two estimators or more, got 1"):
        agree(poses(person()))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"same_person": 1.5}, "same_person: expected a number from 0 to 1, got 1.5"),
        ({"same_place": -0.1}, "same_place: expected"),
        ({"certainty": float("nan")}, "certainty: expected"),
        ({"overlap": 2}, "overlap: expected"),
        ({"keypoints": 0}, "keypoints: expected 1 or more, got 0"),
    ],
)
def test_rules_out_of_range_are_refused(rule: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AgreementRule(**rule)  # type: ignore[arg-type]


def noisy(seed: int, estimators: int, noise: float) -> list[Poses]:
    """What several estimators say of three people in two photos, scores and missing keypoints at random."""
    generator = np.random.default_rng(seed)
    people = np.array([person(seed, x=10), person(seed + 1, x=400), person(seed + 2)])
    return [
        Poses(
            keypoints=people + noise * generator.standard_normal(people.shape),
            scores=generator.uniform(0, 1.2, (3, 17)),
            valid=generator.random((3, 17)) < 0.9,
            image_ids=(1, 1, "other"),
            pose_scores=np.ones(3),
            skeleton=COCO,
        )
        for _ in range(estimators)
    ]


SEEDS, ESTIMATORS, NOISE = st.integers(0, 10_000), st.integers(2, 4), st.floats(0, 40)


@given(SEEDS, ESTIMATORS, NOISE)
def test_labels_lie_between_the_estimators_places(seed: int, estimators: int, noise: float) -> None:
    estimates = noisy(seed, estimators, noise)
    found = agree(*estimates, same_person=0.0, certainty=0.1, keypoints=1, overlap=1.0).poses
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert ((found.scores > 0) == found.valid).all()
    for row in range(len(found)):
        rows = [i for i in range(3) if estimates[0].image_ids[i] == found.image_ids[row]]
        places = np.concatenate([one.keypoints[rows] for one in estimates])
        low, high = places.min(axis=0) - 1e-6, places.max(axis=0) + 1e-6
        inside = ((found.keypoints[row] >= low) & (found.keypoints[row] <= high)).all(axis=1)
        assert inside[found.valid[row]].all()


@given(SEEDS, ESTIMATORS, NOISE, st.floats(0, 1), st.floats(0, 1))
def test_more_certainty_labels_fewer_keypoints_and_moves_none(
    seed: int, estimators: int, noise: float, one: float, other: float
) -> None:
    estimates = noisy(seed, estimators, noise)
    rule = {"keypoints": 1, "overlap": 1.0}
    many = agree(*estimates, certainty=min(one, other), **rule).poses
    few = agree(*estimates, certainty=max(one, other), **rule).poses
    places = {tuple(place) for place in many.keypoints[many.valid]}
    assert {tuple(place) for place in few.keypoints[few.valid]} <= places


@given(SEEDS, ESTIMATORS, NOISE)
def test_everybody_is_labelled_or_counted_once(seed: int, estimators: int, noise: float) -> None:
    found = agree(*noisy(seed, estimators, noise))
    people = len(found.poses) + found.alone + found.disputed + found.overlapping
    assert 3 <= people <= 3 * estimators


@given(SEEDS, st.integers(2, 4))
def test_estimators_that_say_the_same_are_as_certain_as_one(seed: int, estimators: int) -> None:
    (estimate,) = noisy(seed, 1, 0.0)
    found = agree(*[estimate] * estimators, certainty=0.0, keypoints=1).poses
    np.testing.assert_allclose(found.keypoints[found.valid], estimate.keypoints[found.valid])
    np.testing.assert_allclose(found.scores, np.where(found.valid, np.minimum(estimate.scores, 1), 0))
