"""Crops that the device makes are those that OpenCV makes, whatever is drawn for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from posefix.people import PersonRecords  # noqa: E402
from posefix.photos.finding import decode_image  # noqa: E402
from posefix.pose import geometry  # noqa: E402
from posefix.pose_errors.profile import load_error_profile  # noqa: E402
from posefix.pose_errors.synthesis import SynthesisOptions  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training.augmentation import AugmentationConfig, Spoil, draw_spoil  # noqa: E402
from posefix.training.datasets import InputSource, WrongPoseDataset  # noqa: E402
from posefix.training.loading import Mover, load_batches  # noqa: E402
from posefix.training.packing import PackedDataset, cover, cut_packed_crops, lose_detail  # noqa: E402
from posefix.training.sampling import BatchSampler  # noqa: E402

CROP = (48, 64)
COCO = load_skeleton("coco17")
BUSY = AugmentationConfig(
    shift=0.1, half_body_rate=0.3, crowding_rate=0.6, low_resolution_rate=0.5, cut_out_rate=0.5
)
OFF = 6
"""OpenCV 4 rounds places to 1/32 of a pixel: a crop may be off by 1/64 of the largest step between two pixels in each
direction, and by one for rounding. OpenCV 5 does not, and is off by one at most."""


def noise(size_wh: tuple[int, int], seed: int) -> npt.NDArray[np.uint8]:
    """Rough enough that a shift of half a pixel is seen, smooth enough that one of 1/64 is not."""
    fine = np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(fine, (0, 0), 1.0), dtype=np.uint8)


@given(
    st.integers(1, 70), st.integers(1, 70), st.floats(-40, 80), st.floats(-40, 80), st.floats(0.55, 3),
    st.floats(0, 360), st.booleans(),
)  # fmt: skip
def test_a_device_s_crop_is_opencv_s(
    width: int, height: int, x: float, y: float, zoom: float, angle: float, flip: bool
) -> None:
    size = np.array(CROP) / zoom
    box = np.array([[x - size[0] / 2, y - size[1] / 2, *size]])
    matrix = geometry.crop_matrices(box, CROP, rotation_degrees=angle, flip=flip)
    photo = noise((width, height), 0)
    expected = geometry.warp(photo, matrix[0], CROP).astype(int)
    got = cut_packed_crops(
        torch.from_numpy(photo.reshape(-1, 3)),
        torch.tensor([0], dtype=torch.int32),
        torch.tensor([[width, height]], dtype=torch.int32),
        torch.from_numpy(geometry.invert(matrix).astype(np.float32)),
        CROP,
    )
    difference = abs(got[0].numpy().astype(int) - expected)
    # At the very edge of a photo a step goes down to black.
    assert np.quantile(difference, 0.9) <= OFF
    assert difference.max() <= 2 * OFF


def test_a_place_far_outside_is_black() -> None:
    far = torch.tensor([[[1e9, 0.0, -1e12], [0.0, 1e9, 3e12]]])
    one = torch.tensor([0], dtype=torch.int32)
    crops = cut_packed_crops(
        torch.full((4, 3), 255, dtype=torch.uint8), one, torch.tensor([[2, 2]]), far, CROP
    )
    assert not crops.any()


@given(st.lists(st.floats(1, 4), min_size=1, max_size=4))
def test_detail_is_lost_as_in_opencv(factors: list[float]) -> None:
    images = np.stack([noise(CROP, seed) for seed in range(len(factors))])
    small = [(round(CROP[0] / factor), round(CROP[1] / factor)) for factor in factors]
    expected = np.stack(
        [Spoil(small_wh=size).apply(image) for size, image in zip(small, images, strict=True)]
    )
    got = lose_detail(torch.from_numpy(images).float(), torch.tensor(small, dtype=torch.float32))
    # OpenCV rounds the small picture to whole numbers as well.
    assert abs(got.numpy() - expected).max() <= 2


@given(st.integers(0, 2**32 - 1))
def test_covers_are_the_same(seed: int) -> None:
    generator = np.random.default_rng(seed)
    spoil = draw_spoil(AugmentationConfig(cut_out_rate=1.0), CROP, generator)
    image = noise(CROP, 1)
    assert spoil.cover is not None
    got = cover(
        torch.from_numpy(image)[None].float(),
        torch.tensor([spoil.cover], dtype=torch.int32),
        torch.tensor([spoil.colour], dtype=torch.uint8),
    )
    np.testing.assert_array_equal(got[0].numpy(), spoil.apply(image))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> PersonRecords:
    """Twelve people of seventeen keypoints, each in a photo of its own."""
    folder = tmp_path_factory.mktemp("noise")
    generator = np.random.default_rng(0)
    count, size = 12, len(COCO)
    photos: list[Path] = []
    for person in range(count):
        photos.append(folder / f"{person}.png")
        cv2.imwrite(str(photos[-1]), noise((100 + person, 120), person))
    return PersonRecords(
        generator.uniform([30, 25], [70, 95], (count, size, 2)).astype(np.float32),
        np.ones((count, size), bool),
        np.full(count, 1500, np.float32),
        np.zeros(count, np.int64),
        np.empty((count, 0), np.int64),
        tuple(photos),
        np.zeros((count, 0, size, 2), np.float32),
        np.zeros((count, 0, size), bool),
        np.zeros((count, 4), np.float32),
    )


def samples(records: PersonRecords, augmentation: AugmentationConfig) -> WrongPoseDataset:
    source = InputSource(load_error_profile(), SynthesisOptions(severity=1.0, keypoint_dropout=0.3))

    def picture(
        row: int, matrix: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """A photo, halved where the crop is less than half as fine, as shards give it."""
        photo = decode_image(records.images[row])
        if abs(np.linalg.det(matrix[:, :2])) > 0.25:
            return photo, matrix
        height, width = (side // 2 for side in photo.shape[:2])
        half = cv2.resize(photo[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        offset = matrix[:, :2] @ np.full(2, 0.5) + matrix[:, 2]
        return np.asarray(half, dtype=np.uint8), np.column_stack([2 * matrix[:, :2], offset])

    return WrongPoseDataset(records, COCO, source, augmentation, input_size_wh=CROP, seed=5, pictures=picture)


@pytest.mark.parametrize("augmentation", [AugmentationConfig(), BUSY])
def test_a_packed_batch_is_the_batch(records: PersonRecords, augmentation: AugmentationConfig) -> None:
    data = samples(records, augmentation)
    key = (1, 2, *range(12), *range(12))
    plain, packed = data[key], PackedDataset(data)[key]
    assert (len(packed.pasted) > 5) == (len(packed.blurred) > 5) == (augmentation is BUSY)
    unpacked = packed.unpacked(CROP)
    for name in ("keypoints", "weights", "targets", "labelled"):
        assert torch.equal(getattr(plain, name), getattr(unpacked, name)), name
    assert unpacked.images.dtype == torch.uint8 and unpacked.images.shape == plain.images.shape
    difference = (plain.images.int() - unpacked.images.int()).abs().float()
    assert float(difference.mean()) < 0.5
    assert float(difference.amax(dim=(1, 2, 3)).median()) <= OFF


def test_the_same_seed_gives_the_same_samples_whatever_the_workers(records: PersonRecords) -> None:
    data = PackedDataset(samples(records, BUSY))
    cpu = torch.device("cpu")
    alone, together = (
        [
            batch.unpacked(CROP)
            for batch in load_batches(data, BatchSampler(12, 4, seed=1).keys(0), workers, cpu)
        ]
        for workers in (0, 2)
    )
    assert len(alone) == len(together) == 3
    for first, second in zip(alone, together, strict=True):
        for field in dataclasses.fields(first):
            assert torch.equal(getattr(first, field.name), getattr(second, field.name)), field.name


def test_a_batch_s_crops_do_not_depend_on_its_other_people(records: PersonRecords) -> None:
    """Batched against single: nobody looks at a neighbour's pixels in the one long row of them."""
    packed = PackedDataset(samples(records, AugmentationConfig()))[(0, 0, *range(12))]
    parts = (packed.pixels, packed.starts, packed.sizes_wh, packed.matrices)
    together = cut_packed_crops(*parts, CROP)
    for person in range(12):
        width, height = packed.sizes_wh[person].tolist()
        start = int(packed.starts[person])
        own = packed.pixels[start : start + width * height]
        alone = cut_packed_crops(
            own, torch.zeros(1, dtype=torch.int32), packed.sizes_wh[[person]], packed.matrices[[person]], CROP
        )
        assert torch.equal(alone[0], together[person])


def test_a_mover_keeps_every_part(records: PersonRecords) -> None:
    packed = PackedDataset(samples(records, BUSY))[(0, 0, *range(12))]
    moved = Mover(torch.device("cpu"))(packed)
    assert all(
        torch.equal(getattr(packed, field.name), getattr(moved, field.name))
        for field in dataclasses.fields(packed)
    )


@pytest.mark.gpu
def test_a_gpu_makes_the_same_crops_and_is_never_waited_for(records: PersonRecords) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    packed = PackedDataset(samples(records, BUSY))[(0, 0, *range(12))]
    here = packed.unpacked(CROP)
    moved = Mover(torch.device("cuda"))(packed.pin_memory())
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = moved.unpacked(CROP)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert float((there.images.cpu().int() - here.images.int()).abs().float().mean()) < 0.05
