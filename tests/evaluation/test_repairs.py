"""Which errors a change of places mends, and which it makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.evaluation import Repairs, count_repairs
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose.similarity import distance_at
from posefix.pose_errors.taxonomy import Status
from posefix.skeletons import load_skeleton

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Scene = tuple[Annotations, Poses]

COCO = load_skeleton("coco17")
NOSE, LEFT_HIP, RIGHT_HIP, LEFT_KNEE = (
    COCO.index(name) for name in ("nose", "left_hip", "right_hip", "left_knee")
)
LINE = np.stack([np.arange(17) * 100.0, np.zeros(17)], axis=-1)
AREA = 10_000.0
NEIGHBOUR = np.array([0.0, 400.0])
FAR = np.array([9000.0, 9000.0])


@pytest.fixture
def scene(annotate: Annotate, find: Find) -> Scene:
    """Two people in one photo and their true poses; a crowd and an unlabelled person stand before them in the file."""
    keypoints = np.stack([LINE, LINE, LINE, LINE + NEIGHBOUR])
    labelled = np.ones((4, 17), bool)
    labelled[1] = False
    truth = annotate(keypoints, (1, 1, 1, 1), COCO, area=AREA, labelled=labelled, is_crowd=(0,))
    return truth, find(keypoints[2:], (1, 1), COCO)


def moved(poses: Poses, places: dict[int, np.ndarray]) -> Poses:
    """The poses with some keypoints of the first one at other places."""
    keypoints = poses.keypoints.copy()
    for keypoint, place in places.items():
        keypoints[0, keypoint] = place
    return poses.with_keypoints(keypoints)


def without(poses: Poses, *keypoints: int) -> Poses:
    """The poses without some keypoints of the first one."""
    valid = poses.valid.copy()
    valid[0, list(keypoints)] = False
    return poses.with_keypoints(poses.keypoints, valid)


def test_repairs_are_counted_by_the_error_that_was(scene: Scene) -> None:
    truth, poses = scene
    before = moved(
        poses, {LEFT_HIP: LINE[RIGHT_HIP], LEFT_KNEE: LINE[LEFT_KNEE] + NEIGHBOUR, NOSE: FAR, RIGHT_HIP: FAR}
    )
    repairs = count_repairs(before, poses, truth)
    assert repairs.repaired_by_error == {Status.INVERSION: 1, Status.SWAP: 1, Status.MISS: 2}
    assert (repairs.people, repairs.repaired, repairs.broken) == (2, 4, 0)
    assert repairs.counts[Status.GOOD, Status.GOOD] == 30
    assert repairs.counts.sum() == 34


def test_breaks_are_counted_by_the_error_that_is(scene: Scene) -> None:
    truth, poses = scene
    repairs = count_repairs(poses, moved(poses, {LEFT_HIP: LINE[RIGHT_HIP], NOSE: FAR}), truth)
    assert repairs.broken_by_error == {Status.INVERSION: 1, Status.SWAP: 0, Status.MISS: 1}
    assert (repairs.repaired, repairs.broken) == (0, 2)


def test_good_to_jitter_breaks_nothing_and_one_error_for_another_repairs_nothing(scene: Scene) -> None:
    truth, poses = scene
    near = LINE[NOSE] + [float(distance_at(0.6, np.array(AREA), COCO.sigmas[NOSE])), 0]
    repairs = count_repairs(
        moved(poses, {LEFT_HIP: FAR}), moved(poses, {NOSE: near, LEFT_HIP: LINE[RIGHT_HIP]}), truth
    )
    assert repairs.counts[Status.GOOD, Status.JITTER] == 1
    assert repairs.counts[Status.MISS, Status.INVERSION] == 1
    assert (repairs.repaired, repairs.broken) == (0, 0)


def test_missing_keypoints_are_counted_apart(scene: Scene) -> None:
    truth, poses = scene
    before = without(poses, NOSE, LEFT_HIP, LEFT_KNEE)
    repairs = count_repairs(before, without(moved(poses, {LEFT_HIP: FAR}), LEFT_KNEE), truth)
    assert (repairs.filled_right, repairs.filled_wrong, repairs.still_missing) == (1, 1, 1)
    assert repairs.counts.sum() == 31


def test_a_keypoint_that_got_lost_is_a_miss(scene: Scene) -> None:
    truth, poses = scene
    assert count_repairs(poses, without(poses, NOSE), truth).broken_by_error[Status.MISS] == 1


def test_the_pairs_are_those_of_the_poses_before(scene: Scene) -> None:
    truth, poses = scene
    exchanged = poses.with_keypoints(poses.keypoints[::-1])
    assert count_repairs(poses, exchanged, truth).broken_by_error[Status.SWAP] == 34
    assert count_repairs(exchanged, exchanged, truth).counts[Status.GOOD, Status.GOOD] == 34


def test_keypoints_that_the_annotations_lack_do_not_count(annotate: Annotate, find: Find) -> None:
    lsp = load_skeleton("lsp14")
    places = np.random.default_rng(0).uniform(0, 900, (1, 14, 2))
    keypoints = np.zeros((1, 17, 2))
    shared = [name for name in lsp.keypoint_names if name in COCO.keypoint_names]
    for name in shared:
        keypoints[0, COCO.index(name)] = places[0, lsp.index(name)]
    poses = find(keypoints, (1,), COCO)
    repairs = count_repairs(poses, moved(poses, {NOSE: FAR}), annotate(places, (1,), lsp))
    assert repairs.counts[Status.GOOD, Status.GOOD] == repairs.counts.sum() == len(shared)


def test_nobody_found_is_nothing_repaired(scene: Scene) -> None:
    truth, poses = scene
    assert count_repairs(poses[:0], poses[:0], truth).people == 0


def test_other_rows_are_refused(scene: Scene) -> None:
    truth, poses = scene
    with pytest.raises(InputError, match="must be the same people in the same order and layout"):
        count_repairs(poses, poses[:1], truth)


def test_numbers_are_shown_and_kept() -> None:
    counts = np.zeros((5, 5), dtype=np.int64)
    counts[Status.GOOD, Status.MISS], counts[Status.SWAP, Status.JITTER] = 3, 2
    repairs = Repairs(7, counts, 4, 5, 6)
    assert str(repairs) == (
        "7 people: 2 keypoints repaired (inversion 0, swap 2, miss 0), 3 broken (inversion 0, swap 0, miss 3); of the "
        "missing ones filled 4 rightly, 5 wrongly, 6 not"
    )
    kept = repairs.as_dict()
    assert kept["statuses"] == ["good", "jitter", "inversion", "swap", "miss"]
    assert kept["counts"] == counts.tolist()
    assert kept["broken_by_error"] == {"inversion": 0, "swap": 0, "miss": 3}
    assert (kept["repaired"], kept["broken"], kept["still_missing"]) == (2, 3, 6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_way_back_breaks_what_the_way_there_repaired(annotate: Annotate, find: Find, seed: int) -> None:
    generator = np.random.default_rng(seed)
    ids = tuple(range(5))  # one person a photo: the pairs are the same whichever side they are made with
    keypoints = generator.uniform(0, 300, (5, 17, 2))
    truth = annotate(keypoints, ids, COCO, area=AREA)
    before, after = (find(keypoints + generator.normal(0, 20, keypoints.shape), ids, COCO) for _ in range(2))
    there, back = count_repairs(before, after, truth), count_repairs(after, before, truth)
    np.testing.assert_array_equal(there.counts, back.counts.T)
    assert (there.repaired_by_error, there.broken_by_error) == (back.broken_by_error, back.repaired_by_error)
    assert there.counts.sum() == 85
