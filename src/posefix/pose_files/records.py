"""Checked access to the records of JSON pose files: a fault is named with file, record and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, Where, plural, quoted
from posefix.pose.poses import LARGEST_NUMBER, FloatArray, ImageId
from posefix.pose_files.number_lists import (
    TRIPLE,
    as_number_lists,
    as_numbers,
    flat_triples,
    holds_lists,
    holds_triples,
    is_gap,
    is_nothing,
    is_number,
    list_lengths,
    number_expected,
)
from posefix.pose_files.pose_file import FormatError

Record = dict[str, Any]

BOX_SIDES = ("left", "top", "width", "height")
"""What the numbers of a box are, in the formats that do not give its corners."""
PLAIN_TEXT = "a text without the character NUL and without half a surrogate pair"
_ODD = re.compile("[\\0\ud800-\udfff]")

NO_ID = ""
"""Stands in for the id of a photo that cannot be read, where faults are only noted."""

_NOTED: ContextVar[list[InputError] | None] = ContextVar("noted faults", default=None)


@contextmanager
def noted_faults() -> Iterator[list[InputError]]:
    """Within it, records note what is wrong with them and go on with stand-ins, instead of raising the first fault.

    Yields:
        The faults so far. What is read with any is of no use.
    """
    faults: list[InputError] = []
    token = _NOTED.set(faults)
    try:
        yield faults
    finally:
        _NOTED.reset(token)


class _NoRecord(Record):
    """Stands in for what should be a record; its fields are not asked for."""


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
        found: list[Any] = self.rows
        if set(map(type, found)) <= {dict}:  # many times faster than to ask each
            return
        for number, row in enumerate(found):
            if not isinstance(row, dict):
                problem = f"expected an object, got {quoted(row)}."
                report_fault(FormatError.at(self.where(number), problem, "Take it out of the list."))
        rows = [row if isinstance(row, dict) else _NoRecord() for row in found]
        object.__setattr__(self, "rows", rows)

    def choose(self, mask: Sequence[bool] | npt.NDArray[np.bool_]) -> Records:
        """Some of the records; messages still tell their places in the file."""
        chosen = np.flatnonzero(mask).tolist()
        if len(chosen) == len(self.rows):
            return self
        rows = [self.rows[number] for number in chosen]
        return replace(self, rows=rows, places=[self.place(number) for number in chosen])

    def where(self, number: int, field: str = "", entry: str = "") -> Where:
        """Where a record, a field of it, or one of the numbers in that is."""
        return Where(self.path, f"{self.noun} {self.place(number)}", field, entry)

    def place(self, number: int) -> int:
        """Place of a record in the file's list, counted from 0."""
        return self.places[number] if self.places else number

    def fault(self, number: int, field: str, expected: str) -> FormatError:
        """The error that tells what is wrong with a field."""
        row = self.rows[number]
        got, mend = "no such field", f"Add the field, or take the {self.noun} out of the list."
        if field in row:
            got, mend = quoted(row[field]), f"Correct the value, or take the {self.noun} out of the list."
        return FormatError.at(self.where(number, field), f"expected {expected}, got {got}.", mend)

    def ids(self, field: str) -> tuple[ImageId, ...]:
        """A field that holds ids: integers or text.

        Raises:
            FormatError: One is missing, something else, or a text that no file can hold.
        """
        self.check_texts(field)
        values: list[Any] = [row.get(field) for row in self.rows]
        if not set(map(type, values)) <= {int, str}:
            for number in self.asked():
                if id_or_none(values[number]) is None:
                    report_fault(self.fault(number, field, "an integer or a text"))
            values = [NO_ID if (known := id_or_none(value)) is None else known for value in values]
        return tuple(values)

    def unique_ids(self, field: str = "id") -> tuple[ImageId, ...]:
        """A field that holds ids, each once.

        Raises:
            FormatError: One is missing, something else, or there twice.
        """
        ids = self.ids(field)
        if len(set(ids)) < len(ids):
            first = {value: number for number, value in reversed(list(enumerate(ids)))}
            for number in self.asked():
                if first[ids[number]] != number and id_or_none(self.rows[number].get(field)) is not None:
                    place = self.place(first[ids[number]])
                    report_fault(self.fault(number, field, f"another id than that of {self.noun} {place}"))
        return ids

    def tracks(self, field: str) -> tuple[ImageId | None, ...]:
        """A field that says whom a pose is of in a video; None in records where it says nothing.

        Raises:
            FormatError: One is a text that no file can hold.
        """
        if not any(field in row for row in self.rows):
            return (None,) * len(self.rows)
        self.check_texts(field)
        return tuple(id_or_none(row.get(field)) for row in self.rows)

    def check_texts(self, field: str) -> None:
        """Refuse texts in a field that can be neither written in UTF-8 nor part of a file's name.

        Raises:
            FormatError: One is such a text.
        """
        values = [row.get(field) for row in self.rows]
        if str not in set(map(type, values)) or is_plain(
            "".join(value for value in values if isinstance(value, str))
        ):
            return
        for number, value in enumerate(values):
            if isinstance(value, str) and not is_plain(value):
                report_fault(self.fault(number, field, PLAIN_TEXT))

    def numbers(self, field: str) -> FloatArray:
        """(N,): a field that holds one number.

        Raises:
            FormatError: One is missing or not a finite number.
        """
        values = [row.get(field) for row in self.rows]
        array = None if bool in set(map(type, values)) else as_numbers(values, (len(self.rows),))
        if array is None:
            for number in self.asked():
                if not is_number(values[number]):
                    report_fault(self.fault(number, field, number_expected(values[number])))
            array = np.array([value if is_number(value) else 0 for value in values], dtype=np.float64)
        return array

    def number_lists(
        self, field: str, names: Sequence[str], misfit: Callable[[int], str] | None = None
    ) -> FloatArray:
        """(N, length): a field that holds a flat list of numbers.

        Of keypoints NaN and null are NaN: a gap, of which `posefix.pose_files.gaps` tells whether it may be there.

        Args:
            field: The field.
            names: What each number of the list is.
            misfit: What another length says, to be added to the message. None for numbers that are not of keypoints.

        Raises:
            FormatError: A list is missing, has another length, or holds something that is not a finite number.
        """
        values = [row.get(field) for row in self.rows]
        shape = (len(self.rows), len(names))
        array = as_number_lists(values, shape, gaps=misfit is not None)
        if array is None:  # only now look at each record: converting all at once is many times faster
            array = np.zeros(shape)
            for number in self.asked():
                if self._is_list_of_numbers(number, field, names, misfit):
                    array[number] = np.array(values[number], dtype=np.float64)  # null becomes NaN
        return array

    def keypoint_lists(
        self, field: str, names: Sequence[str], misfit: Callable[[int], str], *, may_lack: bool
    ) -> FloatArray:
        """(N, length): a field that holds the numbers of a person's keypoints, in one list or a list for each.

        A record with nothing in the field is a person without keypoints, all of whose numbers are 0.

        Args:
            field: The field.
            names: As of `number_lists`.
            misfit: As of `number_lists`.
            may_lack: Whether a record without the field is such a person, too; where nobody in a file has keypoints, it
                is likelier that the field is called otherwise.

        Raises:
            FormatError: As of `number_lists`.
        """
        flat = self.with_flat(field)
        values = (row.get(field) for row in flat.rows)
        chosen = [value != [] and not (value is None and may_lack) for value in values]
        if all(chosen):
            return flat.number_lists(field, names, misfit)
        numbers = np.zeros((len(self.rows), len(names)))
        numbers[chosen] = flat.choose(chosen).number_lists(field, names, misfit)
        return numbers

    def with_flat(self, field: str) -> Records:
        """The records with one list of numbers in a field that holds a list for each keypoint, x, y and score."""
        values = [row.get(field) for row in self.rows]
        if not any(type(value) is list and value and type(value[0]) is list for value in values):
            return self
        nested = list(map(holds_triples, values))
        rows = [
            {**row, field: flat_triples(row[field])} if is_nested else row
            for row, is_nested in zip(self.rows, nested, strict=True)
        ]
        return replace(self, rows=rows)

    def _is_list_of_numbers(
        self, number: int, field: str, names: Sequence[str], misfit: Callable[[int], str] | None
    ) -> bool:
        """Whether it is, where faults are only noted."""
        value = self.rows[number].get(field)
        if not isinstance(value, list):
            report_fault(self.fault(number, field, f"a list of {plural(len(names), 'number')}"))
            return False
        if holds_lists(value):
            report_fault(self._not_flat(number, field, names, of_keypoints=misfit is not None))
            return False
        if value and isinstance(value[0], dict):
            mend = f"Write {names[0]} to {names[-1]} one after the other."
            problem = f"expected one flat list of numbers, got a list of objects, {quoted(value[0])}."
            report_fault(FormatError.at(self.where(number, field), problem, mend))
            return False
        if len(value) != len(names):
            mend = f"Write all of them, from {names[0]} to {names[-1]}, 0 for what is missing."
            why = "" if misfit is None else misfit(len(value))
            problem = f"expected {plural(len(names), 'number')}, got {len(value)}{why}."
            report_fault(FormatError.at(self.where(number, field), problem, mend))
            return False
        wrong = [
            (name, entry)
            for name, entry in zip(names, value, strict=True)
            if not is_number(entry) and not (misfit is not None and is_gap(entry))
        ]
        for name, entry in wrong:
            mend = "Write 0 for all numbers of a keypoint that is missing."
            if misfit is None:
                mend = f"Correct the value, or take {field!r} out of the {self.noun}."
            expected = number_expected(entry)
            problem = f"expected {expected}, got {quoted(entry)}."
            report_fault(FormatError.at(self.where(number, field, name), problem, mend))
        return not wrong

    def _not_flat(self, number: int, field: str, names: Sequence[str], *, of_keypoints: bool) -> FormatError:
        """The fault of a list of lists; of keypoints, which may be lists of x, y and score, the one that is not."""
        value = self.rows[number][field]
        place = next((place for place, point in enumerate(value) if not holds_triples([point])), 0)
        if of_keypoints and TRIPLE * place < len(names):
            where = self.where(number, field, names[TRIPLE * place].removeprefix("x of "))
            problem = f"expected x, y and score, got {quoted(value[place])}."
            return FormatError.at(
                where, problem, "Write three numbers for each keypoint, 0 for a missing one."
            )
        problem = "expected one flat list of numbers, got a list of lists."
        mend = f"Write {names[0]} to {names[-1]} one after the other."
        return FormatError.at(self.where(number, field), problem, mend)

    def numbers_where_given(self, field: str) -> FloatArray:
        """(N,): a field that holds one number, NaN in records without it or with null in it.

        Raises:
            FormatError: Something else than a finite number is there.
        """
        numbers = np.full(len(self.rows), np.nan)
        given = np.array([row.get(field) is not None for row in self.rows], dtype=np.bool_)
        numbers[given] = self.choose(given).numbers(field)
        return numbers

    def lists_where_given(self, field: str, names: Sequence[str]) -> FloatArray:
        """(N, length): a field that holds a flat list of numbers, NaN in records without it or with nothing but gaps.

        Args:
            field: The field.
            names: What each number of the list is.

        Raises:
            FormatError: A list has another length or holds something that is not a finite number.
        """
        numbers = np.full((len(self.rows), len(names)), np.nan)
        values = [row.get(field) for row in self.rows]
        if set(map(type, values)) <= {type(None)}:
            return numbers
        given = np.array([not is_nothing(value) for value in values], dtype=np.bool_)
        numbers[given] = self.choose(given).number_lists(field, names)
        return numbers

    def lengths(self, field: str) -> list[int]:
        """How many numbers the lists in a field hold; records without one, or with nothing in it, are left out."""
        return list_lengths(row.get(field) for row in self.rows)

    def objects(self, field: str) -> Records:
        """The objects that a field of each record holds.

        Raises:
            FormatError: One is missing or something else.
        """
        for number in self.asked():
            if not isinstance(self.rows[number].get(field), dict):
                report_fault(self.fault(number, field, "an object"))
        values = [row.get(field) for row in self.rows]
        rows = [value if isinstance(value, dict) else _NoRecord() for value in values]
        places = [self.place(number) for number in range(len(rows))]
        return replace(self, noun=f"{field} of {self.noun}", rows=rows, places=places)

    def asked(self) -> list[int]:
        """Numbers of the records whose fields are looked at."""
        if _NoRecord not in set(map(type, self.rows)):
            return list(range(len(self.rows)))
        return [number for number, row in enumerate(self.rows) if not isinstance(row, _NoRecord)]


def report_fault(fault: InputError) -> None:
    """Raise a fault, or note it if somebody wants to know them all."""
    noted = _NOTED.get()
    if noted is None:
        raise fault
    noted.append(fault)


def id_or_none(value: Any) -> ImageId | None:
    """A value that is an id, of a photo or of whom a pose is in a video; None for anything else, true and false too.

    1.0 is 1: tables write ids so once they have been through pandas or MATLAB.
    """
    if is_whole_number(value):
        return int(value)
    return value if isinstance(value, str) else None


def is_whole_number(value: Any) -> TypeGuard[int | float]:
    """Whether it is one, however it is written; true and false are none."""
    if type(value) is float:
        return value.is_integer() and abs(value) < LARGEST_NUMBER
    return type(value) is int


def ids_as_known(ids: Sequence[ImageId], known: Collection[ImageId]) -> tuple[ImageId, ...]:
    """Ids as another list of a file writes them, where one writes numbers as texts and the other does not.

    Example:
        >>> ids_as_known(["1", 2, "b"], {1, 2})
        (1, 2, 'b')
    """
    if set(ids) <= set(known):
        return tuple(ids)
    by_text = {str(one): one for one in known}
    return tuple(one if one in known else by_text.get(str(one), one) for one in ids)


def is_plain(text: str) -> bool:
    """Whether a text can be written in UTF-8 and be part of a file's name; JSON's escapes allow more."""
    return _ODD.search(text) is None
