"""Shares and metrics as people quote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PIXELS = " px"
"""Ends the name of a number that is no share but a length."""


def factor(name: str) -> float:
    """By what a number of this name is multiplied where people read it: lengths by 1, shares by 100."""
    return 1.0 if name.endswith(PIXELS) else 100.0


def percent(value: float) -> str:
    """A number of `CocoMetrics` as people quote it: 0.4213 is 42.1."""
    return "-" if value < 0 else f"{100 * value:.1f}"


def signed(difference: float) -> str:
    """A difference of shares or metrics in percent, with its sign: 0.042 is +4.2, and nothing is never below 0."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def metric_table(values: Mapping[str, float]) -> list[str]:
    """Two lines: names above numbers, shares in percent."""
    return _columns({"": [cell(name, value) for name, value in values.items()]}, list(values), label=0)


def change_table(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Four lines: names, numbers before, after, and their difference."""
    rows = {
        "before": [cell(name, value) for name, value in before.items()],
        "after": [cell(name, value) for name, value in after.items()],
        "difference": [_change(name, before[name], after[name]) for name in before],
    }
    return _columns(rows, list(before), label=10)


def _columns(rows: Mapping[str, Sequence[str]], names: Sequence[str], label: int) -> list[str]:
    widths = [max(7, len(name) + 2) for name in names]
    return [
        f"{title:{label}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for title, cells in [("", names), *rows.items()]
    ]


def cell(name: str, value: float) -> str:
    """A number as people quote it, shares in percent, lengths in pixels; - where there is none."""
    return "-" if value < 0 else f"{factor(name) * value:.1f}"


def signed_cell(name: str, difference: float) -> str:
    """The difference of two numbers, with its sign; nothing is never below 0."""
    return f"{round(factor(name) * difference, 1) + 0.0:+.1f}"


def _change(name: str, before: float, after: float) -> str:
    # Undefined is a matter of the annotations alone, hence of both; but lengths may lack a person to measure.
    return "-" if min(before, after) < 0 else signed_cell(name, after - before)
