"""What the formats stored in HDF5 share; h5py, which reads them, is there only where somebody installed it."""

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
        found = file.id.links.visit(_leads_out, info=True) or file.visititems(_lies_elsewhere)
        if found:
            raise FormatError(
                f"{path}, {found}: expected data that lie in this file, got those of another file."
            )
        yield file


def _leads_out(name: bytes, link: Any) -> str | None:
    """The name of a link to another file."""
    from h5py import h5l

    return None if link.type in (h5l.TYPE_HARD, h5l.TYPE_SOFT) else name.decode("utf-8", "replace")


def _lies_elsewhere(name: str, item: Any) -> str | None:
    """The name of a data set that is stored in other files, or put together from those of any file."""
    from h5py import Dataset, h5d

    if not isinstance(item, Dataset):
        return None
    layout = item.id.get_create_plist()
    return name if layout.get_external_count() or layout.get_layout() == h5d.VIRTUAL else None
