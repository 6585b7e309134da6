"""XML as bytes in which some attributes change and every other byte stays.

Parsed by expat without any entity: a document type declaration, without which there are none, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from posefix.pose_files.pose_file import FormatError

ByteChange = tuple[int, int, bytes]
"""Bytes from a start to an end, and what takes their place."""
UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")

_TAG = re.compile(rb"<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*(/?)>")
_ATTRIBUTE = re.compile(rb"\s([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


class Listener(Protocol):
    """Who is told of the elements of a document, in its order."""

    def start(self, tag: str, attributes: dict[str, str], at: int) -> None:
        """An element begins at a byte."""

    def text(self, text: str) -> None:
        """Some text of an element; it may come in pieces."""

    def end(self, tag: str, at: int) -> None:
        """An element ends: at this byte its closing tag begins, if it has one."""


def parse_xml(path: Path, content: bytes, listener: Listener) -> None:
    """Tell somebody of all elements.

    Raises:
        FormatError: The content is not XML in UTF-8, or has a document type declaration.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse_entities(*_: object) -> None:
        raise FormatError(
            f"{path}: expected XML without a document type declaration, which can hide whole files in entities; take "
            "<!DOCTYPE ...> out."
        )

    def check_encoding(_: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in UTF_8:
            raise FormatError(f"{path}: expected XML in UTF-8, got {encoding}; save it in UTF-8.")

    parser.XmlDeclHandler = check_encoding
    parser.StartDoctypeDeclHandler = refuse_entities
    parser.StartElementHandler = lambda tag, attributes: listener.start(
        tag, attributes, parser.CurrentByteIndex
    )
    parser.CharacterDataHandler = listener.text
    parser.EndElementHandler = lambda tag: listener.end(tag, parser.CurrentByteIndex)
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise FormatError(
            f"{path}: expected XML, got an error at {place}: {expat.ErrorString(error.code)}."
        ) from error


def attribute_changes(content: bytes, at: int, values: Mapping[str, str]) -> list[ByteChange]:
    """What gives the tag that begins at a byte other attributes; those that it does not have are added at its end."""
    end = tag_end(content, at)
    changes: list[ByteChange] = []
    missing = dict(values)
    for found in _ATTRIBUTE.finditer(content, at, end):
        name = found[1].decode()
        if name in missing:
            start, stop = found.span(2 if found[2] is not None else 3)
            changes.append((start, stop, missing.pop(name).encode()))
    if missing:
        place = end - (2 if is_empty(content, at) else 1)
        text = "".join(f" {name}={quoteattr(value)}" for name, value in missing.items())
        changes.append((place, place, text.encode()))
    return changes


def tag_end(content: bytes, at: int) -> int:
    """Where the tag ends that begins at a byte."""
    found = _TAG.match(content, at)
    return found.end() if found else content.index(b">", at) + 1


def is_empty(content: bytes, at: int) -> bool:
    """Whether the tag that begins at a byte is an element of its own, `<a/>`."""
    found = _TAG.match(content, at)
    return bool(found and found[1])


def element_end(content: bytes, at: int, closing: int) -> int:
    """Where the element ends that begins at a byte, and whose closing tag begins at another one."""
    return tag_end(content, at) if is_empty(content, at) else content.index(b">", closing) + 1


def space_before(content: bytes, at: int) -> int:
    """Where the white space begins that ends at a byte: it goes with what stands behind it."""
    while at and content[at - 1 : at].isspace():
        at -= 1
    return at


def changed_bytes(content: bytes, changes: Iterable[ByteChange]) -> bytes:
    """The content with changes, in any order, none inside another."""
    pieces, done = [], 0
    for start, end, new in sorted(changes):
        pieces += [content[done:start], new]
        done = end
    return b"".join([*pieces, content[done:]])
