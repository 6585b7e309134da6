"""The best order of the scores, and how often the given one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.scoring import Scoring, count_scoring_errors, optimal_scores
from posefix.evaluation.matching import oks_tables
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Scene = tuple[Annotations, Poses]


def lower(places: np.ndarray, pixels: float) -> np.ndarray:
    return np.asarray(places + np.array([0.0, pixels]))


@pytest.mark.parametrize(("scores", "errors"), [((0.9, 0.3), 0), ((0.3, 0.9), 1), ((0.5, 0.5), 0)])
def test_a_scoring_error_is_a_better_pose_with_a_lower_score(
    annotate: Annotate, find: Find, line: np.ndarray, scores: tuple[float, float], errors: int
) -> None:
    poses = find(np.stack([line, lower(line, 5)]), (1, 1), scores=scores)
    truth = GroundTruth.of(poses, annotate(line[None], (1,)))
    assert count_scoring_errors(poses, truth) == Scoring(1, errors)
    assert optimal_scores(poses, truth)[0] == 1.0
    assert optimal_scores(poses, truth)[1] == 0.0


def test_poses_that_are_not_near_do_not_compete(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    poses = find(np.stack([line, lower(line, 30), lower(line, 900)]), (1, 1, 1), scores=(0.1, 0.8, 0.9))
    truth = GroundTruth.of(poses, annotate(line[None], (1,)))
    assert count_scoring_errors(poses, truth) == Scoring(0, 0)


def test_a_neighbour_s_own_pose_does_not_compete(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    people = np.stack([line, lower(line, 6)])
    poses = find(people, (1, 1), scores=(0.2, 0.9))
    truth = GroundTruth.of(poses, annotate(people, (1, 1)))
    assert count_scoring_errors(poses, truth).errors == 1  # for the first, the second's pose is near and free
    assert optimal_scores(poses, truth).tolist() == [1.0, 1.0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_assignment_is_the_best_of_all(random_scene: Callable[[int], Scene], seed: int) -> None:
    annotations, poses = random_scene(seed)
    truth = GroundTruth.of(poses, annotations)
    scores = optimal_scores(poses, truth)
    for rows, people, table in oks_tables(poses, annotations, truth.shared):
        if len(rows) <= 6 and len(people) <= 6:
            wide = table if len(rows) <= len(people) else table.T
            sums = [
                sum(wide[row, column] for row, column in enumerate(order))
                for order in permutations(range(wide.shape[1]), wide.shape[0])
            ]
            assert scores[rows].sum() == pytest.approx(max(sums, default=0.0))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_scores_in_photos_without_people_are_zero(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    poses = find(np.stack([line, line]), (1, 2))
    truth = GroundTruth.of(poses, annotate(line[None], (1,), more_images=(2,)))
    assert optimal_scores(replace(poses, pose_scores=np.array([0.1, 0.9])), truth).tolist() == [1.0, 0.0]


def test_the_sentence() -> None:
    assert str(Scoring(1, 0)) == (
        "1 person has several poses near; for 0 of them, the best is not the one of the highest score"
    )
    assert Scoring(2, 1).as_dict() == {"contested": 2, "errors": 1}
