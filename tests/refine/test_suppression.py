"""Suppression of poses that describe one person."""

from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.pose.poses import Poses
from posefix.refine.suppression import oks_nms
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
BODY = np.random.default_rng(0).uniform(0, 100, (17, 2))


def poses(
    offsets: list[float], scores: list[float], image_ids: tuple[int, ...] = (), **options: Any
) -> Poses:
    """The same body, shifted to the right."""
    count = len(offsets)
    fields = {
        "keypoints": BODY + np.array(offsets)[:, None, None] * [1, 0],
        "scores": np.ones((count, 17)),
        "valid": np.ones((count, 17), bool),
        "image_ids": image_ids or (1,) * count,
        "pose_scores": np.array(scores),
        "skeleton": COCO,
    }
    return Poses(**{**fields, **options})


def test_the_better_of_two_alike_is_kept() -> None:
    assert oks_nms(poses([0, 1, 200], [0.5, 0.9, 0.1])).tolist() == [1, 2]


def test_of_equal_scores_the_first_is_kept() -> None:
    assert oks_nms(poses([0, 1], [0.5, 0.5])).tolist() == [0]


def test_photos_do_not_mix() -> None:
    assert oks_nms(poses([0, 0, 0], [0.5, 0.9, 0.7], image_ids=(1, 2, 1))).tolist() == [1, 2]


def test_a_suppressed_pose_suppresses_nothing() -> None:
    # Neighbours resemble each other, the outer two do not.
    assert oks_nms(poses([0, 4, 8], [0.9, 0.8, 0.7]), 0.9).tolist() == [0, 2]


def test_the_threshold_decides() -> None:
    pair = poses([0, 8], [0.9, 0.8])
    assert oks_nms(pair, 0.95).tolist() == [0, 1]
    assert oks_nms(pair, 0.3).tolist() == [0]


def test_nobody_and_people_without_keypoints_are_no_trouble() -> None:
    assert oks_nms(poses([], [], keypoints=np.zeros((0, 17, 2)))).tolist() == []
    assert oks_nms(poses([0, 0], [1, 1], valid=np.zeros((2, 17), bool))).tolist() == [0, 1]


def test_people_of_a_single_keypoint_are_compared(recwarn: pytest.WarningsRecorder) -> None:
    valid = np.zeros((3, 17), bool)
    valid[:, 0] = True
    assert oks_nms(poses([0, 0, 400], [1, 1, 1], valid=valid)).tolist() == [0, 2]
    assert not recwarn.list


def test_a_skeleton_without_sigmas_is_an_error() -> None:
    skeleton = load_skeleton("blazepose33")
    nobody = Poses(
        np.zeros((0, 33, 2)), np.zeros((0, 33)), np.zeros((0, 33), bool), (), np.zeros(0), skeleton
    )
    with pytest.raises(InputError, match="no sigma is known"):
        oks_nms(nobody)


def test_where_a_missing_keypoint_once_lay_decides_nothing() -> None:
    pair = poses([0, 0], [0.9, 0.8])
    valid, nowhere = pair.valid.copy(), pair.keypoints.copy()
    valid[1, 5:], nowhere[1, 5:] = False, 0
    for keypoints in (pair.keypoints, nowhere):
        assert oks_nms(pair.with_keypoints(keypoints, valid=valid)).tolist() == [0, 1]
