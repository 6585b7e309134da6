"""Donors: who they are, where they come to stand, what is pasted, and that synthesis knows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from posefix.formats.coco_annotations import read_annotations
from posefix.people import build_records, find_photos
from posefix.pose import geometry
from posefix.pose_errors.taxonomy import LabelledPeople, Status, classify
from posefix.skeletons import load_skeleton
from posefix.training.crowding import (
    MINIMAL_KEYPOINTS,
    REACH,
    SIZE_RATIO,
    Donors,
    add_neighbours,
    body_mask,
    choose_donors,
    paste,
)

LSP = load_skeleton("lsp14")
# A standing person of about 60 x 190 pixels, by name.
STANDING = {
    "head_top": (50, 0), "neck": (50, 30), "left_shoulder": (65, 35), "right_shoulder": (35, 35),
    "left_elbow": (75, 65), "right_elbow": (25, 65), "left_wrist": (80, 95), "right_wrist": (20, 95),
    "left_hip": (60, 95), "right_hip": (40, 95), "left_knee": (60, 140), "right_knee": (40, 140),
    "left_ankle": (60, 190), "right_ankle": (40, 190),
}  # fmt: skip
POSE = np.array([STANDING[name] for name in LSP.keypoint_names], dtype=np.float32)
CROP = (110, 220)
OFFSET = np.array([5, 15])  # of the pose in the crop


def crowd(count: int) -> LabelledPeople:
    """People of several sizes at several places, each alone in the photo."""
    scale = np.linspace(0.5, 2, count, dtype=np.float32)
    shift = np.linspace([0, 300], [400, 10], count, dtype=np.float32)
    return LabelledPeople(
        keypoints=POSE[None] * scale[:, None, None] + shift[:, None],
        labelled=np.ones((count, len(LSP)), bool),
        area=6000 * scale**2,
        neighbour_keypoints=np.zeros((count, 0, len(LSP), 2), np.float32),
        neighbour_labelled=np.zeros((count, 0, len(LSP)), bool),
        neighbour_area=np.zeros((count, 0), np.float32),
        overlap=np.zeros(count, np.int64),
    )


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_rate_says_how_many_get_a_donor() -> None:
    people = crowd(2000)
    assert (choose_donors(people, 0.0, generator()).rows == -1).all()
    assert (choose_donors(people, 0.3, generator()).rows >= 0).mean() == pytest.approx(0.3, abs=0.05)
    everyone = choose_donors(people, 1.0, generator()).rows
    assert ((everyone >= 0) & (everyone != np.arange(2000))).all()
    assert len(set(everyone)) > 1000  # not the same few for everybody


def test_nobody_is_their_own_donor() -> None:
    assert choose_donors(crowd(1), 1.0, generator()).rows.tolist() == [-1]
    assert choose_donors(crowd(2), 1.0, generator()).rows.tolist() == [1, 0]


def test_a_donor_shows_enough_of_a_person() -> None:
    people = crowd(200)
    people.labelled[::2, MINIMAL_KEYPOINTS - 1 :] = False
    people.labelled[1::2, MINIMAL_KEYPOINTS:] = False
    rows = choose_donors(people, 1.0, generator()).rows
    assert set(rows[rows >= 0] % 2) == {1}


def test_a_donor_stands_near_and_is_about_as_large() -> None:
    people = crowd(500)
    donors = choose_donors(people, 1.0, generator())
    moved = geometry.transform(donors.matrices, people.keypoints[donors.rows].astype(np.float64))
    boxes = geometry.box_from_keypoints(people.keypoints.astype(np.float64), people.labelled)
    donor_boxes = geometry.box_from_keypoints(moved, people.labelled)
    away = (donor_boxes[:, :2] + donor_boxes[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2) / boxes[:, 2:]
    assert 0.2 <= abs(away[:, 0]).min() < 0.25
    assert REACH - 0.05 < abs(away[:, 0]).max() <= REACH
    assert REACH / 2 - 0.05 < abs(away[:, 1]).max() <= REACH / 2
    assert 0.4 < (away[:, 0] > 0).mean() < 0.6
    ratio = donor_boxes[:, 3] / boxes[:, 3]  # people of one shape: their heights compare as their sizes do
    assert (ratio >= 1 / SIZE_RATIO).all()
    assert (ratio <= SIZE_RATIO).all()
    assert ratio.max() > 1.3
    assert ratio.min() < 0.77
    assert 0.4 < donors.in_front.mean() < 0.6


def one_donor() -> Donors:
    """The second of three people beside the first, half as large, and nobody beside the others."""
    matrices = np.zeros((3, 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 0.5
    matrices[:, :, 2] = [70, -20]
    return Donors(np.array([1, -1, -1]), matrices, np.ones(3, bool))


def test_a_donor_becomes_a_neighbour() -> None:
    people = crowd(3)
    people.labelled[1, 4] = False
    joined = add_neighbours(people, one_donor())
    assert joined.neighbour_keypoints.shape == (3, 1, len(LSP), 2)
    np.testing.assert_allclose(joined.neighbour_keypoints[0, 0], people.keypoints[1] / 2 + [70, -20])
    np.testing.assert_array_equal(joined.neighbour_labelled[0, 0], people.labelled[1])
    assert joined.neighbour_area[0, 0] == pytest.approx(people.area[1] / 4)
    assert not joined.neighbour_labelled[1:].any()
    assert (joined.neighbour_area > 0).all()
    np.testing.assert_array_equal(joined.overlap, [1, 0, 0])
    assert {joined.keypoints.dtype, joined.neighbour_keypoints.dtype} == {np.dtype(np.float32)}


def test_a_keypoint_on_the_donor_is_a_swap() -> None:
    people = crowd(3)
    on_donor = people.keypoints.copy()
    on_donor[0] = people.keypoints[1] / 2 + [70, -20]
    assert (classify(on_donor, people, LSP)[0] != Status.SWAP).all()
    status = classify(on_donor, add_neighbours(people, one_donor()), LSP)
    assert (status[0] == Status.SWAP).mean() > 0.8
    assert (status[1:] == Status.GOOD).all()


def test_neighbours_of_the_photo_stay_beside_the_donor() -> None:
    people = crowd(3)
    joined = add_neighbours(add_neighbours(people, one_donor()), one_donor())
    assert joined.neighbour_keypoints.shape[1] == 2
    np.testing.assert_array_equal(joined.neighbour_keypoints[0, 0], joined.neighbour_keypoints[0, 1])
    np.testing.assert_array_equal(joined.overlap, [2, 0, 0])


def test_without_donors_nothing_is_added() -> None:
    people = crowd(3)
    assert add_neighbours(people, choose_donors(people, 0.0, generator())) is people


def test_pasting_blends_by_the_donor_and_under_the_person() -> None:
    crop, donor = np.full((1, 4, 3), 40, np.uint8), np.full((1, 4, 3), 240, np.uint8)
    donor_mask = np.array([[0, 0.5, 1, 1]], np.float32)
    person_mask = np.array([[0, 0, 1, 0.5]], np.float32)
    np.testing.assert_array_equal(paste(crop, donor, donor_mask, None)[0, :, 0], [40, 140, 240, 240])
    np.testing.assert_array_equal(paste(crop, donor, donor_mask, person_mask)[0, :, 0], [40, 140, 40, 140])
    # Darker than what it covers, too: differences of bytes must not wrap around.
    np.testing.assert_array_equal(paste(donor, crop, donor_mask, None)[0, :, 0], [240, 140, 40, 40])
    assert paste(crop, donor, donor_mask, None).dtype == np.uint8


def mask_of(labelled: np.ndarray, size: float = 77.5) -> np.ndarray:
    return body_mask(POSE.astype(np.float64) + OFFSET, labelled, size, LSP, CROP)


def at(mask: np.ndarray, *names: str) -> float:
    """The mask in the middle of some keypoints."""
    x, y = (np.mean([STANDING[name] for name in names], axis=0) + OFFSET).round().astype(int)
    return float(mask[y, x])


def test_the_mask_covers_the_body_and_not_the_background() -> None:
    mask = mask_of(np.ones(len(LSP), bool))
    assert mask.shape == CROP[::-1]
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    for limb in LSP.limbs:
        for ends in ((limb[0],), (limb[1],), limb):
            assert at(mask, *ends) > 0.5, ends
    assert at(mask, "left_shoulder", "right_shoulder", "left_hip", "right_hip") > 0.9
    assert mask[20, 85] < 0.1  # beside the head
    assert mask[165, 90] < 0.1  # below the left hand
    assert mask[:, 105:].max() == 0
    assert mask[:2, :2].max() == 0


def test_only_what_is_labelled_is_cut_out() -> None:
    labelled = np.ones(len(LSP), bool)
    labelled[[LSP.index("left_knee"), LSP.index("left_ankle")]] = False
    mask = mask_of(labelled)
    assert at(mask, "left_ankle") < 0.1
    assert at(mask, "right_ankle") > 0.5
    alone = np.zeros(len(LSP), bool)
    alone[LSP.index("left_wrist")] = True  # no limb leads there, yet it counts as a neighbour's keypoint
    assert at(mask_of(alone), "left_wrist") > 0.5
    assert at(mask_of(alone), "left_elbow") < 0.1


def test_larger_people_have_thicker_limbs() -> None:
    labelled = np.ones(len(LSP), bool)
    assert mask_of(labelled, 110).sum() > 1.2 * mask_of(labelled, 60).sum()


def test_masks_of_people_far_outside_are_empty() -> None:
    keypoints = np.full((len(LSP), 2), 1e7)
    assert body_mask(keypoints, np.ones(len(LSP), bool), 1e-3, LSP, CROP).max() == 0


def test_masks_cover_real_people_and_are_no_boxes(shared_data: Path) -> None:
    skeleton = load_skeleton("posefix19")
    truth = read_annotations(shared_data / "coco" / "person_keypoints_train.json")
    records = build_records(truth, find_photos(truth, shared_data / "coco" / "images"), skeleton)
    people = records.people(np.flatnonzero(records.labelled.sum(axis=1) >= MINIMAL_KEYPOINTS))
    keypoints = people.keypoints.astype(np.float64)
    boxes = geometry.enlarge(geometry.box_from_keypoints(keypoints, people.labelled), 1.5)
    matrices = geometry.crop_matrices(boxes, (96, 128))
    places = geometry.transform(matrices, keypoints)
    shares = []
    for person, matrix in enumerate(matrices):
        size = float(np.sqrt(people.area[person] * abs(np.linalg.det(matrix[:, :2]))))
        mask = body_mask(places[person], people.labelled[person], size, skeleton, (96, 128))
        x, y = places[person, people.labelled[person]].round().astype(int).T
        inside = (x >= 0) & (x < 96) & (y >= 0) & (y < 128)
        assert (mask[y[inside], x[inside]] > 0.5).all(), person
        shares.append((mask > 0.5).mean())
    assert 0.1 < float(np.median(shares)) < 0.4
