"""Tables of several results, published numbers beside measured ones, as text, CSV, LaTeX and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from posefix.errors import InputError
from posefix.evaluation.percentages import cell, factor, signed_cell

TableFormat = Literal["text", "csv", "latex", "markdown"]
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: What the numbers are of.
        values: Number of each column, 0 to 1, or pixels where the column says so; -1 or none where there is none. Of a
            change, their difference.
        source: Where the numbers were published; empty if they were measured here.
        is_change: Whether the numbers are differences.
    """

    name: str
    values: Mapping[str, float]
    source: str = ""
    is_change: bool = False

    def cell(self, column: str) -> str:
        """A number as people quote it."""
        value = self.values.get(column)
        if self.is_change:
            return "-" if value is None else signed_cell(column, value)
        return cell(column, -1 if value is None else value)

    @property
    def kind(self) -> str:
        """One word: measured, published, change."""
        if self.is_change:
            return "change"
        return "published" if self.source else "measured"


@dataclass(frozen=True)
class Table:
    """Rows under common columns; published rows are marked, and their sources named below.

    Attributes:
        columns: Names of the numbers.
        rows: From top to bottom.
        notes: Lines below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def render(self, style: TableFormat) -> str:
        """The table as text for people, CSV, LaTeX or Markdown; ends in a line break.

        Raises:
            InputError: There is no such format.
        """
        styles = {"text": self._text, "csv": self._csv, "latex": self._latex, "markdown": self._markdown}
        if style not in styles:
            raise InputError(f"format: expected one of {', '.join(get_args(TableFormat))}, got {style!r}.")
        return styles[style]()

    def _text(self) -> str:
        marks = self._marks()
        cells = [["", *self.columns]]
        cells += [[row.name + marks.get(row.source, ""), *self._cells(row)] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for name, *numbers in cells:
            padded = (text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))
            lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
        return "\n".join([*lines, *self._sources(), *self.notes]) + "\n"

    def _markdown(self) -> str:
        marks = self._marks()
        lines = [["", *self.columns], ["---", *["---:"] * len(self.columns)]]
        lines += [
            [_markdown_text(row.name + marks.get(row.source, "")), *self._cells(row)] for row in self.rows
        ]
        footer = [f"\n{_markdown_text(line)}" for line in (*self._sources(), *self.notes)]
        return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), *footer]) + "\n"

    def _latex(self) -> str:
        """A tabular environment that needs no package; notes are comments after it."""
        marks = self._marks()
        lines = [["", *map(_latex_text, self.columns)]]
        lines += [
            [_latex_text(row.name) + _superscript(marks.get(row.source, "")), *map(_sign, self._cells(row))]
            for row in self.rows
        ]
        head, *body = (" & ".join(line) + r" \\" for line in lines)
        cell = rf"\multicolumn{{{len(self.columns) + 1}}}{{l}}"
        sources = [rf"{cell}{{\footnotesize {_latex_text(line)}}} \\" for line in self._sources()]
        begin = rf"\begin{{tabular}}{{l{'r' * len(self.columns)}}}"
        parts = [begin, r"\hline", head, r"\hline", *body, r"\hline", *sources, r"\end{tabular}"]
        return "\n".join([*parts, *(f"% {note}" for note in self.notes)]) + "\n"

    def _csv(self) -> str:
        """Numbers in percent or pixels, with more decimals than people want to read; empty where there is none."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", "kind", "source", *self.columns])
        for row in self.rows:
            shown = [_digits(row, column) for column in self.columns]
            writer.writerow([row.name.strip(), row.kind, row.source, *shown])
        return stream.getvalue()

    def _cells(self, row: Row) -> list[str]:
        return [row.cell(column) for column in self.columns]

    def _marks(self) -> dict[str, str]:
        """A mark for each source: * if there is one, else *1, *2 ..."""
        sources = list(dict.fromkeys(row.source for row in self.rows if row.source))
        if len(sources) == 1:
            return {sources[0]: " *"}
        return {source: f" *{number}" for number, source in enumerate(sources, start=1)}

    def _sources(self) -> list[str]:
        return [
            f"{mark.strip()} published, not measured here: {source}" for source, mark in self._marks().items()
        ]


def _digits(row: Row, column: str) -> str:
    """A number with four decimals."""
    number = row.values.get(column)
    if number is None or (number < 0 and not row.is_change):
        return ""
    return f"{round(factor(column) * number, 4) + 0.0:.4f}"


def _markdown_text(text: str) -> str:
    return text.strip().replace("|", r"\|").replace("*", r"\*").replace("_", r"\_")


def _latex_text(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(character, character) for character in text.strip())


def _superscript(mark: str) -> str:
    return f"$^{{{mark.strip()}}}$" if mark else ""


def _sign(cell: str) -> str:
    """A number with its sign as mathematics, so that minus is not a hyphen."""
    return f"${cell}$" if cell[:1] in "+-" and len(cell) > 1 else cell
