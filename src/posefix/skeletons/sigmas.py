"""A guess of sigmas for keypoints that nobody has annotated twice (docs/skeletons.md has how good it is)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 3
SHARE_OF_DISTANCE = 0.35
"""A sigma as a share of the mean distance to the nearest keypoints, fitted by `benchmarks/sigmas.py`."""
LARGEST = 0.08
"""No guess is larger: beyond it, distance says nothing about how well people agree."""
FEWEST_PEOPLE = 10
"""Distances seen on fewer people are not used."""

FloatArray = npt.NDArray[np.float64]


def estimate_sigmas(
    keypoints: FloatArray,
    labelled: npt.NDArray[np.bool_],
    area: FloatArray,
    flip_index: npt.NDArray[np.int64],
) -> FloatArray:
    """Guess each keypoint's sigma from how near its nearest keypoints are.

    COCO measured sigmas as the spread of several annotators' places for one keypoint, in units of the square root of
    the person's area. One set of annotations holds no such spread. What it holds is how fine the parts of the body are
    that the keypoints name: eyes lie close together and are labelled sharply, hips do not and are not. The guess is a
    share of the mean distance to the three nearest keypoints, at most `LARGEST`; mirror partners get their mean.

    Args:
        keypoints: (N, K, 2) of annotated people, pixels.
        labelled: (N, K) which of them are.
        area: (N,) square pixels of the people; those without any are left out.
        flip_index: (K,) mirror partner of each keypoint, itself where it has none.

    Returns:
        (K,) sigmas, NaN for a keypoint that is not labelled beside another on enough people.

    Example:
        >>> square = np.array([[[0.0, 0], [20, 0], [0, 20], [20, 20]]] * 10)
        >>> everybody, nobody_flips = np.ones((10, 4), dtype=bool), np.arange(4)
        >>> estimate_sigmas(square, everybody, np.full(10, 10000.0), nobody_flips).round(3)
        array([0.08, 0.08, 0.08, 0.08])
        >>> estimate_sigmas(square / 10, everybody, np.full(10, 10000.0), nobody_flips).round(4)
        array([0.008, 0.008, 0.008, 0.008])
    """
    distance = neighbour_distances(keypoints, labelled, area)
    sigmas = np.minimum(SHARE_OF_DISTANCE * distance, LARGEST)
    partners = sigmas[flip_index]
    return np.where(np.isnan(partners), sigmas, np.where(np.isnan(sigmas), partners, (sigmas + partners) / 2))


def neighbour_distances(
    keypoints: FloatArray, labelled: npt.NDArray[np.bool_], area: FloatArray
) -> FloatArray:
    """(K,) mean of the distances to the three nearest keypoints, medians over people, in square roots of the area.

    Arguments as of `estimate_sigmas`; NaN for a keypoint that is not labelled beside another on enough people.
    """
    shown = labelled & (area > 0)[:, None]
    scaled = keypoints / np.sqrt(np.maximum(area, 1e-9))[:, None, None]
    count = labelled.shape[1]
    medians = np.full((count, count), np.nan)
    for first in range(count):
        for second in range(first):
            both = shown[:, first] & shown[:, second]
            if both.sum() >= FEWEST_PEOPLE:
                apart = np.linalg.norm(scaled[both, first] - scaled[both, second], axis=-1)
                medians[first, second] = medians[second, first] = np.median(apart)
    nearest = np.sort(medians, axis=1)[:, :NEIGHBOURS]  # NaN sorts last
    known = ~np.isnan(nearest)
    total = np.where(known, nearest, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
