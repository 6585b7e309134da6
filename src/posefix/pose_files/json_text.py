"""JSON files in which some values change and every other character stays: number texts, key order, indentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from math import isfinite, isnan
from pathlib import Path
from typing import Any, NamedTuple

from posefix.errors import InputError, quoted
from posefix.files import read_text
from posefix.json_values import parse_json, plain_json

Place = tuple[str | int, ...]
"""Keys and indices from the root of a document, such as (3, "keypoints")."""
Change = tuple[int, int, str]
"""Characters from a start to an end, and what takes their place."""

REMOVED = object()
"""As the new value of an element of a list: the element goes."""

_SPACE = re.compile(r"[ \t\n\r\ufeff]*")
_FOLLOWING = re.compile(r"[ \t\n\r\ufeff]*([],}])[ \t\n\r\ufeff]*")
"""What stands between two members, or behind the last one."""
_PLAIN_FIELD = re.compile(r'"([^"\\]*)"\s*:\s*(\[[^][{}"]*\]|"[^"\\]*"|[^][{}",\s]+)')
"""A field that holds a list of numbers, a text or a number: these end where they seem to."""
_BETWEEN_OBJECTS = re.compile(r"\}[ \t\n\r]*,[ \t\n\r]*(?=\{)")
BLOCK = 2**16
"""Characters of a long list that are parsed together: their numbers stay in a processor's cache until they are read."""
AT_ONCE = 128
"""Elements of a long list that are parsed one after the other."""
_SPACES = re.compile(r"\s")
_DECODER = json.JSONDecoder()
_NUMBERS = {int, float}
_NUMBERS_AND_GAPS = {int, float, type(None)}
_GAP = "a number that is not there"
_SPACE_CHARACTERS = frozenset(" \t\n\r\ufeff")


@dataclass(frozen=True)
class _Leaf:
    """A new value in the tree of edits, whose branches are dictionaries."""

    value: Any


class Member(NamedTuple):
    """A value within a list: its index, and where its text begins and ends."""

    key: int
    value: Any
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class JsonText:
    """A JSON document as text and as values.

    Example:
        >>> text = JsonText(Path("a.json"), '[{"x": [1.50, 2], "name": "a"}]')
        >>> text.edited({(0, "x"): [1.5, 3.25]})
        '[{"x": [1.50, 3.25], "name": "a"}]'

    Attributes:
        path: The file, for messages.
        text: Its text.
    """

    path: Path
    text: str

    @classmethod
    def read(cls, path: str | Path) -> JsonText:
        """Read a file; whether it is JSON is found out by `root`.

        Raises:
            InputError: The file cannot be read, or is not UTF-8.
        """
        return cls(Path(path), read_text(path))

    @cached_property
    def root(self) -> Any:
        """The document's value.

        Raises:
            InputError: The text is not JSON; names file, line and column.
        """
        return parse_json(self.path, self.text)

    @property
    def is_list(self) -> bool:
        """Whether the document begins as a list; whether it is JSON throughout is found out by reading it."""
        return self.text.startswith("[", self._value_at(0))

    def opening(self, count: int) -> Any:
        """The document's value; of a list only the first elements, `count` at most, and nothing behind them is parsed.

        Raises:
            InputError: What was looked at is not JSON.
        """
        if not self.is_list:
            return self.root
        return [element.value for element in islice(chain.from_iterable(self.elements()), count)]

    def elements(self) -> Iterator[list[Member]]:
        """The elements of a document that is a list, some at a time: they need not all fit into memory.

        Raises:
            InputError: The document is no list, or not JSON; names file, line and column.
        """
        if not self.is_list:
            raise InputError(f"{self.path}: expected a list, got {quoted(self.root)}.")
        start = self._value_at(0)
        end = start + 1
        try:
            for some in self._parts(start):
                end = some[-1].end
                yield some
                del some  # the next ones take its memory, which is still in the processor's cache
            whole = self.text[end:].split() == ["]"]
        except (IndexError, ValueError, RecursionError):
            whole = False
        if not whole:
            _ = self.root  # tells what is wrong, and where
            raise InputError(f"{self.path}: expected JSON, got something else.")

    def edited(self, edits: Mapping[Place, Any]) -> str:
        """The text with other values at some places.

        A list is edited element by element, in any depth; a flat one in the place of a list of lists takes its
        shape. Elements equal to the present ones keep their text, and so do null and NaN among numbers where the new
        value is NaN. A key that an object does not have is added at its end, and so is an element behind the last one
        of a list. `REMOVED` takes an element out of its list.

        Args:
            edits: Place -> new value. No place lies inside another.

        Raises:
            InputError: There is no such place.
        """
        return self.changed(self.changes(edits))

    def changes(self, edits: Mapping[Place, Any]) -> Iterator[Change]:
        """What `edited` changes, in the order of the text."""
        tree: dict[Any, Any] = {}
        for place, value in edits.items():
            branch = tree
            for key in place[:-1]:
                branch = branch.setdefault(key, {})
            branch[place[-1]] = _Leaf(value)
        return self._edit(self._value_at(0), tree, self.root) if edits else iter(())

    def changed(self, changes: Iterable[Change]) -> str:
        """The text with changes, which come in its order."""
        pieces, done = [], 0
        for start, end, new in changes:
            pieces += [self.text[done:start], new]
            done = end
        return "".join([*pieces, self.text[done:]])

    def edited_elements(
        self, spans: Iterable[tuple[int, int]], edits: Iterable[Mapping[Place, Any] | None]
    ) -> Iterator[bytes]:
        """The text, in UTF-8, of a document that is a list with other values in its elements.

        Made element by element, so that of a very long list neither the edits nor what is written need fit into memory.

        Args:
            spans: Start and end of each element, as of `elements`.
            edits: For each element, as of `edited` with places that begin in the element; None takes it out.
        """
        done = self._value_at(0) + 1
        end, gap_end = done, None
        yield self.text[:done].encode()
        for (start, end), edit in zip(spans, edits, strict=True):
            if edit is None:  # out with what stands behind it; of the last elements, what stands before them
                gap_end = start if gap_end is None else gap_end
                continue
            element = self.text[start:end]
            if edit:
                element = JsonText(self.path, element).edited(edit)
            yield f"{self.text[done : start if gap_end is None else gap_end]}{element}".encode()
            done, gap_end = end, None
        yield self.text[done if gap_end is None else end :].encode()

    def _value_at(self, position: int) -> int:
        """Where the next value or bracket begins."""
        if self.text[position : position + 1] not in _SPACE_CHARACTERS:
            return position
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _edit(self, start: int, edit: Any, value: Any) -> Iterator[Change]:
        """Changes, in order, of the value that begins at a place and has been parsed: only places are looked for."""
        if isinstance(edit, _Leaf):
            yield from self._replace(value, edit.value, start, _DECODER.raw_decode(self.text, start)[1])
        elif self.text[start] == "[":
            yield from self._edit_list(start, edit, value)
        elif self.text[start] == "{":
            yield from self._edit_object(start, edit, value)
        else:
            raise InputError(f"{self.path}: expected a list or an object with {next(iter(edit))!r}.")

    def _replace(self, old: Any, new: Any, start: int, end: int) -> Iterator[Change]:
        if old == new and ((_is_number(old) and _is_number(new)) or isinstance(old, list)):
            return
        if _holds_lists(old) and isinstance(new, list) and not _holds_lists(new):
            new = _shaped(old, new)
        if not (isinstance(old, list) and isinstance(new, list) and len(old) == len(new)):
            if type(old) is not type(new) or old != new:
                yield start, end, json.dumps(new)
        elif set(map(type, old)) <= _NUMBERS_AND_GAPS:
            yield start + 1, end - 1, _edited_numbers(self.text[start + 1 : end - 1], old, new)
        else:
            for member, before, after in zip(list(self._members(start)), old, new, strict=True):
                yield from self._replace(before, after, member.start, member.end)

    def _edit_field(self, start: int, end: int, edit: Any, value: Any) -> Iterator[Change]:
        if isinstance(edit, _Leaf):
            return self._replace(value, edit.value, start, end)
        return self._edit(start, edit, value)

    def _edit_list(self, start: int, edits: Mapping[Any, Any], value: list[Any]) -> Iterator[Change]:
        # In a short list a block would reach far beyond it.
        members = list(
            self._members(start) if len(value) < AT_ONCE else chain.from_iterable(self._parts(start))
        )
        added = [edit.value for index, edit in sorted(edits.items()) if index >= len(members)]
        if set(edits) - set(range(len(members) + len(added))):
            raise InputError(f"{self.path}: expected more elements in a list, got {len(members)}.")
        gone = {index for index, edit in edits.items() if _is_removal(edit)}
        last = max((member.key for member in members if member.key not in gone), default=-1)
        for index, member in enumerate(members):
            if index in gone and index < last:
                yield member.start, members[index + 1].start, ""
            elif index in gone:
                yield members[index - 1].end if index else start + 1, member.end, ""
            elif index in edits:
                yield from self._edit_field(member.start, member.end, edits[index], value[index])
        if added:
            yield from self._add_elements(start, members, last, added)

    def _add_elements(
        self, start: int, members: list[Member], last: int, added: list[Any]
    ) -> Iterator[Change]:
        """The change that puts elements behind the last one of a list, apart as the first two are."""
        gap = self.text[members[0].end : members[1].start] if len(members) > 1 else ", "
        text = gap.join(map(json.dumps, added))
        end = members[-1].end if members else start + 1
        yield end, end, text if last == -1 else f"{gap}{text}"

    def _edit_object(
        self, start: int, edits: Mapping[str, Any], value: Mapping[str, Any]
    ) -> Iterator[Change]:
        fields = self._fields(start)
        for key in sorted(edits.keys() & fields.keys(), key=fields.__getitem__):
            yield from self._edit_field(*fields[key], edits[key], value[key])
        added = {key: edit for key, edit in edits.items() if key not in fields}
        if not added:
            return
        if not all(isinstance(edit, _Leaf) for edit in added.values()):
            raise InputError(f"{self.path}: expected an object with a field {quoted(next(iter(added)))}.")
        text = ", ".join(f"{json.dumps(key)}: {json.dumps(edit.value)}" for key, edit in added.items())
        end = max((end for _, end in fields.values()), default=start + 1)
        yield end, end, f", {text}" if fields else text

    def _parts(self, start: int) -> Iterator[list[Member]]:
        """The members of the list whose bracket is at a place, some at a time; raises as `_members`."""
        start, number = self._value_at(start + 1), 0
        while block := self._block(start, number):
            start, number = self._value_at(self._value_at(block[-1].end) + 1), number + len(block)
            yield block
            del block
        following = self._members_from(start, number)
        yield from iter(lambda: list(islice(following, AT_ONCE)), [])

    def _block(self, start: int, number: int) -> list[Member]:
        """Elements of the document from a place on, parsed together: a third of the time that one after the other take.

        Between objects stands `}, {`. Where that stands as often as there are elements, it stands nowhere within one,
        and tells where each of them ends.

        Args:
            start: Where the next element begins.
            number: So many have gone before.

        Returns:
            None of them at the end of the document, and where not all are objects without objects in lists.
        """
        gaps = [gap.span() for gap in _BETWEEN_OBJECTS.finditer(self.text, start, start + BLOCK)]
        if not gaps:
            return []
        try:
            values = plain_json(f"[{self.text[start : gaps[-1][0] + 1]}]")
        except (RecursionError, ValueError):
            return []
        if len(values) != len(gaps) or set(map(type, values)) != {dict}:
            return []
        starts = chain([start], (end for _, end in gaps))
        ends = (begin + 1 for begin, _ in gaps)
        return list(map(Member, range(number, number + len(gaps)), values, starts, ends))

    def _members(self, start: int) -> Iterator[Member]:
        """The members of the list whose bracket is at a place.

        Raises:
            ValueError, IndexError: It is not JSON.
        """
        return self._members_from(self._value_at(start + 1), 0)

    def _members_from(self, position: int, number: int) -> Iterator[Member]:
        """The members from a place on, at which so many have gone before; as of `_members`."""
        while number or self.text[position] != "]":
            value, end = _DECODER.raw_decode(self.text, position)
            yield Member(number, value, position, end)
            following = _FOLLOWING.match(self.text, end)
            if following is None or following[1] == "}":
                raise ValueError(end)
            if following[1] == "]":
                return
            position, number = following.end(), number + 1

    def _fields(self, start: int) -> dict[str, tuple[int, int]]:
        """Where the values of the object at a place begin and end; of equal keys the last one counts."""
        fields: dict[str, tuple[int, int]] = {}
        position = self._value_at(start + 1)
        while self.text[position] != "}":
            if field := _PLAIN_FIELD.match(self.text, position):
                key, begin, end = field[1], *field.span(2)
            else:
                key, position = _DECODER.raw_decode(self.text, position)
                begin = self._value_at(self._value_at(position) + 1)  # past the colon
                end = _DECODER.raw_decode(self.text, begin)[1]
            fields[key] = begin, end
            position = self._value_at(end)
            if self.text[position] == ",":
                position = self._value_at(position + 1)
        return fields


def _is_removal(edit: Any) -> bool:
    return isinstance(edit, _Leaf) and edit.value is REMOVED


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _holds_lists(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(inner, list) for inner in value)


def _shaped(old: list[list[Any]], new: list[Any]) -> list[Any]:
    """A flat list in lists as long as the old ones, where it has as many elements as all of them."""
    if not new or len(new) != sum(map(len, old)):
        return new
    elements = iter(new)
    return [list(islice(elements, len(inner))) for inner in old]


def _edited_numbers(text: str, old: list[Any], new: list[Any]) -> str:
    """What stands between the brackets of a list of numbers, with other numbers of which some may be equal.

    Many times faster than member by member: numbers hold no commas.
    """
    if "n" in text or "N" in text:  # null or NaN: one stays where the new value is NaN
        new = [_GAP if _is_gap(a) and _is_gap(b) else b for a, b in zip(old, new, strict=True)]
        old = [_GAP if _is_gap(value) else value for value in old]
    comma = ", " if text.count(", ") == len(old) - 1 else ","
    texts = text.split(comma)
    if _SPACES.search("".join(texts)):
        pairs = zip(text.split(","), old, new, strict=True)
        return ",".join(kept if a == b else _like(kept, b) for kept, a, b in pairs)
    pairs = zip(texts, old, new, strict=True)
    return comma.join([kept if a == b else number_text(b) for kept, a, b in pairs])


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _like(text: str, value: Any) -> str:
    """A value with the spaces and line breaks around another's text."""
    content = text.strip()
    before, after = text.split(content) if content else ("", "")
    return f"{before}{json.dumps(value)}{after}"


def number_text(value: Any) -> str:
    """A number as JSON has it."""
    # What json.dumps does with most floats, ten times faster.
    return float.__repr__(value) if type(value) is float and isfinite(value) else json.dumps(value)
