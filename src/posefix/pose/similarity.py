"""How far is far: keypoint similarity (KS) and object keypoint similarity (OKS).

All functions take NumPy arrays or torch tensors and return the same kind.

``KS = exp(-d^2 / (2 * area * (2 * sigma)^2))`` as in the COCO keypoint evaluation; a keypoint's sigma is the standard
deviation of human labels relative to the square root of the person's area.
"""

from __future__ import annotations

import math
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

Array = Any
"""A NumPy array or a torch tensor (any array-API array)."""


def falloff(area: Array, sigmas: Array) -> Array:
    """Distance at which KS has fallen to 1/e, in pixels: ``KS = exp(-(d / falloff)^2)``.

    Args:
        area: (...) person areas in square pixels.
        sigmas: (...) keypoint sigmas; broadcast against `area`.
    """
    xp = array_api_compat.array_namespace(area)
    return 2.0 * sigmas * xp.sqrt(2.0 * area)


def keypoint_similarity(squared_distance: Array, area: Array, sigmas: Array) -> Array:
    """KS in (0, 1] of displaced keypoints; the arguments broadcast against each other.

    Args:
        squared_distance: (...) in square pixels.
        area: (...) area in square pixels of the person that *owns* the reference keypoint.
        sigmas: (...).
    """
    xp = array_api_compat.array_namespace(squared_distance)
    return xp.exp(-squared_distance / falloff(area, sigmas) ** 2)


def distance_at(similarity: float, area: Array, sigmas: Array) -> Array:
    """The distance in pixels at which KS equals `similarity` (the paper's d with superscript k)."""
    return falloff(area, sigmas) * math.sqrt(-math.log(similarity))


def oks(
    keypoints: npt.NDArray[np.float64],
    reference: npt.NDArray[np.float64],
    reference_valid: npt.NDArray[np.bool_],
    reference_area: npt.NDArray[np.float64],
    sigmas: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """OKS between every pose and every reference pose: the mean KS over the reference's valid keypoints.

    Args:
        keypoints: (N, K, 2).
        reference: (M, K, 2) in the same frame.
        reference_valid: (M, K).
        reference_area: (M,) in square pixels.
        sigmas: (K,).

    Returns:
        (N, M); 0 where the reference has no valid keypoint.
    """
    squared = ((keypoints[:, None] - reference[None]) ** 2).sum(axis=-1)
    safe_area = np.maximum(reference_area, np.finfo(np.float64).tiny)
    similarity = keypoint_similarity(squared, safe_area[None, :, None], sigmas)
    counts = np.maximum(reference_valid.sum(axis=1), 1)
    return np.asarray((similarity * reference_valid[None]).sum(axis=-1) / counts[None], dtype=np.float64)


def best_pairs(table: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Row and column of the best cell (n, m) above 0, then of the best one in the rows and columns left, and so on."""
    pairs: list[tuple[int, int]] = []
    rows, columns = set(range(table.shape[0])), set(range(table.shape[1]))
    for cell in np.argsort(-table, axis=None, kind="stable").tolist():
        row, column = divmod(cell, table.shape[1])
        if row in rows and column in columns and table[row, column] > 0:
            rows.remove(row)
            columns.remove(column)
            pairs.append((row, column))
    return pairs
