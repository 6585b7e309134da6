"""The one error that a user can cause, where it is, and how messages quote and count what they got."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

KINDS_SHOWN = 5


@dataclass(frozen=True)
class Where:
    """A place in a user's file, as messages name it and programs ask for it.

    Attributes:
        file: The file.
        record: Which record of it, such as "annotation 3" or "frame 4, instance 0", counted as the format counts; empty
            for the whole file.
        field: Of the record, or of the file; empty for all of it.
        entry: Which number of the field, such as "x of nose".
    """

    file: Path
    record: str = ""
    field: str = ""
    entry: str = ""

    def __str__(self) -> str:
        field = f"field {self.field!r}" if self.field else ""
        return ", ".join(filter(None, (str(self.file), self.record, field, self.entry)))


class InputError(ValueError):
    """An input is wrong; the message is one sentence: what, where, what was expected, what to do about it.

    Args:
        message: The sentence.
        where: The same place as data, where it is one of a file.
    """

    def __init__(self, message: str, where: Where | None = None) -> None:
        super().__init__(message)
        self.where = where


def quoted(value: object) -> str:
    """A value as messages show it: its Python form, shortened."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # brackets without end; Python's limit of digits
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 40 else f"{text[:40]}..."


def plural(count: int, noun: str, nouns: str = "") -> str:
    """A count with its noun: 1 pose, 2 poses; 1 person, 2 people.

    Args:
        count: Of things.
        noun: What one of them is called.
        nouns: What several are called, if it does not follow from that.
    """
    several = f"{noun.removesuffix('person')}people" if noun.endswith("person") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else nouns or several}"


def listed_counts(counts: Counter[str]) -> str:
    """How many there are of the most frequent kinds: person 12, dog 3."""
    listed = ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common(KINDS_SHOWN))
    return listed + (", ..." if len(counts) > KINDS_SHOWN else "")
