"""Draws benchmarks/results/growth.json as docs/figures/growth.svg.

python -m benchmarks.growth_figure
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from benchmarks.environment import kept
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posefix.files import write_bytes_atomic

FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "growth.svg"
COLOURS = ("#0072b2", "#d55e00", "#009e73")  # Okabe and Ito's, good in grey
MARKERS = ("o", "s", "^")
ROWS = (("seconds", "seconds"), ("memory_mib", "peak memory, MiB"))

Numbers = dict[str, Any]


def draw(curves: Mapping[str, Numbers]) -> bytes:
    """Time above, memory below, a column for each unit of x, as SVG; the same numbers give the same bytes.

    The paper is white whatever the page's colour, so that it can be read on light and on dark ones.
    """
    units = list(dict.fromkeys(curve["unit"] for curve in curves.values()))
    settings: dict[Any, Any] = {"svg.hashsalt": "posefix", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(3.5 * len(units), 6.6), layout="constrained", facecolor="white")
        panels = figure.subplots(len(ROWS), len(units), squeeze=False, sharex="col")
        for column, unit in enumerate(units):
            of_unit = [curve for curve in curves.values() if curve["unit"] == unit]
            for row, (name, label) in enumerate(ROWS):
                _draw_panel(panels[row, column], of_unit, name)
                if column == 0:
                    panels[row, column].set_ylabel(label)
            panels[-1, column].set_xlabel(unit)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _draw_panel(axes: Axes, curves: Sequence[Numbers], name: str) -> None:
    """The curves of one unit."""
    for curve, colour, marker in zip(curves, COLOURS, MARKERS, strict=False):
        label = curve["title"]
        if name == "seconds":
            label += f": exponent {curve['exponent']:.2f}"
        x, y = ([point[key] for point in curve["points"]] for key in ("x", name))
        axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.4, label=label)
    axes.set(xscale="log", yscale="log")
    if name == "seconds":
        _draw_slope(axes, curves)
    else:
        axes.set_ylim(bottom=50)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False, fontsize=7.5)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (0.16 * len(curves)))  # room for the legend


def _draw_slope(axes: Axes, curves: Sequence[Numbers]) -> None:
    """A dashed line of exponent 1 through the last point of the first curve."""
    points = curves[0]["points"]
    (start, end), top = (points[0]["x"], points[-1]["x"]), points[-1]["seconds"]
    axes.plot(
        [start, end], [top * start / end, top], color="#777777", linestyle="--", linewidth=1, label="linear"
    )


def main() -> None:
    """Draw what is kept."""
    write_bytes_atomic(FIGURE, draw(kept("growth")["curves"]))


if __name__ == "__main__":
    main()
