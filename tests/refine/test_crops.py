"""People in their crops."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from tests.refine.looks import COUNT, MISSING, SHAPE, people

from posefix.pose import geometry
from posefix.pose.poses import FloatArray, Poses
from posefix.refine.boxes import WholeBoxes
from posefix.refine.crops import CroppedPeople, crop_people
from posefix.refine.proportions import Proportions
from posefix.skeletons import Keypoint, load_skeleton


def test_agreement_is_the_mean_similarity_to_the_given_places() -> None:
    given = people()
    step = np.zeros((*SHAPE, 2))
    step[1, :, 0] = given.falloff[1]
    step[MISSING] = 1e6
    expected = np.ones(COUNT)
    expected[1] = math.exp(-1)
    np.testing.assert_allclose(given.agreement(given.keypoints + step), expected)


def test_agreement_among_all_poses_is_that_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    given = people()
    everybody = np.random.default_rng(0).uniform(0, 9, (COUNT + 3, *SHAPE[1:], 2))
    everybody[2 : COUNT + 2] += given.keypoints
    given = dataclasses.replace(given, rows=np.arange(2, COUNT + 2))
    monkeypatch.setattr(geometry, "POSES_AT_ONCE", 2)
    expected = given.agreement(everybody[2 : COUNT + 2])
    np.testing.assert_array_equal(given.agreement_among(everybody), expected)
    assert 0 < expected.min() < expected.max() < 1


COCO = load_skeleton("coco17")
SIZE = (192, 256)
STANDING = np.array(
    [
        (150, 60), (158, 52), (142, 52), (168, 58), (132, 58), (185, 100), (115, 100), (200, 150), (100, 150),
        (205, 195), (95, 195), (170, 200), (130, 200), (172, 270), (128, 270), (172, 340), (128, 340),
    ],
    dtype=np.float64,
)  # fmt: skip
BOX = np.array([[90.0, 40, 120, 310]])


def poses_with(*parts: range, turn: float = 0.0) -> Poses:
    """The standing person, turned by so many degrees, once for each part of the keypoints that was found."""
    angle = np.radians(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    valid = np.array([[number in part for number in range(len(COCO))] for part in parts])
    places = np.where(valid[..., None], STANDING @ matrix.T, 0.0)
    return Poses(places, valid.astype(float), valid, (1,) * len(parts), np.ones(len(parts)), COCO)


def shown(people: CroppedPeople, points: FloatArray) -> FloatArray:
    """Share of some points (K, 2) of the photo that each crop shows."""
    inside = geometry.transform(people.matrices, np.broadcast_to(points, (len(people.rows), *points.shape)))
    return np.asarray(((inside >= 0) & (inside <= np.array(SIZE) - 1)).all(axis=-1).mean(axis=1))


PARTS = (range(5), range(7), range(13), range(11, 17), range(5, 11))


def test_people_of_the_model_s_own_layout_are_not_copied_but_where_missing_keypoints_lie_somewhere() -> None:
    whole = poses_with(range(17), range(13))
    assert crop_people(whole, COCO, SIZE).keypoints is whole.keypoints
    somewhere = np.where(whole.valid[..., None], whole.keypoints, 7.0)
    shown = crop_people(whole.with_keypoints(somewhere), COCO, SIZE)
    np.testing.assert_array_equal(shown.keypoints, whole.keypoints)
    np.testing.assert_array_equal(shown.valid, whole.valid)


def test_crops_of_parts_hold_the_box_of_the_person() -> None:
    poses = poses_with(*PARTS)
    found = crop_people(poses, COCO, SIZE, WholeBoxes(np.repeat(BOX, len(PARTS), axis=0)))
    assert shown(found, STANDING).tolist() == [1.0] * len(PARTS)


def test_crops_of_parts_grow_by_the_proportions_of_people() -> None:
    face, *others = shown(crop_people(poses_with(*PARTS), COCO, SIZE), STANDING).tolist()
    assert face > 0.85  # this person's head is a small one
    assert others == [1.0] * len(others)
    # The way in which the parts that are there lie is that of those that are missing.
    lying = poses_with(range(13), range(5, 13), turn=90)
    matrix = np.array([[0, -1], [1, 0]])
    assert shown(crop_people(lying, COCO, SIZE), STANDING @ matrix.T).tolist() == [1.0, 1.0]


def test_crops_of_whole_people_stay_those_of_their_keypoints() -> None:
    whole = poses_with(range(17))
    plain = crop_people(whole, COCO, SIZE)
    beside = crop_people(whole, COCO, SIZE, WholeBoxes(np.add(BOX, [-50, -50, 100, 100])))
    np.testing.assert_array_equal(beside.matrices, plain.matrices)
    tight = geometry.box_from_keypoints(STANDING[None], np.ones((1, 17), dtype=bool))
    boxes = crop_people(whole, COCO, SIZE, geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR))
    np.testing.assert_allclose(boxes.matrices, plain.matrices)


def test_a_box_that_does_not_hold_the_keypoints_is_not_theirs() -> None:
    legs = poses_with(range(11, 17))
    beside = crop_people(legs, COCO, SIZE, WholeBoxes(np.add(BOX, [400, 0, 0, 0])))
    np.testing.assert_array_equal(beside.matrices, crop_people(legs, COCO, SIZE).matrices)


def test_who_has_one_keypoint_is_found_by_the_box() -> None:
    nose = poses_with(range(1), range(0))
    boxes = WholeBoxes(np.concatenate([BOX, BOX]))
    assert crop_people(nose, COCO, SIZE, boxes).usable.tolist() == [True, False]
    assert crop_people(nose, COCO, SIZE).usable.tolist() == [False, False]
    assert crop_people(nose, COCO, SIZE, WholeBoxes(np.full((2, 4), np.nan))).usable.tolist() == [
        False,
        False,
    ]


def test_keypoints_that_people_do_not_have_are_not_guessed() -> None:
    horse = load_skeleton("coco17").subset(["nose", "left_eye"])
    named = dataclasses.replace(
        horse, keypoints=(*horse.keypoints, Keypoint("hoof", 0.1, "")), limbs=(), flip_pairs=()
    )
    keypoints, valid = np.array([[[10.0, 10], [30, 10], [0, 0]]]), np.array([[True, True, False]])
    places, there = Proportions.of(named).fill(keypoints, valid)
    assert there.tolist() == valid.tolist()
    np.testing.assert_array_equal(places, keypoints)
