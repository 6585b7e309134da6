"""The refiner around backends that are a line of Python: identity, a shift, a constant."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.refine.looks import trusting

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.pose.poses import Poses
from posefix.refine.backends import Backend, identity_backend
from posefix.refine.calibration import RESERVE
from posefix.refine.refiner import Refiner
from posefix.refine.results import RefinementReport
from posefix.skeletons import Skeleton, load_skeleton

Array = npt.NDArray[Any]
SIZE_WH = (144, 192)
PHOTO_SHAPE = (60, 80, 3)
COCO = load_skeleton("coco17")
MODEL = load_skeleton("posefix19")


def sure_of(places: Array) -> Evidence:
    """Evidence for these places and against those that were given."""
    everything, nothing = np.ones(places.shape[:2], np.float32), np.zeros(places.shape[:2], np.float32)
    return Evidence(places, everything, everything, nothing, nothing)


def shift_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
    """Moves every keypoint, the absent ones too, eight crop pixels down."""
    return sure_of(keypoints + np.array([0, 8], np.float32))


def centre_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
    """Puts every keypoint in the middle of the crop."""
    return sure_of(np.broadcast_to(np.array([71.5, 95.5], np.float32), keypoints.shape))


def brightness_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
    """An answer that depends on the crop, and on nothing but this person's row."""
    brightness: Array = images.mean(axis=(1, 2, 3), dtype=np.float32)
    return sure_of(keypoints + brightness[:, None, None] / 10)


def doubtful_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
    """Shifts as `shift_backend`, with a gain from 0 for the first to .9 for the last keypoint."""
    gain = np.broadcast_to(np.linspace(0, 0.9, keypoints.shape[1], dtype=np.float32), weights.shape)
    given = np.full(weights.shape, 0.05, np.float32)
    return Evidence(keypoints + np.array([0, 8], np.float32), given + gain, given + gain, given, given)


def refiner(backend: Backend = identity_backend, *, looks: int = 1, **options: Any) -> Refiner:
    return Refiner(backend, MODEL, SIZE_WH, looks=looks, **options)


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
@given(st.data(), st.sampled_from(["coco17", "lsp14", "openpose18", "blazepose33"]))
def test_with_the_identity_network_nothing_changes(data: st.DataObject, layout: str) -> None:
    skeleton = load_skeleton(layout)
    count = data.draw(st.integers(0, 3))
    numbers = st.lists(coordinates, min_size=count * len(skeleton) * 2, max_size=count * len(skeleton) * 2)
    keypoints = np.array(data.draw(numbers)).reshape(count, len(skeleton), 2)
    flags = st.lists(st.booleans(), min_size=count * len(skeleton), max_size=count * len(skeleton))
    scores = np.array(data.draw(flags), float).reshape(count, len(skeleton))
    image = np.zeros(PHOTO_SHAPE, np.uint8)
    # Kept keypoints are exactly those that were given; moved ones went through the crop and back.
    for caution, tolerance in ((0.0, 0.0), (-1.0, 1e-3)):
        options: dict[str, Any] = {"skeleton": skeleton, "missing": "keep"}
        refined = refiner(caution=caution)(image, keypoints, scores, **options)
        valid = (scores > 0) & keypoints.any(axis=-1)
        assert np.array_equal(refined.valid, valid)
        assert not refined.filled.any()
        assert np.abs(refined.keypoints - keypoints)[valid].max(initial=0) <= tolerance


@pytest.mark.parametrize("caution", [-1, 0])
def test_with_the_identity_network_a_file_of_poses_stays_as_it_was(caution: float, photos: Path) -> None:
    poses = people(9, image_ids=(3, 1, 2, 3, 3, 7, 1, 5, 6))
    refinement = refiner(batch_size=4, caution=caution).refine(poses, photos)
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


def test_batches_across_photos_give_what_single_people_give(photos: Path) -> None:
    poses = people(20, image_ids=tuple(1 + (7 * row) % 5 for row in range(20)))
    batched = refiner(brightness_backend, batch_size=6).refine(poses, photos)
    single = refiner(brightness_backend, batch_size=1)
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


@pytest.mark.parametrize("keypoints", [[], np.zeros((0, 17, 2)), np.zeros((0, 17, 3))])
@pytest.mark.parametrize("more", [{}, {"scores": [], "boxes": []}, {"scores": np.zeros((0, 17))}])
def test_nobody_is_refined_to_nobody(keypoints: Any, more: dict[str, Any]) -> None:
    image = np.zeros(PHOTO_SHAPE, np.uint8)
    refined = refiner(brightness_backend)(image, keypoints, skeleton="coco17", **more)
    assert refined.keypoints.shape == (0, 17, 2)
    assert refined.scores.shape == refined.valid.shape == (0, 17)


def test_an_empty_list_is_not_the_scores_of_somebody() -> None:
    with pytest.raises(InputError, match=r"scores: expected shape \(1, 17\)"):
        refiner(brightness_backend)(
            np.zeros(PHOTO_SHAPE, np.uint8), np.ones((1, 17, 2)), [], skeleton="coco17"
        )


def test_the_backend_sees_keypoints_of_the_crop_and_which_are_there() -> None:
    seen: list[tuple[Array, Array, Array]] = []

    def spy(images: Array, keypoints: Array, weights: Array) -> Evidence:
        seen.append((images, keypoints, weights))
        return identity_backend(images, keypoints, weights)

    keypoints = np.linspace([10.0, 20.0], [70.0, 100.0], 17)[None]
    scores = np.ones((1, 17))
    scores[0, COCO.index("left_wrist")] = 0
    refiner(spy)(np.zeros(PHOTO_SHAPE, np.uint8), keypoints, scores, skeleton=COCO)
    ((images, inside, weights),) = seen
    absent = [MODEL.index(name) for name in ("left_wrist", "neck", "head_top")]
    assert np.flatnonzero(weights[0] == 0).tolist() == sorted(absent)
    assert not inside[0, absent].any()
    # The box of 60 by 80 about (40, 60) is cut out at 1.6 crop pixels to the photo's pixel.
    nose = (keypoints[0, 0] - [40, 60]) * 1.6 + [71.5, 95.5]
    assert np.allclose(inside[0, MODEL.index("nose")], nose, atol=1e-4)
    assert images.shape == (1, 192, 144, 3)
    assert images.dtype == np.uint8
    assert inside.dtype == weights.dtype == np.float32


@pytest.mark.parametrize(("caution", "least"), [(-1.0, -1.0), (0.0, 1e-6), (0.42, 0.42), (1.0, 2.0)])
def test_a_keypoint_moves_where_it_gains_more_than_the_caution(
    caution: float, least: float, photos: Path
) -> None:
    poses = without(people(2), (1, 4))
    refinement = refiner(doubtful_backend, caution=caution).refine(poses, photos)
    gain = np.array([np.linspace(0, 0.9, 19)[MODEL.index(name)] for name in COCO.keypoint_names])
    expected = np.tile(gain >= least, (2, 1)) & poses.valid
    assert np.array_equal(refinement.moved, expected)
    assert np.argwhere(refinement.filled).tolist() == [[1, 4]]
    kept = poses.valid & ~expected
    assert np.array_equal(refinement.poses.keypoints[kept], poses.keypoints[kept])


def test_examining_tells_the_evidence_and_decides_nothing(photos: Path) -> None:
    poses = without(people(3, image_ids=(1, 2, 1)), *((1, index) for index in range(17)))
    paths: dict[int | str, Path] = {number: photos / f"{number:05d}.png" for number in (1, 2)}
    look, neighbours = refiner(doubtful_backend, caution=1.0).examine(poses, paths)
    examined, evidence = look.people, look.evidence
    assert look.seen.tolist() == [True, False, True]
    pairs = [(one.tolist(), other.tolist()) for one, other in neighbours.pairs(look.seen)]
    assert pairs == [([0, 2], [2, 0])]
    for field in dataclasses.fields(Evidence):  # the backend does not care whether it is given the pose
        np.testing.assert_array_equal(getattr(look.alone, field.name), getattr(evidence, field.name))
    assert np.array_equal(evidence.keypoints[1], examined.keypoints[1])
    assert not evidence.similarity[1].any()
    np.testing.assert_allclose(evidence.similarity[0], 0.05 + np.linspace(0, 0.9, 19), rtol=1e-6)
    for row in (0, 2):
        there = examined.valid[row]
        moves = (evidence.keypoints - examined.keypoints)[row, there]
        # Eight crop pixels down, in pixels of the photo.
        assert np.allclose(moves, [0, 8 / examined.matrices[row, 1, 1]], atol=1e-4)


def test_keypoints_that_the_model_does_not_know_pass_through(photos: Path) -> None:
    skeleton = load_skeleton("blazepose33")
    poses = people(2, skeleton)
    refinement = refiner(shift_backend).refine(poses, photos)
    unknown = [name not in MODEL.keypoint_names for name in skeleton.keypoint_names]
    assert np.array_equal(refinement.moved, np.tile(~np.array(unknown), (2, 1)))
    assert np.array_equal(refinement.poses.keypoints[:, unknown], poses.keypoints[:, unknown])
    assert refinement.report.passed_through_keypoints == 2 * sum(unknown)


def test_a_neck_and_a_middle_of_hips_go_with_shoulders_and_hips(photos: Path) -> None:
    skeleton = load_skeleton("body25")
    poses = people(2, skeleton)
    keypoints = poses.keypoints.copy()
    for name, part in (("shoulder_midpoint", "shoulder"), ("hip_midpoint", "hip")):
        pair = [skeleton.index(f"{side}_{part}") for side in ("left", "right")]
        keypoints[:, skeleton.index(name)] = keypoints[:, pair].mean(axis=1)
    poses = poses.with_keypoints(keypoints)
    refinement = refiner(shift_backend).refine(poses, photos)
    refined = refinement.poses
    assert np.array_equal(refinement.moved, (refined.keypoints != keypoints).any(axis=-1))
    middle, wrist = skeleton.index("shoulder_midpoint"), skeleton.index("left_wrist")
    moves = refined.keypoints - keypoints
    assert np.allclose(moves[:, middle], moves[:, wrist], atol=1e-3) and (moves[:, middle] != 0).any()
    assert np.allclose(moves[:, skeleton.index("hip_midpoint")], moves[:, wrist], atol=1e-3)
    assert not moves[:, skeleton.index("left_heel")].any()


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
    poses = people(2, image_ids=(1, 2))
    places = refiner(centre_backend).refine(poses, photos, boxes=boxes).poses.keypoints
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
    assert "missing or unreadable photos: 1; people in them left as they were: 2" in str(report)


def test_a_missing_photo_is_found_before_work_starts(photos: Path) -> None:
    def never(images: Array, keypoints: Array, weights: Array) -> Evidence:
        raise AssertionError

    with pytest.raises(InputError, match="no photo for image id 9"):
        refiner(never).refine(people(2, image_ids=(1, 9)), photos)
    with pytest.raises(InputError, match="no photo for image id 9"):
        refiner(never).refine(people(2, image_ids=(1, 9)), {1: photos / "00001.png"})


def test_people_of_a_missing_photo_stay_on_request(photos: Path) -> None:
    poses = people(3, image_ids=(1, 9, 2))
    refinement = refiner(shift_backend).refine(poses, photos, on_error="keep")
    assert refinement.moved.all(axis=1).tolist() == [True, False, True]
    assert np.array_equal(refinement.poses.keypoints[1], poses.keypoints[1])
    assert [photo.reason for photo in refinement.report.failed] == [
        f"{photos / '9'}: there is no such photo; add it"
    ]
    with pytest.raises(InputError, match="no photo for image id 9"):
        refiner().refine(people(1, image_ids=(9,)), photos, on_error="keep")


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
    assert (bright.poses.keypoints > dark.poses.keypoints + 0.1).all()


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
        (lambda r: call(r, np.ones((17, 2))), r"got \(17, 2\); pass keypoints\[None\] for one person"),
        (lambda r: call(r, np.ones((17, 4))), r"got \(17, 4\); pass the skeleton of these"),
        (lambda r: call(r, [[["1", "x"]]]), "keypoints: expected an array of numbers"),
        (lambda r: call(r, [[[1, 2], [3]]]), "keypoints: expected an array of numbers"),
        (lambda r: call(r, [[[1, 10**400]]]), "keypoints: expected an array of numbers"),
        (lambda r: call(r, np.full((1, 17, 2), 1e100)), r"keypoints: expected finite numbers below 1e\+15"),
        (
            lambda r: call(r, np.r_[np.ones((5, 2)), [[np.inf, 3]], np.ones((11, 2))][None]),
            r"got \[inf, 3\.0\] for left_shoulder of person 0; give a missing keypoint as NaN",
        ),
        (lambda r: call(r, np.ones((1, 17, 2)), [["a"] * 17]), "scores: expected an array of numbers"),
        (lambda r: call(r, np.ones((1, 17, 2)), boxes=[[0, 0, 1e300, 1e300]]), r"all below 1e\+15, got"),
        (lambda r: call(r, np.ones((1, 17, 2)), boxes=[[0, 0], [1]]), "boxes: expected an array of numbers"),
        (lambda r: call(r, np.ones((1, 17, 2)), np.ones(17)), r"scores: expected shape \(1, 17\)"),
        (
            lambda r: call(r, np.ones((1, 17, 2)), missing="guess"),
            "missing: expected 'fill' or 'keep', got 'guess'",
        ),
        (lambda r: call(r, np.ones((1, 17, 2)), boxes=[[0, 0, 1, 0]]), "sides above 0"),
        (lambda r: call(r, np.ones((1, 17, 2)), boxes=[[0, 0, 1]]), r"expected shape \(1, 4\)"),
        (lambda r: refiner(batch_size=0), "batch_size: expected 1 or more"),
        (lambda r: refiner(caution=1.5), "caution: expected a number from -1 to 1, got 1.5"),
        (lambda r: refiner(caution=float("nan")), "caution: expected a number from -1 to 1, got nan"),
        (lambda r: refiner(scores="own"), "scores: expected 'input' or 'model' or 'product', got 'own'"),
        (
            lambda r: r.refine("a.json", "x"),
            r"expected Poses, got the name 'a.json'; pass posefix.read_pose_file",
        ),
        (lambda r: r.measure_company(Path("a.json"), "x"), "expected Poses, got the name 'a.json'"),
        (lambda r: r.refine(people(1), "x", on_error="skip"), "on_error: expected 'stop' or 'keep'"),
    ],
)
def test_faulty_arguments_are_named(call: Callable[[Refiner], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(refiner())


def test_a_network_that_returns_no_numbers_is_an_error() -> None:
    broken = refiner(lambda images, keypoints, weights: sure_of(np.full_like(keypoints, np.nan)))
    with pytest.raises(InputError, match="backend: expected finite keypoints"):
        call(broken, people(1).keypoints)


def test_estimators_arrays_may_hold_scores_and_missing_keypoints() -> None:
    keypoints = np.dstack([people(1).keypoints, np.ones((1, 17))])
    keypoints[0, 3:7] = [[0, 0, 1], [5, 5, 0], [np.nan, np.nan, 1], [5, 5, np.nan]]
    refined = call(refiner(), keypoints, missing="keep")
    assert np.flatnonzero(~refined.valid[0]).tolist() == [3, 4, 5, 6]
    assert np.isfinite(refined.keypoints).all()


def call(around: Refiner, *arrays: Any, **options: Any) -> Any:
    return around(np.zeros(PHOTO_SHAPE, np.uint8), *arrays, skeleton=COCO, **options)


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class HalvingBackend:
    """Halves each pose about its middle, person by person, as long as it is wider than so many crop pixels."""

    def __init__(self, widest: float = 0.0) -> None:
        self.widest = widest
        self.seen: list[int] = []

    def __call__(self, images: Array, keypoints: Array, weights: Array) -> Evidence:
        self.seen.append(len(images))
        middle = keypoints.mean(axis=1, keepdims=True)
        wide = np.ptp(keypoints[..., 0], axis=1) > self.widest
        halved = np.where(wide[:, None, None], (keypoints + middle) / 2, keypoints)
        return sure_of(halved.astype(np.float32))


def test_a_pose_that_changed_much_is_looked_at_again_in_its_new_crop(photos: Path) -> None:
    poses = people(1, MODEL)
    backend, calls = HalvingBackend(), []
    refinement = refiner(backend, looks=2).refine(poses, photos, progress=lambda *done: calls.append(done))
    before, after = (np.ptp(p.keypoints[0], axis=0) for p in (poses, refinement.poses))
    # The second look sees the halved pose as large as the first saw the whole one, and halves it again.
    np.testing.assert_allclose(after, before / 4, rtol=1e-4)
    assert (backend.seen, calls) == ([1, 1], [(1, 1), (2, 2)])
    alone = refiner(HalvingBackend(), looks=3)(
        np.zeros(PHOTO_SHAPE, np.uint8), poses.keypoints, skeleton=MODEL
    )
    np.testing.assert_allclose(np.ptp(alone.keypoints[0], axis=0), before / 8, rtol=1e-3)


def test_a_settled_pose_is_not_looked_at_again(photos: Path) -> None:
    backend = HalvingBackend()
    refiner(backend, looks=1).refine(people(3, MODEL), photos)
    assert backend.seen == [3]
    settled = HalvingBackend(widest=1e9)
    refiner(settled, looks=5).refine(people(3, MODEL), photos)
    assert settled.seen == [3]


def test_a_photo_that_fails_at_the_second_look_was_seen(photos: Path) -> None:
    halve = HalvingBackend()

    def removing(images: Array, keypoints: Array, weights: Array) -> Evidence:
        (photos / "00002.png").unlink(missing_ok=True)
        return halve(images, keypoints, weights)

    poses = people(3, MODEL, image_ids=(1, 2, 3))
    refinement = refiner(removing, looks=2).refine(poses, photos, on_error="keep")
    assert halve.seen == [3, 2]
    report = refinement.report
    assert (report.refined, report.outside, report.failed) == (3, 0, ())
    assert refinement.moved.any(axis=1).all()


def test_looks_are_at_least_one() -> None:
    with pytest.raises(InputError, match="looks: expected 1 or more, got 0"):
        refiner(looks=0)


@pytest.mark.parametrize(("caution", "told"), [(0.0, True), (-1.0, False), (1.0, False)])
def test_the_report_tells_that_poses_were_held_back(caution: float, told: bool, photos: Path) -> None:
    """The identity contradicts nobody, so that all that is asked of a move is held back."""
    holding = refiner(caution=caution, calibration=trusting())
    report = holding.refine(people(3), photos).report
    assert report.reserve == pytest.approx(RESERVE if told else 0.0)
    assert report.trust == pytest.approx(1.0)  # whatever the caution
    assert refiner().refine(people(3), photos).report.trust is None
    nobody = people(0) if told else without(people(1), *((0, index) for index in range(17)))
    assert holding.refine(nobody, photos).report.reserve == 0.0
    assert refiner(caution=caution).refine(people(3), photos).report.reserve == 0.0
    line = "held back, as so few people .* promised 0.50 .*caution -0.50 undoes that"
    assert bool(re.search(line, str(report))) == told


@pytest.mark.parametrize(
    ("caution", "told"),
    [
        (0.25, "promised 0.75 of similarity (caution -0.25 undoes that)"),
        (0.75, "promised 1.00 of similarity (caution 0.25 undoes that)"),
        (-0.25, "promised 0.25 of similarity (caution -0.75 undoes that)"),
        (-0.5, ""),
    ],
)
def test_the_report_counts_the_caution_with_what_was_held_back(caution: float, told: str) -> None:
    """At a caution that undoes it nothing was held back."""
    report = RefinementReport(20, 20, 0, 0, 0, 0, 0, reserve=0.5, caution=caution)
    assert report.held_back().endswith(told) and bool(report.held_back()) == bool(told)


def test_the_report_tells_why_poses_were_held_back(photos: Path) -> None:
    assert (
        RefinementReport(20, 20, 0, 0, 0, 0, 0, reserve=0.5)
        .held_back()
        .startswith("held back, as these poses have little to gain on the whole: ")
    )
    report = refiner(calibration=trusting()).refine(people(3), photos).report
    assert "held back, as so few people (3) do not tell how good their estimator is: " in str(report)
