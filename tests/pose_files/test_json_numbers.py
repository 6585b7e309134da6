"""Numbers changed anywhere in a document."""

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from posefix.pose_files.json_numbers import edited_with_numbers
from posefix.pose_files.json_text import REMOVED, JsonText, Place

NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=True)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def places(value: Any, place: Place = ()) -> list[Place]:
    """Of all numbers."""
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        return [deeper for key, inner in members for deeper in places(inner, (*place, key))]
    return [place] if isinstance(value, int | float) and not isinstance(value, bool) else []


def at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


@given(value=st.lists(VALUES, max_size=4), indent=st.sampled_from([None, 1]), data=st.data())
def test_the_numbers_that_are_named_change_and_nothing_else(
    value: Any, indent: int | None, data: Any
) -> None:
    known = places(value)
    chosen = data.draw(st.lists(st.sampled_from(known), unique=True) if known else st.just([]))
    text = json.dumps(value, indent=indent)
    edited = edited_with_numbers(JsonText(Path("a"), text), [(place, 1.25) for place in chosen], {})
    after = json.loads(edited)
    for place in known:
        before = at(value, place)
        if place in chosen:
            assert at(after, place) == 1.25
        else:
            assert at(after, place) == before or math.isnan(before)
    assert len(edited) - len(text) == sum(4 - len(json.dumps(at(value, place))) for place in chosen)


def test_of_equal_keys_the_last_one_counts_and_texts_hold_no_numbers() -> None:
    text = JsonText(Path("a"), '\ufeff{"1": "2 \\" 3", "a": 4, "a": 5.0, "b": [6, 7]}')
    edited = edited_with_numbers(text, [(("a",), 8)], {("b", 0): REMOVED, ("c",): None})
    assert edited == '\ufeff{"1": "2 \\" 3", "a": 4, "a": 8, "b": [7], "c": null}'
