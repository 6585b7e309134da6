"""Groups of keypoints and of people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.analysis import analyze
from posefix.analysis.breakdowns import Breakdown, PeopleBreakdown, keypoint_group
from posefix.analysis.costs import select_people
from posefix.evaluation import evaluate_coco
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose_errors.taxonomy import Status
from posefix.skeletons import load_skeleton

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Scene = tuple[Annotations, Poses]
COCO = load_skeleton("coco17")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("nose", "head"),
        ("left_eye_inner", "head"),
        ("mouth_right", "head"),
        ("head_top", "head"),
        ("neck", "neck"),
        ("right_shoulder", "shoulder"),
        ("left_big_toe", "big_toe"),
        ("left", "left"),
    ],
)
def test_left_and_right_are_one_group_and_so_is_the_head(name: str, group: str) -> None:
    assert keypoint_group(name) == group


def test_statuses_are_counted_by_keypoint_group_and_visibility(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    visibility = np.full((1, 17), 2, np.int8)
    visibility[0, :3] = 1
    keypoints = line.copy()
    keypoints[[0, COCO.index("left_hip")]] = 9000.0
    keypoints[COCO.index("left_knee")] = line[COCO.index("right_knee")]
    analysis = analyze(find(keypoints[None], (1,)), annotate(line[None], (1,), visibility=visibility))
    groups = dict(zip(analysis.groups.labels, analysis.groups.counts.tolist(), strict=True))
    assert list(groups) == ["head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"]
    assert (groups["head"], groups["hip"], groups["knee"]) == (
        [4, 0, 0, 0, 1],
        [1, 0, 0, 0, 1],
        [1, 0, 1, 0, 0],
    )
    assert analysis.keypoints.counts[COCO.index("left_knee")].tolist() == [0, 0, 1, 0, 0]
    assert analysis.visibility.labels == ("hidden", "visible")
    assert analysis.visibility.counts.tolist() == [[2, 0, 0, 0, 1], [12, 0, 1, 0, 1]]


def test_people_are_grouped_by_labels_overlap_and_size(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    tall = np.stack([line[:, 0], np.arange(17) * 20.0], axis=-1)
    keypoints = np.stack([tall, tall + 30, tall, tall])
    visibility = np.full((4, 17), 2, np.int8)
    visibility[0, 5:] = 0
    truth = annotate(
        keypoints, (1, 1, 2, 3), visibility=visibility, area=np.array([1023.0, 1024.0, 4e4, 1e4])
    )
    analysis = analyze(find(keypoints[:3], (1, 1, 2)), truth)
    assert analysis.labelled.labels == ("1-5", "16+")
    assert analysis.labelled.people.tolist() == [1, 3]
    assert analysis.labelled.found.tolist() == [1, 2]
    assert analysis.overlap.labels == ("0", "1-2")
    assert analysis.overlap.people.tolist() == [2, 2]
    assert analysis.size.labels == ("below 32 px", "32-64 px", "96-128 px", "128+ px")
    assert analysis.size.found.tolist() == [1, 1, 0, 1]
    assert analysis.size.oks.tolist() == pytest.approx([1, 1, 0, 1])
    assert analysis.size.ap.tolist() == pytest.approx([1, 1, 0, 1])
    assert analysis.size.counts[2].tolist() == [0, 0, 0, 0, 0]


def test_the_ap_of_a_group_is_that_of_its_people_and_their_poses(
    random_scene: Callable[[int], Scene],
) -> None:
    truth, poses = random_scene(5)
    analysis = analyze(poses, truth)
    people = truth.people
    small = np.flatnonzero((people.area < 64**2) & (people.area >= 32**2) & ~people.is_crowd)
    mine = np.isin(analysis.found.people, small)
    expected = evaluate_coco(poses[analysis.found.poses[mine]], select_people(truth, small)).ap
    number = analysis.size.labels.index("32-64 px")
    assert analysis.size.people[number] == len(small) > 0
    assert analysis.size.ap[number] == pytest.approx(expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_frequencies_sum_to_one_and_groups_to_all(random_scene: Callable[[int], Scene], seed: int) -> None:
    truth, poses = random_scene(seed)
    analysis = analyze(poses, truth)
    assert analysis.overall.frequencies.sum() == pytest.approx(1.0)
    total = int(analysis.found.labelled.sum())
    for breakdown in (analysis.groups, analysis.keypoints, analysis.visibility, *analysis.factors):
        assert breakdown.counts.sum() == total
        sums = breakdown.frequencies.sum(axis=1)
        assert np.isclose(sums, 1.0)[breakdown.counts.sum(axis=1) > 0].all()
    for factor in analysis.factors:
        assert factor.people.sum() == analysis.pairing.num_people
        assert factor.found.sum() == len(analysis.pairing)


def test_sensitivity_leaves_small_groups_out() -> None:
    counts = np.zeros((3, 5), np.int64)
    zeros = np.zeros(3)
    people, ap = np.array([20, 19, 500]), np.array([0.5, 0.1, 0.75])
    factor = PeopleBreakdown("size", ("a", "b", "c"), counts, people, people, zeros, ap)
    assert factor.sensitivity == pytest.approx(0.25)
    alone = PeopleBreakdown("size", ("a", "b", "c"), counts, np.array([20, 1, 2]), people, zeros, ap)
    assert alone.sensitivity is None


def test_numbers_are_kept() -> None:
    counts = np.array([[3, 1, 0, 0, 0]])
    assert Breakdown("all", ("all",), counts).as_dict() == {
        "name": "all",
        "groups": [{"label": "all", "good": 3, "jitter": 1, "inversion": 0, "swap": 0, "miss": 0}],
    }
    assert Breakdown("all", ("all",), counts).frequencies[0, Status.JITTER] == 0.25
