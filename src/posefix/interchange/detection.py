"""Which format a file has, and why."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from posefix.errors import InputError, quoted
from posefix.files import encoding_of
from posefix.interchange.catalogue import FORMATS, OF_CATEGORIES
from posefix.pose_files.csv_text import column_names
from posefix.pose_files.hdf5 import SIGNATURE
from posefix.pose_files.pose_file import Format, FormatError, PoseFile, Reading, Source

FILES_SHOWN = 3
"""Of a folder that is of no known format."""
NAMES_SHOWN = 5
"""Of the fields or columns of a file that is of no known format."""
LINES_OF_JSON = (".jsonl", ".ndjson")
"""How files with a JSON document in each line are called."""
LFS_POINTER = b"version https://git-lfs.github.com/"
POINTED = "the pointer that Git LFS keeps in a file's place; fetch the file (git lfs pull)"


class Detection(NamedTuple):
    """A format, and why it is that of a file."""

    format: Format
    reason: str


def detect_format(source: Source, name: str | None = None) -> Detection:
    """The format of a file.

    Args:
        source: The file or folder.
        name: Of the format, as `--format` takes it; None to recognise it by the content.

    Raises:
        FormatError: No format of this name, or none that recognises the file.
        InputError: A file named .json is not JSON.
    """
    if name is not None:
        return Detection(find_format(name), "as was asked for")
    for known in FORMATS:
        if (reason := known.recognise(source)) is not None:
            return Detection(known, reason)
    raise _unknown(source)


def read_source(format: Format, source: Source, reading: Reading) -> PoseFile:
    """What a format reads of a source.

    Raises:
        FormatError: A category was chosen, and the format has none; or as of the format.
    """
    if reading.category is not None and format.name not in OF_CATEGORIES:
        raise FormatError(
            f"{source.path}: expected no --category, which chooses in files of {', '.join(OF_CATEGORIES)}, got "
            f"{quoted(reading.category)} for one of {format.name}, where everybody is read; leave it out."
        )
    return format.read(source, reading)


def find_format(name: str, option: str = "--format") -> Format:
    """The format of a name.

    Args:
        name: As `--format` takes it.
        option: What messages call the option.

    Raises:
        FormatError: There is none.
    """
    for known in FORMATS:
        if known.name == name:
            return known
    close = difflib.get_close_matches(name.lower(), format_names(), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise FormatError(f"{option}: expected one of {', '.join(format_names())}, got {name!r}{hint}")


def format_names() -> tuple[str, ...]:
    """Names of all formats, in the order in which they are asked."""
    return tuple(known.name for known in FORMATS)


def _unknown(source: Source) -> InputError:
    """The error for a file that no format recognises."""
    ending = source.path.suffix or "no ending"
    found = _folder(source.path) if source.path.is_dir() else _opening(source) or f"a file with {ending}"
    if source.path.is_file() and source.content.startswith(LFS_POINTER):
        return FormatError(f"{source.path}: expected poses, got {POINTED}.")
    if source.json is not None:
        found = _described(source.json.root)  # raises if it is not JSON
    return FormatError(
        f"{source.path}: expected a pose file of a known format, got {found}; if it is one of "
        f"{', '.join(format_names())}, name it (--format), else write a list for COCO results, with image_id and "
        "keypoints (x, y, score of each) of every person"
    )


def _opening(source: Source) -> str:
    """A file by its first bytes, where they tell what it is and the ending does not."""
    if source.content.startswith(SIGNATURE):
        return "an HDF5 file of something else, or one that is cut off"
    if encoding := encoding_of(source.content):
        return f"text in {encoding}"
    if columns := column_names(source):
        return f"a CSV file with {_listed(columns)}"
    if source.path.suffix.lower() in LINES_OF_JSON:
        return "JSON Lines; write its lines as one list in a .json file"
    return "" if source.content else "an empty file"


def _folder(path: Path) -> str:
    """A folder by its first files, among which a user sees what is not meant to be there."""
    names = sorted(inner.name for inner in path.iterdir())
    if not names:
        return "an empty folder"
    only = ", and subfolders are not looked into" if all(inner.is_dir() for inner in path.iterdir()) else ""
    return (
        f"a folder with {', '.join(names[:FILES_SHOWN])}{', ...' if len(names) > FILES_SHOWN else ''}{only}"
    )


def _described(value: object) -> str:
    """A JSON document by what it holds: names of fields say more than that it is something else."""
    if isinstance(value, dict):
        return f"an object with {_listed(list(value))}"
    if not isinstance(value, list):
        return "a single value"
    first = value[0] if value else None
    if isinstance(first, dict):
        return f"a list of objects with {_listed(list(first))}"
    return "a list of lists" if isinstance(first, list) else "a list of something else"


def _listed(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(map(repr, names[:NAMES_SHOWN])) or "nothing"
