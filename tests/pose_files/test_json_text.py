"""Editing JSON without touching the rest of its text."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.pose_files import json_text
from posefix.pose_files.json_text import REMOVED, JsonText, Place

PATH = Path("made.json")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)
LAYOUTS = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"indent": "\t"}])


def text(content: str) -> JsonText:
    return JsonText(PATH, content)


def places(value: Any, place: Place = ()) -> list[Place]:
    """All places of a document, its root left out."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    inner = [(*place, key) for key, _ in members]
    return inner + [deeper for at in inner for deeper in places(value[at[-1]], at)]


@pytest.mark.parametrize(
    ("before", "edits", "after"),
    [
        ("[1.50, 2]", {}, "[1.50, 2]"),
        ('{"a": [1.50,2e0 , 3]}', {("a",): [1.5, 2, 4.25]}, '{"a": [1.50,2e0 , 4.25]}'),
        ('[ {"k":[[1.0,2.0],[3.0,4]]} ]', {(0, "k"): [[1, 2], [3, 5.5]]}, '[ {"k":[[1.0,2.0],[3.0,5.5]]} ]'),
        ('{"a": 1.0}', {("b",): 2.5}, '{"a": 1.0, "b": 2.5}'),
        ("{}", {("b",): None}, '{"b": null}'),
        ('{"a": 1, "a": 2}', {("a",): 3}, '{"a": 1, "a": 3}'),
        ("[1, 2, 3]", {(0,): REMOVED}, "[2, 3]"),
        ("[1, 2, 3]", {(1,): REMOVED, (2,): REMOVED}, "[1]"),
        ("[1, 2, 3]", {(0,): REMOVED, (2,): REMOVED}, "[2]"),
        ("[ 1, 2 ]", {(0,): REMOVED, (1,): REMOVED}, "[ ]"),
        ('\ufeff{"a, [\\"": "]", "b": 1}', {("b",): 2}, '\ufeff{"a, [\\"": "]", "b": 2}'),
        ('{"a": true}', {("a",): 1}, '{"a": 1}'),
        ("[1, 2]", {(2,): 3, (3,): {"a": 4}}, '[1, 2, 3, {"a": 4}]'),
        ("[1,\n 2 ]", {(0,): REMOVED, (2,): 3}, "[2,\n 3 ]"),
        ("[1, 2]", {(0,): REMOVED, (1,): REMOVED, (2,): 3, (3,): 4}, "[3, 4]"),
        ("[ ]", {(0,): 1}, "[1 ]"),
    ],
)  # fmt: skip
def test_only_what_changes_is_rewritten(before: str, edits: dict[Place, Any], after: str) -> None:
    assert text(before).edited(edits) == after


@given(value=VALUES, layout=LAYOUTS)
def test_the_same_values_leave_the_text_as_it_is(value: Any, layout: dict[str, Any]) -> None:
    before = json.dumps(value, **layout)
    edits: dict[Place, Any] = {place: value[place[0]] for place in places(value) if len(place) == 1}
    assert text(before).edited(edits) == before


def test_an_empty_list_takes_the_place_of_a_list_of_lists() -> None:
    assert text('{"a": [[]], "b": [[1, 2]]}').edited({("a",): [], ("b",): []}) == '{"a": [], "b": []}'


@given(value=VALUES, layout=LAYOUTS, new=VALUES, data=st.data())
def test_one_new_value_stands_at_its_place(
    value: Any, layout: dict[str, Any], new: Any, data: st.DataObject
) -> None:
    if not (known := places(value)):
        return
    place = data.draw(st.sampled_from(known))
    after = json.loads(text(json.dumps(value, **layout)).edited({place: new}))
    target = value
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = new
    assert after == value


@pytest.mark.parametrize(
    ("before", "place"), [("[1]", (2,)), ('{"a": 1}', ("a", 0)), ('{"a": 1}', ("b", "c"))]
)
def test_a_place_that_is_not_there_is_an_error(before: str, place: Place) -> None:
    with pytest.raises(InputError, match=r"made\.json"):
        text(before).edited({place: 2})


@given(
    rows=st.lists(VALUES | st.dictionaries(st.text(max_size=3), VALUES, max_size=3)),
    layout=LAYOUTS,
    block=st.integers(1, 200),
)
def test_elements_are_where_they_are_however_many_are_parsed_together(
    rows: list[Any], layout: dict[str, Any], block: int
) -> None:
    content = json.dumps(rows, **layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "BLOCK", block)
        found = [member for some in text(content).elements() for member in some]
    assert [member.key for member in found] == list(range(len(rows)))
    assert [member.value for member in found] == rows
    assert [json.loads(content[member.start : member.end]) for member in found] == rows


@pytest.mark.parametrize("row", ['{"a": [{}, {}]}', '{"a": "}, {"}', '{"a": NaN}', "3"])
def test_rows_that_cannot_be_parsed_together_are_found(row: str) -> None:
    content = f'[{{"x": 1}}, {row}, {{"x": 2}} , {{"x": 3}}]'
    found = [member for some in text(content).elements() for member in some]
    assert [content[member.start : member.end] for member in found] == [
        '{"x": 1}',
        row,
        '{"x": 2}',
        '{"x": 3}',
    ]
