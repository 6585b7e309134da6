"""Many numbers of a JSON document changed at once, wherever they stand.

`JsonText.edited` looks at every value on the way to a place. Where each keypoint is an object of its own, deep in the
document, that takes many times what parsing it takes; here the text is gone through once, whatever the depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from heapq import merge
from itertools import count
from operator import getitem
from typing import Any

from posefix.pose_files.json_text import Change, JsonText, Place, number_text

_STRING_OR_NUMBER = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|(-?[0-9][0-9.eE+-]*|NaN|-?Infinity)')


def edited_with_numbers(text: JsonText, numbers: Mapping[Place, float], edits: Mapping[Place, Any]) -> str:
    """The text with other numbers, and other edits.

    Args:
        text: The document, whose `root` can be read.
        numbers: Place of a number -> new value; whoever asks leaves out those that stay.
        edits: As of `JsonText.edited`; no place lies inside another, or holds one of `numbers`.
    """
    return text.changed(merge(_number_changes(text, numbers), text.changes(edits)))


def _number_changes(text: JsonText, numbers: Mapping[Place, float]) -> Iterator[Change]:
    """What changes, in the order of the text."""
    if not numbers:
        return
    following = count().__next__
    tree = json.loads(
        text.text.removeprefix("\ufeff"),
        parse_float=lambda _: following(),
        parse_int=lambda _: following(),
        parse_constant=lambda _: following(),
    )  # the document, with the number's place among all numbers instead of each number
    spans = [found.span() for found in _STRING_OR_NUMBER.finditer(text.text) if found.lastindex]
    orders = {reduce(getitem, place, tree): value for place, value in numbers.items()}
    for order in sorted(orders):
        yield (*spans[order], number_text(orders[order]))
