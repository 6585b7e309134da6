"""Whether a file is read for the sake of its people alone, or of everybody in it.

Who refines people leaves animals of the same file as they are, and says so. Who inspects, converts or measures a file
has to be told that there are animals, and to choose.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ALONE: ContextVar[bool] = ContextVar("people alone", default=False)


@contextmanager
def people_alone() -> Iterator[None]:
    """Within it, of categories with different keypoints those of people are read, where nobody chose one."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def are_people_alone() -> bool:
    """Whether only people are asked for."""
    return _ALONE.get()
