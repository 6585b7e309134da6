"""Who is helped, harmed and handed over, on people whose OKS is known by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.evaluation import count_people_changes
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.skeletons import load_skeleton

Scene = tuple[Annotations, Poses]
COCO = load_skeleton("coco17")
LINE = np.stack([np.arange(17) * 100.0, np.zeros(17)], axis=-1)
NEIGHBOUR = np.array([0.0, 400.0])
FAR = np.array([9000.0, 9000.0])


@pytest.fixture
def scene(annotate: Callable[..., Annotations], find: Callable[..., Poses]) -> Scene:
    """Three people in one photo and their true poses."""
    keypoints = np.stack([LINE, LINE + NEIGHBOUR, LINE + 3 * NEIGHBOUR])
    truth = annotate(keypoints, (1, 1, 1), COCO, area=10_000.0, labelled=np.ones((3, 17), bool))
    return truth, find(keypoints, (1, 1, 1), COCO)


def with_wrong(poses: Poses, wrong: dict[int, int], by: np.ndarray = FAR) -> Poses:
    """The poses with so many keypoints of some rows moved away."""
    keypoints = poses.keypoints.copy()
    for row, count in wrong.items():
        keypoints[row, :count] += by
    return poses.with_keypoints(keypoints)


def test_people_are_better_and_worse_by_the_change_of_their_oks(scene: Scene) -> None:
    truth, poses = scene
    before, after = with_wrong(poses, {0: 8, 1: 3}), with_wrong(poses, {0: 0, 1: 3, 2: 3})
    changes = count_people_changes(before, after, truth)
    # The OKS of row 0 goes from 9/17 to 1, that of row 2 from 1 to 14/17, which is still above .7.
    assert (changes.better, changes.much_better, changes.worse, changes.much_worse) == (1, 1, 1, 0)
    assert (changes.people, changes.good, changes.broken, changes.handed_over) == (3, 2, 0, 0)


def test_a_good_pose_that_falls_below_the_mark_is_broken(scene: Scene) -> None:
    truth, poses = scene
    changes = count_people_changes(poses, with_wrong(poses, {1: 8}), truth)
    assert (changes.good, changes.broken, changes.much_worse, changes.handed_over) == (3, 1, 1, 0)


def test_a_pose_on_another_body_is_handed_over(scene: Scene) -> None:
    truth, poses = scene
    changes = count_people_changes(poses, with_wrong(poses, {0: 12}, NEIGHBOUR), truth)
    assert (changes.handed_over, changes.much_worse) == (1, 1)
    back = count_people_changes(with_wrong(poses, {0: 8}, NEIGHBOUR), poses, truth)
    assert (back.handed_over, back.much_better) == (0, 1)


def test_the_same_poses_change_nobody(scene: Scene) -> None:
    truth, poses = scene
    changes = count_people_changes(poses, poses, truth)
    assert changes.as_dict() == {
        "people": 3, "better": 0, "much_better": 0, "worse": 0, "much_worse": 0, "handed_over": 0, "good": 3,
        "broken": 0,
    }  # fmt: skip
    assert str(changes).startswith("3 people: 0 better by 0.1 OKS, 0 worse (0 by 0.3)")


def test_other_rows_are_refused(scene: Scene) -> None:
    truth, poses = scene
    with pytest.raises(InputError, match="same people"):
        count_people_changes(poses, poses[[0, 1]], truth)
