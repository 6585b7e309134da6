"""Keep or move, with and without a calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.refine.looks import MISSING, alone, evidence, look, people

from posefix.network.decoding import Evidence
from posefix.refine import look as looking
from posefix.refine.calibration import ALL_MEANS, Calibration
from posefix.refine.company import Company, measure_company
from posefix.refine.crops import CroppedPeople
from posefix.refine.judge import judge
from posefix.refine.look import Look

Array = npt.NDArray[Any]
NOTHING = np.zeros(len(ALL_MEANS))
"""Means of a company of whom nothing is known."""


def which_moved(
    found: Evidence, given: CroppedPeople, calibration: Calibration | None, caution: float
) -> Array:
    """(N, K) bool; every place is exactly the refined one or exactly the given one."""
    at = look(found, given)
    chosen = judge(at, alone(at), calibration, caution).keypoints
    moved = (chosen == found.keypoints).all(axis=-1)
    kept = (chosen == given.keypoints).all(axis=-1)
    assert (moved ^ kept).all()
    return np.asarray(moved)


@pytest.mark.parametrize("caution", [-0.5, 0.0, 0.2])
def test_a_keypoint_moves_where_the_gain_is_above_the_caution(
    calibration: Calibration | None, caution: float
) -> None:
    found, given = evidence(), people()
    gain = found.similarity - found.given_similarity
    expected = (gain > caution) | ~given.valid
    assert np.array_equal(which_moved(found, given, calibration, caution), expected)
    assert 0 < expected.sum() < expected.size


def test_a_reserve_holds_back_small_gains(calibration: Calibration | None, promising: Look) -> None:
    for reserve, expected in ((0.0, [True, True]), (0.2, [True, False]), (0.5, [False, False])):
        chosen = judge(promising, Company(NOTHING, reserve), calibration, 0.0).keypoints
        moved = (chosen != promising.people.keypoints).all(axis=-1)
        assert [bool(moved[0].all()), bool(moved[1:, 0].all())] == expected
        assert not moved[1:, 1:].any()


def test_a_keypoint_far_off_its_pose_is_not_held_back(calibration: Calibration | None) -> None:
    given = people()
    given.keypoints[2, 5] = 9_000.0
    at = look(evidence(similarity=0.6, given_similarity=0.5), given)
    held = Company(NOTHING, 0.3)
    moved = (judge(at, held, calibration, 0.0).keypoints != given.keypoints).all(axis=-1)
    assert np.argwhere(moved & given.valid).tolist() == [[2, 5]]
    moved = (judge(at, held, calibration, 0.2).keypoints != given.keypoints).all(axis=-1)
    assert not (moved & given.valid).any(), "the caution holds for it, too"


@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_people_decided_by_parts_are_decided_as_all_at_once(
    at_once: int, calibration: Calibration | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decided() -> list[Array]:
        at = look(seen=[True, True, True, False])
        company = measure_company(at, calibration)
        apart = judge(at, alone(at), calibration, 0.0)
        choice = judge(at, company, calibration, 0.0)
        return [
            np.array([company.reserve]),
            company.means,
            apart.keypoints,
            apart.confidence,
            choice.keypoints,
            choice.confidence,
            choice.expected_similarity,
        ]

    whole = decided()
    monkeypatch.setattr(looking, "PEOPLE_AT_ONCE", at_once)
    for one, other in zip(whole, decided(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("caution", "all_move"), [(-1.0, True), (1.0, False)])
def test_always_and_never_know_no_reserve(
    caution: float, all_move: bool, calibration: Calibration | None, promising: Look
) -> None:
    chosen = judge(promising, Company(NOTHING, 0.5), calibration, caution).keypoints
    assert ((chosen != promising.people.keypoints).all(axis=-1) == all_move).all()


def test_equal_evidence_moves_nothing_by_default(calibration: Calibration | None) -> None:
    found = evidence(similarity=0.6, given_similarity=0.6)
    assert np.argwhere(which_moved(found, people(), calibration, 0.0)).tolist() == [list(MISSING)]


@pytest.mark.parametrize(("similarity", "given_similarity"), [(0, 1), (1, 0), (0.3, 0.3), (0, 1 + 1e-6)])
def test_caution_of_minus_one_moves_everything(
    similarity: float, given_similarity: float, calibration: Calibration | None
) -> None:
    found = evidence(similarity=similarity, given_similarity=given_similarity)
    assert which_moved(found, people(), calibration, -1.0).all()


@pytest.mark.parametrize(("similarity", "given_similarity"), [(0, 1), (1, 0), (0.3, 0.3), (1 + 1e-6, 0)])
def test_caution_of_one_moves_nothing_but_fills(
    similarity: float, given_similarity: float, calibration: Calibration | None
) -> None:
    found = evidence(similarity=similarity, given_similarity=given_similarity)
    assert np.argwhere(which_moved(found, people(), calibration, 1.0)).tolist() == [list(MISSING)]


@pytest.mark.parametrize("caution", [-1.0, 0.0, 0.3, 1.0])
def test_missing_keypoints_get_the_refined_place_at_any_caution(
    caution: float, calibration: Calibration | None
) -> None:
    found = evidence(similarity=0.01, given_similarity=0.99)
    assert which_moved(found, people(), calibration, caution)[MISSING]


def test_the_numbers_are_those_of_the_place_that_was_chosen(believing: Calibration) -> None:
    found, given = evidence(), people()
    choice = judge(look(found, given), alone(look(found, given)), believing, 0.0)
    moved = which_moved(found, given, believing, 0.0)
    confidence = np.asarray(np.where(moved, 0.9, 0.8))
    similarity = np.asarray(np.where(moved, found.similarity, found.given_similarity))
    confidence[MISSING], similarity[MISSING] = 0.7, found.similarity[MISSING]
    np.testing.assert_allclose(choice.confidence, confidence)
    np.testing.assert_allclose(choice.expected_similarity, similarity)


def test_without_a_calibration_there_are_no_numbers() -> None:
    choice = judge(look(), alone(look()), None, 0.0)
    assert np.isnan(choice.confidence).all()
    assert np.isnan(choice.expected_similarity).all()


def test_a_later_choice_counts_for_those_who_were_seen_then(believing: Calibration) -> None:
    first, at = judge(look(), alone(look()), believing, 0.0), look(seen=[True, False, True, True])
    before = first.keypoints.copy()
    later = judge(at.of(np.array([3, 1])), Company(NOTHING), believing, -1.0)
    first.take(later)
    assert np.array_equal(first.keypoints[:3], before[:3])
    assert np.array_equal(first.keypoints[3], at.evidence.keypoints[3])
    assert (first.confidence[3], first.expected_similarity[3].tolist()) == (
        pytest.approx(0.9),
        pytest.approx(at.evidence.similarity[3].tolist()),
    )
