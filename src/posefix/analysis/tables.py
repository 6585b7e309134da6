"""Small tables, for terminals and for notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posefix.errors import InputError


@dataclass(frozen=True)
class Table:
    """Cells under a header; the first column names the rows.

    Attributes:
        title: one line above.
        header: names of the columns.
        rows: as many cells each.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Lines with aligned columns: the first to the left, numbers to the right."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        return "\n".join([self.title, *("  " + _aligned(line, widths) for line in lines)])

    def html(self) -> str:
        """A table of HTML without style of its own."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header)
        body = "".join(f"<tr>{_html_cells(row)}</tr>" for row in self.rows)
        caption = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def as_html(lines: Sequence[str], tables: Sequence[Table]) -> str:
    """Lines of text above tables."""
    text = "<br>".join(html.escape(line) for line in lines)
    return f"<div><p>{text}</p>{''.join(table.html() for table in tables)}</div>"


def as_text(lines: Sequence[str], tables: Sequence[Table]) -> str:
    """Lines of text above tables, with empty lines between these."""
    return "\n\n".join(["\n".join(lines), *(table.text() for table in tables)])


def data_frame(columns: dict[str, Any]) -> Any:
    """A data frame of named columns.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError("to_pandas needs pandas, which is not installed; `pip install pandas`.") from error
    return pandas.DataFrame(columns)


def share(part: float, whole: float) -> str:
    """A share in percent; a hyphen where there is nothing to share."""
    return f"{100 * part / whole:.1f}" if whole else "-"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        line[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
    ]
    return "  ".join(cells).rstrip()


def _html_cells(row: Sequence[str]) -> str:
    return f"<th>{html.escape(row[0])}</th>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
