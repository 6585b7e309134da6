"""Processes that a test started, directly or not, as Linux tells of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def _parents() -> dict[int, tuple[int, str]]:
    """Parent and title of each process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
            title = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        except OSError:
            continue  # it has ended
        found[int(folder.name)] = int(status.rpartition(")")[2].split()[1]), title
    return found


def descendants(ancestor: int, title: str = "") -> list[int]:
    """The processes below one whose titles begin so."""
    parents = _parents()

    def is_below(process: int) -> bool:
        while process in parents:
            process = parents[process][0]
            if process == ancestor:
                return True
        return False

    return sorted(
        number for number, (_, name) in parents.items() if name.startswith(title) and is_below(number)
    )


def is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(process: int) -> None:
    """kill -9."""
    os.kill(process, signal.SIGKILL)
