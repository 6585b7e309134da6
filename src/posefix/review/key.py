"""The key of a review's page: whoever has it may see the photos and decide, other users of the machine do not."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posefix.errors import InputError

BYTES = 16
OPENING = """<!DOCTYPE html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={address}">
<title>posefix review</title>
<a href="{address}">To the review</a>
"""


def read_key(path: Path) -> str:
    """The key in a file that only its owner may read; made new where there is none.

    It stays the same when the server is started again, so that a page that waits for it goes on.

    Raises:
        InputError: The file cannot be read or written.
    """
    try:
        if _is_private(path):
            known = path.read_text(encoding="ascii").strip()
            if re.fullmatch(r"[\w-]{20,}", known):
                return known
        key = secrets.token_urlsafe(BYTES)
        _write_private(path, key + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the key of the page cannot be kept there ({error}); remove the file"
        ) from error
    return key


@contextmanager
def opening_page(path: Path, address: str) -> Iterator[Path]:
    """A file that leads a browser to an address, and is gone at the end.

    What a browser is started with, all users of a machine can see: the name of a file that only its owner may read says
    nothing, the address would hand out the key in it.

    Args:
        path: Of the file.
        address: Without characters that mean something in HTML.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        _write_private(path, OPENING.format(address=address))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); start with --no-browser") from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, at no time: a new one, in the place of what is there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _is_private(path: Path) -> bool:
    """Whether there is a file that is ours and nobody else may read."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return stat.S_ISREG(found.st_mode) and ours
