"""People whom the photo alone shows elsewhere are looked for there, and the two outcomes are compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from tests.refine.looks import ALWAYS_BETTER, NEVER_BETTER

from posefix.network.decoding import Evidence
from posefix.pose.poses import Poses
from posefix.refine.calibration import ALL_MEANS, OPINION_FEATURES, Calibration, Regression
from posefix.refine.company import Company
from posefix.refine.crops import CroppedPeople, crop_people, recrop
from posefix.refine.elsewhere import APART, elsewhere, is_better, measure_opinions, prefer
from posefix.refine.identity import Neighbours
from posefix.refine.judge import NEVER, Choice, judge
from posefix.refine.look import Look
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
MODEL = load_skeleton("posefix19")
SIZE_WH = (96, 128)


def people_at(*shifts: float) -> CroppedPeople:
    """People of one photo, each moved to the right by some pixels."""
    body = np.random.default_rng(0).uniform(40, 140, (19, 2))
    keypoints = np.stack([body + np.array([shift, 0]) for shift in shifts])
    ones = np.ones(keypoints.shape[:2])
    poses = Poses(keypoints, ones, ones > 0, (1,) * len(shifts), ones[:, 0], MODEL)
    return crop_people(poses, MODEL, SIZE_WH)


def seen(people: CroppedPeople, alone: Array, **numbers: float) -> Look:
    """The network leaves people where they are; the photo alone shows them at other places."""
    shape = people.valid.shape
    look = Look.of_nobody(people)
    odds = {
        field.name: np.full(shape, numbers.get(field.name, 0.5))
        for field in dataclasses.fields(Evidence)
        if field.name != "keypoints"
    }
    look.take(np.arange(len(people.valid)), Evidence(people.keypoints, **odds), Evidence(alone, **odds))
    return look


def chosen(look: Look, calibration: Calibration) -> Choice:
    return judge(look, Company(np.zeros(len(ALL_MEANS))), calibration, NEVER)


def test_who_is_shown_elsewhere_is_looked_for_there_but_not_where_somebody_else_is(
    believing: Calibration,
) -> None:
    people = people_at(0, 30, 400, 800)
    alone = people.keypoints + np.array([30, 0])
    alone[3] -= [29, 0]  # agrees with the last
    look, neighbours = seen(people, alone), Neighbours.of(people, (1,) * 4)
    assert people.agreement(alone)[3] > APART > people.agreement(alone)[:3].max()
    there = elsewhere(look, chosen(look, believing), neighbours)
    assert there.rows.tolist() == [1, 2]
    np.testing.assert_array_equal(there.keypoints, alone[[1, 2]])
    look.seen[1] = False
    assert elsewhere(look, chosen(look, believing), neighbours).rows.tolist() == [2]


def test_what_the_regression_sees(believing: Calibration) -> None:
    people = people_at(0, 30)
    first = seen(people, people.keypoints + np.array([4.0, 0]), similarity=0.7, given_similarity=0.25)
    neighbours = Neighbours.of(people, (1, 1))
    choice = chosen(first, believing)
    again = recrop(people.of(np.array([1])), first.alone.keypoints[[1]])
    there = seen(again, again.keypoints + np.array([0, 2.0]), given_similarity=0.6)
    found = chosen(there, believing)
    (features,) = measure_opinions(choice, first, there, found, neighbours)[:, 0]
    seen_as = dict(zip(OPINION_FEATURES, features, strict=True))
    assert seen_as["chosen_similarity"] == pytest.approx(np.log(0.25 / 0.75), rel=1e-6)
    assert seen_as["found_similarity"] == pytest.approx(np.log(0.6 / 0.4), rel=1e-6)
    assert seen_as["chosen_agreement"] == 1
    near = np.exp(-((4 / people.falloff[1]) ** 2)).mean()
    assert seen_as["found_agreement"] == seen_as["alone_agreement"] == pytest.approx(near)
    together = np.exp(-((4 / again.falloff[0]) ** 2)).mean()
    assert seen_as["found_chosen_agreement"] == pytest.approx(together)
    assert seen_as["found_alone_agreement"] == pytest.approx(np.exp(-((2 / again.falloff[0]) ** 2)).mean())
    assert seen_as["alone_given_similarity"] == pytest.approx(np.log(0.25 / 0.75), rel=1e-6)
    assert seen_as["alone_given_vicinity"] == pytest.approx(0, abs=1e-6)
    assert seen_as["alone_similarity"] == pytest.approx(np.log(0.7 / 0.3), rel=1e-6)
    others = np.exp(-((30 / people.falloff[0]) ** 2)).mean(), np.exp(-((34 / people.falloff[0]) ** 2)).mean()
    assert (seen_as["chosen_taken"], seen_as["found_taken"]) == pytest.approx(others)


@pytest.mark.parametrize(
    ("caution", "expected"),
    [
        (-1.0, [False, True, True]),
        (0.0, [False, True, True]),
        (0.5, [False, False, True]),
        (1.0, [False] * 3),
    ],
)
def test_caution_asks_for_more_than_even_odds(caution: float, expected: list[bool]) -> None:
    log_odds = np.array([-0.1, 0.1, 2.0])[:, None, None]
    assert is_better(log_odds, Regression(np.zeros(1), np.ones(1)), caution).tolist() == expected


@pytest.mark.parametrize(("regression", "moved"), [(ALWAYS_BETTER, True), (NEVER_BETTER, False)])
def test_the_better_outcome_is_taken(regression: Regression, moved: bool, believing: Calibration) -> None:
    people = people_at(0, 400)
    first = seen(people, people.keypoints + np.array([30.0, 0]))
    neighbours, choice = Neighbours.of(people, (1, 1)), chosen(first, believing)
    there_people = elsewhere(first, choice, neighbours)
    there = seen(there_people, there_people.keypoints)
    there.seen[1] = False
    before = choice.keypoints.copy()
    choice.take(prefer(choice, first, there, chosen(there, believing), neighbours, regression, caution=0.0))
    np.testing.assert_array_equal(choice.keypoints[0], before[0] + np.array([30 * moved, 0]))
    np.testing.assert_array_equal(choice.keypoints[1], before[1])


class Leaning:
    """Believes a pose that it is given; without one it sees everybody in the middle of the crop."""

    def __init__(self) -> None:
        self.crops: list[int] = []

    def __call__(self, images: Array, keypoints: Array, weights: Array) -> Evidence:
        self.crops.append(len(images))
        middle = np.stack([np.linspace(20, 76, 19), np.linspace(20, 108, 19)], axis=-1)
        places = np.where(np.asarray(weights.any(axis=1))[:, None, None], keypoints, middle).astype(
            np.float32
        )
        half = np.full(weights.shape, 0.5, np.float32)
        return Evidence(places, half, half, half, half)


@pytest.mark.parametrize(
    ("regression", "looks", "calls", "moved"),
    [
        (ALWAYS_BETTER, 2, [2, 2], True),
        (NEVER_BETTER, 2, [2, 2], False),
        (ALWAYS_BETTER, 1, [2], False),
        (None, 2, [2], False),  # without a calibration
    ],
)
def test_a_refiner_looks_elsewhere_where_it_has_a_calibration_to_compare(
    regression: Regression | None,
    looks: int,
    calls: list[int],
    moved: bool,
    believing: Calibration,
    tmp_path: Path,
) -> None:
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), np.full((260, 620, 3), 128, np.uint8))
    backend = Leaning()
    comparing = None if regression is None else dataclasses.replace(believing, elsewhere=regression)
    refiner = Refiner(backend, MODEL, SIZE_WH, calibration=comparing, looks=looks)
    people = people_at(0, 400)
    ones = np.ones(people.valid.shape)
    poses = Poses(people.keypoints, ones, ones > 0, (1, 1), ones[:, 0], MODEL)
    seen_people: list[tuple[int, int]] = []
    after = refiner.refine(poses, {1: path}, progress=lambda *numbers: seen_people.append(numbers)).poses
    assert backend.crops == calls
    assert (np.abs(after.keypoints - poses.keypoints).max() > 10) == moved
    assert seen_people[-1] == (sum(calls), sum(calls))
