"""Faults put into good files, by chance that a seed decides."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from tests.formats.mutations import ODD_VALUES

ODD_BYTES = (
    b"",
    b"\x00",
    b"\xff" * 4,
    b"\x00" * 8,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80",
    b"\r\n",
    b"\xef\xbb\xbf",
)
ODD_WORDS = (
    "", "nan", "inf", "-1", "0", "1e308", "1e400", "9" * 400, "9" * 5000, "0x" + "f" * 400, "1.5", "true", "null",
    "\u00e9", "\x00", "'", '"', "[", "[" * 3000, "{", "{}" , ",", ";", "\n", "../../etc/passwd", "/dev/zero", "a" * 300,
    "hf-hub:a/b",
)  # fmt: skip
LONG = (10**15, 2**63, 2**70, -(2**63), 10**400, 1e12, -1e12, 1e308)

Fault = Callable[[bytes, random.Random], bytes]


def with_faults(name: str, content: bytes, chance: random.Random) -> bytes:
    """The content of a file with one fault or several.

    Args:
        name: Of the file; its ending tells what structure the content has.
        content: Of a good file.
        chance: Decides everything.
    """
    structured = STRUCTURES.get(PurePath(name).suffix)
    faults = [structured, structured, _bytes] if structured else [_bytes]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        try:
            content = chance.choice(faults)(content, chance)
        except (
            ArithmeticError,
            AttributeError,
            EOFError,
            LookupError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
            struct.error,
            zlib.error,
        ):
            content = _bytes(content, chance)  # what a fault before made of it has the structure no longer
    return content


def _bytes(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, gone, twice, or put in."""
    start = chance.randrange(len(content) + 1)
    if chance.random() < 0.3:
        start = min(start, chance.randrange(200))  # heads tell what the rest is
    length = chance.choice((1, 1, 2, 4, 8, 100, 1000))
    end = min(start + length, len(content))
    part = content[start:end]
    kind = chance.randrange(6)
    if kind == 0:
        return content[:start] + bytes(chance.randrange(256) for _ in part) + content[end:]
    if kind == 1:
        return content[:start] + content[end:]
    if kind == 2:
        return content[:start] + part * chance.choice((2, 3, 50)) + content[end:]
    if kind == 3:
        odd = chance.choice(ODD_BYTES)
        return content[:start] + odd + content[start + len(odd) :]
    if kind == 4:
        return content[:start]
    flipped = bytes(byte ^ (1 << chance.randrange(8)) for byte in part[:1])
    return content[:start] + flipped + content[start + 1 :]


def _text(content: bytes, chance: random.Random) -> bytes:
    """A word or a line changed, gone or twice."""
    text = content.decode()
    lines = text.splitlines(keepends=True)
    if chance.random() < 0.3 and lines:
        number = chance.randrange(len(lines))
        lines[number : number + 1] = chance.choice(
            ([], [lines[number]] * 2, [lines[number], chance.choice(ODD_WORDS)])
        )
        return "".join(lines).encode()
    word = chance.choice(list(re.finditer(r"[^\s,=\[\]]+|$", text)))
    return (text[: word.start()] + chance.choice(ODD_WORDS) + text[word.end() :]).encode()


def _json(content: bytes, chance: random.Random) -> bytes:
    """A value of the document changed, gone, twice or under another name."""
    return json.dumps(changed_document(json.loads(content), chance)).encode()


def changed_document(document: Any, chance: random.Random) -> Any:
    """A document with a fault somewhere."""
    document = copy.deepcopy(document)
    way: list[tuple[Any, Any]] = []
    inner = document
    while isinstance(inner, dict | list) and inner and not (way and chance.random() < 0.25):
        key = chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
        way.append((inner, key))
        inner = inner[key]
    if not way:
        return _odd(chance)
    parent, key = way[-1]
    kind = chance.randrange(5)
    if kind <= 1:
        parent[key] = _odd(chance)
    elif kind == 2:
        del parent[key]
    elif isinstance(parent, list):
        parent[key:key] = [copy.deepcopy(parent[key])] * chance.choice((1, 2, 100))
    else:
        parent[chance.choice((f"{key}s", key.upper(), "", "keypoints"))] = parent.pop(key)
    return document


def _odd(chance: random.Random) -> Any:
    if chance.random() < 0.1:
        nested: Any = []
        for _ in range(chance.choice((3, 500))):
            nested = [nested]
        return nested
    return copy.deepcopy(chance.choice((*ODD_VALUES, *LONG, *ODD_WORDS[:16])))


def _json_lines(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    number = chance.randrange(len(lines))
    lines[number] = _json(lines[number], chance) + b"\n"
    return b"".join(lines)


def _safetensors(content: bytes, chance: random.Random) -> bytes:
    """The head of JSON changed, and its length told."""
    (length,) = struct.unpack_from("<Q", content)
    head = json.loads(content[8 : 8 + length])
    metadata = head.get("__metadata__", {})
    if metadata and chance.random() < 0.5:
        key = chance.choice(list(metadata))
        head["__metadata__"] = {
            **metadata,
            key: json.dumps(changed_document(json.loads(metadata[key]), chance)),
        }
    else:
        head = changed_document(head, chance)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def _hdf5(content: bytes, chance: random.Random) -> bytes:
    """A data set or an attribute changed, gone or moved."""
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = chance.choice(names)
        item = file[name]
        if item.attrs and chance.random() < 0.5:
            key = chance.choice(list(item.attrs))
            item.attrs[key] = _odd_array(chance)
        elif chance.random() < 0.3:
            del file[name]
            if chance.random() < 0.5:
                file[name] = h5py.SoftLink(chance.choice((f"/{name}", "/", f"/{names[0]}")))
        elif isinstance(item, h5py.Dataset):
            _change_data_set(file, name, chance)
    return buffer.getvalue()


def _change_data_set(file: Any, name: str, chance: random.Random) -> None:
    import numpy as np

    values, attributes = file[name][...], dict(file[name].attrs)
    kind = chance.randrange(4)
    if kind == 0:
        values = np.asarray(_odd_array(chance))
    elif kind == 1 and values.ndim:
        values = np.repeat(values, chance.choice((0, 2, 3)), axis=chance.randrange(values.ndim))
    elif kind == 2 and values.ndim:
        values = values[..., None] if chance.random() < 0.5 else values.ravel()
    elif values.dtype.kind in "fiu" and values.size:
        values = values.copy()
        values.flat[chance.randrange(values.size)] = chance.choice((-1, 0, 100, 127))
        if values.dtype.kind == "f":
            values.flat[0] = chance.choice((np.nan, np.inf, 1e12, -1e300))
    elif values.dtype.names and values.size:
        field = values[chance.choice(values.dtype.names)]
        field[...] = chance.choice((-1, 0, 1, 100, 127))
    del file[name]
    file[name] = values
    file[name].attrs.update(attributes)


def _odd_array(chance: random.Random) -> Any:
    import numpy as np

    return chance.choice(
        (0, -1, 2**40, 1.5, np.nan, b"", b"x", b"\xff", "frame", [], [1, 2], [[b"a"]], "[1]", "[" * 3000)
    )


def _xml(content: bytes, chance: random.Random) -> bytes:
    """The value of an attribute changed, or a line gone or twice."""
    text = content.decode()
    values = list(re.finditer(r'="([^"]*)"', text))
    if not values or chance.random() < 0.3:
        return _text(content, chance)
    value = chance.choice(values)
    odd = chance.choice((*ODD_WORDS, "&lt;", "&a;", "<", "1,2,3", "1;2"))
    return (text[: value.start(1)] + odd + text[value.end(1) :]).encode()


def _packed(content: bytes, chance: random.Random) -> bytes:
    """What is packed changed, as JSON, or packed twice; faults in the bytes are those of every file."""
    inner = gzip.decompress(content)
    if chance.random() < 0.1:
        return gzip.compress(content, mtime=0)
    return gzip.compress(_json(inner, chance), mtime=0)


STRUCTURES: dict[str, Fault] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".toml": _text,
    ".csv": _text,
    ".txt": _text,
    ".h5": _hdf5,
    ".slp": _hdf5,
    ".nwb": _hdf5,
    ".xml": _xml,
    ".gz": _packed,
    ".safetensors": _safetensors,
}
"""By the ending of a file's name; others have faults in their bytes alone."""
