"""Files that are read whole and written whole: JSON in, complete files and folders or none out.

A text that is packed with gzip is read as the text in it, whatever the file is called; what is called .gz is written
packed.
"""

from __future__ import annotations

import codecs
import difflib
import gc
import gzip
import io
import os
import re
import secrets
import shutil
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from posefix.errors import InputError, Where, quoted
from posefix.json_values import parse_json

GZIP = ".gz"
GZIP_SIGNATURE = b"\x1f\x8b"
MOST_TIMES_PACKED = 200
"""A file that unpacks to more times its size is no text of numbers, but one that is to fill the memory."""
MOST_UNPACKED = 2**26
"""Bytes that are read however small the packed file is."""

LONGEST_ENDING = 16
"""Letters of the ending that a temporary name has as well."""


@contextmanager
def without_collection() -> Iterator[None]:
    """Within it, Python does not look for cycles among what it makes: parsed files have none, and many are objects.

    Looking takes as long as parsing them.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


TEMPORARY = ".posefix-"
"""How the names begin of what is not written to its end."""
MEMORY_VARIABLE = "POSEFIX_FILE_MEMORY"
"""Of the environment: megabytes that any file's contents may take, where the rule of `check_contents` is too tight."""
ALWAYS_ALLOWED = 64 * 2**20
"""Bytes that the contents of the smallest file may take."""
MOST_TIMES = 100
"""So many times larger than a file its contents may be; poses that are nearly all missing become 50 times smaller."""


def largest_contents(stored: int, times: int = MOST_TIMES) -> int:
    """Bytes that the contents of a file may take, unpacked, before anybody says that it may take more.

    Args:
        stored: Bytes of the file.
        times: How many times larger its contents may be.

    Raises:
        InputError: The variable of the environment is no number.
    """
    given = os.environ.get(MEMORY_VARIABLE, "")
    if not given:
        return max(ALWAYS_ALLOWED, times * stored)
    if not re.fullmatch("[0-9]{1,9}", given):
        raise InputError(f"{MEMORY_VARIABLE}: expected a number of megabytes, got {given!r}")
    return int(given) * 2**20


def check_contents(path: str | Path, declared: int, stored: int, times: int = MOST_TIMES) -> None:
    """Refuse a file that says that its contents are far larger than it could well hold, before they are unpacked.

    Args:
        path: Of the file, for the message.
        declared: Bytes of its contents, as it says.
        stored: As of `largest_contents`.
        times: As of `largest_contents`.

    Raises:
        InputError: They are.
    """
    if declared > (most := largest_contents(stored, times)):
        raise InputError(
            f"{path}: expected contents of at most {most // 2**20} MB in a file of {_size(stored)}, got "
            f"{_size(declared)}; if you trust it, set {MEMORY_VARIABLE} to the megabytes that it may take."
        )


def _size(count: int) -> str:
    return f"{count // 2**20:,} MB" if count >= 2**20 else f"{count:,} bytes"


def read_json(path: str | Path) -> Any:
    """Parse a JSON file.

    Raises:
        InputError: The file cannot be read or is not JSON; names file, line and column.
    """
    return parse_json(path, read_text(path))


def read_text(path: str | Path) -> str:
    """The text of a file, newlines unchanged.

    Raises:
        InputError: The file cannot be read, is not UTF-8, or is damaged where it is packed.
    """
    content = b""
    try:
        content = unpacked(path, Path(path).read_bytes())
        return content.decode("utf-8")
    except FileNotFoundError as error:
        raise InputError(absent(path), Where(Path(path))) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).", Where(Path(path))) from error
    except UnicodeDecodeError as error:
        got = encoding_of(content) or "other bytes"
        raise InputError(f"{path}: expected text in UTF-8, got {got}.", Where(Path(path))) from error


def encoding_of(content: bytes) -> str:
    """Another encoding than UTF-8 by the mark at its beginning, with what to do; nothing where there is none."""
    return "UTF-16; save it in UTF-8" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""


def file_ending(path: str | Path) -> str:
    """How a name ends, in lower case; of a packed file with both endings: `.json.gz`."""
    suffix = Path(path).suffix.lower()
    return f"{Path(path).with_suffix('').suffix.lower()}{suffix}" if suffix == GZIP else suffix


def file_stem(path: str | Path) -> str:
    """A name without its ending, both endings of a packed file."""
    name = Path(path).name
    return name[: len(name) - len(file_ending(path))]


def unpacked(path: str | Path, content: bytes) -> bytes:
    """The bytes that a file packed with gzip holds; those of any other file as they are.

    Raises:
        InputError: It is damaged, or unpacks to far more than a text would.
    """
    if not content.startswith(GZIP_SIGNATURE):
        return content
    most = max(MOST_UNPACKED, MOST_TIMES_PACKED * len(content))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            inner = file.read(most + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{path}: expected a file packed with gzip, got a damaged one; copy it again."
        ) from error
    if len(inner) > most:
        raise InputError(
            f"{path}: expected a packed text, got a file that unpacks to more than {MOST_TIMES_PACKED} times its size; "
            "unpack it first if you trust it."
        )
    return inner


def packed(path: str | Path, content: bytes) -> bytes:
    """What a file of a name gets: packed if it is called so, always in the same way."""
    return gzip.compress(content, mtime=0) if _is_packed(path) else content


def _is_packed(path: str | Path) -> bool:
    """Whether a file is called as packed ones are."""
    return str(path).lower().endswith(GZIP)


def absent(path: str | Path) -> str:
    """A sentence on a file that is not there, with the file of nearly that name that is."""
    path = Path(path)
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        beside = []
    close = difflib.get_close_matches(path.name, beside, n=1)
    meant = f"; did you mean {path.with_name(close[0])}?" if close else "."
    return f"{path}: there is no such file or folder{meant}"


def ensure_writable(path: str | Path) -> None:
    """Find out before the work whether its result can be written; leaves nothing behind.

    Raises:
        InputError: The folder is missing or read-only, or what has this name cannot be replaced by a file.
    """
    path = _resolved(path)
    try:
        if not path.parent.is_dir():
            raise InputError(f"{path}: cannot be written, there is no folder {path.parent}; create it first.")
        _check_replaceable(path)
        probe = _temporary_name(path)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from error


def _check_replaceable(path: Path) -> None:
    """Refuse a name under which something lies that no file replaces; a name too long for a file raises OSError."""
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(kind):
        raise InputError(f"{path}: cannot be written, something that is not a file has this name.")
    if not os.access(path, os.W_OK):
        raise InputError(f"{path}: cannot be written, the file is read-only.")


def ensure_not_input(path: str | Path, inputs: Iterable[str | Path | None]) -> None:
    """Find out before the work whether a file would be written in the place of one that is read, links included.

    Args:
        path: The file to write.
        inputs: Files that are read, and folders whose files are. What is not there, such as the name of a packaged
            layout, is passed over.

    Raises:
        InputError: It is one of them.
    """
    place = _resolved(path)
    replaced = (place, place.parent) if _is_file(place) else (place,)
    if any(_is_same(one, source) for one in replaced for source in inputs if source):
        raise InputError(f"{path}: expected another file than those that are read; choose another name.")


def _is_file(path: Path) -> bool:
    """Whether there is a file of this name; a name too long for one has none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_same(one: Path, other: str | Path) -> bool:
    """Whether two files or folders are there, and are one."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def make_folder(path: str | Path) -> None:
    """Make a folder, and those above it, if they are not there.

    Raises:
        InputError: It cannot be made, or a file has this name.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made a folder ({error.strerror}).") from error


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write UTF-8 text, newlines unchanged; the file appears whole or not at all.

    Raises:
        InputError: The file cannot be written, or the text holds what UTF-8 does not have.
    """
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        start = max(0, error.start - 15)
        raise InputError(
            f"{path}: cannot be written, a name in it holds half a surrogate pair, {quoted(text[start : error.end])}; "
            "rename it."
        ) from error
    write_bytes_atomic(path, content)


def write_bytes_atomic(path: str | Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename: the file appears whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    with written_elsewhere(path) as temporary:
        temporary.write_bytes(packed(path, content))


def write_pieces_atomic(path: str | Path, pieces: Iterable[bytes]) -> None:
    """As `write_bytes_atomic`, of what is made piece by piece while it is written, and need not fit into memory.

    Raises:
        InputError: The file cannot be written.
    """
    if _is_packed(path):
        write_bytes_atomic(path, b"".join(pieces))
        return
    with written_elsewhere(path) as temporary, temporary.open("wb") as stream:
        stream.writelines(pieces)


@contextmanager
def written_elsewhere(path: str | Path) -> Iterator[Path]:
    """A temporary name in the same folder, for who writes a file bit by bit: at the end it takes the file's place.

    The name ends as the file's does, since some writers go by that. An error leaves neither file behind.

    Raises:
        InputError: The file cannot be written.
    """
    ensure_writable(path)
    path = _resolved(path)
    temporary = _temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def ensure_new_folder(path: str | Path) -> None:
    """Find out before the work whether a folder can be written: there must be none of this name, or an empty one.

    Raises:
        InputError: There is a file or a folder that is not empty, or the folder around it is missing or read-only.
    """
    path = _resolved(path)
    probe = _temporary_name(path)
    try:
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise InputError(f"{path}: expected a new or an empty folder to write into; choose another name.")
        if not path.parent.is_dir():
            raise InputError(f"{path}: cannot be written, there is no folder {path.parent}; create it first.")
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from error


def write_folder_atomic(path: str | Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder under a temporary name, then rename: it appears with all of its files or not at all.

    Args:
        path: A new folder, or an empty one.
        contents: Path within the folder -> content.

    Raises:
        InputError: The folder cannot be written.
    """
    ensure_new_folder(path)
    path = _resolved(path)
    temporary = _temporary_name(path)
    try:
        for name, content in contents.items():
            file = temporary / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(packed(name, content))
        temporary.mkdir(exist_ok=True)
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _resolved(path: str | Path) -> Path:
    """The place that a name leads to: a link stays a link; the file it points to is replaced.

    Raises:
        InputError: It leads nowhere.
    """
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError) as error:  # the latter in Python before 3.13
        raise InputError(
            f"{path}: cannot be written, it is a link that leads in a circle; remove it."
        ) from error


def _temporary_name(path: Path) -> Path:
    """A hidden name beside a file that ends as its own does, and is no longer than names may be."""
    suffix = path.suffix if len(path.suffix) <= LONGEST_ENDING else ""
    return path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}.tmp{suffix}")
