"""What the results of all pose libraries have in common: people of one photo, and the way back into the object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from posefix.errors import InputError, plural
from posefix.pose.poses import BoolArray, FloatArray
from posefix.skeletons import Skeleton, layouts_of_count, load_skeleton

COCO = {17: "coco17"}
"""Of libraries whose own models have COCO's seventeen keypoints: number of keypoints -> layout."""
NEXT_TO_NOTHING = 1e-9
"""For pixels and scores that are 0 and mean it: to the refiner, 0, 0 and score 0 are missing keypoints."""


@dataclass(frozen=True, eq=False)
class Change:
    """What becomes of N people of K keypoints.

    Attributes:
        keypoints: (N, K, 2) in pixels of the photo, the centre of the top-left pixel at (0, 0).
        moved: (N, K) whether a keypoint has another place than it had.
        scores: (N, K).
        rescored: (N, K) whether a keypoint has another score than it had.
    """

    keypoints: FloatArray
    moved: BoolArray
    scores: FloatArray
    rescored: BoolArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """The people that an estimator found in one photo.

    Attributes:
        keypoints: (N, K, 2) in pixels of the photo, the centre of the top-left pixel at (0, 0) whatever the library's
            own rule.
        scores: (N, K) in any unit; 1 where the library gives none.
        valid: (N, K) False for missing keypoints, whose numbers mean nothing.
        skeleton: Names the K keypoints.
        rewrite: Makes a copy of the library's object with the change in it; what does not change is shared.
    """

    keypoints: FloatArray
    scores: FloatArray
    valid: BoolArray
    skeleton: Skeleton
    rewrite: Callable[[Change], Any]


@dataclass(frozen=True)
class Estimator:
    """A pose library: an entry of the table in `posefix.estimators.refinement`.

    Attributes:
        described: What it returns for one photo, for messages.
        recognise: Whether an object is that. Never raises and imports nothing.
        read: The people in the object, given width and height of the photo in pixels, and the layout if the user names
            it. Raises `InputError`.
    """

    described: str
    recognise: Callable[[Any], bool]
    read: Callable[[Any, tuple[int, int], Skeleton | None], Prediction]


def is_of(value: object, library: str, name: str) -> bool:
    """Whether a value is of a library's class, or of one derived from it, told by name.

    Args:
        value: Anything.
        library: Top-level name of the package.
        name: Of the class, wherever in the package it is defined; it has moved in more than one library.
    """
    return any(
        parent.__name__ == name and parent.__module__.split(".")[0] == library
        for parent in type(value).__mro__
    )


def resolve_skeleton(
    named: Skeleton | None, shape: tuple[int, ...], defined: dict[int, str], whose: str, hint: str = ""
) -> Skeleton:
    """The layout that was named, or the one that a library's models have.

    Args:
        named: By the user.
        shape: People, and keypoints of each; where there are none, any layout will do.
        defined: Number of keypoints -> packaged layout.
        whose: The library, for messages.
        hint: Why the number alone does not tell, for messages.

    Raises:
        InputError: None was named and the library has none of that number, or the named one has another number.
    """
    people, count = shape
    if people == 0 or count == 0:
        return named or load_skeleton("coco17")
    if named is not None:
        if len(named) != count:
            raise InputError(
                f"skeleton: {named.name!r} has {plural(len(named), 'keypoint')}, expected the {count} of these {whose} "
                "predictions; name their layout"
            )
        return named
    if count in defined:
        return load_skeleton(defined[count])
    fitting = layouts_of_count(count)
    choice = f"one of {', '.join(map(repr, fitting))}" if fitting else "a skeleton file of your own"
    unsaid = f"{whose} does not say what its {plural(count, 'keypoint')} are"
    raise InputError(f"skeleton: {hint or unsaid}; name their layout, {choice}")


def check_photo_size(shape_hw: tuple[int, ...], size_wh: tuple[int, int], whose: str) -> None:
    """Refuse predictions that were made for a photo of another size.

    Raises:
        InputError: They were.
    """
    if tuple(shape_hw[:2]) != (size_wh[1], size_wh[0]):
        raise InputError(
            f"image: {whose} saw a photo of {shape_hw[1]} x {shape_hw[0]} pixels, got one of {size_wh[0]} x "
            f"{size_wh[1]}; give the photo of these predictions, turned as the estimator saw it"
        )


def present(keypoints: FloatArray, scores: FloatArray) -> BoolArray:
    """(N, K): which keypoints are there, by the rule that 0, 0, score 0 and NaN mean a missing one."""
    return np.asarray(finite(keypoints, scores) & keypoints.any(axis=-1) & (scores != 0))


def finite(keypoints: FloatArray, scores: FloatArray) -> BoolArray:
    """(N, K): which keypoints are there, of a library that predicts a place for each."""
    return np.asarray(np.isfinite(keypoints).all(axis=-1) & np.isfinite(scores))
