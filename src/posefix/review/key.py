"""The key of a review's page: whoever has it may see the photos and decide, other users of the machine do not."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from posefix.errors import InputError

BYTES = 16


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
        path.unlink(missing_ok=True)
        key = secrets.token_urlsafe(BYTES)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the key of the page cannot be kept there ({error}); remove the file"
        ) from error
    return key


def _is_private(path: Path) -> bool:
    """Whether there is a file that is ours and nobody else may read."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return stat.S_ISREG(found.st_mode) and ours
