"""Lists of numbers as JSON holds them: which are good, and many of them at once as one array."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import isnan
from typing import Any

import numpy as np

from posefix.pose.poses import LARGEST_NUMBER, FloatArray

TRIPLE = 3
"""Numbers of a keypoint: x, y and score or visibility."""


def is_gap(value: Any) -> bool:
    """Whether it is what programs write for a number that is not there: null or NaN."""
    return value is None or (isinstance(value, float) and isnan(value))


def is_nothing(value: Any) -> bool:
    """Whether what should be a list of numbers is null, empty, or holds nothing but gaps."""
    return not value or (isinstance(value, list) and all(map(is_gap, value)))


def holds_lists(value: list[Any]) -> bool:
    """Whether a list begins with a list: keypoints are flat in some formats, and points in others."""
    return bool(value) and isinstance(value[0], list)


def flat_triples(value: Any) -> Any:
    """The numbers of points [x, y, score] one after the other; anything else as it is.

    Example:
        >>> flat_triples([[1, 2, 0.5], [3, 4, 1]])
        [1, 2, 0.5, 3, 4, 1]
    """
    return list(chain.from_iterable(value)) if holds_triples(value) else value


def holds_triples(value: Any) -> bool:
    """Whether it is a list of points, three entries each."""
    return (
        isinstance(value, list)
        and holds_lists(value)
        and all(isinstance(point, list) and len(point) == TRIPLE for point in value)
    )


def list_lengths(values: Iterable[Any]) -> list[int]:
    """How many numbers the lists among some values have, flat ones and those of points; others are left out.

    Objects in a list are no numbers: whoever wrote them has another shape, which is told where they stand.
    """
    flat = (flat_triples(value) for value in values if value and isinstance(value, list))
    return [len(value) for value in flat if not isinstance(value[0], list | dict)]


def is_number(value: Any) -> bool:
    """Whether it is a finite number that can be a coordinate; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def number_expected(value: Any) -> str:
    """What messages say was expected instead of a value that is no number that can be read."""
    too_large = isinstance(value, int | float) and LARGEST_NUMBER <= abs(value) < float("inf")
    return f"a finite number below {LARGEST_NUMBER:.0e}" if too_large else "a finite number"


def as_number_lists(values: list[Any], shape: tuple[int, int], *, gaps: bool) -> FloatArray | None:
    """Lists of numbers, all of one length, as one array, None when one of them is not what it should be.

    As of `as_numbers`, and faster.
    """
    if not set(map(type, values)) <= {list} or not set(map(len, values)) <= {shape[1]}:
        return None
    # NumPy would take true among numbers for 1, and the text "1" for a number.
    if not set(map(type, chain.from_iterable(values))) <= {int, float}:
        return None
    try:
        array = np.fromiter(chain.from_iterable(values), np.float64, shape[0] * shape[1]).reshape(shape)
    except OverflowError:  # whole numbers of very many digits
        return None
    fitting = np.abs(array) < LARGEST_NUMBER
    if not fitting.all() and not (gaps and (fitting | np.isnan(array)).all()):
        return None
    return array


def as_numbers(values: list[Any], shape: tuple[int, ...]) -> FloatArray | None:
    """All values as one array, None when one of them is not what it should be."""
    if not values:
        return np.zeros(shape)
    try:
        # No dtype yet: asked for floats, NumPy would take the text "1" for a number.
        array = np.array(values)
    except ValueError:  # lists of different lengths
        return None
    if array.shape != shape or array.dtype.kind not in "iuf" or not (np.abs(array) < LARGEST_NUMBER).all():
        return None
    return array.astype(np.float64)
