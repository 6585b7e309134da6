"""Rows of tables typed from publications: packaged ones of the paper, or a file of one's own (docs/tables.md)."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posefix.errors import InputError, quoted
from posefix.evaluation.percentages import PIXELS, factor
from posefix.evaluation.tables import Row
from posefix.files import read_json

FOLDER = Path(__file__).parent.parent / "data" / "published"
OTHER_FIELDS = ("name", "source")


@dataclass(frozen=True)
class PublishedRows:
    """Rows of one file.

    Attributes:
        metric: Whose columns they have, one of `posefix.evaluation.judge.COLUMNS`.
        rows: Each with its source.
    """

    metric: str
    rows: tuple[Row, ...]


def published_names() -> tuple[str, ...]:
    """Names of the packaged tables."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def read_published_rows(name_or_path: str | Path, columns_of: Mapping[str, Sequence[str]]) -> PublishedRows:
    """Read rows that were published.

    The file is an object with ``metric``, ``source``, which says where the numbers stand, and ``rows``: objects with a
    ``name``, a ``source`` of their own if need be, and numbers in percent by column; in pixels where it says so.

    Args:
        name_or_path: One of `published_names`, or a JSON file.
        columns_of: Columns of each metric; in a file's spelling case, dots and hyphens do not matter.

    Raises:
        InputError: There is no such table, or the file is faulty; names file, row (from 0) and field.
    """
    packaged = str(name_or_path) in published_names()
    path = FOLDER / f"{name_or_path}.json" if packaged else Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"rows: expected a JSON file or one of {', '.join(published_names())}, got {name_or_path}."
        )
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise InputError(f"{path}: expected an object with a list 'rows', got {quoted(content)}.")
    metric = content.get("metric", "coco")
    if metric not in columns_of:
        raise InputError(f"{path}, field 'metric': expected {_one_of(columns_of)}, got {quoted(metric)}.")
    columns = {_spelling(column): column for column in columns_of[metric]}
    source = content.get("source", "")
    rows = [_row(row, source, columns, f"{path}, row {number}") for number, row in enumerate(content["rows"])]
    return PublishedRows(metric, tuple(rows))


def _one_of(names: Collection[str]) -> str:
    """The names as a message lists them."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _row(row: Any, source: Any, columns: Mapping[str, str], where: str) -> Row:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise InputError(f"{where}: expected an object with a 'name', got {quoted(row)}.")
    source = row.get("source", source)
    if not isinstance(source, str) or not source.strip():
        raise InputError(
            f"{where}, field 'source': expected where the numbers were published, got {quoted(source)}."
        )
    values = {}
    for field, value in row.items():
        if field in OTHER_FIELDS:
            continue
        column = columns.get(_spelling(field))
        if column is None:
            raise InputError(
                f"{where}: unknown field {field!r}; expected one of {', '.join(columns.values())}."
            )
        values[column] = _number(value, column, f"{where}, field {field!r}")
    return Row(row["name"], values, source.strip())


def _number(value: Any, column: str, where: str) -> float:
    """A number as measures give it: shares from 0 to 1, lengths in pixels."""
    most, expected = (100.0, "a percentage, 0 to 100")
    if column.endswith(PIXELS):
        most, expected = (sys.float_info.max, "pixels, 0 or more")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InputError(f"{where}: expected {expected}, got {quoted(value)}.")
    return value / factor(column)


def _spelling(column: str) -> str:
    """AP.50, AP50 -> ap50; AP-M, APM -> apm."""
    return re.sub(r"[^a-z0-9]", "", column.lower())
