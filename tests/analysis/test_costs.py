"""What repairs are worth, against the evaluator run by hand on the repaired poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.analysis import ErrorAnalysis, analyze
from posefix.analysis.costs import RECALLS, THRESHOLDS, Stage
from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.statuses import repaired_places, true_places, with_places
from posefix.evaluation import evaluate_coco
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose_errors.taxonomy import Status

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Scene = tuple[Annotations, Poses]
ALONE = ("miss", "swap", "inversion", "jitter", "places", "scores", "background", "not found")
HALF = 51 / 101
"""Share of the recalls 0, .01, ... 1 that half of the people reach."""


def stage(analysis: ErrorAnalysis, name: str) -> Stage:
    return next(stage for stage in analysis.costs.alone if stage.name == name)


def test_perfect_results_are_all_good_at_an_ap_of_one(
    random_scene: Callable[[int], Scene], find: Find
) -> None:
    truth, _ = random_scene(0)
    analysis = analyze(find(truth.people.keypoints, truth.people.image_ids), truth)
    assert analysis.overall.frequencies.tolist() == [[1, 0, 0, 0, 0]]
    assert [stage.name for stage in analysis.costs.stages] == ["input", *ALONE]
    assert all(stage.ap == pytest.approx(1.0) for stage in (*analysis.costs.stages, *analysis.costs.alone))


@pytest.fixture
def half(annotate: Annotate, find: Find, line: np.ndarray) -> ErrorAnalysis:
    """Two people, one found perfectly, and a pose on nobody that has the higher score."""
    truth = annotate(np.stack([line, line]), (1, 2))
    return analyze(find(np.stack([line, line + 5000]), (1, 2), scores=(0.8, 0.9)), truth)


def test_scores_and_background_by_hand(half: ErrorAnalysis) -> None:
    assert half.costs.input.ap == pytest.approx(HALF / 2)  # precision 1/2 up to a recall of 1/2
    assert stage(half, "scores").ap == pytest.approx(HALF)
    assert stage(half, "background").ap == pytest.approx(HALF)
    assert stage(half, "not found").ap == pytest.approx(0.5)  # precision 1/2 up to a recall of 1
    assert [stage.ap for stage in half.costs.stages] == pytest.approx([HALF / 2] * 6 + [HALF, HALF, 1.0])


def test_precision_is_kept_at_each_threshold_and_recall(half: ErrorAnalysis) -> None:
    precision = half.costs.input.precision
    assert precision.shape == (len(THRESHOLDS), len(RECALLS)) == (10, 101)
    assert (precision[:, :51] == 0.5).all()
    assert (precision[:, 51:] == 0).all()
    assert half.costs.input.ap_by_threshold.tolist() == pytest.approx([HALF / 2] * 10)
    assert (half.costs.input.ap50, half.costs.input.ap75) == pytest.approx((HALF / 2, HALF / 2))


def test_a_jitter_everywhere_costs_what_lies_above_its_repair(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    offset = np.array([0.0, 4.5])  # KS .66 for the eyes, all others nearer to 1
    analysis = analyze(find((line + offset)[None], (1,)), annotate(line[None], (1,)))
    eyes = analysis.keypoints.counts[1:3]
    assert eyes[:, Status.JITTER].tolist() == [1, 1]
    # Two of 17 keypoints rise from KS .66 to .85.
    before, after = (
        analysis.found.oks[0],
        analysis.found.oks[0] + 2 * (0.85 - analysis.found.similarity[0, 1]) / 17,
    )
    assert analysis.costs.input.ap == pytest.approx((before >= THRESHOLDS).mean())
    nose_too = analysis.found.statuses[0, 0] == Status.JITTER
    gained = (0.85 - analysis.found.similarity[0, 0]) / 17 if nose_too else 0.0
    assert stage(analysis, "jitter").ap == pytest.approx((after + gained >= THRESHOLDS).mean())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_stage_is_what_the_evaluator_says(random_scene: Callable[[int], Scene], seed: int) -> None:
    truth, poses = random_scene(seed)
    analysis = analyze(poses, truth)
    shared, found = GroundTruth.of(poses, truth).shared, analysis.found
    assert analysis.costs.input.ap == pytest.approx(evaluate_coco(poses, truth).ap, abs=1e-12)
    for error in (Status.MISS, Status.JITTER):
        repaired = with_places(poses, found, shared, repaired_places(found, (error,)))
        assert stage(analysis, error.label).ap == pytest.approx(evaluate_coco(repaired, truth).ap, abs=1e-12)
    everything = with_places(poses, found, shared, true_places(found))
    assert stage(analysis, "places").ap == pytest.approx(evaluate_coco(everything, truth).ap, abs=1e-12)
    assert [stage.name for stage in analysis.costs.alone] == list(ALONE)
    assert analysis.costs.stages[-1].ap == pytest.approx(1.0)


def test_perfect_localisation_is_the_truth_in_place_of_the_poses_that_show_somebody(
    random_scene: Callable[[int], Scene],
) -> None:
    truth, poses = random_scene(3)
    analysis = analyze(poses, truth)
    keypoints = poses.keypoints.copy()
    keypoints[analysis.pairing.poses] = truth.people.keypoints[analysis.pairing.people]
    expected = evaluate_coco(replace(poses, keypoints=keypoints), truth).ap
    assert stage(analysis, "places").ap == pytest.approx(expected)


def test_progress_counts_to_the_end(random_scene: Callable[[int], Scene]) -> None:
    truth, poses = random_scene(1)
    steps: list[tuple[int, int]] = []
    analyze(poses, truth, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(number, 15) for number in range(1, 16)]


def test_all_numbers_are_kept(half: ErrorAnalysis) -> None:
    kept = half.costs.as_dict()
    assert kept["thresholds"] == THRESHOLDS.tolist()
    assert [stage["name"] for stage in kept["stages"]] == ["input", *ALONE]  # type: ignore[attr-defined]
    assert str(half.costs.input) == "input: AP 25.2, AP50 25.2, AP75 25.2"
