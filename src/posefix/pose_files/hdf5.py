"""What the formats stored in HDF5 share; h5py, which reads them, is there only where somebody installed it.

Every such file is opened here, since HDF5 lets a file name others: its data may lie in any file of the user, which
would be read, and written when the poses are written back. It also lets a file declare arrays that it does not hold.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from posefix.errors import InputError
from posefix.files import check_contents, largest_contents
from posefix.pose_files.pose_file import FormatError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""What every such file begins with."""
READING_ERRORS = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What h5py and damaged or foreign contents raise; a file is the user's, so none of it is a fault of ours."""
HEAP = b"GCOL\x01\0\0\0"
"""What a heap begins with, in which texts and lists of any length lie."""
DEFLATE = 1
PLAIN_FILTERS = (2, 3, 5, 6)
"""Shuffling, checksums and fewer bits, by which nothing becomes much smaller; the others compress."""
DEFLATE_TIMES = 1032
"""So many times smaller zlib can make bytes that are all the same, and no more."""


@contextmanager
def open_hdf5(path: Path, content: io.BytesIO, mode: Literal["r", "r+"] = "r") -> Iterator[Any]:
    """The h5py.File of some bytes, none of whose data lie elsewhere or are far larger than the bytes could hold.

    Args:
        path: Of the file, for messages.
        content: Its bytes, which are changed where it is written.
        mode: To read it, or to write into it as well.

    Raises:
        FormatError: Some of its data, or a link, lead to another file, its arrays are too large, or it is damaged
            where the HDF5 library would not come back.
    """
    import h5py

    _check_heaps(path, content.getvalue())
    with h5py.File(content, mode) as file:
        _check_lies_here(path, file)
        try:
            stored = len(content.getvalue())
            check_contents(path, _declared(path, file, stored), stored)
        except InputError as error:
            raise FormatError(str(error)) from error
        try:
            yield file
        except READING_ERRORS as error:
            if mode == "r" or isinstance(error, InputError):
                raise  # who reads knows better what was expected
            raise FormatError(
                f"{path}: expected a file that can be written again, got a damaged one ({error})."
            ) from error


def _check_heaps(path: Path, content: bytes) -> None:
    """Refuse a heap in which free space takes none, which the HDF5 library (2.0) passes over again and again."""
    bytes_of_lengths = content[14:15] if content[8:9] < b"\x02" else content[10:11]
    if bytes_of_lengths != b"\x08":
        return  # as no program that is known writes them
    objects, start = 0, content.find(HEAP)
    while 0 <= start <= len(content) - 16:
        (size,) = struct.unpack_from("<Q", content, start + 8)
        place, end = start + 16, min(start + size, len(content))
        while place + 16 <= end:
            number, length = struct.unpack_from("<HxxxxxxQ", content, place)
            step = 16 + (length + 7) // 8 * 8 if number else length
            objects += 1
            if step == 0 or objects > len(content):  # so many only where heaps lie on top of each other
                raise FormatError(f"{path}: expected an HDF5 file, got a damaged one (a heap without end).")
            place += step
        start = content.find(HEAP, start + 1)


def _check_lies_here(path: Path, file: Any) -> None:
    """Refuse a file that leads to others."""
    # What is asked of each link and item returns what it found, which ends the walk: h5py loses errors raised there.
    found = file.id.links.visit(_leads_out, info=True) or file.visititems(_lies_elsewhere)
    if found:
        name, what = found
        raise FormatError(
            f"{path}, {name}: expected data that lie in this file, got {what}; save them in one file of their own."
        )


def _leads_out(name: bytes, link: Any) -> tuple[str, str] | None:
    """A link to another file; those that lead on within the file are as good as names."""
    from h5py import h5l

    here = link.type in (h5l.TYPE_HARD, h5l.TYPE_SOFT)
    return None if here else (name.decode("utf-8", "replace"), "a link to another file")


def _lies_elsewhere(name: str, item: Any) -> tuple[str, str] | None:
    """A data set that is stored in other files, or is put together from data sets of any file."""
    from h5py import Dataset, h5d

    if not isinstance(item, Dataset):
        return None
    layout = item.id.get_create_plist()
    if layout.get_external_count():
        return name, "external storage"
    return (name, "a virtual data set") if layout.get_layout() == h5d.VIRTUAL else None


def _declared(path: Path, file: Any, stored: int) -> int:
    """Bytes that all arrays of a file take when they are read, each as often as the file names it."""
    from h5py import Dataset

    names: list[bytes] = []
    file.id.links.visit(names.append)  # which returns nothing, or the walk would end
    total = 0
    for name in names:
        item = file.get(name)
        if isinstance(item, Dataset):
            _check_filters(path, item, largest_contents(stored))
            total += _bytes_of(item, stored)
    return total


def _bytes_of(data: Any, stored: int) -> int:
    """Bytes of an array, or of one of its chunks where that is larger; of values of any length, theirs as well."""
    item = data.id.get_type().get_size()
    chunk = 1
    for length in data.chunks or ():
        chunk *= length
    fixed = int(max(data.size or 0, chunk) * item)
    if not data.dtype.hasobject or data.size * stored <= largest_contents(stored):
        return fixed
    return fixed + _bytes_of_objects(data, stored)


def _bytes_of_objects(data: Any, stored: int) -> int:
    """Bytes of texts and other values of any length: many references may lead to one, so they are looked at.

    So many at a time as cannot take more than a file may, and no further than until they do.
    """
    most = largest_contents(stored)
    rows = max(1, most * len(data) // (stored * data.size))
    total = 0
    for start in range(0, len(data), rows):
        values = data[start : start + rows].ravel().tolist()
        total += sum(one.nbytes if hasattr(one, "nbytes") else len(one) for one in values)
        if total > most:
            break
    return total


def _check_filters(path: Path, data: Any, most: int) -> None:
    """Refuse data that are compressed twice, and chunks that become longer than they say.

    Raises:
        FormatError: They are.
    """
    settings = data.id.get_create_plist()
    filters = [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]
    compressing = [one for one in filters if one not in PLAIN_FILTERS]
    if len(compressing) > 1:
        raise FormatError(
            f"{path}, {data.name}: expected data compressed once, got {len(compressing)} times; save them anew."
        )
    if compressing != [DEFLATE] or data.id.get_storage_size() * DEFLATE_TIMES <= most:
        return
    chunk = data.dtype.itemsize
    for length in data.chunks:
        chunk *= length
    places: list[Any] = []
    data.id.chunk_iter(places.append)
    for place in places:
        if place.size * DEFLATE_TIMES > most and _inflates_beyond(data, place.chunk_offset, chunk):
            raise FormatError(
                f"{path}, {data.name}: expected {chunk} bytes in a chunk, got more; save them anew."
            )


def _inflates_beyond(data: Any, place: tuple[int, ...], most: int) -> bool:
    """Whether a compressed chunk is longer than it may be."""
    _, content = data.id.read_direct_chunk(place)
    unpack = zlib.decompressobj()
    try:
        return len(unpack.decompress(content, most + 1)) > most
    except zlib.error:
        return False  # which HDF5 will tell
