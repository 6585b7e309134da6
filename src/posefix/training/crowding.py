"""Other people pasted beside a person, so that swaps are learnt from photos in which one person is labelled.

A donor is another person of the same batch, brought to about the person's size and put beside or across it. The part
of the donor's photo near its limbs is pasted, in front of the person or behind, and the donor counts as a labelled
neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from posefix.pose import geometry
from posefix.pose.poses import FloatArray
from posefix.pose_errors.taxonomy import LabelledPeople
from posefix.skeletons import Skeleton

MINIMAL_KEYPOINTS = 8
"""A donor with fewer labelled keypoints shows too little of a person."""
LIMB_WIDTH = 0.22
"""Width of what is cut out around a limb, relative to the square root of the person's area."""
SOFT_EDGE = 0.03
"""Width of the blurred edge in the same unit."""
REACH = 0.8
"""A donor's centre lies up to this share of the person's box away, sideways; half as much up or down."""
SIZE_RATIO = 1.4
"""A donor is up to this factor larger or smaller than the person."""


@dataclass(frozen=True)
class Donors:
    """Who is pasted beside each of B people.

    Attributes:
        rows: (B,) row of the batch that the donor is taken from; -1 for nobody.
        matrices: (B, 2, 3) from the donor's photo to the person's.
        in_front: (B,) bool: the donor covers the person, else the person covers the donor.
    """

    rows: npt.NDArray[np.int64]
    matrices: FloatArray
    in_front: npt.NDArray[np.bool_]


def choose_donors(people: LabelledPeople, rate: float, generator: np.random.Generator) -> Donors:
    """Draw donors among the people of a batch.

    Args:
        people: B labelled people.
        rate: Probability that a person gets a donor.
        generator: Source of all randomness.
    """
    count = len(people)
    rows = (np.arange(count) + generator.integers(1, max(count, 2), size=count)) % count
    able = people.labelled[rows].sum(axis=1) >= MINIMAL_KEYPOINTS
    chosen = (generator.random(count) < rate) & able & (rows != np.arange(count))
    boxes = geometry.box_from_keypoints(people.keypoints.astype(np.float64), people.labelled)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    side = np.where(generator.random(count) < 0.5, -1, 1)
    away = np.stack(
        [side * generator.uniform(0.2, REACH, count), generator.uniform(-REACH / 2, REACH / 2, count)], axis=1
    )
    spread = np.log(SIZE_RATIO)
    scale = np.sqrt(people.area / people.area[rows]) * np.exp(generator.uniform(-spread, spread, count))
    matrices = np.zeros((count, 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = centres + away * boxes[:, 2:] - scale[:, None] * centres[rows]
    return Donors(np.where(chosen, rows, -1), matrices, generator.random(count) < 0.5)


def add_neighbours(people: LabelledPeople, donors: Donors) -> LabelledPeople:
    """The people with their donors as one more neighbour each."""
    there = donors.rows >= 0
    if not there.any():
        return people
    keypoints = geometry.transform(donors.matrices, people.keypoints[donors.rows].astype(np.float64))
    area = people.area[donors.rows] * donors.matrices[:, 0, 0] ** 2
    return LabelledPeople(
        keypoints=people.keypoints,
        labelled=people.labelled,
        area=people.area,
        neighbour_keypoints=np.concatenate(
            [people.neighbour_keypoints, keypoints[:, None].astype(np.float32)], axis=1
        ),
        neighbour_labelled=np.concatenate(
            [people.neighbour_labelled, (people.labelled[donors.rows] & there[:, None])[:, None]], axis=1
        ),
        neighbour_area=np.concatenate(
            [people.neighbour_area, np.where(there, area, 1.0)[:, None].astype(np.float32)], axis=1
        ),
        overlap=people.overlap + there,
    )


def paste(
    crop: npt.NDArray[np.uint8],
    donor_crop: npt.NDArray[np.uint8],
    donor_mask: npt.NDArray[np.float32],
    person_mask: npt.NDArray[np.float32] | None,
) -> npt.NDArray[np.uint8]:
    """Blend a donor into a crop (H, W, 3); `person_mask` is what covers the donor, None for nothing."""
    share = donor_mask if person_mask is None else donor_mask * (1 - person_mask)
    mixed = crop + share[..., None] * (donor_crop.astype(np.float32) - crop)
    return np.asarray(mixed.round(), dtype=np.uint8)


def body_mask(
    keypoints: FloatArray,
    labelled: npt.NDArray[np.bool_],
    size: float,
    skeleton: Skeleton,
    size_wh: tuple[int, int],
) -> npt.NDArray[np.float32]:
    """About where a person's body is, (height, width) in 0..1: thick limbs, discs at keypoints, the hull of the trunk.

    Args:
        keypoints: (K, 2) in crop pixels.
        labelled: (K,) bool.
        size: Square root of the person's area in crop pixels.
        skeleton: Names the keypoints and their limbs.
        size_wh: Crop width and height.
    """
    mask = np.zeros(size_wh[::-1], dtype=np.float32)
    width = max(int(LIMB_WIDTH * size), 1)
    points = np.clip(keypoints, -1e4, 1e4).round().astype(np.int32)
    for start, end in skeleton.limb_index:
        if labelled[start] and labelled[end]:
            cv2.line(mask, points[start].tolist(), points[end].tolist(), 1.0, width)
    trunk = [name.endswith(("shoulder", "hip", "neck")) for name in skeleton.keypoint_names]
    corners = points[labelled & np.array(trunk)]
    if len(corners) >= 3:
        cv2.fillConvexPoly(mask, cv2.convexHull(corners), 1.0)
    for point in points[labelled]:
        cv2.circle(mask, point.tolist(), width // 2, 1.0, -1)
    blurred = cv2.GaussianBlur(mask, (0, 0), max(SOFT_EDGE * size, 0.5))
    return np.asarray(blurred, dtype=np.float32)
