"""The five states of an estimated keypoint: good, jitter, inversion, swap, miss (Ronchi and Perona, ICCV 2017).

One definition serves analysis and synthesis. A keypoint is compared with four kinds of reference points: the true
keypoint, its left/right partner on the same person, and both of these on the neighbours. KS is measured with the area
of the person that owns the reference. The reference of the highest KS decides:

=========  ==========================================================
good       own keypoint, KS >= .85
jitter     own keypoint, .5 <= KS < .85
inversion  own partner, KS >= .5
swap       a neighbour's keypoint or its partner, KS >= .5
miss       KS < .5 to every reference
=========  ==========================================================

On a tie the earlier kind wins: own, own partner, neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import array_api_compat
import numpy as np

from posefix.pose.similarity import Array, falloff
from posefix.skeletons import Skeleton

GOOD_SIMILARITY = 0.85
JITTER_SIMILARITY = 0.5
MISS_SIMILARITY = 0.1
"""KS at which synthesised misses end (paper section 4); classification knows no such end."""


class Status(IntEnum):
    """State of an estimated keypoint; `UNLABELLED` where there is no truth to compare with."""

    UNLABELLED = -1
    GOOD = 0
    JITTER = 1
    INVERSION = 2
    SWAP = 3
    MISS = 4

    @property
    def label(self) -> str:
        """The name in files, tables and pictures: "good", "jitter", ..."""
        return self.name.lower()


ERRORS = (Status.JITTER, Status.INVERSION, Status.SWAP, Status.MISS)
NUM_STATUSES = 5
STATUS_NAMES = tuple(Status(number).label for number in range(NUM_STATUSES))


@dataclass(frozen=True)
class LabelledPeople:
    """True poses of B people and of their neighbours in the photo; NumPy arrays or torch tensors of one device.

    Attributes:
        keypoints: (B, K, 2) in pixels of any frame that all rows of one person share.
        labelled: (B, K) bool.
        area: (B,) in square pixels of that frame.
        neighbour_keypoints: (B, M, K, 2); M may be 0, unused rows are padding.
        neighbour_labelled: (B, M, K) bool, False in padding.
        neighbour_area: (B, M); any positive number in padding.
        overlap: (B,) number of people whose boxes overlap this person's.
    """

    keypoints: Array
    labelled: Array
    area: Array
    neighbour_keypoints: Array
    neighbour_labelled: Array
    neighbour_area: Array
    overlap: Array

    def __len__(self) -> int:
        return int(self.keypoints.shape[0])


@dataclass(frozen=True)
class References:
    """For every keypoint the places it can be confused with; the order of R is own, own partner, neighbours.

    Attributes:
        places: (B, K, R, 2).
        exists: (B, K, R) bool.
        falloff: (B, K, R), distance at which KS to the reference is 1/e.
    """

    places: Array
    exists: Array
    falloff: Array

    def take(self, index: Array) -> References:
        """The references of some keypoints: index (n,) into the flattened (B * K,) keypoints -> (n, R, ...)."""
        count = self.places.shape[2]
        return References(
            self.places.reshape(-1, count, 2)[index],
            self.exists.reshape(-1, count)[index],
            self.falloff.reshape(-1, count)[index],
        )


def gather_references(people: LabelledPeople, skeleton: Skeleton) -> References:
    """Collect each keypoint's reference points: R = 2 + 2 * M."""
    xp = array_api_compat.array_namespace(people.keypoints)
    device = array_api_compat.device(people.keypoints)
    flip = xp.asarray(skeleton.flip_index.copy(), device=device)
    paired = xp.asarray(skeleton.flip_index != np.arange(len(skeleton)), device=device)
    sigmas = xp.asarray(skeleton.sigmas.copy(), dtype=people.keypoints.dtype, device=device)

    def with_partner(own: Array, axis: int) -> Array:
        return xp.concat([own, xp.take(own, flip, axis=axis + 1)], axis=axis)

    own, own_exists = people.keypoints[:, None], people.labelled[:, None]
    places = xp.concat([with_partner(own, 1), with_partner(people.neighbour_keypoints, 1)], axis=1)
    exists = xp.concat(
        [
            own_exists,
            xp.take(own_exists, flip, axis=2) & paired,
            people.neighbour_labelled,
            xp.take(people.neighbour_labelled, flip, axis=2) & paired,
        ],
        axis=1,
    )
    own_area = people.area[:, None]
    area = xp.concat([own_area, own_area, people.neighbour_area, people.neighbour_area], axis=1)
    reach = falloff(area[:, :, None], sigmas)
    return References(
        xp.permute_dims(places, (0, 2, 1, 3)),
        xp.permute_dims(exists, (0, 2, 1)),
        xp.permute_dims(reach, (0, 2, 1)),
    )


def nearest_reference(places: Array, references: References) -> tuple[Array, Array]:
    """Which reference candidate places (..., C, 2) are most similar to, and how remote it is.

    Args:
        places: (..., C, 2) in the references' frame.
        references: with shapes (..., R, ·).

    Returns:
        (..., C) number of the reference, the first of equal ones, and (..., C) squared ratio of distance and falloff,
        ``KS = exp(-ratio)``; infinite where no reference exists.
    """
    xp = array_api_compat.array_namespace(places)
    offset = places[..., :, None, :] - references.places[..., None, :, :]
    # KS falls with (distance / falloff)^2, so that ratio is compared: no exponential is needed.
    remoteness = (offset[..., 0] ** 2 + offset[..., 1] ** 2) / references.falloff[..., None, :] ** 2
    remoteness = xp.where(references.exists[..., None, :], remoteness, xp.inf)
    return xp.argmin(remoteness, axis=-1), xp.min(remoteness, axis=-1)


def classify_places(places: Array, references: References) -> Array:
    """Status of candidate places (..., C, 2) against references with shapes (..., R, ·).

    Returns:
        (..., C) integer array of `Status`; the caller masks keypoints that have no label.
    """
    xp = array_api_compat.array_namespace(places)
    nearest, ratio = nearest_reference(places, references)
    kind = xp.where(nearest == 1, int(Status.INVERSION), int(Status.SWAP))
    own = xp.where(ratio <= -np.log(GOOD_SIMILARITY), int(Status.GOOD), int(Status.JITTER))
    kind = xp.where(nearest == 0, own, kind)
    return xp.where(ratio > -np.log(JITTER_SIMILARITY), int(Status.MISS), kind)


def classify(keypoints: Array, people: LabelledPeople, skeleton: Skeleton) -> Array:
    """Status of estimated keypoints (B, K, 2) of labelled people, in the same frame.

    Returns:
        (B, K) integer array of `Status`.
    """
    xp = array_api_compat.array_namespace(keypoints)
    status = classify_places(keypoints[..., None, :], gather_references(people, skeleton))[..., 0]
    return xp.where(people.labelled, status, int(Status.UNLABELLED))
