"""Batches of wrong poses with their crops: annotation -> wrong pose -> box -> augmented crop, as in a test.

The crop comes from the *wrong* pose, exactly as the refiner will cut it, so the network meets the boxes that bad poses
make. A batch is a function of (seed, epoch, its indices), whatever the number of workers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from posefix import geometry
from posefix.error_profile import ErrorProfile
from posefix.errors import InputError
from posefix.images import decode_image
from posefix.people import PersonRecords
from posefix.skeletons import Skeleton
from posefix.synthesis import SynthesisOptions, WrongPoses, synthesize
from posefix.taxonomy import LabelledPeople
from posefix.training.ad_hoc_synthesis import synthesize_ad_hoc
from posefix.training.crowding import Donors, add_neighbours, body_mask, choose_donors, paste

LEGS = ("knee", "ankle", "heel", "toe", "foot_index")
HIPS = ("hip", "hip_midpoint", "pelvis")
"""Ends of keypoint names: a lower half has both, an upper half lacks the legs alone."""
LOWER_HALF_RATE = 0.3
"""Of half bodies, this share are lower halves: photos cut people off below far more often than above."""
HALF_BODY_KEYPOINTS = 4
"""A half with fewer labelled keypoints is not worth learning from alone."""

MOST_DETAIL_LOST = 4.0
"""A crop that loses detail is made smaller by up to this factor and enlarged again."""
LEAST_COVER, MOST_COVER = 0.1, 0.4
"""A covering rectangle's sides are at least and at most this share of the crop's."""


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of the crop; the defaults are the paper's (section 6) in the form of its code.

    Attributes:
        scale: The box is scaled by a normal number around one with this standard deviation, clipped there.
        rotation_degrees: Standard deviation of the rotation, clipped at twice that.
        rotation_rate: Probability of a rotation.
        flip_rate: Probability of a mirror image.
        shift: The box moves by up to this share of its sides.
        colour: Gain and offset of each colour channel vary by up to this share.
        half_body_rate: Probability that only the upper or only the lower body is input, box and target, as with
            people cut off by the edge of a photo.
        crowding_rate: Probability that another person of the batch is pasted beside (`posefix.training.crowding`).
        low_resolution_rate: Probability that the crop loses detail, as if the person were small in the photo.
        cut_out_rate: Probability that a rectangle of the crop is covered, as by a thing in front of the person.
    """

    scale: float = 0.3
    rotation_degrees: float = 40.0
    rotation_rate: float = 0.6
    flip_rate: float = 0.5
    shift: float = 0.0
    colour: float = 0.0
    half_body_rate: float = 0.0
    crowding_rate: float = 0.0
    low_resolution_rate: float = 0.0
    cut_out_rate: float = 0.0

    def __post_init__(self) -> None:
        for name in (field.name for field in dataclasses.fields(self) if field.name.endswith("_rate")):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class InputSource:
    """Where the wrong poses come from.

    Attributes:
        profile: Error frequencies.
        options: What is synthesised beyond the paper.
        estimate_rate: Probability that a person who has estimates gets one of them instead of a synthesised pose.
        improved_rate: Probability that such an estimate is brought part of the way to the truth, as a better
            estimator's would be.
        crop_around_truth: Whether crops show the true pose, as a pose network needs it, and not the wrong one.
        ad_hoc: Whether poses are made wrong as PoseRefiner does (`posefix.training.ad_hoc_synthesis`), not by profile
            and options.
    """

    profile: ErrorProfile
    options: SynthesisOptions
    estimate_rate: float = 0.0
    improved_rate: float = 0.0
    crop_around_truth: bool = False
    ad_hoc: bool = False


@dataclass(frozen=True)
class Batch:
    """B training samples; coordinates in crop pixels.

    Attributes:
        images: (B, H, W, 3) uint8 RGB.
        keypoints: (B, K, 2) wrong input pose.
        weights: (B, K) float32, 0 for an absent input keypoint.
        targets: (B, K, 2) true places.
        labelled: (B, K) bool.
    """

    images: Tensor
    keypoints: Tensor
    weights: Tensor
    targets: Tensor
    labelled: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        parts = (self.images, self.keypoints, self.weights, self.targets, self.labelled)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))

    def pin_memory(self) -> Batch:
        """The same in page-locked memory (called by the data loader)."""
        parts = (self.images, self.keypoints, self.weights, self.targets, self.labelled)
        return Batch(*(part.pin_memory() for part in parts))


class WrongPoseDataset(Dataset[Batch]):
    """Person records with wrong poses, synthesised afresh or an estimator's; indexed by whole batches.

    Args:
        records: Labelled people.
        skeleton: Names the keypoints.
        source: Where the wrong poses come from.
        augmentation: Random changes of the crop.
        input_size_wh: Crop size in pixels.
        seed: Of all randomness, with epoch and number of the batch.
    """

    def __init__(
        self,
        records: PersonRecords,
        skeleton: Skeleton,
        source: InputSource,
        augmentation: AugmentationConfig,
        *,
        input_size_wh: tuple[int, int],
        seed: int,
    ) -> None:
        self.records = records
        self.skeleton = skeleton
        self.source = source
        self.augmentation = augmentation
        self.input_size_wh = input_size_wh
        self.seed = seed

    def __getitem__(self, key: tuple[int, ...]) -> Batch:
        """One batch; `key` is (epoch, number of the batch, row, row, ...)."""
        epoch, number, *indices = key
        rows = np.asarray(indices, dtype=np.int64)
        generator = np.random.default_rng([self.seed, epoch, number])
        # A stream of its own, so that without donors and half bodies a batch is what it would be without this code.
        (extra,) = generator.spawn(1)
        people = self.records.people(rows)
        donors = choose_donors(people, self.augmentation.crowding_rate, extra)
        kept = self._half_bodies(people.labelled, extra)
        wrong, present = self._inputs(rows, add_neighbours(people, donors), generator)
        present, labelled = present & kept, people.labelled & kept
        flip, matrices = self._crops(wrong, present, people.keypoints, labelled, generator)
        order = np.where(flip[:, None], self.skeleton.flip_index[None], np.arange(len(self.skeleton))[None])
        row = np.arange(len(rows))[:, None]
        images = [self._image(place, rows, people, donors, matrices) for place in range(len(rows))]
        images = [spoil(image, self.augmentation, extra) for image in images]
        keypoints = geometry.transform(matrices, wrong)[row, order]
        targets = geometry.transform(matrices, people.keypoints)[row, order]
        return Batch(
            torch.from_numpy(np.stack(images)),
            torch.from_numpy(keypoints.astype(np.float32)),
            torch.from_numpy(present[row, order].astype(np.float32)),
            torch.from_numpy(targets.astype(np.float32)),
            torch.from_numpy(labelled[row, order]),
        )

    def _image(
        self,
        place: int,
        rows: npt.NDArray[np.int64],
        people: LabelledPeople,
        donors: Donors,
        matrices: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.uint8]:
        """The crop (H, W, 3) of the person at one place of the batch, with its donor."""
        crop = self._warp(rows[place], matrices[place])
        donor = donors.rows[place]
        if donor < 0:
            return crop
        matrix = geometry.compose(matrices[place], donors.matrices[place])
        mask = self._mask(people, donor, matrix)
        cover = None if donors.in_front[place] else self._mask(people, place, matrices[place])
        return paste(crop, self._warp(rows[donor], matrix), mask, cover)

    def _warp(self, row: int, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
        return geometry.warp(decode_image(self.records.images[row]), matrix, self.input_size_wh)

    def _mask(
        self, people: LabelledPeople, place: int, matrix: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        keypoints = geometry.transform(matrix[None], people.keypoints[None, place].astype(np.float64))[0]
        size = float(np.sqrt(people.area[place] * abs(np.linalg.det(matrix[:, :2]))))
        return body_mask(keypoints, people.labelled[place], size, self.skeleton, self.input_size_wh)

    def _half_bodies(
        self, labelled: npt.NDArray[np.bool_], generator: np.random.Generator
    ) -> npt.NDArray[np.bool_]:
        """(B, K) bool: the keypoints that stay; all, or those of the upper or of the lower body."""
        legs = np.array([name.endswith(LEGS) for name in self.skeleton.keypoint_names])
        lower = np.array([name.endswith((*LEGS, *HIPS)) for name in self.skeleton.keypoint_names])
        kept = np.where(generator.random((len(labelled), 1)) < LOWER_HALF_RATE, lower, ~legs)
        few = (labelled & kept).sum(axis=1, keepdims=True) < HALF_BODY_KEYPOINTS
        whole = generator.random((len(labelled), 1)) >= self.augmentation.half_body_rate
        return np.asarray(kept | few | whole)

    def _inputs(
        self, rows: npt.NDArray[np.int64], people: LabelledPeople, generator: np.random.Generator
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Input poses (B, K, 2) and which of their keypoints are there: synthesised, or an estimator's."""
        wrong = self._synthesized(people, generator)
        estimated = self.records.estimated[rows]
        if self.source.estimate_rate == 0 or estimated.shape[1] == 0:
            return wrong.keypoints.astype(np.float64), wrong.present
        # Not every estimator found everybody, and joined sets have estimators of their own.
        found = estimated.any(axis=2)
        nth = generator.integers(np.maximum(found.sum(axis=1), 1))
        choice = np.argsort(~found, axis=1, kind="stable")[np.arange(len(rows)), nth]
        there = estimated[np.arange(len(rows)), choice]
        use = there.any(axis=1) & (generator.random(len(rows)) < self.source.estimate_rate)
        # Keypoints drop out of an estimator's poses as they do of synthesised ones.
        fraction = self.source.options.keypoint_dropout * generator.random((len(rows), 1))
        dropped = generator.random(there.shape) < fraction
        estimates = improve(
            self.records.estimates[rows, choice],
            people.keypoints,
            people.labelled,
            self.source.improved_rate,
            generator,
        )
        keypoints = np.where(use[:, None, None], estimates, wrong.keypoints)
        return keypoints.astype(np.float64), np.where(use[:, None], there & ~dropped, wrong.present)

    def _synthesized(self, people: LabelledPeople, generator: np.random.Generator) -> WrongPoses:
        if self.source.ad_hoc:
            return synthesize_ad_hoc(people, self.skeleton, generator)
        return synthesize(people, self.skeleton, self.source.profile, generator, self.source.options)

    def _crops(
        self,
        keypoints: npt.NDArray[np.float64],
        present: npt.NDArray[np.bool_],
        truth: npt.NDArray[np.float32],
        labelled: npt.NDArray[np.bool_],
        generator: np.random.Generator,
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Augmented crop of each wrong pose: flips, matrices.

        With fewer than two keypoints present nothing tells the person's size; then the true pose does.
        """
        augmentation, count = self.augmentation, len(keypoints)
        few = (present.sum(axis=1, keepdims=True) < 2) | self.source.crop_around_truth
        points = np.where(few[..., None], truth, keypoints).astype(np.float64)
        boxes = geometry.box_from_keypoints(points, np.where(few, labelled, present))
        factor = np.clip(
            1 + augmentation.scale * generator.standard_normal(count), *_around_one(augmentation.scale)
        )
        boxes[:, :2] += boxes[:, 2:] * generator.uniform(-augmentation.shift, augmentation.shift, (count, 2))
        boxes = geometry.enlarge(boxes, geometry.KEYPOINT_BOX_FACTOR * geometry.CROP_FACTOR * factor[:, None])
        limit = 2 * augmentation.rotation_degrees
        rotation = np.clip(augmentation.rotation_degrees * generator.standard_normal(count), -limit, limit)
        rotation *= generator.random(count) < augmentation.rotation_rate
        flip = generator.random(count) < augmentation.flip_rate
        return flip, geometry.crop_matrices(boxes, self.input_size_wh, rotation_degrees=rotation, flip=flip)


def _around_one(spread: float) -> tuple[float, float]:
    return 1 - spread, 1 + spread


def improve(
    estimates: npt.NDArray[np.float32],
    truth: npt.NDArray[np.float32],
    labelled: npt.NDArray[np.bool_],
    rate: float,
    generator: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Bring estimated poses part of the way to the truth, as a better estimator's would be.

    All keypoints of a pose go the same share of their ways, drawn evenly from 0 to 1, so that the errors stay as
    correlated as the estimator makes them. Keypoints without a label stay.

    Args:
        estimates: (B, K, 2).
        truth: (B, K, 2).
        labelled: (B, K).
        rate: Probability that a pose is improved.
        generator: Source of all randomness.
    """
    if rate == 0:
        return estimates
    share = generator.random((len(estimates), 1)) * (generator.random((len(estimates), 1)) < rate)
    return estimates + np.where(labelled, share, 0.0)[..., None].astype(np.float32) * (truth - estimates)


def spoil(
    image: npt.NDArray[np.uint8], augmentation: AugmentationConfig, generator: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """A crop (H, W, 3) that has lost detail, or is partly covered by a rectangle of one colour, or neither."""
    height, width = image.shape[:2]
    if augmentation.low_resolution_rate > generator.random():
        factor = generator.uniform(1, MOST_DETAIL_LOST)
        small = cv2.resize(
            image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA
        )
        image = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    if augmentation.cut_out_rate > generator.random():
        sides = np.array([width, height])
        half = sides * generator.uniform(LEAST_COVER, MOST_COVER, 2) / 2
        centre = sides * generator.random(2)
        (left, top), (right, bottom) = np.clip([centre - half, centre + half], 0, sides).round().astype(int)
        image = image.copy()
        image[top:bottom, left:right] = generator.integers(0, 256, 3)
    return image


class BatchSampler(Sampler[tuple[int, ...]]):
    """Keys of an epoch's batches in a random order that depends on (seed, epoch) alone.

    Args:
        count: Number of people.
        batch_size: People in each process's batch; the last, smaller batch of an epoch is left out.
        seed: Of the shuffling.
        rank: Which of `world_size` processes this is; the processes share each epoch out between them.
        world_size: Number of processes.
    """

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.count // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        for step in range(len(self)):
            number = step * self.world_size + self.rank
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield (self.epoch, number, *(int(row) for row in rows))


def change_colours(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random gain and offset for each colour channel: (B, H, W, 3) -> float of the same shape in 0..255.

    Half of the change is common to the three channels (brightness and contrast), half is each channel's own.
    """
    shape = (images.shape[0], 1, 1, 1)
    channels = (images.shape[0], 1, 1, 3)

    def spread() -> Tensor:
        common = torch.rand(shape, generator=generator, device=images.device) * 2 - 1
        own = torch.rand(channels, generator=generator, device=images.device) * 2 - 1
        return strength * (common + own) / 2

    pixels = images.float()
    mean = pixels.mean(dim=(1, 2), keepdim=True)
    return ((pixels - mean) * (1 + spread()) + mean * (1 + spread())).clamp(0, 255)
