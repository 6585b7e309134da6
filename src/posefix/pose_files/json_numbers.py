"""Many numbers of a JSON document changed at once, wherever they stand.

`JsonText.edited` looks at every value on the way to a place. Where each keypoint is an object of its own, deep in the
document, that takes many times what parsing it takes; here the text is gone through once, whatever the depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial, reduce
from itertools import chain, count
from operator import getitem
from typing import Any

from posefix.pose_files.json_text import JsonText, Place

_PIECE = re.compile(
    r'[^-0-9"NI]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^-0-9"NI]*)+|[^-0-9"NI]+|-?[0-9][0-9.eE+-]*|NaN|-?Infinity',
    re.DOTALL,
)
"""In turn whatever stands before a number, with all texts in it, and the number."""


def edited_with_numbers(
    text: JsonText, numbers: Iterable[tuple[Place, float]], edits: Mapping[Place, Any]
) -> str:
    """The text with other numbers, and other edits.

    Args:
        text: The document, whose `root` can be read.
        numbers: Place of a number and new value, best one after the other: a million tuples at once would be slow.
        edits: As of `JsonText.edited`; no place lies inside another, or holds one of `numbers`.
    """
    following = iter(numbers)
    first = next(following, None)
    edited = text.text if first is None else _with_numbers(text.text, chain([first], following))
    return JsonText(text.path, edited).edited(edits) if edits else edited


def _with_numbers(text: str, numbers: Iterable[tuple[Place, float]]) -> str:
    order = partial(next, count())  # takes a number's text, and answers with its place among all numbers
    tree = json.loads(text.removeprefix("\ufeff"), parse_float=order, parse_int=order, parse_constant=order)
    pieces = _PIECE.findall(
        text
    )  # plain texts, and no pairs of them: a million would keep the collector busy
    for place, value in numbers:
        which = reduce(getitem, place, tree)
        assert type(which) is int, f"no number at {place}"  # true would be taken for the first one
        pieces[2 * which + 1] = repr(value)  # as JSON has numbers that are finite
    return "".join(pieces)
