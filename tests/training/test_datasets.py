"""Batches: crowding, half bodies and estimates as inputs, seen from outside in photos with coded colours."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from posefix.errors import InputError  # noqa: E402
from posefix.formats.coco_annotations import read_annotations  # noqa: E402
from posefix.people import PersonRecords, build_records, find_photos  # noqa: E402
from posefix.pose import geometry  # noqa: E402
from posefix.pose.similarity import distance_at  # noqa: E402
from posefix.pose_errors.profile import Case, ErrorProfile, load_error_profile  # noqa: E402
from posefix.pose_errors.synthesis import SynthesisOptions, synthesize  # noqa: E402
from posefix.pose_errors.taxonomy import ERRORS  # noqa: E402
from posefix.skeletons import Skeleton, load_skeleton  # noqa: E402
from posefix.training.augmentation import MOST_COVER, AugmentationConfig, draw_spoil  # noqa: E402
from posefix.training.datasets import (  # noqa: E402
    HALF_BODY_KEYPOINTS,
    LOWER_HALF_RATE,
    Batch,
    InputSource,
    WrongPoseDataset,
    improve,
)

if TYPE_CHECKING:
    from torch import Tensor

LSP = load_skeleton("lsp14")
PLACES = {
    "head_top": (100, 20), "neck": (100, 60), "left_shoulder": (130, 70), "right_shoulder": (70, 70),
    "left_elbow": (150, 110), "right_elbow": (50, 110), "left_wrist": (160, 150), "right_wrist": (40, 150),
    "left_hip": (120, 160), "right_hip": (80, 160), "left_knee": (125, 225), "right_knee": (75, 225),
    "left_ankle": (125, 285), "right_ankle": (75, 285),
}  # fmt: skip
POSE = np.array([PLACES[name] for name in LSP.keypoint_names], dtype=np.float32)
PEOPLE = 12
AREA = 20000.0
BOX = (10, 5, 180, 300)
"""Annotated: not the middle of the keypoints."""
CROP = (192, 256)
STILL = AugmentationConfig(scale=0, rotation_rate=0, flip_rate=0)
DOT = 245
"""Blue of a dot and of nothing else: red says whose, green which keypoint's."""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> PersonRecords:
    """People alone in photos of their own red, with a dot at each keypoint."""
    folder = tmp_path_factory.mktemp("dots")
    generator = np.random.default_rng(0)
    keypoints = POSE[None] + generator.uniform(-6, 6, (PEOPLE, len(LSP), 2)).round().astype(np.float32)
    photos = []
    for person, places in enumerate(keypoints):
        photo = np.zeros((320, 200, 3), np.uint8)
        photo[..., 2] = red(person)
        for number, (x, y) in enumerate(places):
            cv2.circle(photo, (int(x), int(y)), 7, (DOT, green(number), red(person)), -1)
        photos.append(folder / f"{person}.png")
        cv2.imwrite(str(photos[-1]), photo)
    return records_of(keypoints, tuple(photos))


def red(person: int) -> int:
    return 20 + 20 * person


def green(keypoint: int) -> int:
    return 10 + 17 * keypoint


def records_of(keypoints: npt.NDArray[np.float32], photos: tuple[Path, ...]) -> PersonRecords:
    count, size = keypoints.shape[:2]
    return PersonRecords(
        keypoints,
        np.ones((count, size), bool),
        np.full(count, AREA, np.float32),
        np.zeros(count, np.int64),
        np.empty((count, 0), np.int64),
        photos,
        np.zeros((count, 0, size, 2), np.float32),
        np.zeros((count, 0, size), bool),
        np.tile(np.array(BOX, np.float32), (count, 1)),
    )


def profile(**probabilities: float) -> ErrorProfile:
    """All keypoints alike; what is left is good."""
    cases = {error: (Case({"other": probabilities.get(error.label, 0.0)}),) for error in ERRORS}
    return ErrorProfile("made", "test", {}, cases)


def dataset(
    records: PersonRecords,
    augmentation: AugmentationConfig,
    source: InputSource | None = None,
    skeleton: Skeleton = LSP,
) -> WrongPoseDataset:
    source = source or InputSource(profile(), SynthesisOptions())
    return WrongPoseDataset(records, skeleton, source, augmentation, input_size_wh=CROP, seed=3)


def everybody(data: WrongPoseDataset, times: int = 1) -> Batch:
    return data[(0, 0, *list(range(len(data.records))) * times)]


def dots(image: Tensor, person: int) -> dict[int, npt.NDArray[np.float64]]:
    """Where in a crop the dots of a person are: keypoint -> (x, y)."""
    pixels = image.numpy()
    y, x = np.nonzero((abs(pixels[..., 0].astype(int) - red(person)) <= 4) & (pixels[..., 2] >= DOT - 6))
    greens = pixels[y, x, 1].astype(int)
    found = {}
    for keypoint in range(len(LSP)):
        own = abs(greens - green(keypoint)) <= 4
        if own.sum() >= 8:
            found[keypoint] = np.array([np.median(x[own]), np.median(y[own])])
    return found


def donor_of(image: Tensor, person: int) -> tuple[int, dict[int, npt.NDArray[np.float64]]]:
    """Who else is in the crop, and where: the one with most dots."""
    others = {other: dots(image, other) for other in range(PEOPLE) if other != person}
    donor = max(others, key=lambda other: len(others[other]))
    return donor, others[donor]


def same(first: Batch, second: Batch) -> bool:
    return all(
        torch.equal(getattr(first, field.name), getattr(second, field.name))
        for field in dataclasses.fields(Batch)
    )


def test_crops_around_the_box_are_the_original_s(records: PersonRecords) -> None:
    """The annotated box times 1.25, whatever the wrong pose is; 180 x 300 grow to the aspect of 192 x 256."""
    wild = SynthesisOptions(severity=3.0)
    batch = everybody(dataset(records, STILL, InputSource(profile(miss=0.5), wild, crop_around="box")))
    scale = 256 / (300 * 1.25)
    expected = (records.keypoints - [10 + 180 / 2, 5 + 300 / 2]) * scale + [95.5, 127.5]
    np.testing.assert_allclose(batch.targets.numpy(), expected, atol=1e-3)


def test_halves_and_people_without_a_box_are_cut_by_the_true_pose(records: PersonRecords) -> None:
    no_extent = records.boxes * np.array([1, 1, 0, 1], np.float32)
    halves = dataclasses.replace(STILL, half_body_rate=1.0)
    for people, augmentation in (
        (records, halves), (dataclasses.replace(records, boxes=no_extent), STILL),
    ):  # fmt: skip
        boxes, truths = (
            everybody(
                dataset(people, augmentation, InputSource(profile(), SynthesisOptions(), crop_around=around))
            )
            for around in ("box", "truth")
        )
        assert same(boxes, truths)


def test_without_crowding_a_crop_shows_one_person(records: PersonRecords) -> None:
    batch = everybody(dataset(records, STILL))
    for person in range(PEOPLE):
        assert set(dots(batch.images[person], person)) == set(range(len(LSP)))
        assert not donor_of(batch.images[person], person)[1]


def test_a_donor_s_pixels_are_pasted_in_the_donor_s_proportions(records: PersonRecords) -> None:
    batch = everybody(dataset(records, dataclasses.replace(STILL, crowding_rate=1.0)))
    for person in range(PEOPLE):
        donor, found = donor_of(batch.images[person], person)
        assert len(found) >= 5, person
        keypoints = sorted(found)
        seen = np.array([found[keypoint] for keypoint in keypoints])
        known = records.keypoints[donor, keypoints].astype(np.float64)
        # One scale and one shift take the donor's own photo to the crop.
        scale = np.polyfit((known - known.mean(0)).ravel(), (seen - seen.mean(0)).ravel(), 1)[0]
        expected = (known - known.mean(0)) * scale + seen.mean(0)
        assert abs(seen - expected).max() < 5, person


def test_some_donors_cover_the_person_and_some_are_covered(records: PersonRecords) -> None:
    batch = everybody(dataset(records, dataclasses.replace(STILL, crowding_rate=1.0)), times=4)
    in_front = behind = 0
    for place in range(len(batch.images)):
        person = place % PEOPLE
        own_all = len(dots(batch.images[place], person)) == len(LSP)
        inside = ((batch.targets[place] > 4) & (batch.targets[place] < torch.tensor(CROP) - 4)).all()
        assert inside
        hidden = len(LSP) - len(donor_of(batch.images[place], person)[1])
        in_front += not own_all
        behind += own_all and hidden > 2
    assert in_front >= 8
    assert behind >= 8


def test_donors_have_no_place_in_the_target(records: PersonRecords) -> None:
    plain, crowded = (
        everybody(dataset(records, dataclasses.replace(STILL, crowding_rate=rate))) for rate in (0.0, 1.0)
    )
    assert torch.equal(plain.labelled, crowded.labelled)
    for person in range(PEOPLE):
        for keypoint, place in dots(crowded.images[person], person).items():
            assert abs(crowded.targets[person, keypoint].numpy() - place).max() < 6


def test_swaps_land_on_the_donor_that_is_seen(records: PersonRecords) -> None:
    source = InputSource(profile(swap=1.0), SynthesisOptions())
    assert (swaps(dataset(records, STILL, source)) == 0).all()  # nobody to swap with
    crowded = swaps(dataset(records, dataclasses.replace(STILL, crowding_rate=1.0), source))
    assert (crowded > 0).all()
    assert crowded.sum() > 5 * PEOPLE


def swaps(data: WrongPoseDataset) -> npt.NDArray[np.int64]:
    """(B,) input keypoints of each person within KS .5 of a donor's dot of that keypoint or of its partner."""
    batch = everybody(data)
    counts = np.zeros(PEOPLE, np.int64)
    for person in range(PEOPLE):
        donor, found = donor_of(batch.images[person], person)
        if len(found) < 2:
            continue
        first, last = min(found, key=lambda k: found[k][1]), max(found, key=lambda k: found[k][1])
        height = records_height(data.records, donor, first, last)
        area = AREA * ((found[last][1] - found[first][1]) / height) ** 2
        for keypoint in range(len(LSP)):
            reach = float(distance_at(0.5, np.array(area), LSP.sigmas[keypoint])) + 2
            near = [found[k] for k in (keypoint, int(LSP.flip_index[keypoint])) if k in found]
            place = batch.keypoints[person, keypoint].numpy()
            counts[person] += any(np.linalg.norm(place - dot) <= reach for dot in near)
    return counts


def records_height(records: PersonRecords, person: int, first: int, last: int) -> float:
    return float(records.keypoints[person, last, 1] - records.keypoints[person, first, 1])


def test_the_crowding_rate_is_a_share(records: PersonRecords) -> None:
    batch = everybody(dataset(records, dataclasses.replace(STILL, crowding_rate=0.4)), times=10)
    reds = batch.images[..., 0].int()
    own = torch.tensor([red(number % PEOPLE) for number in range(len(reds))])[:, None, None]
    other = ((reds > 10) & ((reds - own).abs() > 8)).float().mean(dim=(1, 2)) > 0.02
    assert float(other.float().mean()) == pytest.approx(0.4, abs=0.12)


def test_the_same_key_gives_the_same_crowd(records: PersonRecords) -> None:
    busy = AugmentationConfig(shift=0.1, half_body_rate=0.5, crowding_rate=0.7)
    source = InputSource(load_error_profile(), SynthesisOptions(severity=1.0, keypoint_dropout=0.4))
    keys = ((0, 0), (0, 0), (0, 1), (1, 0))
    first, again, other_number, other_epoch = (
        dataset(records, busy, source)[(epoch, number, *range(PEOPLE))] for epoch, number in keys
    )
    assert same(first, again)
    assert not torch.equal(first.images, other_number.images)
    assert not torch.equal(first.images, other_epoch.images)
    assert not torch.equal(first.labelled, other_epoch.labelled)


def test_rates_of_zero_draw_nothing(records: PersonRecords) -> None:
    """The generator of a batch goes to synthesis first: what older runs drew is drawn still."""
    source = InputSource(load_error_profile(), SynthesisOptions(severity=1.0, keypoint_dropout=0.4))
    batch = everybody(dataset(records, STILL, source))
    people = records.people(np.arange(PEOPLE))
    wrong = synthesize(people, LSP, source.profile, np.random.default_rng([3, 0, 0]), source.options)
    boxes = geometry.box_from_keypoints(wrong.keypoints.astype(np.float64), wrong.present)
    matrices = geometry.crop_matrices(geometry.enlarge(boxes, 1.5), CROP)
    np.testing.assert_array_equal(batch.weights.numpy() > 0, wrong.present)
    np.testing.assert_allclose(batch.keypoints, geometry.transform(matrices, wrong.keypoints), atol=1e-3)
    assert batch.labelled.all()


LEGS = np.array([name.endswith(("knee", "ankle")) for name in LSP.keypoint_names])
LOWER = np.array([name.endswith(("hip", "knee", "ankle")) for name in LSP.keypoint_names])


def test_half_bodies_are_upper_or_lower_ones(records: PersonRecords) -> None:
    batch = everybody(dataset(records, dataclasses.replace(STILL, half_body_rate=1.0)), times=20)
    labelled = batch.labelled.numpy()
    upper, lower = (labelled == ~LEGS).all(axis=1), (labelled == LOWER).all(axis=1)
    assert (upper | lower).all()
    assert lower.mean() == pytest.approx(LOWER_HALF_RATE, abs=0.1)
    # The input shows no more than the target, and the box is that of the half.
    np.testing.assert_array_equal(batch.weights.numpy() > 0, labelled)
    for place, mask in enumerate(labelled):
        points = batch.keypoints[place, torch.from_numpy(mask)]
        sides = (points.max(0).values - points.min(0).values) / torch.tensor(CROP)
        assert float(sides.max()) == pytest.approx(1 / 1.5, abs=0.01)


def test_the_half_body_rate_is_a_share_and_changes_nobody_else(records: PersonRecords) -> None:
    plain, halved = (
        everybody(dataset(records, dataclasses.replace(STILL, half_body_rate=rate)), times=20)
        for rate in (0.0, 0.3)
    )
    whole = halved.labelled.all(dim=1)
    assert float(whole.float().mean()) == pytest.approx(0.7, abs=0.1)
    assert torch.equal(halved.images[whole], plain.images[whole])
    assert torch.equal(halved.keypoints[whole], plain.keypoints[whole])


def test_a_half_that_is_too_small_stays_whole(records: PersonRecords) -> None:
    labelled = np.ones((PEOPLE, len(LSP)), bool)
    labelled[:, np.flatnonzero(LOWER)[HALF_BODY_KEYPOINTS - 1 :]] = False  # too few below
    some = dataclasses.replace(records, labelled=labelled)
    batch = everybody(dataset(some, dataclasses.replace(STILL, half_body_rate=1.0)), times=10)
    got = batch.labelled.numpy()
    given = np.tile(labelled, (10, 1))
    upper, whole = (got == (given & ~LEGS)).all(axis=1), (got == given).all(axis=1)
    assert (upper | whole).all()
    assert 0.1 < whole.mean() < 0.5
    assert got.sum(axis=1).min() >= HALF_BODY_KEYPOINTS


def test_feet_belong_to_the_lower_half(records: PersonRecords) -> None:
    halpe = load_skeleton("halpe26")
    generator = np.random.default_rng(1)
    keypoints = generator.uniform(20, 180, (PEOPLE, len(halpe), 2)).astype(np.float32)
    feet = np.array(["toe" in name or "heel" in name for name in halpe.keypoint_names])
    half = dataset(
        records_of(keypoints, records.images),
        dataclasses.replace(STILL, half_body_rate=1.0),
        skeleton=halpe,
    )
    labelled = everybody(half, times=3).labelled.numpy()
    assert (labelled[:, feet].all(axis=1) != (~labelled[:, feet]).all(axis=1)).all()
    np.testing.assert_array_equal(labelled[:, feet].all(axis=1), ~labelled[:, halpe.index("nose")])
    assert labelled[:, halpe.index("hip_midpoint")].all()


def test_a_flip_takes_the_half_along(records: PersonRecords) -> None:
    """Of the left arm alone, labelled, the mirror image has a right one."""
    labelled = np.tile([not name.startswith("right") for name in LSP.keypoint_names], (PEOPLE, 1))
    some = dataclasses.replace(records, labelled=labelled)
    batch = everybody(dataset(some, dataclasses.replace(STILL, flip_rate=1.0, half_body_rate=1.0)))
    mirrored = labelled[:, LSP.flip_index]
    assert not (batch.labelled.numpy() & ~mirrored).any()
    np.testing.assert_array_equal(batch.weights.numpy() > 0, batch.labelled.numpy())


def with_estimates(records: PersonRecords) -> PersonRecords:
    """Three estimators; each found a third of the people, and put them elsewhere."""
    estimates = np.zeros((PEOPLE, 3, len(LSP), 2), np.float32)
    estimated = np.zeros((PEOPLE, 3, len(LSP)), bool)
    for person in range(PEOPLE):
        estimates[person, person % 3] = records.keypoints[person][::-1]
        estimated[person, person % 3] = True
    return dataclasses.replace(records, estimates=estimates, estimated=estimated)


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_a_person_found_by_any_estimator_gets_its_pose_at_the_rate(
    records: PersonRecords, rate: float
) -> None:
    source = InputSource(profile(), SynthesisOptions(), estimate_rate=rate)
    batch = everybody(dataset(with_estimates(records), STILL, source), times=10)
    reversed_places = batch.targets.flip(1)
    estimate = ((batch.keypoints - reversed_places).abs().amax(dim=(1, 2)) < 0.1).float()
    assert float(estimate.mean()) == pytest.approx(rate, abs=0.15)


def test_all_of_a_person_s_estimators_are_used(records: PersonRecords) -> None:
    given = with_estimates(records)
    given.estimated[0, :2] = True
    given.estimates[0, 1] = records.keypoints[0] + 50
    source = InputSource(profile(), SynthesisOptions(), estimate_rate=1.0)
    batch = dataset(given, STILL, source)[(0, 0, *[0] * 60)]
    shifted = (batch.keypoints - batch.targets).std(dim=1).amax(dim=1) < 0.1
    assert 0.25 < float(shifted.float().mean()) < 0.75


def test_people_nobody_found_get_synthesised_poses(records: PersonRecords) -> None:
    given = with_estimates(records)
    given.estimated[5] = False
    source = InputSource(profile(), SynthesisOptions(), estimate_rate=1.0)
    batch = everybody(dataset(given, STILL, source))
    off = (batch.keypoints - batch.targets).norm(dim=2).amax(dim=1)
    assert off.argmin() == 5
    assert batch.weights[5].all()


def test_improved_estimates_go_a_share_of_the_way_to_the_truth() -> None:
    generator = np.random.default_rng(0)
    count = 400
    truth = generator.uniform(0, 200, (count, len(LSP), 2)).astype(np.float32)
    estimates = truth + generator.normal(0, 20, truth.shape).astype(np.float32)
    labelled = generator.random((count, len(LSP))) < 0.8
    improved = improve(estimates, truth, labelled, 0.6, generator)
    np.testing.assert_array_equal(improved[~labelled], estimates[~labelled])
    remaining = np.linalg.norm(improved - truth, axis=2) / np.linalg.norm(estimates - truth, axis=2)
    shares = np.array([1 - remaining[row][labelled[row]] for row in range(count)], dtype=object)
    assert all(np.ptp(share) < 1e-2 for share in shares), "one share for all keypoints of a pose"
    moved = np.array([share.mean() for share in shares])
    assert float((moved > 1e-3).mean()) == pytest.approx(0.6, abs=0.08)
    assert float(moved[moved > 1e-3].mean()) == pytest.approx(0.5, abs=0.06)
    assert (moved <= 1).all()


def test_estimates_that_are_not_to_be_improved_stay(records: PersonRecords) -> None:
    estimates = with_estimates(records).estimates[:, 0]
    generator = np.random.default_rng(0)
    same_ones = improve(estimates, records.keypoints, records.labelled, 0.0, generator)
    np.testing.assert_array_equal(same_ones, estimates)


def test_improved_estimates_are_inputs(records: PersonRecords) -> None:
    source = InputSource(profile(), SynthesisOptions(), estimate_rate=1.0, improved_rate=1.0)
    batch = everybody(dataset(with_estimates(records), STILL, source))
    given = batch.targets.flip(1) - batch.targets
    share = 1 - (batch.keypoints - batch.targets).norm(dim=2) / given.norm(dim=2)
    assert (share.amax(dim=1) - share.amin(dim=1)).max() < 1e-2
    assert share.min() < 0.3
    assert share.max() > 0.6


def stripes() -> npt.NDArray[np.uint8]:
    """A crop of single black and white columns: the finest detail there is."""
    image = np.zeros((256, 192, 3), dtype=np.uint8)
    image[:, ::2] = 255
    return image


def test_a_crop_that_loses_detail_keeps_its_brightness() -> None:
    generator = np.random.default_rng(0)
    lossy = AugmentationConfig(low_resolution_rate=1.0)
    crops = np.stack([draw_spoil(lossy, CROP, generator).apply(stripes()) for _ in range(20)])
    assert crops.shape == (20, 256, 192, 3)
    assert crops.mean() == pytest.approx(127.5, abs=2)
    contrast = crops.std(axis=(1, 2, 3))
    assert contrast.min() < 20, "some lose nearly all"
    assert contrast.max() > 40, "some lose little"


def test_a_cut_out_is_a_rectangle_of_one_colour() -> None:
    generator = np.random.default_rng(0)
    covered = AugmentationConfig(cut_out_rate=1.0)
    sides = []
    for _ in range(50):
        image = stripes()
        crop = draw_spoil(covered, CROP, generator).apply(image)
        assert (image == stripes()).all(), "the crop that was given stays as it is"
        changed = (crop != stripes()).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        inside = crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert len(np.unique(inside.reshape(-1, 3), axis=0)) == 1
        sides.append((np.ptp(rows) + 1, np.ptp(columns) + 1))
    heights, widths = np.transpose(sides)
    assert heights.max() <= MOST_COVER * 256 + 1
    assert widths.max() <= MOST_COVER * 192 + 1
    assert np.ptp(heights) > 30


def test_a_crop_that_is_not_to_be_spoiled_stays() -> None:
    image = stripes()
    assert draw_spoil(AugmentationConfig(), CROP, np.random.default_rng(0)).apply(image) is image


@pytest.mark.parametrize("name", ["flip_rate", "half_body_rate", "low_resolution_rate", "cut_out_rate"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_rates_are_shares(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be from 0 to 1, got {value}"):
        AugmentationConfig(**{name: value})


def test_crowds_of_real_photos(shared_data: Path) -> None:
    """Real people of all sizes beside each other: nothing is missing, and swaps are drawn."""
    skeleton = load_skeleton("posefix19")
    truth = read_annotations(shared_data / "coco" / "person_keypoints_train.json")
    photos = find_photos(truth, shared_data / "coco" / "images")
    real = build_records(truth, photos, skeleton)
    alone = dataclasses.replace(real, neighbours=np.empty((len(real), 0), np.int64))
    rows = np.random.default_rng(0).permutation(len(real))[:48].tolist()
    source = InputSource(profile(swap=0.9), SynthesisOptions())
    plain, crowded = (
        dataset(alone, dataclasses.replace(STILL, crowding_rate=rate), source, skeleton)[(0, 0, *rows)]
        for rate in (0.0, 1.0)
    )
    assert torch.isfinite(crowded.keypoints).all()
    assert torch.equal(crowded.weights, plain.weights)
    off = [
        (batch.keypoints - batch.targets).norm(dim=2)[batch.weights > 0] > 16 for batch in (plain, crowded)
    ]
    assert float(off[0].float().mean()) < 0.05
    assert float(off[1].float().mean()) > 0.4
