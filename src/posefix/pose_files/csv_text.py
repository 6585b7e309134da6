"""CSV with one row of names, in which some cells change and every other character stays."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from posefix.errors import InputError, quoted
from posefix.pose.poses import LARGEST_NUMBER, FloatArray, Rows
from posefix.pose_files.pose_file import FormatError, Source
from posefix.pose_files.records import PLAIN_TEXT, is_plain, report_fault

SEPARATORS = ",;\t"
MISSING = ("", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "none", "null")
"""What programs write where there is no number, whatever its case."""
_NUMBER = r"(?:^|[;\t])\"?-?[0-9]*{}[0-9]+(?:[eE][-+]?[0-9]+)?\"?(?:[;\t]|$)"
_COMMAS, _DOTS = (re.compile(_NUMBER.format(re.escape(sign))) for sign in ",.")
"""A number with such a decimal sign in a cell."""
OPENING = 65536
"""Characters of a file in which its names are looked for."""


@dataclass(frozen=True, eq=False)
class CsvText:
    """A table as text.

    Attributes:
        path: The file.
        lines: All lines without their line break; a row is one line.
        ends: The line break of each line, empty after the last one.
        separator: Between cells.
        decimal: The decimal sign: a comma in tables with another separator, as spreadsheets of many countries write it.
    """

    path: Path
    lines: tuple[str, ...]
    ends: tuple[str, ...]
    separator: str
    decimal: str = "."

    @classmethod
    def parse(cls, path: Path, content: bytes) -> CsvText:
        """A table in UTF-8.

        Raises:
            FormatError: It is something else.
        """
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"{path}: expected a CSV file in UTF-8, got other bytes.") from error
        raw = text.split("\n")
        ends = [("\r\n" if line.endswith("\r") else "\n") for line in raw]
        ends[-1] = "\r" if raw[-1].endswith("\r") else ""
        lines = [line.removesuffix("\r") for line in raw]
        separator = max(SEPARATORS, key=lines[0].count)
        return cls(path, tuple(lines), tuple(ends), separator, _decimal(lines[1:], separator))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(unquoted(cell).strip() for cell in self._cells(self.lines[0].removeprefix("\ufeff")))

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Number of the line of each row, from 0; empty lines are none."""
        return tuple(number for number, line in enumerate(self.lines) if number and line.strip())

    @cached_property
    def cells(self) -> list[list[str]]:
        """The cells of each row as they are written.

        Raises:
            FormatError: A row has more or fewer cells than there are names.
        """
        found = [self._cells(self.lines[line]) for line in self.rows]
        for row, cells in enumerate(found):
            if len(cells) != len(self.names):
                message = f"{self.where(row)}: expected {len(self.names)} cells, got {len(cells)}."
                report_fault(FormatError(message, "Write as many as there are names in the first line."))
                found[row] = [""] * len(self.names)
        return found

    def where(self, row: int, column: int | None = None) -> str:
        """How messages name a row, or a cell."""
        cell = "" if column is None else f", column {quoted(self.names[column])}"
        return f"{self.path}, line {self.rows[row] + 1}{cell}"

    def texts(self, column: int) -> list[str]:
        """A column as texts.

        Raises:
            FormatError: One cannot be part of a file's name.
        """
        written = [cells[column] for cells in self.cells]
        said = {
            cell: unquoted(cell).strip() for cell in set(written)
        }  # columns of names say few things often
        texts = [said[cell] for cell in written]
        if not is_plain("".join(texts)):
            row = next(row for row, text in enumerate(texts) if not is_plain(text))
            report_fault(
                FormatError(f"{self.where(row, column)}: expected {PLAIN_TEXT}, got {quoted(texts[row])}.")
            )
        return texts

    def numbers(self, columns: Sequence[int]) -> FloatArray:
        """(rows, columns): numbers, NaN where a cell says that there is none.

        Raises:
            FormatError: A cell holds something else.
        """
        try:  # all at once, which is what almost every table allows
            flat = [float(cells[column]) for cells in self.cells for column in columns]
        except ValueError:
            flat = [self._number(row, column) for row in range(len(self.rows)) for column in columns]
        values = np.array(flat, dtype=np.float64).reshape(len(self.rows), len(columns))
        bad = np.abs(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)) >= LARGEST_NUMBER
        for row, place in np.argwhere(bad).tolist():
            report_fault(self._fault(row, columns[place]))
            values[row, place] = np.nan
        return values

    def edited(self, rows: Rows, columns: Rows, values: FloatArray) -> bytes:
        """The file with other numbers in some cells.

        Args:
            rows: (M,) row of each cell.
            columns: (M,) column of each.
            values: (M,) new numbers, NaN for an empty cell.
        """
        lines = list(self.lines)
        order = np.argsort(rows, kind="stable")
        texts = [
            "" if math.isnan(value) else repr(value).replace(".", self.decimal)
            for value in values[order].tolist()
        ]
        changed: list[tuple[int, list[str]]] = []
        cells, last, written = self.cells, -1, [""]
        for row, column, text in zip(rows[order].tolist(), columns[order].tolist(), texts, strict=True):
            if row != last:
                last, written = row, cells[row].copy()
                changed.append((row, written))
            written[column] = text
        for row, written in changed:
            lines[self.rows[row]] = self.separator.join(written)
        return "".join(chain.from_iterable(zip(lines, self.ends, strict=True))).encode("utf-8")

    def _cells(self, line: str) -> list[str]:
        if '"' not in line:
            return line.split(self.separator)
        apart = re.escape(self.separator)
        return re.findall(rf'(?:^|{apart})("(?:[^"]|"")*"(?={apart}|$)|[^{apart}]*)', line)

    def _number(self, row: int, column: int) -> float:
        text = unquoted(self.cells[row][column]).strip()
        if text.lower() in MISSING:
            return math.nan
        try:
            return float(text.replace(",", ".") if self.decimal == "," else text)
        except ValueError:
            return math.inf  # refused with the numbers that are too large

    def _fault(self, row: int, column: int) -> FormatError:
        got = quoted(self.cells[row][column])
        return FormatError(f"{self.where(row, column)}: expected a number or an empty cell, got {got}.")


def _decimal(lines: Sequence[str], separator: str) -> str:
    """The decimal sign of the numbers in some lines: a comma where some have one, and none a point."""
    if separator == "," or not any(map(_COMMAS.search, lines)):
        return "."
    return "." if any(map(_DOTS.search, lines)) else ","


def column_names(source: Source) -> tuple[str, ...]:
    """Names in the first line of a CSV file, for recognising it; none of anything else."""
    if source.path.suffix.lower() != ".csv" or not source.path.is_file():
        return ()
    try:
        first = source.content[:OPENING].split(b"\n", 1)[0]
        return CsvText.parse(source.path, first).names
    except InputError:
        return ()


def unquoted(cell: str) -> str:
    """What a cell says."""
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def csv_line(cells: Iterable[str]) -> str:
    """A line of a new file, its line break included."""
    return (
        ",".join(
            '"' + cell.replace('"', '""') + '"' if re.search('[",\r\n]', cell) else cell for cell in cells
        )
        + "\n"
    )
