"""Batches of wrong poses with their crops: annotation -> wrong pose -> box -> augmented crop, as in a test.

The crop comes from the *wrong* pose, exactly as the refiner will cut it, so the network meets the boxes that bad poses
make; or, where a recipe says so, from the true pose or the annotated box. A batch is a
function of (seed, epoch, its indices), whatever the number of workers, and wherever crops are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from posefix.people import PersonRecords
from posefix.photos.finding import decode_image
from posefix.pose import geometry
from posefix.pose.poses import FloatArray
from posefix.pose_errors.profile import ErrorProfile
from posefix.pose_errors.synthesis import SynthesisOptions, WrongPoses, synthesize
from posefix.pose_errors.taxonomy import LabelledPeople
from posefix.skeletons import Skeleton
from posefix.training.ad_hoc_synthesis import synthesize_ad_hoc
from posefix.training.augmentation import AugmentationConfig, Spoil, draw_spoil
from posefix.training.config import CropAround
from posefix.training.crowding import Donors, add_neighbours, body_mask, choose_donors, paste
from posefix.training.loading import TensorBatch

LEGS = ("knee", "ankle", "heel", "toe", "foot_index")
HIPS = ("hip", "hip_midpoint", "pelvis")
"""Ends of keypoint names: a lower half has both, an upper half lacks the legs alone."""
LOWER_HALF_RATE = 0.3
"""Of half bodies, this share are lower halves: photos cut people off below far more often than above."""
HALF_BODY_KEYPOINTS = 4
"""A half with fewer labelled keypoints is not worth learning from alone."""

Pictures = Callable[[int, FloatArray], tuple[npt.NDArray[np.uint8], FloatArray]]
"""Called with a person's row and the matrix from photo to crop; returns a picture (H, W, 3) that shows what the crop
does, and the matrix (2, 3) from there to the crop."""


@dataclass(frozen=True)
class InputSource:
    """Where the wrong poses come from.

    Attributes:
        profile: Error frequencies.
        options: What is synthesised beyond the paper.
        estimate_rate: Probability that a person who has estimates gets one of them instead of a synthesised pose.
        improved_rate: Probability that such an estimate is brought part of the way to the truth, as a better
            estimator's would be.
        crop_around: As in `posefix.training.config.DataConfig`.
        ad_hoc: Whether poses are made wrong as PoseRefiner does (`posefix.training.ad_hoc_synthesis`), not by profile
            and options.
    """

    profile: ErrorProfile
    options: SynthesisOptions
    estimate_rate: float = 0.0
    improved_rate: float = 0.0
    crop_around: CropAround = "input"
    ad_hoc: bool = False


@dataclass(frozen=True)
class Batch(TensorBatch):
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


@dataclass(frozen=True)
class Drawn:
    """All of a batch of B people but its pixels.

    Attributes:
        rows: (B,) of the records.
        people: True poses with their neighbours in the photo.
        donors: Who is pasted beside them.
        matrices: (B, 2, 3) from the people's photos to their crops.
        spoils: What else happens to each crop.
        poses: `keypoints`, `weights`, `targets` and `labelled` of the `Batch`.
    """

    rows: npt.NDArray[np.int64]
    people: LabelledPeople
    donors: Donors
    matrices: FloatArray
    spoils: list[Spoil]
    poses: tuple[Tensor, Tensor, Tensor, Tensor]


class WrongPoseDataset(Dataset[Batch]):
    """Person records with wrong poses, synthesised afresh or an estimator's; indexed by whole batches.

    Args:
        records: Labelled people.
        skeleton: Names the keypoints.
        source: Where the wrong poses come from.
        augmentation: Random changes of the crop.
        input_size_wh: Crop size in pixels.
        seed: Of all randomness, with epoch and number of the batch.
        pictures: Where pixels come from; the records' photos when None.
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
        pictures: Pictures | None = None,
    ) -> None:
        self.records = records
        self.skeleton = skeleton
        self.source = source
        self.augmentation = augmentation
        self.input_size_wh = input_size_wh
        self.seed = seed
        self.pictures = pictures

    def __getitem__(self, key: tuple[int, ...]) -> Batch:
        """One batch; `key` is (epoch, number of the batch, row, row, ...)."""
        drawn = self.draw(key)
        images = [self._image(place, drawn) for place in range(len(drawn.rows))]
        images = [spoil.apply(image) for spoil, image in zip(drawn.spoils, images, strict=True)]
        return Batch(torch.from_numpy(np.stack(images)), *drawn.poses)

    def draw(self, key: tuple[int, ...]) -> Drawn:
        """One batch without its pixels."""
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
        whole = (kept | ~people.labelled).all(axis=1)
        boxes, growth = self._boxes(rows, whole, (wrong, present), (people.keypoints, labelled))
        flip, matrices = self._crops(boxes, growth, generator)
        order = np.where(flip[:, None], self.skeleton.flip_index[None], np.arange(len(self.skeleton))[None])
        row = np.arange(len(rows))[:, None]
        keypoints = geometry.transform(matrices, wrong)[row, order]
        targets = geometry.transform(matrices, people.keypoints)[row, order]
        poses = (
            torch.from_numpy(keypoints.astype(np.float32)),
            torch.from_numpy(present[row, order].astype(np.float32)),
            torch.from_numpy(targets.astype(np.float32)),
            torch.from_numpy(labelled[row, order]),
        )
        spoils = [draw_spoil(self.augmentation, self.input_size_wh, extra) for _ in rows]
        return Drawn(rows, people, donors, matrices, spoils, poses)

    def picture(self, row: int, matrix: FloatArray) -> tuple[npt.NDArray[np.uint8], FloatArray]:
        """What a crop shows of a person's photo, see `Pictures`."""
        if self.pictures is None:
            return decode_image(self.records.images[row]), matrix
        return self.pictures(row, matrix)

    def donor(
        self, place: int, drawn: Drawn
    ) -> tuple[FloatArray, npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """How the donor of one place of the batch is pasted: photo -> crop, its mask, and what covers it."""
        donor, matrix = drawn.donors.rows[place], drawn.matrices[place]
        own = geometry.compose(matrix, drawn.donors.matrices[place])
        mask = self._mask(drawn.people, donor, own)
        cover = None if drawn.donors.in_front[place] else self._mask(drawn.people, place, matrix)
        return own, mask, cover

    def _image(self, place: int, drawn: Drawn) -> npt.NDArray[np.uint8]:
        """The crop (H, W, 3) of the person at one place of the batch, with its donor."""
        crop = self._warp(drawn.rows[place], drawn.matrices[place])
        if drawn.donors.rows[place] < 0:
            return crop
        matrix, mask, cover = self.donor(place, drawn)
        return paste(crop, self._warp(drawn.rows[drawn.donors.rows[place]], matrix), mask, cover)

    def _warp(self, row: int, matrix: FloatArray) -> npt.NDArray[np.uint8]:
        return geometry.warp(*self.picture(row, matrix), self.input_size_wh)

    def _mask(self, people: LabelledPeople, place: int, matrix: FloatArray) -> npt.NDArray[np.float32]:
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

    def _boxes(
        self,
        rows: npt.NDArray[np.int64],
        whole: npt.NDArray[np.bool_],
        wrong: tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]],
        truth: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]],
    ) -> tuple[FloatArray, FloatArray]:
        """What each crop lies around, bbox_xywh (B, 4), and how much that grows to hold the person (B, 1).

        With fewer than two keypoints present nothing tells the person's size; then the true pose does. A whole person's
        annotated box is no half body's.

        Args:
            rows: (B,) of the records.
            whole: (B,) who is no half body.
            wrong: Input poses (B, K, 2), and which of their keypoints are there.
            truth: True poses (B, K, 2), and which of their keypoints are labelled.
        """
        around = self.source.crop_around
        true = (wrong[1].sum(axis=1, keepdims=True) < 2) | (around != "input")
        points = np.where(true[..., None], truth[0], wrong[0]).astype(np.float64)
        boxes = geometry.box_from_keypoints(points, np.where(true, truth[1], wrong[1]))
        annotated = self.records.boxes[rows].astype(np.float64)
        use = (whole & (annotated[:, 2:] > 0).all(axis=1) & (around == "box"))[:, None]
        return np.where(use, annotated, boxes), np.where(use, 1.0, geometry.KEYPOINT_BOX_FACTOR)

    def _crops(
        self, boxes: FloatArray, growth: FloatArray, generator: np.random.Generator
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Augmented crops around boxes (B, 4) that grow by a factor each (B, 1) before: flips, matrices."""
        augmentation, count = self.augmentation, len(boxes)
        factor = np.clip(
            1 + augmentation.scale * generator.standard_normal(count), *_around_one(augmentation.scale)
        )
        boxes[:, :2] += boxes[:, 2:] * generator.uniform(-augmentation.shift, augmentation.shift, (count, 2))
        boxes = geometry.enlarge(boxes, growth * geometry.CROP_FACTOR * factor[:, None])
        limit = 2 * augmentation.rotation_degrees
        rotation = np.clip(augmentation.rotation_degrees * generator.standard_normal(count), -limit, limit)
        rotation *= generator.random(count) < augmentation.rotation_rate
        flip = generator.random(count) < augmentation.flip_rate
        matrices = geometry.crop_matrices(boxes, self.input_size_wh, rotation_degrees=rotation, flip=flip)
        if augmentation.stretch:
            matrices = self._stretched(matrices, generator)
        return flip, matrices

    def _stretched(self, matrices: FloatArray, generator: np.random.Generator) -> FloatArray:
        """Crops (B, 2, 3) that are wider and lower about their centre, or narrower and higher."""
        factor = np.exp(generator.uniform(-1, 1, len(matrices)) * np.log1p(self.augmentation.stretch) / 2)
        scales = np.stack([factor, 1 / factor], axis=-1)
        centre = (np.array(self.input_size_wh, dtype=np.float64) - 1) / 2
        stretched = matrices * scales[..., None]
        stretched[..., 2] += centre * (1 - scales)
        return np.asarray(stretched)


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
