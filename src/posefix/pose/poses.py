"""Poses: the people of one results file as arrays, one row per pose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.skeletons import KeypointMapping, Skeleton

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
ImageId = int | str

LARGEST_NUMBER = 1e15
"""Anything larger is no coordinate, area or score of a photo."""


@dataclass(frozen=True, eq=False, repr=False)
class Poses:
    """People found in photos, one row per pose, in the order of their file.

    The arrays are copied, converted to the types below and locked.

    Example:
        >>> from posefix.skeletons import load_skeleton
        >>> poses = Poses(
        ...     keypoints=np.zeros((2, 17, 2)),
        ...     scores=np.ones((2, 17)),
        ...     valid=np.ones((2, 17), dtype=bool),
        ...     image_ids=("a", "b"),
        ...     pose_scores=np.array([0.9, 0.8]),
        ...     skeleton=load_skeleton("coco17"),
        ... )
        >>> poses, poses[poses.pose_scores > 0.85].image_ids
        (Poses(2 of coco17 in 2 photos), ('a',))

    Attributes:
        keypoints: (N, K, 2) float64, x and y in pixels of the original photo; finite, but without meaning,
            where not valid.
        scores: (N, K) float64, the estimator's confidence in any unit.
        valid: (N, K) bool, False where the estimator gave no keypoint.
        image_ids: Photo of each pose, a number or a text; any sequence of them.
        pose_scores: (N,) float64, confidence in the whole pose.
        skeleton: Names the K keypoints.

    Raises:
        InputError: An array has another shape or holds values that are not finite or too large, or an image id is
            something else.
    """

    keypoints: FloatArray
    scores: FloatArray
    valid: BoolArray
    image_ids: tuple[ImageId, ...]
    pose_scores: FloatArray
    skeleton: Skeleton

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_ids", _plain_ids(self.image_ids))
        shape = (len(self.image_ids), len(self.skeleton))
        self._lock("keypoints", np.float64, (*shape, 2))
        self._lock("scores", np.float64, shape)
        self._lock("valid", np.bool_, shape)
        self._lock("pose_scores", np.float64, shape[:1])

    def _lock(self, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        """Convert and check one array, and replace it by a copy that cannot be written to."""
        array: npt.NDArray[Any] = np.asarray(getattr(self, name), dtype=dtype)
        if array.flags.writeable or array.base is not None:  # else it is that of other poses
            array = array.copy()
        if array.shape != shape:
            raise InputError(
                f"{name}: expected shape {shape} for {plural(len(self.image_ids), 'pose')} of skeleton "
                f"{self.skeleton.name!r}, got {array.shape}."
            )
        # Of NaN neither is true; asked of each number, of very many poses it would take as much memory as they do.
        if array.size and not (array.max() < LARGEST_NUMBER and array.min() > -LARGEST_NUMBER):
            row = int(np.argwhere(~(np.abs(array) < LARGEST_NUMBER))[0, 0])
            raise InputError(
                f"{name}: expected finite numbers below {LARGEST_NUMBER:.0e}, got another in row {row}; mark missing "
                "keypoints in valid."
            )
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, rows: slice | Sequence[int] | npt.NDArray[np.integer[Any]] | BoolArray) -> Poses:
        """Some of the poses, chosen by a slice, row numbers, or a mask (N,).

        Raises:
            TypeError: A single row number.
        """
        chosen = np.arange(len(self))[rows]
        if chosen.ndim != 1:
            raise TypeError(f"poses are chosen by a slice, a list of row numbers or a mask, got {rows!r}")
        return Poses(
            self.keypoints[chosen],
            self.scores[chosen],
            self.valid[chosen],
            tuple(self.image_ids[row] for row in chosen),
            self.pose_scores[chosen],
            self.skeleton,
        )

    def __repr__(self) -> str:
        return f"Poses({len(self)} of {self.skeleton.name} in {plural(len(set(self.image_ids)), 'photo')})"

    def same_people_as(self, other: Poses) -> bool:
        """Whether other poses may be of the same people: as many of each photo, in the same order and layout."""
        return self.image_ids == other.image_ids and self.skeleton == other.skeleton

    def with_keypoints(
        self, keypoints: FloatArray, valid: BoolArray | None = None, scores: FloatArray | None = None
    ) -> Poses:
        """The same poses with other coordinates (N, K, 2), and other `valid` and `scores` (N, K) if given."""
        return replace(
            self,
            keypoints=keypoints,
            valid=self.valid if valid is None else valid,
            scores=self.scores if scores is None else scores,
        )

    def in_layout(self, mapping: KeypointMapping) -> Poses:
        """The same people in another layout; keypoints that this one lacks are missing, at 0, 0 with score 0."""
        shape = (len(self), len(mapping.target))
        keypoints, scores, valid = np.zeros((*shape, 2)), np.zeros(shape), np.zeros(shape, dtype=np.bool_)
        for target, source in ((keypoints, self.keypoints), (scores, self.scores), (valid, self.valid)):
            target[:, mapping.target_index] = source[:, mapping.source_index]
        return replace(self, keypoints=keypoints, scores=scores, valid=valid, skeleton=mapping.target)


def rows_by_image(image_ids: Iterable[ImageId]) -> dict[ImageId, Rows]:
    """The rows of each photo, ascending, in the order in which the photos first appear."""
    numbers: dict[ImageId, int] = {}
    photo = np.fromiter((numbers.setdefault(image_id, len(numbers)) for image_id in image_ids), np.int64)
    ends = np.cumsum(np.bincount(photo, minlength=len(numbers)))
    return dict(zip(numbers, np.split(np.argsort(photo, kind="stable"), ends[:-1]), strict=bool(numbers)))


def _plain_ids(ids: Sequence[Any]) -> tuple[ImageId, ...]:
    """Image ids as Python's own numbers and texts.

    Raises:
        InputError: One is neither.
    """
    if isinstance(ids, str):
        raise InputError(f"image_ids: expected one id per pose, got the text {ids!r}")
    if set(map(type, ids)) <= {int, str}:
        return tuple(ids)
    for row, value in enumerate(ids):
        if isinstance(value, bool) or not isinstance(value, int | np.integer | str):
            raise InputError(f"image_ids: expected integers or texts, got {value!r} in row {row}")
    return tuple(str(value) if isinstance(value, str) else int(value) for value in ids)
