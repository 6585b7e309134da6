"""What an ONNX graph says of other files, read without a library of it.

A graph may leave its weights to other files, by any name. Runtimes differ in which names they follow, and ONNX Runtime
has followed ``../``; here only files beside the graph pass. ONNX is a message of Protocol Buffers: numbered fields, of
which those that hold messages lie within each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from posefix.errors import InputError, quoted

INNER = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
"""Of each message that may hold weights somewhere the fields that do, and what these are (onnx.proto)."""
KEY, VALUE = 1, 2
DEEPEST = 50
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def check_graph_file(path: Path) -> None:
    """Refuse a graph whose weights lie elsewhere than beside it.

    Raises:
        InputError: They do, or it is no graph, or cannot be read.
    """
    try:
        content = path.read_bytes()
        names = list(_locations(memoryview(content), "model", DEEPEST))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path}: cannot be read as an ONNX graph ({error}); export the model again"
        ) from error
    folder = path.parent.resolve()
    for name in names:
        if not _lies_in(folder, name):
            raise InputError(
                f"{path}: expected weights in the graph or beside it, got some in {quoted(name)}; "
                "export the model again"
            )


def _lies_in(folder: Path, name: str) -> bool:
    """Whether a name leads to a file in a folder, links followed."""
    try:
        return (folder / name).resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):
        return False


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    """The names of files that a message leaves weights to."""
    if not depth:
        raise ValueError("graphs lie within each other without end")
    for number, part in _fields(message):
        inner = INNER[kind].get(number)
        if inner == "external":
            entry = dict(_fields(part))
            if bytes(entry.get(KEY, b"")) == b"location":
                yield bytes(entry.get(VALUE, b"")).decode("utf-8")
        elif inner is not None:
            yield from _locations(part, inner, depth - 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message that hold bytes: number and bytes."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        kind = tag & 7
        if kind == VARINT:
            _, at = _number(message, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            length, at = _number(message, at)
            if at + length > len(message):
                raise ValueError("it is cut off")
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of kind {kind}")


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the byte behind it."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number without end")
