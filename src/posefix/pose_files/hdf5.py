"""What the formats stored in HDF5 share; h5py, which reads them, is there only where somebody installed it.

Every such file is opened here, since HDF5 lets a file name others: its data may lie in any file of the user, which
would be read, and written when the poses are written back.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

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


@contextmanager
def open_hdf5(path: Path, content: io.BytesIO, mode: Literal["r", "r+"] = "r") -> Iterator[Any]:
    """The h5py.File of some bytes, none of whose data lie elsewhere.

    Args:
        path: Of the file, for messages.
        content: Its bytes, which are changed where it is written.
        mode: To read it, or to write into it as well.

    Raises:
        FormatError: Some of its data, or a link, lead to another file.
    """
    import h5py

    with h5py.File(content, mode) as file:
        _check_lies_here(path, file)
        yield file


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
