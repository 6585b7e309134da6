"""From poses in any layout to the vocabulary of the model, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network.decoding import PERSON_SHARE
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose.similarity import falloff
from posefix.skeletons import KeypointMapping, Skeleton, match_keypoints

Missing = Literal["fill", "keep"]

VISIBLE_MOVE = 5e-4
"""A shorter move, in pixels, is rounding: results files keep three decimals."""


@dataclass(frozen=True)
class CroppedPeople:
    """People in the model's vocabulary, one row per pose.

    Attributes:
        mapping: Which keypoints of the poses are which of the model.
        keypoints: (N, K, 2) in original-image pixels, K of the model; 0 where not valid.
        valid: (N, K).
        matrices: (N, 2, 3), original-image pixels -> crop pixels.
        falloff: (N, K) distance at which keypoint similarity is 1/e, original-image pixels, for a person that fills
            the usual share of the crop.
        rows: Rows of the people who can be refined, ascending.
    """

    mapping: KeypointMapping
    keypoints: FloatArray
    valid: BoolArray
    matrices: FloatArray
    falloff: FloatArray
    rows: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.int64]) -> CroppedPeople:
        """Some of the people, all of whom can be refined."""
        return CroppedPeople(
            self.mapping,
            self.keypoints[rows],
            self.valid[rows],
            self.matrices[rows],
            self.falloff[rows],
            np.arange(len(rows)),
        )


@dataclass(frozen=True)
class MergedPoses:
    """N poses after refinement, in their own layout of K keypoints.

    Attributes:
        poses: With the estimator's scores.
        moved: (N, K) valid keypoints that got another place.
        filled: (N, K) missing keypoints that got a place.
        known: (N, K) keypoints whose place the model chose, be it the given one.
    """

    poses: Poses
    moved: BoolArray
    filled: BoolArray
    known: BoolArray


def poses_from_arrays(keypoints: npt.ArrayLike, scores: npt.ArrayLike | None, skeleton: Skeleton) -> Poses:
    """Poses of one photo from an estimator's arrays.

    Args:
        keypoints: (N, K, 2), or (N, K, 3) with scores. A keypoint at exactly (0, 0), at NaN, or with score 0
            is missing. An empty list is nobody.
        scores: (N, K); all 1 when neither given here nor with the keypoints.
        skeleton: The layout of the keypoints.

    Raises:
        InputError: Arrays of other shapes, or of something else than numbers, or too large numbers.
    """
    array = as_numbers("keypoints", keypoints, (0, len(skeleton), 2))
    if array.ndim != 3 or array.shape[1] != len(skeleton) or array.shape[2] not in (2, 3):
        single = array.shape in ((len(skeleton), 2), (len(skeleton), 3))
        raise InputError(
            f"keypoints: expected shape (N, {len(skeleton)}, 2 or 3) for skeleton {skeleton.name!r}, "
            f"got {array.shape}; "
            + ("pass keypoints[None] for one person" if single else "pass the skeleton of these keypoints")
        )
    places = array[..., :2]
    if scores is None:
        scores = array[..., 2] if array.shape[2] == 3 else np.ones(array.shape[:2])
    confidence = as_numbers("scores", scores, (0, len(skeleton)))
    if confidence.shape != array.shape[:2]:
        raise InputError(
            f"scores: expected shape {array.shape[:2]}, one per keypoint, got {confidence.shape}"
        )
    valid = np.isfinite(places).all(axis=-1) & places.any(axis=-1) & (confidence != 0)
    return Poses(
        keypoints=np.where(valid[..., None], places, 0.0),
        scores=np.where(valid, confidence, 0.0),
        valid=valid,
        image_ids=(0,) * len(array),
        pose_scores=np.ones(len(array)),
        skeleton=skeleton,
    )


def as_numbers(name: str, values: npt.ArrayLike, nobody: tuple[int, ...]) -> FloatArray:
    """Values as an array.

    Args:
        name: What messages call them.
        values: Of each person.
        nobody: The shape of those of no person; an empty list has it.

    Raises:
        InputError: They are something else than numbers, or lists of different lengths.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected an array of numbers ({error})") from error
    return array.reshape(nobody) if array.shape == (0,) else array


def crop_people(
    poses: Poses, skeleton: Skeleton, size_wh: tuple[int, int], boxes: FloatArray | None = None
) -> CroppedPeople:
    """Map poses to a model's keypoints and choose each person's crop.

    The box of a person is that of the keypoints which the model knows, so it is the same in every layout.
    Without two of them in different places nothing tells the person's size; such people are not in `rows`.

    Args:
        poses: In original-image pixels.
        skeleton: Of the model.
        size_wh: Crop width and height, pixels.
        boxes: bbox_xywh (N, 4) of the people, instead of boxes made from the keypoints.

    Raises:
        InputError: The layouts share no keypoint.
    """
    mapping = match_keypoints(poses.skeleton, skeleton)
    known = poses.in_layout(mapping)
    keypoints, valid = np.where(known.valid[..., None], known.keypoints, 0.0), known.valid
    usable = valid.any(axis=1)
    if boxes is None:
        tight = geometry.box_from_keypoints(keypoints, valid)
        usable &= tight[:, 2:].max(axis=1) > 0
        boxes = geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR)
    return CroppedPeople(mapping, keypoints, valid, *_crops(boxes, size_wh, skeleton), np.flatnonzero(usable))


def _crops(boxes: FloatArray, size_wh: tuple[int, int], skeleton: Skeleton) -> tuple[FloatArray, FloatArray]:
    """The crops around people's boxes (N, 4): `matrices` and `falloff` of `CroppedPeople`."""
    matrices = geometry.crop_matrices(geometry.enlarge(boxes, geometry.CROP_FACTOR), size_wh)
    area = PERSON_SHARE * size_wh[0] * size_wh[1] / np.abs(np.linalg.det(matrices[:, :, :2]))
    return matrices, np.asarray(falloff(area[:, None], skeleton.sigmas))


def revisit(people: CroppedPeople, keypoints: FloatArray, size_wh: tuple[int, int]) -> CroppedPeople:
    """People with new places, and crops around them, for another look at all of them.

    Args:
        people: As they were seen.
        keypoints: (N, K, 2) in original-image pixels, K of the model; those of their layout are all there now.
        size_wh: Crop width and height, pixels.
    """
    valid = people.valid.copy()
    valid[:, people.mapping.target_index] = True
    boxes = geometry.enlarge(geometry.box_from_keypoints(keypoints, valid), geometry.KEYPOINT_BOX_FACTOR)
    there = np.where(valid[..., None], keypoints, 0.0)
    crops = _crops(boxes, size_wh, people.mapping.target)
    return CroppedPeople(people.mapping, there, valid, *crops, np.arange(len(valid)))


def merge(
    poses: Poses, people: CroppedPeople, refined: FloatArray, done: BoolArray, missing: Missing
) -> MergedPoses:
    """Put refined keypoints back into the layout of the poses.

    With "fill", a keypoint that was missing gets the network's place and the smallest score of the person's
    valid keypoints; with "keep" it stays missing. Keypoints that the model does not know, and people who are
    not `done`, stay as they were.

    Args:
        poses: As given to `crop_people`.
        people: What `crop_people` made of them.
        refined: (N, K, 2) in original-image pixels, K of the model.
        done: (N,) whether the network saw the person.
        missing: What to do with missing keypoints.
    """
    source, target = people.mapping.source_index, people.mapping.target_index
    written = np.zeros_like(poses.valid)
    written[:, source] = done[:, None] & (poses.valid[:, source] | (missing == "fill"))
    places = poses.keypoints.copy()
    places[:, source] = refined[:, target]
    filled = written & ~poses.valid
    keypoints = np.where(written[..., None], places, poses.keypoints)
    distance = np.linalg.norm(keypoints - poses.keypoints, axis=-1)
    weakest = np.where(poses.valid, poses.scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return MergedPoses(
        poses=poses.with_keypoints(
            keypoints, valid=poses.valid | filled, scores=np.where(filled, weakest, poses.scores)
        ),
        moved=written & poses.valid & (distance > VISIBLE_MOVE),
        filled=filled,
        known=written,
    )


def in_layout(values: FloatArray, people: CroppedPeople, known: BoolArray) -> FloatArray:
    """Values of the model's keypoints (N, K) in the layout of the poses, NaN where not `known`."""
    result = np.full(known.shape, np.nan)
    result[:, people.mapping.source_index] = values[:, people.mapping.target_index]
    return np.where(known, result, np.nan)
