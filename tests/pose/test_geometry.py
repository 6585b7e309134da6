"""Crops are invertible, flips commute, boxes are robust."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posefix.pose import geometry

SIZE_WH = (144, 192)
BOX = np.array([[10.0, 20.0, 60.0, 110.0]])

boxes = st.tuples(st.floats(-500, 5000), st.floats(-500, 5000), st.floats(0, 4000), st.floats(0, 4000)).map(
    lambda box: np.array([box])
)
angles = st.floats(-180, 180)


@given(boxes, angles, st.booleans())
def test_inverting_a_crop_gives_the_place_back(box: np.ndarray, angle: float, flip: bool) -> None:
    matrices = geometry.crop_matrices(box, SIZE_WH, rotation_degrees=angle, flip=flip)
    places = np.array([[[0.0, 0.0], [143, 191], [70.5, -30]]])
    there_and_back = geometry.transform(matrices, geometry.transform(geometry.invert(matrices), places))
    np.testing.assert_allclose(there_and_back, places, atol=1e-6)


@given(boxes)
def test_a_flipped_crop_equals_the_crop_flipped(box: np.ndarray) -> None:
    places = np.array([[[12.0, 30.0], [44, 90], [60, 21]]])
    plain = geometry.transform(geometry.crop_matrices(box, SIZE_WH), places)
    flipped = geometry.transform(geometry.crop_matrices(box, SIZE_WH, flip=True), places)
    index = np.array([0, 2, 1])
    np.testing.assert_allclose(
        flipped[:, index], geometry.flip_keypoints(plain, SIZE_WH[0], index), atol=1e-6
    )


@given(boxes, boxes, angles)
def test_a_composition_is_one_crop_after_the_other(
    first: np.ndarray, second: np.ndarray, angle: float
) -> None:
    places = np.array([[[0.0, 0.0], [31, 7], [-4, 120]]])
    inner = geometry.crop_matrices(first, SIZE_WH, rotation_degrees=angle)
    outer = geometry.crop_matrices(second, (96, 128), flip=True)
    both = geometry.compose(outer[0], inner[0])
    one_by_one = geometry.transform(outer, geometry.transform(inner, places))
    np.testing.assert_allclose(geometry.transform(both[None], places), one_by_one, atol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_scaling_keeps_the_corners_of_a_photo_and_is_undone_by_the_inverse(factor: float) -> None:
    photo, large = geometry.photo_box((40, 60, 3)), geometry.photo_box((int(40 * factor), int(60 * factor)))
    np.testing.assert_allclose(geometry.scaled(photo[:2], factor), large[:2])
    np.testing.assert_allclose(geometry.scaled(photo[:2] + photo[2:], factor), large[:2] + large[2:])
    places = np.array([[3.0, 7], [-2, 90]])
    np.testing.assert_allclose(geometry.scaled(geometry.scaled(places, factor), 1 / factor), places)


def test_box_centre_lands_on_crop_centre_and_aspect_is_kept() -> None:
    matrix = geometry.crop_matrices(BOX, SIZE_WH)
    centre = geometry.transform(matrix, np.array([[[40.0, 75.0]]]))
    np.testing.assert_allclose(centre[0, 0], [(144 - 1) / 2, (192 - 1) / 2])
    scales = np.linalg.svd(matrix[0, :, :2], compute_uv=False)
    np.testing.assert_allclose(scales, 192 / 110)  # the taller side decides; nothing is cut off or distorted


def test_positive_rotation_turns_the_picture_clockwise() -> None:
    matrix = geometry.crop_matrices(np.array([[0.0, 0.0, 100, 100]]), (101, 101), rotation_degrees=90.0)
    right_of_centre = geometry.transform(matrix, np.array([[[90.0, 50.0]]]))[0, 0]
    assert right_of_centre[1] > 90  # now below the centre
    assert right_of_centre[0] == pytest.approx(50)


def test_warp_puts_pixels_where_transform_puts_points() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[120, 80] = 255
    matrix = geometry.crop_matrices(np.array([[40.0, 60.0, 90, 120]]), SIZE_WH, rotation_degrees=30.0)
    crop = geometry.warp(image, matrix[0], SIZE_WH)[..., 0].astype(float)
    grid = np.stack(np.meshgrid(np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1])), axis=-1)
    centre_of_mass = (grid * crop[..., None]).sum(axis=(0, 1)) / crop.sum()
    expected = geometry.transform(matrix, np.array([[[80.0, 120.0]]]))[0, 0]
    np.testing.assert_allclose(centre_of_mass, expected, atol=0.1)


def test_warp_equals_opencv_when_nothing_is_shrunk() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    matrix = geometry.crop_matrices(np.array([[20.0, 10.0, 60, 70]]), SIZE_WH)[0]
    np.testing.assert_array_equal(
        geometry.warp(image, matrix, SIZE_WH), cv2.warpAffine(image, matrix, SIZE_WH)
    )


def test_large_people_are_averaged_not_skipped() -> None:
    stripes = np.zeros((1600, 1200, 3), np.uint8)
    stripes[:, ::2] = 255  # bilinear sampling alone would alias these to black or white
    matrix = geometry.crop_matrices(np.array([[100.0, 100.0, 1000, 1400]]), SIZE_WH)[0]
    crop = geometry.warp(stripes, matrix, SIZE_WH)[20:-20, 20:-20]
    assert abs(float(crop.mean()) - 127.5) < 1
    assert crop.std() < 30


def test_shrinking_does_not_move_the_picture() -> None:
    image = np.zeros((1600, 1200, 3), np.uint8)
    cv2.circle(image, (700, 900), 40, (255, 255, 255), -1)
    matrix = geometry.crop_matrices(np.array([[103.0, 101.0, 1000, 1400]]), SIZE_WH)
    crop = geometry.warp(image, matrix[0], SIZE_WH)[..., 0].astype(float)
    grid = np.stack(np.meshgrid(np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1])), axis=-1)
    centre = (grid * crop[..., None]).sum(axis=(0, 1)) / crop.sum()
    np.testing.assert_allclose(
        centre, geometry.transform(matrix, np.array([[[700.0, 900.0]]]))[0, 0], atol=0.1
    )


@pytest.mark.parametrize(
    "box", [[30.0, 40, 50, 70], [0, 0, 9, 12], [-20, 150, 90, 100], [170, -5, 60, 60], [-50, -50, 300, 300]]
)
@pytest.mark.parametrize(("angle", "flip"), [(0.0, False), (33.0, True), (180.0, False)])
def test_a_crop_is_the_same_cut_out_of_the_part_of_a_photo_that_it_shows(
    box: list[float], angle: float, flip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (240, 200, 3), dtype=np.uint8)
    matrix = geometry.crop_matrices(np.array([box]), SIZE_WH, rotation_degrees=angle, flip=flip)[0]
    whole = geometry.warp(image, matrix, SIZE_WH)
    monkeypatch.setattr(geometry, "LARGEST_SIDE", 199)
    part = geometry.warp(image, matrix, SIZE_WH)
    assert np.abs(part.astype(int) - whole).max() <= 1  # rounding
    assert part.any()


@pytest.mark.parametrize("side", [32766, 32767, 70000])
def test_photos_larger_than_opencv_warps_are_cropped(side: int) -> None:
    image = np.zeros((side, 40, 3), np.uint8)
    image[-30:] = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for turned in (image, np.ascontiguousarray(image.transpose(1, 0, 2))):
        size = np.array(turned.shape[1::-1])
        matrix = geometry.crop_matrices(np.array([[*(size - 25.0), 20, 20]]), (32, 32))[0]
        corner = np.maximum(size - 200, 0)
        expected = geometry.warp(
            turned[corner[1] :, corner[0] :],
            geometry.compose(matrix, np.column_stack([np.eye(2), corner])),
            (32, 32),
        )
        np.testing.assert_allclose(geometry.warp(turned, matrix, (32, 32)), expected, atol=1)
        assert expected.std() > 20


@pytest.mark.parametrize("box", [[5000.0, 5000, 50, 50], [-900.0, -900, 2000, 30]])
def test_a_crop_outside_the_photo_is_black_not_an_error(box: list[float]) -> None:
    crop = geometry.warp(
        np.full((64, 64, 3), 255, np.uint8), geometry.crop_matrices(np.array([box]), (32, 32))[0], (32, 32)
    )
    assert crop.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        ([10.0, 10, 20, 20], True),
        ([-15.0, 10, 20, 20], True),
        ([-40.0, 10, 20, 20], False),
        ([10.0, -40, 20, 20], False),
        ([70.0, 10, 20, 20], False),
        ([10.0, 70, 20, 20], False),
        ([-500.0, -500, 2000, 2000], True),
    ],
)
def test_a_crop_shows_a_photo_or_nothing_of_it(box: list[float], shown: bool) -> None:
    matrices = geometry.crop_matrices(np.array([box, box]), (32, 32))
    assert geometry.shows_photo(matrices, (32, 32), (64, 64, 3)).tolist() == [shown, shown]


PERSON = np.array(
    [
        [50.0, 10],
        [40, 40],
        [60, 40],
        [35, 70],
        [65, 70],
        [42, 90],
        [58, 90],
        [42, 130],
        [58, 130],
        [42, 170],
        [58, 170],
    ]
)


def test_what_is_far_off_is_told_where_the_median_tells_it() -> None:
    places = np.arange(6.0)[:, None] * [[1.0, 1.0]]
    wild = np.where(np.arange(6)[:, None] == 2, 1e6, places)
    everyone = np.ones(6, dtype=bool)
    four = np.arange(6) < 4
    poses = np.stack([places, wild, wild, wild, wild * (wild == 1e6)])
    valid = np.stack([everyone, everyone, four, np.arange(6) != 2, everyone])
    found = geometry.far_off(poses, valid)
    assert np.argwhere(found).tolist() == [[1, 2]], (
        "not of four keypoints, not missing, not where most coincide"
    )
    assert not geometry.far_off(poses, np.zeros_like(valid)).any()


def test_one_far_off_keypoint_does_not_shape_the_box() -> None:
    wild = PERSON.copy()
    wild[4] = [3000, -2000]
    valid = np.ones((2, 11), bool)
    plain, robust = geometry.box_from_keypoints(np.stack([PERSON, wild]), valid)
    np.testing.assert_allclose(robust[1::2], plain[1::2])
    assert robust[2] <= plain[2]


def test_keypoints_that_coincide_do_not_collapse_the_box() -> None:
    keypoints = np.tile([50.0, 50.0], (11, 1))
    keypoints[:3] = [[10, 10], [90, 20], [60, 95]]
    box = geometry.box_from_keypoints(keypoints[None], np.ones((1, 11), bool))
    np.testing.assert_array_equal(box, [[10, 10, 80, 85]])


def test_missing_keypoints_do_not_shape_the_box() -> None:
    keypoints = np.stack([PERSON, PERSON])
    keypoints[1, 0] = 0
    valid = np.ones((2, 11), bool)
    valid[:, 0] = False
    boxes_xywh = geometry.box_from_keypoints(keypoints, valid)
    np.testing.assert_array_equal(boxes_xywh[0], boxes_xywh[1])
    np.testing.assert_array_equal(boxes_xywh[0], [35, 40, 30, 130])


def test_a_pose_without_keypoints_has_an_empty_box() -> None:
    np.testing.assert_array_equal(
        geometry.box_from_keypoints(PERSON[None], np.zeros((1, 11), bool)), [[0, 0, 0, 0]]
    )


def test_enlarge_keeps_the_centre() -> None:
    np.testing.assert_allclose(geometry.enlarge(BOX, 2.0), [[-20, -35, 120, 220]])


@pytest.mark.parametrize("shape", [(3, 5, 4, 3), (2, 1, 1, 3), (0, 5, 4, 3)])
def test_flipped_images_are_read_backwards(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for given_images in (images, images[:, ::-1], np.asfortranarray(images)):
        np.testing.assert_array_equal(geometry.flip_images(given_images), given_images[:, :, ::-1])
