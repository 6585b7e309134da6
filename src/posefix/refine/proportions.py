"""Where the missing keypoints of a person may lie, by the proportions of people: a crop must hold them to find them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from posefix.files import read_json
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray
from posefix.skeletons import Skeleton

PROPORTIONS = Path(__file__).parents[1] / "data" / "proportions.json"
UPRIGHT = 0.3
"""Weight of the assumption that people are upright, beside 1 for how the given keypoints lie."""


@dataclass(frozen=True, eq=False)
class Proportions:
    """Where the K keypoints of a skeleton lie in an upright person, in a unit of their own.

    Attributes:
        known: (K,) of which that is known.
        places: (K, 2) mean places, x to the right and y down; 0 where not known.
        squared_distances: (K, K) mean squared distances; 0 where not known.
    """

    known: BoolArray
    places: FloatArray
    squared_distances: FloatArray

    @classmethod
    def of(cls, skeleton: Skeleton) -> Proportions:
        """Those of a skeleton's keypoints, by their names."""
        content = _measured()
        rows = {name: row for row, name in enumerate(content["keypoints"])}
        index = np.array([rows.get(name, -1) for name in skeleton.keypoint_names])
        known = index >= 0
        places = np.where(known[:, None], np.array(content["places"])[index], 0.0)
        squared = np.array(content["squared_distances"])[np.ix_(index, index)]
        return cls(known, places, np.where(known[:, None] & known, squared, 0.0))

    def fill(self, keypoints: FloatArray, valid: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Places of a person's missing keypoints, rough ones.

        The size is that of a person whose keypoints lie as far from one another as those that are there. The body is
        turned so that its keypoints fit these best (least squares), drawn towards upright by `UPRIGHT`.

        Args:
            keypoints: (N, K, 2) in any frame.
            valid: (N, K); keypoints far off the rest of their pose count as missing.

        Returns:
            Places (N, K, 2), the given ones where they are there, and (N, K) of which there is one: of none but the
            given where two do not tell the size.
        """
        there = (valid & self.known & ~geometry.far_off(keypoints, valid)).astype(np.float64)
        count = np.maximum(there.sum(axis=1), 1)
        centre = np.einsum("nk,nkd->nd", there, keypoints) / count[:, None]
        own_centre = np.einsum("nk,kd->nd", there, self.places) / count[:, None]
        given = (keypoints - centre[:, None]) * there[..., None]
        own = (self.places - own_centre[:, None]) * there[..., None]
        apart = np.einsum("nk,kl,nl->n", there, self.squared_distances, there) / (2 * count)
        told = (apart > 0) & (np.abs(given).max(axis=(1, 2)) > 0)
        scale = np.sqrt((given**2).sum(axis=(1, 2)) / np.where(told, apart, 1.0))
        along = (given * own).sum(axis=(1, 2)) + UPRIGHT * scale * apart
        across = (own[..., 0] * given[..., 1] - own[..., 1] * given[..., 0]).sum(axis=1)
        angle = np.arctan2(across, np.where(told, along, 1.0))
        turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
        body = self.places - own_centre[:, None]
        guessed = centre[:, None] + scale[:, None, None] * np.einsum("nde,nke->nkd", turn, body)
        filled = ~valid & self.known & told[:, None]
        return np.where(filled[..., None], guessed, keypoints), np.asarray(valid | filled)


@cache
def _measured() -> dict[str, list]:  # type: ignore[type-arg]
    """What `tools/measure_proportions.py` wrote."""
    return dict(read_json(PROPORTIONS))
