"""Who may be taken for whom, and that nobody is moved onto somebody else."""

from __future__ import annotations

import dataclasses
import math
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from posefix.network.decoding import Evidence
from posefix.pose.poses import ImageId, Poses
from posefix.refine.again import unsettled
from posefix.refine.calibration import ALL_MEANS, Calibration
from posefix.refine.company import Company
from posefix.refine.crops import CroppedPeople, crop_people
from posefix.refine.identity import TAKEN, Neighbours
from posefix.refine.judge import judge
from posefix.refine.look import Look
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
MODEL = load_skeleton("posefix19")
SIZE_WH = (144, 192)
BODY = np.random.default_rng(0).uniform(0, 1, (19, 2)) * [60, 120] + 100
"""A pose about 60 pixels wide."""


def poses(steps: Sequence[float], image_ids: tuple[ImageId, ...] = ()) -> Poses:
    """People in the same pose, each so many pixels further right."""
    keypoints = np.stack([BODY + np.array([step, 0]) for step in steps])
    shape = keypoints.shape[:2]
    return Poses(
        keypoints,
        np.ones(shape),
        np.ones(shape, dtype=bool),
        image_ids or (1,) * len(steps),
        np.ones(len(steps)),
        MODEL,
    )


def cropped(given: Poses) -> CroppedPeople:
    return crop_people(given, MODEL, SIZE_WH)


def neighbours_of(given: Poses) -> Neighbours:
    return Neighbours.of(cropped(given), given.image_ids)


def pairs(neighbours: Neighbours) -> list[tuple[int, int]]:
    """Of everybody, in order."""
    found = neighbours.pairs(np.ones(len(neighbours.people.rows), dtype=bool))
    return sorted(pair for one, other in found for pair in zip(one.tolist(), other.tolist(), strict=True))


def test_only_people_of_one_photo_whose_poses_overlap_are_neighbours() -> None:
    steps = [0, 40, 90, 300, 0, 40]
    given = poses(steps, image_ids=(1, 1, 1, 1, 2, "1"))
    assert pairs(neighbours_of(given)) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_people_are_crowded_whose_boxes_overlap_by_a_tenth() -> None:
    width = np.ptp(BODY[:, 0])  # shifted by s of the width, the IoU is (1 - s) / (1 + s)
    given = poses([0, 0.75 * width, 10 * width, 10.9 * width, 0], (1, 1, 1, 1, 2))
    assert Neighbours.of(cropped(given), given.image_ids).crowded().tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_who_has_no_size_has_no_neighbour() -> None:
    given = poses([0, 10, 20])
    valid = given.valid.copy()
    valid[1, 1:] = False
    assert pairs(neighbours_of(dataclasses.replace(given, valid=valid))) == [(0, 2), (2, 0)]


def test_nobody_is_no_fault() -> None:
    nobody = neighbours_of(poses([0])[[]])
    assert nobody.taken(np.empty((0, 19, 2)), np.arange(0)).shape == (0,)


def test_agreement_is_with_the_other_whom_the_places_fit_best() -> None:
    given = poses([0, 20, 35, 500])
    valid = given.valid.copy()
    valid[1, 5] = False
    given = dataclasses.replace(given, valid=valid)
    people, neighbours = cropped(given), neighbours_of(given)

    def by_hand(places: Array, other: int) -> float:
        """Mean KS over the keypoints that the other has."""
        similarity = [
            math.exp(-((math.dist(places[k], given.keypoints[other, k]) / people.falloff[other, k]) ** 2))
            for k in np.flatnonzero(valid[other])
        ]
        return sum(similarity) / len(similarity)

    places = BODY + np.array([[[19, 2]], [[33, -2]], [[500, 0]]])
    rows = np.array([2, 0, 3])
    expected = [
        max(by_hand(places[0], 0), by_hand(places[0], 1)),
        max(by_hand(places[1], 1), by_hand(places[1], 2)),
        0.0,
    ]
    np.testing.assert_allclose(neighbours.agreement(places, rows), expected)
    assert min(expected[:2]) > 0.8


def test_agreement_by_parts_is_that_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = poses([0, 20, 35, 50, 55])
    neighbours, places = neighbours_of(given), given.keypoints + np.array([18, 0])
    whole = neighbours.agreement(places, np.arange(5))
    monkeypatch.setattr("posefix.refine.identity.PAIRS_AT_ONCE", 3)
    np.testing.assert_array_equal(neighbours.agreement(places, np.arange(5)), whole)


def test_places_are_taken_that_are_somebody_else_s_more_than_their_own() -> None:
    given = poses([0, 30, 300])
    neighbours, rows = neighbours_of(given), np.array([0])
    steps = {0: False, 5: False, 14: False, 30: True, 33: True, 60: False, 300: False}
    found = {step: neighbours.taken(BODY[None] + np.array([step, 0]), rows).item() for step in steps}
    assert found == steps
    far = neighbours.taken(given.keypoints[[1]] + np.array([300, 0]), rows)
    assert far.tolist() == [False], "nobody is near whose pose does not overlap"


def test_poses_that_lay_on_each_other_are_free_to_move() -> None:
    """Such as an estimator's two of one person."""
    given = poses([0, 2])
    neighbours = neighbours_of(given)
    assert neighbours.agreement(given.keypoints, np.arange(2)).min() > TAKEN
    assert not neighbours.taken(given.keypoints[::-1], np.arange(2)).any()


@pytest.mark.parametrize(("spread", "most"), [(3000, 20_000), (0, 1_000_000)])
def test_a_crowd_in_one_photo_is_fast_and_small(spread: int, most: int) -> None:
    """Also where all thousand overlap: a million pairs."""
    rng = np.random.default_rng(0)
    given = poses([0.0] * 1000)
    given = given.with_keypoints(given.keypoints + rng.uniform(0, 1, (1000, 1, 2)) * spread)
    people = cropped(given)
    tracemalloc.start()
    began = time.process_time()
    try:
        neighbours = Neighbours.of(people, given.image_ids)
        neighbours.taken(given.keypoints + np.array([20, 0]), np.arange(1000))
        seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0 < len(pairs(neighbours)) < most
    assert seconds < 10
    assert peak < 150e6


def rightwards(pixels: float, people: CroppedPeople) -> Any:
    """A backend that is sure of places so many pixels of the photo to the right, with the pose and without it."""
    step = np.array([pixels * people.matrices[0, 0, 0], 0], np.float32)

    def backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
        sure, nothing = np.full(weights.shape, 0.9, np.float32), np.full(weights.shape, 0.1, np.float32)
        return Evidence((keypoints + step).astype(np.float32), sure, sure, nothing, nothing)

    return backend


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_pose_that_would_land_on_a_neighbour_stays(calibrated: bool, believing: Calibration) -> None:
    """The first would lie on the second, which goes where nobody is; what it lacks was seen there, stays missing."""
    given = poses([0, 30])
    scores = np.ones((2, 19))
    scores[0, 7] = 0
    backend = rightwards(30, cropped(given))
    refiner = Refiner(
        backend, MODEL, SIZE_WH, calibration=believing if calibrated else None, looks=1, scores="input"
    )
    photo = np.zeros((300, 400, 3), np.uint8)
    refined = refiner(photo, given.keypoints, scores, skeleton=MODEL)
    there = scores > 0
    assert refined.moved.tolist() == [[False] * 19, [True] * 19]
    np.testing.assert_array_equal(refined.keypoints[there & [[True], [False]]], given.keypoints[0][there[0]])
    np.testing.assert_allclose(refined.keypoints[1], given.keypoints[1] + [30, 0], atol=1e-3)
    assert not refined.filled.any()
    assert np.array_equal(refined.valid, there)
    if calibrated:
        expected = np.full((2, 19), 0.9)
        expected[0] = np.where(np.arange(19) == 7, np.nan, 0.8)
        np.testing.assert_allclose(refined.confidence, expected, rtol=1e-6)
    always = dataclasses.replace(refiner, caution=-1.0)(photo, given.keypoints, scores, skeleton=MODEL)
    assert np.array_equal(always.moved, there)
    assert always.filled[0, 7]
    assert np.linalg.norm(always.keypoints[0, 7]) > 50, "at the network's place, not in the corner"
    apart = refiner(photo, given.keypoints[:1], scores[:1], skeleton=MODEL)
    assert np.array_equal(apart.moved, there[:1]), "without the neighbour nothing speaks against the place"


def test_unseen_people_stay_unseen(believing: Calibration) -> None:
    given = poses([0, 30])
    look = Look.of_nobody(cropped(given))
    choice = judge(look, Company(np.zeros(len(ALL_MEANS))), believing, 0.0)
    neighbours = neighbours_of(given)
    assert not neighbours.taken(choice.keypoints, choice.rows).any()
    assert len(unsettled(look, choice).rows) == 0


def test_of_two_who_are_put_onto_one_body_the_one_moved_farther_goes_back() -> None:
    given = poses([0, 40, 80])
    neighbours, places = neighbours_of(given), given.keypoints.copy()
    assert not neighbours.collided(places).any()
    # Both are off their given pose, the second by more, and neither is on the other's.
    places[0] += [0, 15]
    places[1] = places[0]
    assert not neighbours.taken(places, np.arange(3)).any()
    assert neighbours.collided(places).tolist() == [False, True, False]
    places[1] += [60, 0]
    assert not neighbours.collided(places).any()


def test_who_already_was_on_one_body_with_another_may_stay_there() -> None:
    given = poses([0, 1])
    places = given.keypoints + np.array([0, 8])
    places[1] = places[0]
    assert not neighbours_of(given).collided(places).any()


@pytest.mark.parametrize(("caution", "moved"), [(-1.0, [True, True]), (-0.9, [True, False])])
def test_a_refiner_puts_nobody_onto_one_body_with_another(caution: float, moved: list[bool]) -> None:
    given = poses([0, 40])

    def onto_one(images: Array, keypoints: Array, weights: Array) -> Evidence:
        step = np.array([[[0.0, 30.0]], [[0.0, 30.0]]])
        step[1, 0, 0] = -40 * np.abs(cropped(given).matrices[1, 0, 0])
        half = np.full(weights.shape, 0.5)
        return Evidence(keypoints + step, half, half, half, half)

    photo = np.zeros((400, 400, 3), dtype=np.uint8)
    refiner = Refiner(onto_one, MODEL, SIZE_WH, caution=caution, looks=1)
    refined = refiner(photo, given.keypoints, skeleton=MODEL)
    assert refined.moved.any(axis=1).tolist() == moved
