"""The refiner around networks that are a line of Python: identity, a shift, a constant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from posefix.errors import InputError
from posefix.poses import Poses
from posefix.refine.backends import Backend, identity_backend
from posefix.refine.refiner import Refiner
from posefix.skeletons import Skeleton, load_skeleton

Array = npt.NDArray[Any]
SIZE_WH = (144, 192)
PHOTO_SHAPE = (60, 80, 3)
COCO = load_skeleton("coco17")
MODEL = load_skeleton("posefix19")


def shift_backend(images: Array, keypoints: Array, weights: Array) -> Array:
    """Moves every keypoint, the absent ones too, eight crop pixels down; a mirror does not change that."""
    return keypoints + np.array([0, 8], np.float32)


def centre_backend(images: Array, keypoints: Array, weights: Array) -> Array:
    """Puts every keypoint in the middle of the crop."""
    return np.broadcast_to(np.array([71.5, 95.5], np.float32), keypoints.shape)


def brightness_backend(images: Array, keypoints: Array, weights: Array) -> Array:
    """An answer that depends on the crop, and on nothing but this person's row."""
    brightness: Array = images.mean(axis=(1, 2, 3), dtype=np.float32)
    return keypoints + brightness[:, None, None] / 10


def refiner(backend: Backend = identity_backend, **options: Any) -> Refiner:
    return Refiner(backend, MODEL, SIZE_WH, **options)


def people(
    count: int, skeleton: Skeleton = COCO, image_ids: tuple[int | str, ...] = (), seed: int = 0
) -> Poses:
    rng = np.random.default_rng(seed)
    shape = (count, len(skeleton))
    return Poses(
        keypoints=rng.uniform(0, 60, (*shape, 2)) + rng.uniform(0, 20, (count, 1, 2)),
        scores=rng.uniform(0.1, 1, shape),
        valid=np.ones(shape, bool),
        image_ids=image_ids or (1,) * count,
        pose_scores=np.ones(count),
        skeleton=skeleton,
    )


def without(poses: Poses, *missing: tuple[int, int]) -> Poses:
    valid = poses.valid.copy()
    for row, index in missing:
        valid[row, index] = False
    return poses.with_keypoints(poses.keypoints, valid=valid)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for number in range(1, 8):
        image = rng.integers(0, 256, PHOTO_SHAPE, dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{number:05d}.png")
    return tmp_path


coordinates = st.floats(-3000, 3000, width=32)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["coco17", "lsp14", "openpose18", "blazepose33"]), st.booleans())
def test_with_the_identity_network_nothing_changes(data: st.DataObject, layout: str, flip_test: bool) -> None:
    skeleton = load_skeleton(layout)
    count = data.draw(st.integers(0, 3))
    numbers = st.lists(coordinates, min_size=count * len(skeleton) * 2, max_size=count * len(skeleton) * 2)
    keypoints = np.array(data.draw(numbers)).reshape(count, len(skeleton), 2)
    flags = st.lists(st.booleans(), min_size=count * len(skeleton), max_size=count * len(skeleton))
    scores = np.array(data.draw(flags), float).reshape(count, len(skeleton))
    image = np.zeros(PHOTO_SHAPE, np.uint8)
    refined = refiner(flip_test=flip_test)(image, keypoints, scores, skeleton=skeleton, missing="keep")
    valid = (scores > 0) & keypoints.any(axis=-1)
    assert np.array_equal(refined.valid, valid)
    assert not refined.filled.any()
    assert np.abs(refined.keypoints - keypoints)[valid].max(initial=0) < 1e-3


def test_with_the_identity_network_a_file_of_poses_stays_as_it_was(photos: Path) -> None:
    poses = people(9, image_ids=(3, 1, 2, 3, 3, 7, 1, 5, 6))
    refinement = refiner(batch_size=4).refine(poses, photos)
    assert np.abs(refinement.poses.keypoints - poses.keypoints).max() < 1e-3
    assert refinement.poses.image_ids == poses.image_ids
    assert not refinement.moved.any()
    assert (refinement.report.refined, refinement.report.moved_keypoints) == (9, 0)


def test_refined_coordinates_come_back_through_the_crop() -> None:
    # A box 60 wide and 80 high, grown by 1.2 and 1.25, is 120 high: 1.6 crop pixels to the photo's pixel.
    keypoints = np.linspace([10.0, 20.0], [70.0, 100.0], 17)[None]
    refined = refiner(shift_backend)(np.zeros(PHOTO_SHAPE, np.uint8), keypoints, skeleton=COCO)
    assert np.allclose(refined.keypoints - keypoints, [0, 8 / 1.6], atol=1e-4)
    assert refined.moved.all()


@pytest.mark.parametrize("flip_test", [False, True])
def test_batches_across_photos_give_what_single_people_give(photos: Path, flip_test: bool) -> None:
    poses = people(20, image_ids=tuple(1 + (7 * row) % 5 for row in range(20)))
    batched = refiner(brightness_backend, batch_size=6, flip_test=flip_test).refine(poses, photos)
    single = refiner(brightness_backend, batch_size=1, flip_test=flip_test)
    for row in range(len(poses)):
        alone = single.refine(poses[[row]], photos).poses.keypoints[0]
        assert np.allclose(batched.poses.keypoints[row], alone, atol=1e-4)


def test_one_photo_and_many_photos_give_the_same(photos: Path) -> None:
    poses = people(5, image_ids=(4,) * 5)
    image = np.asarray(Image.open(photos / "00004.png"))
    many = refiner(brightness_backend).refine(poses, photos).poses
    one = refiner(brightness_backend)(image, poses.keypoints, poses.scores, skeleton="coco17")
    assert np.array_equal(one.keypoints, many.keypoints)
    assert np.array_equal(one.scores, poses.scores)


def test_a_mirrored_photo_gives_the_mirrored_answer() -> None:
    """With flip averaging, a network that prefers one side no longer does."""

    def biased(images: Array, keypoints: Array, weights: Array) -> Array:
        return keypoints + np.array([5, 0], np.float32)

    keypoints = people(3).keypoints
    image = np.zeros(PHOTO_SHAPE, np.uint8)
    assert np.allclose(refiner(biased)(image, keypoints, skeleton=COCO).keypoints, keypoints, atol=1e-3)


def test_the_mirrored_pass_sees_exchanged_sides() -> None:
    seen: list[tuple[Array, Array, Array]] = []

    def spy(images: Array, keypoints: Array, weights: Array) -> Array:
        seen.append((images, keypoints, weights))
        return keypoints

    poses = without(people(1), (0, COCO.index("left_wrist")))
    image = np.random.default_rng(0).integers(0, 256, PHOTO_SHAPE, dtype=np.uint8)
    scores = np.where(poses.valid, poses.scores, 0)
    refiner(spy)(image, poses.keypoints, scores, skeleton=COCO)
    images, keypoints, weights = seen[0]
    left, right = MODEL.index("left_knee"), MODEL.index("right_knee")
    assert np.array_equal(images[1], images[0][:, ::-1])
    assert np.allclose(keypoints[1, left], [143 - keypoints[0, right, 0], keypoints[0, right, 1]], atol=1e-4)
    assert weights[0, MODEL.index("left_wrist")] == weights[1, MODEL.index("right_wrist")] == 0
    assert weights[:, MODEL.index("neck")].tolist() == [0, 0]
    assert weights[0, MODEL.index("right_wrist")] == 1
    assert images.dtype == np.uint8
    assert keypoints.dtype == weights.dtype == np.float32


def test_keypoints_that_the_model_does_not_know_pass_through(photos: Path) -> None:
    skeleton = load_skeleton("blazepose33")
    poses = people(2, skeleton)
    refinement = refiner(shift_backend).refine(poses, photos)
    unknown = [name not in MODEL.keypoint_names for name in skeleton.keypoint_names]
    assert np.array_equal(refinement.moved, np.tile(~np.array(unknown), (2, 1)))
    assert np.array_equal(refinement.poses.keypoints[:, unknown], poses.keypoints[:, unknown])
    assert refinement.report.passed_through_keypoints == 2 * sum(unknown)


def test_missing_keypoints_are_filled_with_the_weakest_score(photos: Path) -> None:
    poses = without(people(2), (0, 3), (0, 4))
    refinement = refiner(centre_backend).refine(poses, photos)
    assert np.argwhere(refinement.filled).tolist() == [[0, 3], [0, 4]]
    assert refinement.poses.valid.all()
    assert refinement.poses.scores[0, 3] == poses.scores[0][poses.valid[0]].min()
    assert np.allclose(refinement.poses.keypoints[0], refinement.poses.keypoints[0, 0])
    assert (refinement.report.filled_keypoints, refinement.report.moved_keypoints) == (2, 32)


def test_missing_keypoints_stay_missing_on_request(photos: Path) -> None:
    poses = without(people(2), (0, 3), (0, 4))
    refinement = refiner(centre_backend).refine(poses, photos, missing="keep")
    assert np.array_equal(refinement.poses.valid, poses.valid)
    assert np.array_equal(refinement.poses.keypoints[0, 3:5], poses.keypoints[0, 3:5])
    assert refinement.report.filled_keypoints == 0


@pytest.mark.parametrize("missing", ["fill", "keep"])
@pytest.mark.parametrize("left", [0, 1])
def test_people_without_two_keypoints_pass_through(left: int, missing: Any, photos: Path) -> None:
    poses = without(people(3), *((1, index) for index in range(left, 17)))
    refinement = refiner(centre_backend).refine(poses, photos, missing=missing)
    assert np.array_equal(refinement.poses.keypoints[1], poses.keypoints[1])
    assert np.array_equal(refinement.poses.valid[1], poses.valid[1])
    assert (refinement.report.refined, refinement.report.unchanged) == (2, 1)


def test_people_outside_their_photo_pass_through_and_are_counted(photos: Path) -> None:
    poses = people(3)
    keypoints = poses.keypoints.copy()
    keypoints[1] += [0, 500]  # the photo is 80 wide and 60 high
    keypoints[2] -= [60, 0]  # partly outside
    poses = poses.with_keypoints(keypoints)
    refinement = refiner(centre_backend).refine(poses, photos)
    assert refinement.moved.any(axis=1).tolist() == [True, False, True]
    assert np.array_equal(refinement.poses.keypoints[1], keypoints[1])
    assert (refinement.report.refined, refinement.report.outside, refinement.report.unchanged) == (2, 1, 0)
    assert "outside their photo: 1" in str(refinement.report)
    image = np.asarray(Image.open(photos / "00001.png"))
    one = refiner(centre_backend)(image, keypoints, skeleton=COCO)
    assert one.moved.any(axis=1).tolist() == [True, False, True]


def test_no_people_at_all(photos: Path) -> None:
    refinement = refiner().refine(people(0), photos)
    assert len(refinement.poses) == refinement.report.people == 0
    refined = refiner()(np.zeros(PHOTO_SHAPE, np.uint8), np.zeros((0, 17, 2)), skeleton=COCO)
    assert refined.keypoints.shape == (0, 17, 2)


def test_a_hundred_people_in_one_photo(photos: Path) -> None:
    refinement = refiner(centre_backend).refine(people(100), photos)
    assert refinement.report.refined == 100


def test_progress_counts_people(photos: Path) -> None:
    calls: list[tuple[int, int]] = []
    poses = people(9, image_ids=(1, 2, 3, 1, 2, 3, 1, 2, 3))
    refiner(batch_size=4).refine(poses, photos, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4, 9), (8, 9), (9, 9)]


def test_given_boxes_replace_those_of_the_keypoints(photos: Path) -> None:
    boxes = [[10.0, 10.0, 20.0, 20.0]] * 2
    places = refiner(centre_backend).refine(people(2), photos, boxes=boxes).poses.keypoints
    assert np.allclose(places, 20.0)


def test_an_unreadable_photo_stops(photos: Path) -> None:
    damage(photos / "00002.png")
    with pytest.raises(InputError, match=r"00002\.png: cannot be read"):
        refiner().refine(people(7, image_ids=(1, 2, 3, 4, 5, 6, 7)), photos)


def test_an_unreadable_photo_is_passed_through_on_request(photos: Path) -> None:
    damage(photos / "00002.png")
    poses = people(6, image_ids=(1, 2, 3, 2, 4, 5))
    refinement = refiner(shift_backend).refine(poses, photos, on_error="keep")
    failed = np.array([False, True, False, True, False, False])
    assert np.array_equal(refinement.moved.all(axis=1), ~failed)
    assert np.array_equal(refinement.poses.keypoints[failed], poses.keypoints[failed])
    report = refinement.report
    assert (report.refined, report.failed[0].people) == (4, 2)
    assert report.failed[0].path == photos / "00002.png"
    assert "unreadable photos: 1; people in them left as they were: 2" in str(report)


def test_a_missing_photo_is_found_before_work_starts(photos: Path) -> None:
    def never(images: Array, keypoints: Array, weights: Array) -> Array:
        raise AssertionError

    with pytest.raises(InputError, match="no photo for image id 9"):
        refiner(never).refine(people(2, image_ids=(1, 9)), photos)
    with pytest.raises(InputError, match="no photo for image id 9"):
        refiner(never).refine(people(2, image_ids=(1, 9)), {1: photos / "00001.png"})


def test_exif_orientation_is_an_option(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    pixels = np.zeros(PHOTO_SHAPE, np.uint8)
    pixels[:30] = 255
    Image.fromarray(pixels).save(tmp_path / "1.png", exif=exif)
    poses = people(1)
    upper = poses.with_keypoints(poses.keypoints * 0.3)
    bright = refiner(brightness_backend).refine(upper, tmp_path, exif="ignore")
    dark = refiner(brightness_backend).refine(upper, tmp_path)
    # The flip averages away what is added to x.
    assert (bright.poses.keypoints > dark.poses.keypoints + 0.1)[..., 1].all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda r: r(np.zeros((4, 4), np.uint8), np.ones((1, 17, 2)), skeleton=COCO),
            "image: expected uint8",
        ),
        (lambda r: r(np.zeros((4, 4, 3)), np.ones((1, 17, 2)), skeleton=COCO), r"got float64 \(4, 4, 3\)"),
        (
            lambda r: call(r, np.ones((1, 18, 2))),
            r"shape \(N, 17, 2 or 3\) for skeleton 'coco17', got \(1, 18, 2\)",
        ),
        (lambda r: call(r, np.ones((17, 2))), r"got \(17, 2\)"),
        (lambda r: call(r, np.ones((1, 17, 2)), np.ones(17)), r"scores: expected shape \(1, 17\)"),
        (
            lambda r: call(r, np.ones((1, 17, 2)), missing="guess"),
            "missing: expected 'fill' or 'keep', got 'guess'",
        ),
        (lambda r: call(r, np.ones((1, 17, 2)), boxes=[[0, 0, 1, 0]]), "sides above 0"),
        (lambda r: call(r, np.ones((1, 17, 2)), boxes=[[0, 0, 1]]), r"expected shape \(1, 4\)"),
        (lambda r: refiner(batch_size=0), "batch_size: expected 1 or more"),
        (lambda r: r.refine(people(1), "x", on_error="skip"), "on_error: expected 'stop' or 'keep'"),
    ],
)
def test_faulty_arguments_are_named(call: Callable[[Refiner], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(refiner())


def test_a_network_that_returns_no_numbers_is_an_error() -> None:
    broken = refiner(lambda images, keypoints, weights: np.full_like(keypoints, np.nan))
    with pytest.raises(InputError, match="backend: expected finite keypoints"):
        call(broken, people(1).keypoints)


def test_estimators_arrays_may_hold_scores_and_missing_keypoints() -> None:
    keypoints = np.dstack([people(1).keypoints, np.ones((1, 17))])
    keypoints[0, 3:6] = [[0, 0, 1], [5, 5, 0], [np.nan, np.nan, 1]]
    refined = call(refiner(), keypoints, missing="keep")
    assert np.flatnonzero(~refined.valid[0]).tolist() == [3, 4, 5]
    assert np.isfinite(refined.keypoints).all()


def call(around: Refiner, *arrays: Any, **options: Any) -> Any:
    return around(np.zeros(PHOTO_SHAPE, np.uint8), *arrays, skeleton=COCO, **options)


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
