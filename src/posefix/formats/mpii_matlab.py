"""The structure of MATLAB files (MAT-File Format, level 5), walked before scipy reads them.

scipy's reader trusts what stands in a file: lengths, types and classes that are out of range make it read and write
beyond its own memory. Here every element of a variable is checked to lie within its parent and to be of a known type.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from posefix.files import MEMORY_VARIABLE, largest_contents

HEADER_BYTES = 128
_TAG = struct.Struct("<II")

INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of a number by the type of its element (table 1-1); the last three are of text alone."""
NUMBERS, TEXTS = frozenset(range(1, 14)), frozenset((1, 2, 3, 4, 16, 17, 18))

CELL, STRUCT, OBJECT, CHAR, FIRST_NUMERIC, LAST_NUMERIC = 1, 2, 3, 4, 6, 15
"""Classes of arrays (table 1-3); sparse ones, 5, are not read."""
COMPLEX = 0x800
SHORT_HEAD = 40
"""Bytes of the head of a matrix whose name has up to four letters."""
MOST_DIMENSIONS, DEEPEST = 32, 50
MOST_TIMES = 30
"""So many times larger than its file an uncompressed variable may be: each number of it becomes an array of its own,
which takes many times the bytes once more."""


class DamagedError(ValueError):
    """A file that is not as MATLAB writes it."""


@dataclass(frozen=True)
class Variable:
    """A variable of a file.

    Attributes:
        name: As the file has it; empty for what MATLAB keeps for itself.
        start: First byte of its element in the file.
        end: First byte behind it.
        compressed: Whether the file holds it compressed.
    """

    name: str
    start: int
    end: int
    compressed: bool


class _Element(NamedTuple):
    """Where the data of an element begin and end, and the next element begins."""

    kind: int
    start: int
    end: int
    next: int


def list_variables(content: bytes) -> list[Variable]:
    """The variables of a file, in its order.

    Args:
        content: Of the file, header included, in the byte order of PCs.

    Raises:
        DamagedError: The file ends within a variable, or it is no list of variables.
    """
    variables, at = [], HEADER_BYTES
    while at < len(content):
        element = _element(content, at, len(content), padded=False)
        matrix = _matrix_of(content, element)
        name = _name(matrix)
        variables.append(Variable(name, at, element.next, element.kind == COMPRESSED))
        at = element.next
    return variables


def check_variable(content: bytes, variable: Variable) -> None:
    """Make sure that reading a variable touches nothing beyond it.

    Raises:
        DamagedError: An element goes beyond its parent, is of an unknown type or holds another number of items than
            its array has; or the variable holds sparse arrays, functions or objects of newer classes.
    """
    matrix = _matrix_of(content, _element(content, variable.start, variable.end, padded=False))
    if _check_matrix(matrix, 0, len(matrix), DEEPEST) != len(matrix):
        raise DamagedError(f"variable {variable.name} is longer than its array")


def _matrix_of(content: bytes, element: _Element) -> bytes:
    """The element of a variable's array, uncompressed, with its tag."""
    if element.kind == MATRIX:
        return content[element.start - _TAG.size : element.end]
    if element.kind != COMPRESSED:
        raise DamagedError(f"expected an array, got an element of type {element.kind}")
    unpack = zlib.decompressobj()
    most = largest_contents(len(content), MOST_TIMES)
    matrix = unpack.decompress(content[element.start : element.end], most)
    if len(matrix) == most:
        raise DamagedError(
            f"a variable of {most // 2**20} MB or more; if you trust the file, set {MEMORY_VARIABLE} to the megabytes "
            "that one may take"
        )
    if not unpack.eof:
        raise DamagedError("a compressed variable is cut short")
    return matrix


def _element(content: bytes, at: int, end: int, *, padded: bool = True) -> _Element:
    """The element that begins at a byte; small ones hold up to four bytes in their tag."""
    if at + _TAG.size > end:
        raise DamagedError(f"an element ends within its tag, byte {at}")
    first, size = _TAG.unpack_from(content, at)
    if first >> 16:
        kind, size, start, following = first & 0xFFFF, first >> 16, at + 4, at + 8
        if size > 4:
            raise DamagedError(f"a small element of {size} bytes, byte {at}")
    else:
        kind, start = first, at + _TAG.size
        following = start + size + (-size % 8 if padded else 0)
    if start + size > end:
        raise DamagedError(f"an element of {size} bytes goes beyond its parent, byte {at}")
    return _Element(kind, start, start + size, min(following, end))


def _data(content: bytes, at: int, end: int, kinds: frozenset[int], bytes_expected: int | None) -> _Element:
    """The element at a byte, one of some types and of so many bytes."""
    element = _element(content, at, end)
    if element.kind not in kinds or element.kind not in ITEM_BYTES:
        raise DamagedError(f"an element of type {element.kind}, byte {at}")
    if bytes_expected is not None and element.end - element.start != bytes_expected:
        raise DamagedError(
            f"an element of {element.end - element.start} bytes instead of {bytes_expected}, byte {at}"
        )
    return element


def _flag_and_count(content: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Flags with the class, number of items and the byte behind the head of an array whose data begin at a byte."""
    try:
        flag, count, length = _short_head(content[at : min(at + SHORT_HEAD, end)])
    except DamagedError:
        flag, dimensions, name = _head(content, at, end)
        return flag, math.prod(dimensions), name.next
    return flag, count, at + length


@lru_cache
def _short_head(head: bytes) -> tuple[int, int, int]:
    """The same of the heads of most arrays, matrices with a short name or none, of which a file repeats a few."""
    flag, dimensions, name = _head(head, 0, len(head))
    return flag, math.prod(dimensions), name.next


def _head(content: bytes, at: int, end: int) -> tuple[int, tuple[int, ...], _Element]:
    """Flags with the class, dimensions and the element of the name of an array whose data begin at a byte."""
    flags = _data(content, at, end, frozenset((UINT32,)), 8)
    (flag,) = struct.unpack_from("<I", content, flags.start)
    sizes = _data(content, flags.next, end, frozenset((INT32,)), None)
    count = (sizes.end - sizes.start) // 4
    dimensions = struct.unpack_from(f"<{count}i", content, sizes.start)
    if not 2 <= count <= MOST_DIMENSIONS or min(dimensions) < 0:
        raise DamagedError(f"an array of dimensions {dimensions}, byte {at}")
    return flag, dimensions, _data(content, sizes.next, end, frozenset((INT8,)), None)


def _name(matrix: bytes) -> str:
    element = _element(matrix, 0, len(matrix))
    try:
        _, _, name = _head(matrix, element.start, element.end)
    except DamagedError:
        return ""  # what MATLAB keeps for itself has another head
    return matrix[name.start : name.end].decode("latin-1")


def _check_matrix(content: bytes, at: int, end: int, depth: int) -> int:
    """Check the array at a byte and all within it; the byte behind it."""
    element = _element(content, at, end)
    if element.kind != MATRIX or not depth:
        raise DamagedError(f"expected an array, got an element of type {element.kind}, byte {at}")
    if element.start == element.end:
        return element.next  # an empty array
    flag, count, inside = _flag_and_count(content, element.start, element.end)
    kind = flag & 0xFF
    if kind in (CELL, STRUCT, OBJECT):
        if kind != CELL:
            fields, inside = _count_fields(content, inside, element.end, kind)
            count *= fields
        for _ in range(count):
            inside = _check_matrix(content, inside, element.end, depth - 1)
    elif kind == CHAR:
        inside = _data(content, inside, element.end, TEXTS, None).next
    elif FIRST_NUMERIC <= kind <= LAST_NUMERIC:
        for _ in range(2 if flag & COMPLEX else 1):
            inside = _check_numbers(content, inside, element.end, count)
    else:
        raise DamagedError(f"an array of class {kind}, byte {at}")
    if inside != element.end:
        raise DamagedError(f"an array that is shorter than its element, byte {at}")
    return element.next


def _count_fields(content: bytes, at: int, end: int, kind: int) -> tuple[int, int]:
    """Number of fields of a struct array, and the byte behind their names."""
    if kind == OBJECT:
        at = _data(content, at, end, frozenset((INT8,)), None).next
    length = _data(content, at, end, frozenset((INT32,)), 4)
    (longest,) = struct.unpack_from("<i", content, length.start)
    names = _data(content, length.next, end, frozenset((INT8,)), None)
    size = names.end - names.start
    if longest < 1 or size % longest:
        raise DamagedError(f"names of fields that are not {longest} bytes each, byte {at}")
    return size // longest, names.next


def _check_numbers(content: bytes, at: int, end: int, count: int) -> int:
    numbers = _data(content, at, end, NUMBERS, None)
    if numbers.end - numbers.start != count * ITEM_BYTES[numbers.kind]:
        raise DamagedError(f"numbers of an array of {count} that are more or fewer, byte {at}")
    return numbers.next
