"""Calibration, ranking and Brier score: values by hand, and what must hold for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.evaluation import Confidence, measure_confidence
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose.similarity import distance_at
from posefix.skeletons import Keypoint, Skeleton

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Floats = npt.NDArray[np.float64]

AREA, SIGMA = 10_000.0, 0.05
POINT = Skeleton("point", (Keypoint("point", SIGMA, "a point"),), (), ())


@pytest.fixture(scope="session")
def scene(annotate: Annotate, find: Find) -> Callable[..., tuple[Poses, Annotations]]:
    """Called with the KS and score of N keypoints; gives as many photos with one person of one keypoint."""

    def make(similarity: Sequence[float], scores: Sequence[float]) -> tuple[Poses, Annotations]:
        ids = tuple(range(len(similarity)))
        places = np.zeros((len(ids), 1, 2))
        places[:, 0, 0] = [float(distance_at(value, np.array(AREA), SIGMA)) for value in similarity]
        poses = replace(find(places, ids, POINT), scores=np.reshape(scores, (-1, 1)))
        return poses, annotate(np.zeros((len(ids), 1, 2)), ids, POINT, area=AREA)

    return make


Scene = Callable[[Sequence[float], Sequence[float]], tuple[Poses, Annotations]]


def measure(
    scene: Scene, right: Sequence[bool] | npt.NDArray[np.bool_], scores: Sequence[float] | Floats
) -> Confidence:
    return measure_confidence(*scene([1.0 if hit else 0.1 for hit in right], list(scores)))


def test_values_by_hand(scene: Scene) -> None:
    measured = measure(scene, [True, False, True, False], [0.9, 0.8, 0.3, 0.1])
    assert (measured.keypoints, measured.base_rate) == (4, 0.5)
    assert measured.brier == pytest.approx((0.01 + 0.64 + 0.49 + 0.01) / 4)
    assert measured.base_rate_brier == pytest.approx(0.25)
    assert measured.auroc == pytest.approx(
        3 / 4
    )  # of the four pairs only .3 and .8 stand the wrong way round
    assert measured.calibration_error == pytest.approx((0.1 + 0.8 + 0.7 + 0.1) / 4)


def test_scores_of_one_bin_are_averaged_before_they_are_compared(scene: Scene) -> None:
    measured = measure(
        scene, [True, False, True], [0.61, 0.65, 1.0]
    )  # a bin from .6 to .667, and the last one
    assert [(item.low, item.count) for item in measured.bins] == [(9 / 15, 2), (14 / 15, 1)]
    assert measured.bins[0].mean_score == pytest.approx(0.63)
    assert measured.bins[0].share_right == 0.5
    assert measured.bins[1].high == 1
    assert measured.calibration_error == pytest.approx((2 * 0.13 + 0) / 3)


def test_ties_count_half(scene: Scene) -> None:
    assert measure(scene, [True, False, False], [0.5, 0.5, 0.2]).auroc == pytest.approx(1.5 / 2)


def test_right_is_above_half_a_similarity(scene: Scene) -> None:
    poses, truth = scene([0.501, 0.499], [1.0, 0.0])
    measured = measure_confidence(poses, truth)
    assert (measured.base_rate, measured.brier) == (0.5, 0)


def test_without_both_outcomes_there_is_no_ranking(scene: Scene) -> None:
    assert measure(scene, [True, True], [0.5, 0.6]).auroc is None
    assert measure(scene, [False, False], [0.5, 0.6]).auroc is None


def test_pose_scores_are_compared_with_oks(scene: Scene) -> None:
    poses, truth = scene([0.2, 0.6, 0.4], [0.5, 0.5, 0.5])
    measured = measure_confidence(replace(poses, pose_scores=np.array([0.1, 0.2, 0.3])), truth)
    assert measured.people == 3
    assert measured.correlation == pytest.approx(0.5)  # .02 / sqrt(.02 x .08)
    assert measured.oks_error == pytest.approx((0.1 + 0.4 + 0.1) / 3)
    assert measure_confidence(poses, truth).correlation is None  # all pose scores are 1


def test_other_scores_may_be_given_and_nan_is_left_out(scene: Scene) -> None:
    poses, truth = scene([1.0, 0.1, 0.1], [7.0, 7.0, 7.0])
    confidence, expected = np.array([[0.9], [np.nan], [0.2]]), np.array([0.9, 0.3, np.nan])
    measured = measure_confidence(poses, truth, confidence=confidence, expected_oks=expected)
    assert (measured.keypoints, measured.people) == (2, 2)
    assert measured.brier == pytest.approx((0.01 + 0.04) / 2)
    assert measured.oks_error == pytest.approx((0.1 + 0.2) / 2)
    nobody = measure_confidence(poses, truth, confidence=confidence, expected_oks=np.full(3, np.nan))
    assert (nobody.people, nobody.correlation, nobody.oks_error) == (0, None, None)


def test_missing_and_unlabelled_keypoints_are_left_out(annotate: Annotate, find: Find) -> None:
    three = Skeleton("three", tuple(Keypoint(name, SIGMA, name) for name in "abc"), (), ())
    truth = annotate(np.zeros((1, 3, 2)), (1,), three, labelled=np.array([[True, True, False]]))
    poses = find(np.zeros((1, 3, 2)), (1,), three)
    poses = poses.with_keypoints(
        poses.keypoints, np.array([[True, False, True]]), np.array([[0.7, 9.0, 0.1]])
    )
    measured = measure_confidence(poses, truth)
    assert measured.keypoints == 1
    assert measured.brier == pytest.approx(0.09)


def test_scores_that_are_no_probabilities_are_refused(scene: Scene) -> None:
    poses, truth = scene([1.0], [1.065])
    with pytest.raises(
        InputError, match=r"keypoint scores: .* got 1.065: these scores are not probabilities"
    ):
        measure_confidence(poses, truth)
    with pytest.raises(InputError, match=r"pose scores: .* got -0.5: these scores are not probabilities"):
        measure_confidence(*scene([1.0], [1.0]), expected_oks=np.array([-0.5]))
    with pytest.raises(InputError, match=r"keypoint scores: expected shape \(1, 1\), got \(2, 1\)"):
        measure_confidence(poses, truth, confidence=np.ones((2, 1)))


def test_nothing_to_measure_is_refused(scene: Scene) -> None:
    poses, truth = scene([1.0], [1.0])
    with pytest.raises(
        InputError, match=r"truth.json: expected scores of keypoints that are labelled, got none"
    ):
        measure_confidence(poses, truth, confidence=np.full((1, 1), np.nan))


def test_numbers_are_shown_and_kept(scene: Scene) -> None:
    measured = measure(scene, [True, False, True, False], [0.9, 0.8, 0.2, 0.1])
    assert str(measured) == (
        "4 keypoints, 50.0 % right: calibration error 0.450, AUROC 0.750, Brier score 0.325 (base rate's 0.250); "
        "4 people: correlation with OKS -, mean error 0.450"
    )
    kept = measured.as_dict()
    assert kept["auroc"] == 0.75
    assert kept["bins"][0] == {  # type: ignore[index]  # values of several kinds
        "low": 1 / 15, "high": 2 / 15, "count": 1, "mean_score": 0.1, "share_right": 0.0,
    }  # fmt: skip


def test_calibrated_scores_have_next_to_no_error(scene: Scene) -> None:
    generator = np.random.default_rng(0)
    scores = generator.random(6000)
    calibrated = measure(scene, generator.random(6000) < scores, scores)
    assert calibrated.calibration_error < 0.03
    assert calibrated.brier == pytest.approx(1 / 6, abs=0.01)  # the mean of p (1 - p)
    assert calibrated.auroc == pytest.approx(5 / 6, abs=0.01)
    overconfident = measure(scene, generator.random(6000) < scores, np.sqrt(scores))
    assert overconfident.calibration_error == pytest.approx(1 / 6, abs=0.02)  # the mean of sqrt(p) - p


outcomes = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=2, max_size=20
)


@settings(max_examples=50, deadline=None)
@given(outcomes)
def test_ranking_is_that_of_all_pairs(scene: Scene, cases: list[tuple[bool, float]]) -> None:
    right, wrong = ([score for hit, score in cases if hit is side] for side in (True, False))
    auroc = measure(scene, [hit for hit, _ in cases], [score for _, score in cases]).auroc
    if not right or not wrong:
        assert auroc is None
    else:
        assert auroc == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a in right for b in wrong]))


@settings(max_examples=50, deadline=None)
@given(outcomes)
def test_bins_hold_everything_and_agree_with_the_scores(
    scene: Scene, cases: list[tuple[bool, float]]
) -> None:
    measured = measure(scene, [hit for hit, _ in cases], [score for _, score in cases])
    assert sum(item.count for item in measured.bins) == len(cases)
    assert all(item.low - 1e-9 <= item.mean_score <= item.high + 1e-9 for item in measured.bins)
    # Jensen: the mean difference of the bins is at most the root of the mean squared one.
    assert measured.calibration_error**2 <= measured.brier + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=20), st.floats(0, 1))
def test_one_score_for_all_ranks_nothing(scene: Scene, right: list[bool], score: float) -> None:
    measured = measure(scene, right, [score] * len(right))
    assert measured.auroc == (0.5 if len(set(right)) == 2 else None)
    assert measured.calibration_error == pytest.approx(abs(score - np.mean(right)))
