"""Poses on top of each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from posefix.evaluation import collapsed_pairs
from posefix.pose.poses import Poses
from posefix.pose.similarity import distance_at
from posefix.skeletons import load_skeleton

Find = Callable[..., Poses]

COCO = load_skeleton("coco17")
PERSON = np.random.default_rng(0).uniform(0, 100, (17, 2)) * [1.0, 2.0]


def poses_of(find: Find, *people: np.ndarray, ids: tuple[int | str, ...] | None = None) -> Poses:
    return find(np.stack(people), ids or (1,) * len(people), COCO)


def test_every_pair_in_one_photo_counts(find: Find) -> None:
    assert collapsed_pairs(poses_of(find, PERSON, PERSON)) == 1
    assert collapsed_pairs(poses_of(find, PERSON, PERSON + 0.1, PERSON)) == 3
    assert collapsed_pairs(poses_of(find, PERSON, PERSON + np.array([100, 0]))) == 0
    assert collapsed_pairs(poses_of(find, PERSON)) == 0


def test_photos_do_not_mix(find: Find) -> None:
    assert collapsed_pairs(poses_of(find, PERSON, PERSON, PERSON, ids=(1, "1", 1))) == 1


def test_no_poses_have_no_pairs(find: Find) -> None:
    assert collapsed_pairs(poses_of(find, PERSON)[:0]) == 0


@pytest.mark.parametrize(("similarity", "expected"), [(0.71, 1), (0.69, 0)])
def test_the_threshold_is_an_oks_with_the_box_s_area(find: Find, similarity: float, expected: int) -> None:
    area = 0.53 * np.ptp(PERSON, axis=0).prod()
    offset = np.zeros((17, 2))
    offset[:, 0] = distance_at(similarity, np.array(area), COCO.sigmas)
    assert collapsed_pairs(poses_of(find, PERSON, PERSON + offset)) == expected
    assert collapsed_pairs(poses_of(find, PERSON, PERSON + offset), threshold=0.5) == 1


def test_the_smaller_pose_measures_so_that_order_does_not_matter(find: Find) -> None:
    centre = PERSON.mean(axis=0)
    small = centre + (PERSON - centre) * 0.4
    assert (
        collapsed_pairs(poses_of(find, PERSON, small)) == collapsed_pairs(poses_of(find, small, PERSON)) == 0
    )


def test_only_keypoints_of_both_count(find: Find) -> None:
    other = PERSON.copy()
    other[::2] += 500
    poses = poses_of(find, PERSON, other)
    assert collapsed_pairs(poses) == 0
    valid = np.ones((2, 17), bool)
    valid[0, ::2] = False
    assert collapsed_pairs(poses.with_keypoints(poses.keypoints, valid)) == 1
    valid[1, 1::2] = False  # nothing in common
    assert collapsed_pairs(poses.with_keypoints(poses.keypoints, valid)) == 0


def test_keypoints_without_a_sigma_are_left_out(find: Find) -> None:
    blazepose = load_skeleton("blazepose33")
    places = np.random.default_rng(0).uniform(0, 200, (33, 2))
    poses = find(np.stack([places, places]), (1, 1), blazepose)
    assert collapsed_pairs(poses) == 1
