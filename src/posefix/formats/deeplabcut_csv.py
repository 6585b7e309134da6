"""DeepLabCut's tables as CSV: edited cell by cell, so that all other cells keep their text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posefix.errors import quoted
from posefix.formats.deeplabcut_table import Table
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId
from posefix.pose_files.pose_file import FormatError

HEADERS = ("scorer", "individuals", "bodyparts", "coords")
_CELL = re.compile(r'(?:^|,)("(?:[^"]|"")*"(?=,|$)|[^,]*)')


def parse_csv(path: Path, text: str) -> Table:
    """The table in a CSV file with three or four header rows.

    Raises:
        FormatError: The file is faulty; names line (from 1) and column.
    """
    lines = text.split("\n")
    cells = [_cells(line.rstrip("\r")) for line in lines]
    header = 0
    while header < len(cells) and cells[header][0].strip('"') in HEADERS:
        header += 1
    if [row[0].strip('"') for row in cells[:header]] not in ([*HEADERS], [HEADERS[0], *HEADERS[2:]]):
        got = quoted(lines[min(header, len(lines) - 1)].split(",")[0])
        raise FormatError(
            f"{path}, line {header + 1}: expected header rows {', '.join(HEADERS)} "
            f"(individuals only of several animals), got {got}."
        )
    # A photo's path may take three cells; above them the header rows are empty.
    columns_of_index = next((place for place, cell in enumerate(cells[0]) if place and cell), len(cells[0]))
    body = [number for number in range(header, len(lines)) if lines[number].strip()]
    for number in (*range(header), *body):
        if len(cells[number]) != len(cells[0]):
            raise FormatError(
                f"{path}, line {number + 1}: expected {len(cells[0])} cells, got {len(cells[number])}."
            )
    labels = [[_unquoted(cell) for cell in row[columns_of_index:]] for row in cells[:header]]
    values = np.array(
        [
            [_number(path, number, cells, place) for place in range(columns_of_index, len(cells[0]))]
            for number in body
        ]
    ).reshape(len(body), len(cells[0]) - columns_of_index)

    def write(new: FloatArray, changed: BoolArray) -> bytes:
        written = list(lines)
        for row in np.flatnonzero(changed.any(axis=1)):
            line = body[row]
            kept = list(cells[line])
            for column in np.flatnonzero(changed[row]):
                value = new[row, column]
                kept[columns_of_index + column] = "" if math.isnan(value) else repr(float(value))
            written[line] = ",".join(kept) + ("\r" if lines[line].endswith("\r") else "")
        return "\n".join(written).encode("utf-8")

    rows = tuple(_row_id([_unquoted(cell) for cell in cells[line][:columns_of_index]]) for line in body)
    return Table(path, tuple(zip(*labels, strict=True)), rows, values, write)


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


def _cells(line: str) -> list[str]:
    return _CELL.findall(line) if '"' in line else line.split(",")


def _unquoted(cell: str) -> str:
    return (
        cell[1:-1].replace('""', '"')
        if cell.startswith('"') and cell.endswith('"') and len(cell) > 1
        else cell
    )


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if re.search('[",\r\n]', cell) else cell


def _number(path: Path, line: int, cells: list[list[str]], place: int) -> float:
    text = _unquoted(cells[line][place]).strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if not math.isnan(value) and abs(value) >= LARGEST_NUMBER:
        raise FormatError(
            f"{path}, line {line + 1}, cell {place + 1}: expected a number or an empty cell, got {quoted(text)}."
        )
    return value


def _row_id(cells: Sequence[str]) -> ImageId:
    """A frame's number, or a photo's path, which newer versions of DeepLabCut write in three cells."""
    name = "/".join(cells)
    return int(name) if re.fullmatch("[0-9]{1,15}", name) else name
