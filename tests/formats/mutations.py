"""Faulty documents: a good JSON text with one or several things wrong, for property tests of the formats."""

from __future__ import annotations

import copy
import json
import math
import re
from typing import Any

from hypothesis import strategies as st

from posefix.pose_files.json_text import Place

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**400, 1e300, math.nan, math.inf, "", "a", "1", "\u00e9", [], [[]], [None], {}, {"a": 1},
)  # fmt: skip


@st.composite
def mutated_texts(draw: st.DrawFn, text: str) -> str:
    """The text of a JSON document with faults: values, keys or elements changed, gone, twice; or the text damaged.

    Args:
        draw: Given by hypothesis.
        text: A good document.

    Example:
        @given(text=mutated_texts(GOOD))
        def test_a_faulty_file_is_refused_in_one_sentence(...) -> None:
            try_everything(FORMAT, recorded(path, text))
    """
    document = json.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        document = _with_fault(draw, document)
    damaged = json.dumps(document, indent=draw(st.sampled_from([None, 2])))
    if draw(st.integers(0, 9)) == 0:
        cut = draw(st.integers(0, len(damaged)))
        damaged = damaged[:cut] + draw(st.sampled_from(["", ",", "]", "}", "\x00", damaged[cut + 1 :]]))
    return damaged


ODD_TEXTS = (
    "",
    "a",
    "nan",
    "-1",
    "1e400",
    "1e15",
    "1,2",
    '"',
    "<",
    ">",
    "/>",
    "&x;",
    "\x00",
    "\u00e9",
    "\n",
    ",,",
    " ",
)


@st.composite
def damaged_texts(draw: st.DrawFn, text: str) -> str:
    """A text of any format with faults: words and pieces of it changed, gone, twice, or its end cut off."""
    for _ in range(draw(st.integers(1, 3))):
        words = [found.span() for found in re.finditer(r"[\w.]+|[^\w.]", text)]
        if not words:
            return text
        start, end = draw(st.sampled_from(words))
        end = draw(st.sampled_from([end, min(len(text), end + draw(st.integers(0, 40)))]))
        piece = draw(st.sampled_from([*ODD_TEXTS, text[start:end] * 2]))
        text = text[:start] + piece + (text[end:] if draw(st.integers(0, 9)) else "")
    return text


def _with_fault(draw: st.DrawFn, document: Any) -> Any:
    """The document with one thing wrong somewhere."""
    places = _places(document)
    if not places:
        return draw(st.sampled_from(ODD_VALUES))
    document = copy.deepcopy(document)
    *way, key = draw(st.sampled_from(places))
    parent = document
    for step in way:
        parent = parent[step]
    what = draw(st.sampled_from(["value", "gone", "twice", "renamed"]))
    if what == "value":
        parent[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
    elif what == "gone":
        del parent[key]
    elif isinstance(parent, list):
        parent.insert(int(key), copy.deepcopy(parent[int(key)]))
    else:
        parent[f"{key}s" if what == "renamed" else str(key).upper()] = parent.pop(key)
    return document


def _places(value: Any, place: Place = ()) -> list[Place]:
    """All places of a document except its root; of a long list of numbers only the first few, which are as good."""
    members: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = [(index, inner) for index, inner in enumerate(value[:6])]
    found: list[Place] = []
    for key, inner in members:
        found += [(*place, key), *_places(inner, (*place, key))]
    return found
