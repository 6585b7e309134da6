"""Ultralytics label files as text: their lines, and the places of the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from posefix.errors import Where
from posefix.pose_files.pose_file import FormatError, Source
from posefix.pose_files.records import report_fault

BOX_END = 5
"""Columns of class and box; a line of no more is a box without keypoints, as data sets of boxes and poses have some."""
CLASS_NAMES = "classes.txt"
"""Labelling programs put a list of class names beside the labels."""

GAP = "nan"
"""What programs write for a number that is not there, whatever its case."""

_WORD = re.compile(r"[^\s\ufeff]+")
"""A mark of the encoding, which some editors put before the text, is part of none."""


@dataclass(frozen=True)
class Line:
    """A person: the file, its number counted from 1, its span with the line break, and the span of each number."""

    file: int
    number: int
    start: int
    end: int
    words: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """Label files: name within the folder, path, and text of each; lines of people, and how many are boxes alone."""

    files: tuple[tuple[str, Path, str], ...]
    lines: tuple[Line, ...]
    boxes: int = 0

    def texts(self, line: Line) -> list[str]:
        """The numbers of a line as they are written."""
        text = self.files[line.file][2]
        return [text[start:end] for start, end in line.words]

    def where(self, line: Line, column: int | None = None) -> Where:
        """Where a line, or a column of it, is."""
        entry = "" if column is None else f"column {column}"
        return Where(self.files[line.file][1], f"line {line.number}", entry=entry)


def read_labels(source: Source) -> Labels:
    """The label files of a folder, or the one that is given, and their lines.

    Raises:
        FormatError: There is none, or one is no text.
    """
    paths = [source.path] if source.path.is_file() else list(label_files(source))
    if not paths:
        raise FormatError(f"{source.path}: expected a folder with label files (.txt), got none.")
    files = tuple(_texts(source, paths))
    lines = tuple(line for file, (_, _, text) in enumerate(files) for line in _lines(file, text))
    people = tuple(line for line in lines if len(line.words) != BOX_END)
    return Labels(files, people or lines, len(lines) - len(people) if people else 0)


def first_words(source: Source) -> list[str]:
    """The numbers of the first line with more than a box, as text; none where there is no such line, or no text."""
    for path in label_files(source):
        try:
            lines = map(_WORD.findall, label_text(source, path).splitlines())
        except FormatError:
            return []
        if (words := next((words for words in lines if len(words) not in (0, BOX_END)), None)) is not None:
            return gaps_as_zeros(words)
    return []


def gaps_as_zeros(words: list[str]) -> list[str]:
    """The numbers of a line, 0 for NaN beside NaN, as of a keypoint that has neither x nor y.

    Example:
        >>> gaps_as_zeros(["0.5", "nan", "nan", "0", "nan"])
        ['0.5', '0', '0', '0', 'nan']
    """
    gap = [False, *(word.lower() == GAP for word in words), False]
    if not any(gap):
        return words
    return [
        "0" if gap[place] and (gap[place - 1] or gap[place + 1]) else word
        for place, word in enumerate(words, 1)
    ]


def _texts(source: Source, paths: Sequence[Path]) -> Iterator[tuple[str, Path, str]]:
    """Name within the folder, path and text of each file; where faults are noted, what is no text is left out."""
    for path in paths:
        try:
            yield "" if source.path.is_file() else path.name, path, label_text(source, path)
        except FormatError as error:
            report_fault(error)


def _lines(file: int, text: str) -> Iterator[Line]:
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        end = min(start + len(line) + 1, len(text))
        if words := tuple((start + word.start(), start + word.end()) for word in _WORD.finditer(line)):
            yield Line(file, number, start, end, words)
        start = end


def label_files(source: Source) -> tuple[Path, ...]:
    """The files of a source that may hold labels."""
    return tuple(
        path for path in source.files if path.suffix.lower() == ".txt" and path.name.lower() != CLASS_NAMES
    )


def label_text(source: Source, path: Path) -> str:
    """The text of one of a source's files.

    Raises:
        FormatError: It is no text, or cannot be read.
    """
    try:
        return (source.content if path == source.path else path.read_bytes()).decode()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"expected a text file with labels, got something unreadable ({error})."
        raise FormatError.at(Where(path), problem) from error


def line_with(text: str, line: Line, changes: Mapping[int, str]) -> str:
    """A line with some of its numbers changed."""
    pieces, done = [], line.start
    for column, new in sorted(changes.items()):
        start, end = line.words[column]
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done : line.end]])
