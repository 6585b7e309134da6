"""The journal of a review: a file that grows by a line with each step, and is on the disk before the step counts."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from posefix.errors import InputError, quoted

Entry = dict[str, Any]

_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Journal:
    """Steps in the order in which they were taken, a line of JSON each, under a line that says whose they are.

    An entry is one write to a file opened for appending, followed by fsync: whoever kills the process leaves either
    the whole line or a torn last line, and a torn line is one whose step was never confirmed. It is cut off when the
    journal is opened again.

    Args:
        path: The file; made if it is not there.
        header: Its first line: whose steps these are.

    Raises:
        InputError: The file cannot be read or written, is no journal, or one of other people.
    """

    def __init__(self, path: Path, header: Entry) -> None:
        self.path = path
        try:
            self._file = os.open(path, _OPEN, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}).") from error
        try:
            self.entries = self._open(header)
        except OSError as error:
            self.close()
            raise InputError(f"{path}: cannot be read or written ({error.strerror}).") from error
        except InputError:
            self.close()
            raise

    def append(self, entry: Entry) -> None:
        """Add an entry; when this returns, it is on the disk.

        Raises:
            InputError: It cannot be written, and is not: the disk is full, or another program changed or took away the
                file.
        """
        line = _line(entry)
        try:
            self._check_untouched()
            if os.write(self._file, line) != len(line):
                raise OSError(0, "the disk took a part of it only")
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self._size += len(line)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _open(self, header: Entry) -> list[Entry]:
        """Read what is there, cut off a torn last line, and begin a new journal where there is none."""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = [self._parse(number, line) for number, line in enumerate(whole.splitlines(), start=1)]
        if lines:
            self._check_header(lines[0], header)
        elif not _line(header).startswith(content):
            raise self._foreign(content)
        if len(whole) < len(content):  # only now: a file of somebody else keeps its last line
            os.ftruncate(self._file, len(whole))
        self._size = len(whole)
        if not lines:
            self.append(header)
        return lines[1:]

    def _parse(self, number: int, line: bytes) -> Entry:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # not UTF-8, not JSON, or brackets without end
            entry = None
        if not isinstance(entry, dict):
            if number == 1:
                raise self._foreign(line)
            raise InputError(f"{self.path}, line {number}: expected a step of a review, got {quoted(line)}.")
        return entry

    def _check_header(self, found: Entry, header: Entry) -> None:
        if found.get("journal") != header["journal"]:
            raise self._foreign(_line(found))
        if found != header:
            raise InputError(
                f"{self.path}: expected decisions about these poses, got those about other ones "
                f"({found.get('results')} and {found.get('refined')}); give another --output, or move the file away."
            )

    def _foreign(self, content: bytes) -> InputError:
        return InputError(
            f"{self.path}: expected the journal of a review, got {quoted(content)}; give another --output."
        )

    def _check_untouched(self) -> None:
        here, there = os.fstat(self._file), self.path.stat()
        if not os.path.samestat(here, there) or here.st_size != self._size:
            raise InputError(
                f"{self.path}: was changed or moved by another program, perhaps a second review of these poses; "
                "stop both and start one again."
            )


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n"
