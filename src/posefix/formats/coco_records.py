"""Checked access to the records of COCO files: a fault is named with file, record and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, quoted
from posefix.poses import FloatArray, ImageId

Record = dict[str, Any]

LARGEST_NUMBER = 1e15
"""Anything larger is no coordinate, area or score of a photo."""


@dataclass(frozen=True)
class Records:
    """Records of one list in a file.

    Attributes:
        path: The file.
        noun: What messages call a record.
        rows: The records.
        places: Their places in the file's list, counted from 0; all of them by default.
    """

    path: Path
    noun: str
    rows: list[Record]
    places: Sequence[int] = ()

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if not isinstance(row, dict):
                raise InputError(f"{self.path}, {self.noun} {number}: expected an object, got {quoted(row)}.")

    def choose(self, mask: Sequence[bool] | npt.NDArray[np.bool_]) -> Records:
        """Some of the records; messages still tell their places in the file."""
        chosen = [int(number) for number in np.flatnonzero(mask)]
        rows = [self.rows[number] for number in chosen]
        return replace(self, rows=rows, places=[self._place(number) for number in chosen])

    def where(self, number: int, field: str) -> str:
        """How messages name a field of a record."""
        return f"{self.path}, {self.noun} {self._place(number)}, field {field!r}"

    def _place(self, number: int) -> int:
        return self.places[number] if self.places else number

    def fault(self, number: int, field: str, expected: str) -> InputError:
        """The error that tells what is wrong with a field."""
        row = self.rows[number]
        got = quoted(row[field]) if field in row else "no such field"
        return InputError(f"{self.where(number, field)}: expected {expected}, got {got}.")

    def ids(self, field: str) -> tuple[ImageId, ...]:
        """A field that holds ids: integers or text.

        Raises:
            InputError: One is missing or something else.
        """
        values = [row.get(field) for row in self.rows]
        if not set(map(type, values)) <= {int, str}:
            bad = next(number for number, value in enumerate(values) if type(value) not in (int, str))
            raise self.fault(bad, field, "an integer or a text")
        return tuple(values)  # type: ignore[arg-type]

    def unique_ids(self, field: str = "id") -> tuple[ImageId, ...]:
        """A field that holds ids, each once.

        Raises:
            InputError: One is missing, something else, or there twice.
        """
        ids = self.ids(field)
        if len(set(ids)) < len(ids):
            first = {value: number for number, value in reversed(list(enumerate(ids)))}
            again = next(number for number, value in enumerate(ids) if first[value] != number)
            place = self._place(first[ids[again]])
            raise self.fault(again, field, f"another id than that of {self.noun} {place}")
        return ids

    def numbers(self, field: str) -> FloatArray:
        """(N,): a field that holds one number.

        Raises:
            InputError: One is missing or not a finite number.
        """
        values = [row.get(field) for row in self.rows]
        array = None if bool in set(map(type, values)) else _as_numbers(values, (len(self.rows),))
        if array is None:
            bad = next(number for number, value in enumerate(values) if not _is_number(value))
            raise self.fault(bad, field, "a finite number")
        return array

    def number_lists(self, field: str, names: Sequence[str], hint: str = "") -> FloatArray:
        """(N, length): a field that holds a flat list of numbers.

        Args:
            field: The field.
            names: What each number of the list is.
            hint: What to do about a list of another length; begins with a semicolon.

        Raises:
            InputError: A list is missing, has another length, or holds something that is not a finite number.
        """
        values = [row.get(field) for row in self.rows]
        # NumPy would take true among numbers for 1.
        flat = chain.from_iterable(value for value in values if isinstance(value, list))
        array = None if bool in set(map(type, flat)) else _as_numbers(values, (len(self.rows), len(names)))
        if array is None:  # only now look at each record: converting all at once is many times faster
            for number in range(len(self.rows)):
                self._check_list(number, field, names, hint)
            raise AssertionError(f"{self.path}: {field} could not be converted, yet no record is faulty")
        return array

    def _check_list(self, number: int, field: str, names: Sequence[str], hint: str) -> None:
        value = self.rows[number].get(field)
        if not isinstance(value, list):
            raise self.fault(number, field, f"a list of {len(names)} numbers")
        where = self.where(number, field)
        if len(value) != len(names):
            raise InputError(f"{where}: expected {len(names)} numbers, got {len(value)}{hint}.")
        for name, entry in zip(names, value, strict=True):
            if not _is_number(entry):
                raise InputError(f"{where}, {name}: expected a finite number, got {quoted(entry)}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _as_numbers(values: list[Any], shape: tuple[int, ...]) -> FloatArray | None:
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
