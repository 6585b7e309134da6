"""JSON texts parsed: the values that Python's parser finds, and what is wrong with a text that is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from posefix.errors import InputError, Where

_BEGUN = re.compile(r"[\w.+-]{0,24}|\\?u?[0-9a-fA-F]{0,3}")
"""What a text that is cut off may end with, where the fault is found: part of a number, a word or an escape."""


def parse_json(path: str | Path, text: str) -> Any:
    """The value of a JSON text.

    Raises:
        InputError: It is not JSON: empty, cut off, or faulty at a line and column that are named.
    """
    # Editors on Windows put a byte order mark in front, which JSON forbids.
    text = text.removeprefix("\ufeff")
    try:
        return plain_json(text)
    except (RecursionError, ValueError):
        return _parse_slowly(path, text)


def plain_json(text: str) -> Any:
    """The value of a JSON text, in half the time that Python's parser takes or less.

    What it finds is what Python's parser finds. But it refuses some texts that Python's takes: those with NaN,
    Infinity, numbers too large for a float, and half surrogate pairs.

    Raises:
        ValueError, RecursionError: It is no such text.
    """
    return _decode()(text)


@cache
def _decode() -> Callable[[str], Any]:
    from msgspec.json import Decoder  # here, since not every command reads JSON

    return Decoder().decode


def _parse_slowly(path: str | Path, text: str) -> Any:
    """The value of a text by Python's parser, which takes all that programs write and tells what is wrong."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: {_json_fault(error)}.", Where(Path(path))) from error
    except (RecursionError, ValueError) as error:  # Python's limits of nesting and of digits
        message = f"{path}: expected JSON, got brackets or numbers without end."
        raise InputError(message, Where(Path(path))) from error


def _json_fault(error: json.JSONDecodeError) -> str:
    """What is wrong with a text that is not JSON."""
    text = error.doc.rstrip()
    if not text:
        return "expected JSON, got an empty file; write it again"
    begun = text[0] in "[{" and error.msg != "Extra data" and _BEGUN.fullmatch(text, error.pos)
    if begun or error.msg.startswith("Unterminated string"):
        end = json.JSONDecodeError("", text, len(text))
        place = f"line {end.lineno}, column {end.colno}"
        return f"expected JSON, got a text that ends in the middle, at {place}; it is cut off, copy or write it again"
    if error.msg == "Extra data" and error.colno == 1 and error.doc[error.pos] in "[{":
        return (
            f"expected JSON, got JSON Lines, another document in line {error.lineno}; write its lines as one list, "
            "in brackets and with commas between them"
        )
    return f"expected JSON, got an error at line {error.lineno}, column {error.colno}: {error.msg}"
