"""Keypoints that the model does not know, moved by others: middles always, fingers, toes and faces if asked to."""

from __future__ import annotations

import numpy as np

from posefix.errors import InputError
from posefix.pose.geometry import lengths
from posefix.pose.poses import BoolArray, FloatArray, Poses, Rows
from posefix.skeletons import Skeleton

MIDDLES = ("shoulder_midpoint", "thorax", "hip_midpoint", "pelvis")
"""Keypoints between two others, their parents, by name."""


def carry_along(before: Poses, after: Poses, vocabulary: Skeleton) -> Poses:
    """Move keypoints that the model does not know by what their parents moved, in the mean.

    Nobody looks at the photo here: a finger keeps its place relative to the wrist, whether or not it was right. A
    keypoint none of whose parents was valid before stays, and so do missing ones.

    Args:
        before: The poses as they were given.
        after: The same people refined.
        vocabulary: The keypoints that the model knows; they stay where the refinement put them.

    Returns:
        `after` with these keypoints moved.

    Raises:
        InputError: The two are not the same people.

    Example:
        >>> from posefix.skeletons import load_skeleton
        >>> hand = load_skeleton("wholebody133").subset(["left_wrist", "left_thumb4"])
        >>> before = Poses(np.array([[[5, 5], [8, 9]]]), np.ones((1, 2)), np.ones((1, 2)), (0,), np.ones(1), hand)
        >>> after = before.with_keypoints(np.array([[[7.0, 4.0], [8, 9]]]))
        >>> carry_along(before, after, load_skeleton("coco17")).keypoints[0, 1].tolist()
        [10.0, 8.0]
    """
    if not before.same_people_as(after):
        raise InputError(
            f"carry_along: expected the same people before and after, in one layout, got {before!r} and {after!r}"
        )
    there = before.valid & after.valid
    moves = np.where(there[..., None], after.keypoints - before.keypoints, 0.0)
    keypoints = after.keypoints.copy()
    for child, parents in carriers(before.skeleton, vocabulary).items():
        count = there[:, parents].sum(axis=1)
        mean = moves[:, parents].sum(axis=1) / np.maximum(count, 1)[:, None]
        # From where it was given: a middle has been moved already.
        carried = before.keypoints[:, child] + mean
        keypoints[:, child] = np.where(there[:, child, None], carried, keypoints[:, child])
    return after.with_keypoints(keypoints)


def carriers(layout: Skeleton, vocabulary: Skeleton) -> dict[int, Rows]:
    """Which keypoints of a layout are carried along, and by which: positions in the layout.

    The parents are those that the skeleton names, as far as layout and model know them; without one, the keypoints
    that the model knows and the fewest limbs away. A keypoint that no limbs join to any of them is left out.

    Args:
        layout: Of the poses.
        vocabulary: The keypoints that the model knows.
    """
    known = _known(layout, vocabulary)
    found = {}
    for index in range(len(layout)):
        parents = set() if index in known else _named(layout, index, known) or _nearest(layout, index, known)
        if parents:
            found[index] = np.array(sorted(parents), dtype=np.int64)
    return found


def place_middles(before: Poses, keypoints: FloatArray, vocabulary: Skeleton) -> BoolArray:
    """Move middles that the model does not know, such as OpenPose's neck, by what their two keypoints moved on average.

    That is done where it brings the middle nearer to the middle of the two, as it always does where it was computed
    from them. One that was found by itself, and rightly where one of the two was wrong, stays.

    Args:
        before: The poses as they were given.
        keypoints: (N, K, 2) of the same people refined; changed.
        vocabulary: The keypoints that the model knows.

    Returns:
        (N, K): the middles that were moved.
    """
    moved = np.zeros_like(before.valid)
    layout, known = before.skeleton, _known(before.skeleton, vocabulary)
    unknown = (child for child in map(layout.find, MIDDLES) if child is not None and child not in known)
    for child in unknown:
        pair = sorted(_named(layout, child, known))
        if len(pair) < 2:
            continue
        old, new = before.keypoints[:, pair].mean(axis=1), keypoints[:, pair].mean(axis=1)
        given = keypoints[:, child]
        moves = before.valid[:, [child, *pair]].all(axis=1) & (lengths(given - old) < lengths(given - new))
        keypoints[moves, child] += (new - old)[moves]
        moved[:, child] = moves
    return moved


def _known(layout: Skeleton, vocabulary: Skeleton) -> set[int]:
    names = set(vocabulary.keypoint_names)
    return {index for index, name in enumerate(layout.keypoint_names) if name in names}


def _named(layout: Skeleton, index: int, known: set[int]) -> set[int]:
    """The known keypoints among the parents of one."""
    positions = (layout.find(name) for name in layout.keypoints[index].parents)
    return {position for position in positions if position is not None and position in known}


def _nearest(layout: Skeleton, start: int, known: set[int]) -> set[int]:
    """The known keypoints that the fewest limbs join to a keypoint; none where no limbs do."""
    limbs = layout.limb_index.tolist()
    seen, ring = {start}, {start}
    while ring and not ring & known:
        ring = {other for limb in limbs for other in limb if ring & set(limb)} - seen
        seen |= ring
    return ring & known
