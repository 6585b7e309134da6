"""DeepLabCut's tables as CSV: edited cell by cell, so that all other cells keep their text.

Spreadsheets put a mark before the text, separate cells by semicolons or tabs where the decimal sign is a comma, and add
rows and columns of empty cells: all of it is read, and stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from posefix.errors import Where, quoted
from posefix.formats.deeplabcut_table import COORDINATES, Table
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId
from posefix.pose_files.csv_text import MISSING
from posefix.pose_files.pose_file import FormatError

HEADERS = ("scorer", "individuals", "bodyparts", "coords")
MARK = "\ufeff"


@dataclass(frozen=True)
class _Dialect:
    """How cells are written.

    Attributes:
        separator: Between cells.
        decimal: The decimal sign of numbers.
    """

    separator: str
    decimal: str

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Dialect:
        """The dialect of a file: its separator follows the first word, and another one leaves the comma to numbers."""
        first = lines[0].lstrip('"').removeprefix(HEADERS[0]).lstrip('"')[:1]
        separator = first if first in ";\t" and first else ","
        decimal = "," if separator != "," and any("," in line for line in lines[len(HEADERS) - 1 :]) else "."
        return cls(separator, decimal)

    @cached_property
    def _cell(self) -> re.Pattern[str]:
        separator = re.escape(self.separator)
        return re.compile(rf'(?:^|{separator})("(?:[^"]|"")*"(?={separator}|$)|[^{separator}]*)')

    def cells(self, line: str) -> list[str]:
        """The texts of a line's cells."""
        return self._cell.findall(line) if '"' in line else line.split(self.separator)

    def number(self, text: str) -> float:
        """The number in a cell, NaN where it says that there is none and infinity where it is something else."""
        try:
            return float(text.replace(self.decimal, ".") if self.decimal != "." else text)
        except ValueError:
            return math.nan if text.lower() in MISSING else math.inf

    def text(self, value: float) -> str:
        """A number as a cell has it."""
        return "" if math.isnan(value) else repr(float(value)).replace(".", self.decimal)


def parse_csv(path: Path, text: str) -> Table:
    """The table in a CSV file with three or four header rows.

    Raises:
        FormatError: The file is faulty; names line (from 1) and column.
    """
    mark = MARK if text.startswith(MARK) else ""
    lines = text.removeprefix(mark).split("\n")
    dialect = _Dialect.of(lines)
    cells = [dialect.cells(line.rstrip("\r")) for line in lines]
    header = _header_rows(path, lines, cells)
    # A photo's path may take three cells; above them the header rows are empty.
    columns_of_index = next((place for place, cell in enumerate(cells[0]) if place and cell), len(cells[0]))
    width = 1 + max(place for row in cells[:header] for place, cell in enumerate(row) if cell)
    body = [number for number in range(header, len(lines)) if any(map(str.strip, cells[number]))]
    for number in (*range(header), *body):
        _check_width(path, number, cells[number], width)
    labels = [[_unquoted(cell) for cell in row[columns_of_index:width]] for row in cells[:header]]
    columns = tuple(zip(*labels, strict=True))
    values = np.full((len(body), len(columns)), np.nan)
    for place, column in enumerate(columns):
        if column[-1] in COORDINATES:
            values[:, place] = [
                _number(path, line, cells[line], columns_of_index + place, dialect) for line in body
            ]

    def write(new: FloatArray, changed: BoolArray) -> bytes:
        written = list(lines)
        for row in np.flatnonzero(changed.any(axis=1)):
            line = body[row]
            kept = list(cells[line])
            for column in np.flatnonzero(changed[row]):
                kept[columns_of_index + column] = dialect.text(new[row, column])
            written[line] = dialect.separator.join(kept) + ("\r" if lines[line].endswith("\r") else "")
        return (mark + "\n".join(written)).encode("utf-8")

    rows = tuple(_row_id([_unquoted(cell) for cell in cells[line][:columns_of_index]]) for line in body)
    return Table(path, columns, rows, values, write)


def format_csv(columns: Sequence[Sequence[str]], rows: Sequence[ImageId], values: FloatArray) -> bytes:
    """A new CSV file; columns as those of `Table`."""
    names = HEADERS if len(columns[0]) == 4 else (HEADERS[0], *HEADERS[2:])
    header = [[name, *labels] for name, labels in zip(names, zip(*columns, strict=True), strict=True)]
    body = [
        [row, *("" if math.isnan(value) else repr(value) for value in line)]
        for row, line in zip(rows, values.tolist(), strict=True)
    ]
    return "".join(",".join(_quoted(str(cell)) for cell in line) + "\n" for line in [*header, *body]).encode(
        "utf-8"
    )


def _header_rows(path: Path, lines: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """How many lines are the header.

    Raises:
        FormatError: They are others than DeepLabCut's.
    """
    header = 0
    while header < len(cells) and _unquoted(cells[header][0]) in HEADERS:
        header += 1
    if [_unquoted(row[0]) for row in cells[:header]] not in ([*HEADERS], [HEADERS[0], *HEADERS[2:]]):
        got = quoted(cells[min(header, len(lines) - 1)][0])
        problem = (
            f"expected header rows {', '.join(HEADERS)} (individuals only of several animals), got {got}."
        )
        raise FormatError.at(Where(path, f"line {header + 1}"), problem)
    return header


def _check_width(path: Path, line: int, cells: Sequence[str], width: int) -> None:
    """Refuse a line with fewer cells than columns, or with more that are not empty."""
    if len(cells) < width or any(map(str.strip, cells[width:])):
        problem = f"expected {width} cells, got {len(cells)}."
        raise FormatError.at(Where(path, f"line {line + 1}"), problem)


def _unquoted(cell: str) -> str:
    return (
        cell[1:-1].replace('""', '"')
        if cell.startswith('"') and cell.endswith('"') and len(cell) > 1
        else cell
    )


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if re.search('[",\r\n]', cell) else cell


def _number(path: Path, line: int, cells: Sequence[str], place: int, dialect: _Dialect) -> float:
    text = _unquoted(cells[place]).strip()
    value = dialect.number(text)
    if not math.isnan(value) and abs(value) >= LARGEST_NUMBER:
        where = Where(path, f"line {line + 1}", entry=f"cell {place + 1}")
        raise FormatError.at(where, f"expected a number or an empty cell, got {quoted(text)}.")
    return value


def _row_id(cells: Sequence[str]) -> ImageId:
    """A frame's number, or a photo's path, which newer versions of DeepLabCut write in three cells."""
    name = "/".join(cells)
    number = re.fullmatch(r"([0-9]{1,15})([.,]0*)?", name)
    return int(number[1]) if number else name
