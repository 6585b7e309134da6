"""Figures of the paper: bars of AP (6), OKS after over before (7), frequencies of errors before and after (8 to 11)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posefix.analysis.breakdowns import Breakdown
from posefix.analysis.comparison import Comparison
from posefix.errors import InputError, quoted
from posefix.evaluation.percentages import percent
from posefix.files import read_json
from posefix.pose_errors.taxonomy import STATUS_NAMES
from posefix.report.style import AFTER, BEFORE, INK, MUTED, PAPER

MARKERS = "oDs^vPX"
"""Of the lines of figure 7."""
LINE_COLOURS = (AFTER, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)
"""Okabe and Ito's; whoever sees none of them has the markers."""


@dataclass(frozen=True)
class OksLine:
    """OKS after over OKS before of one estimator.

    Attributes:
        name: Of the estimator.
        before: Mean of each band of people with like OKS before.
        after: Of the same people.
    """

    name: str
    before: tuple[float, ...]
    after: tuple[float, ...]


def oks_line(name: str, comparison: Comparison) -> OksLine:
    """The line of a comparison."""
    bands = comparison.oks_bands()
    return OksLine(name, tuple(band.before for band in bands), tuple(band.after for band in bands))


def read_oks_line(name: str, path: Path) -> OksLine:
    """The line of a comparison that `posefix compare --json` wrote.

    Raises:
        InputError: The file is something else.
    """
    content = read_json(path)
    bands = content.get("oks_bands") if isinstance(content, dict) else None
    try:
        before, after = (tuple(float(band[side]) for band in bands or []) for side in ("before", "after"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}, field 'oks_bands': expected bands with 'before' and 'after'.") from error
    if not before:
        raise InputError(
            f"{path}, field 'oks_bands': expected what posefix compare --json writes, got {quoted(content)}."
        )
    return OksLine(name, before, after)


def draw_oks_lines(axes: Axes, lines: Sequence[OksLine]) -> None:
    """Figure 7: a line for each estimator, and the dotted one of no change."""
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="no change")
    for number, line in enumerate(lines):
        colour, marker = LINE_COLOURS[number % len(LINE_COLOURS)], MARKERS[number % len(MARKERS)]
        axes.plot(line.before, line.after, marker=marker, color=colour, markersize=4.5, label=line.name)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="OKS before", ylabel="OKS after")
    axes.set_aspect("equal")
    axes.grid()
    axes.legend(loc="lower right", fontsize=9)


def draw_error_bars(axes: Axes, before: Breakdown, after: Breakdown) -> None:
    """Figures 8 to 11: how often keypoints are good or have each error, before and after, of all groups together."""
    shares = [_overall(breakdown) for breakdown in (before, after)]
    places = np.arange(len(STATUS_NAMES))
    for number, (name, colour) in enumerate((("before", BEFORE), ("after", AFTER))):
        bars = axes.bar(places + (number - 0.5) * 0.4, 100 * shares[number], 0.4, color=colour, label=name)
        axes.bar_label(bars, [percent(share) for share in shares[number]], fontsize=8, padding=2)
    axes.set_xticks(places, STATUS_NAMES)
    axes.set_ylabel("% of labelled keypoints")
    axes.tick_params(axis="x", length=0)
    # Above the axes: within them it would cover the highest bars, whichever these are.
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2, fontsize=9)


def draw_comparison(figure: Figure, comparison: Comparison, lines: Sequence[OksLine]) -> None:
    """Errors before and after, and OKS after over before, beside each other."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    draw_error_bars(left, comparison.groups_before, comparison.groups_after)
    draw_oks_lines(right, lines)


def draw_experiment(figure: Figure, rows: Sequence[Mapping[str, Any]]) -> None:
    """Figure 6: AP of each system as bars, a panel for each input, whose AP is a dotted line.

    Args:
        figure: An empty figure.
        rows: As an experiment writes them: `label`, `seeds` with COCO's numbers, and `change` with the input's label.
    """
    panels = experiment_panels(rows)
    for axes, (start, systems) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        bars = [start, *systems]
        values = [[100 * numbers["AP"] for numbers in row["seeds"]] for row in bars]
        means = [statistics.fmean(of_seeds) for of_seeds in values]
        # One seed says nothing of the spread: no whisker, rather than one of no length.
        spreads = [statistics.stdev(of_seeds) if len(of_seeds) > 1 else np.nan for of_seeds in values]
        colours = [BEFORE, *[AFTER] * len(systems)]
        drawn = axes.bar(np.arange(len(bars)), means, 0.7, yerr=spreads, color=colours, ecolor=INK, capsize=3)
        axes.axhline(means[0], color=MUTED, linewidth=1, linestyle=":")
        labels = axes.bar_label(drawn, [f"{mean:.1f}" for mean in means], fontsize=8, padding=2)
        for label in labels:  # the dotted line may run where a value stands
            label.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.5})
        axes.margins(y=0.1)
        axes.set_ylim(bottom=0)
        names = [start["label"], *(_short(row["label"], start["label"]) for row in systems)]
        axes.set_xticks(np.arange(len(bars)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("AP")


def experiment_panels(
    rows: Sequence[Mapping[str, Any]],
) -> list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Each input with the systems whose change is counted from it."""
    panels = []
    for start in rows:
        systems = [row for row in rows if row.get("change", {}).get("from") == start["label"]]
        if systems:
            panels.append((start, systems))
    return panels


def _overall(breakdown: Breakdown) -> Any:
    counts = breakdown.counts.sum(axis=0)
    return counts / max(int(counts.sum()), 1)


def _short(label: str, start: str) -> str:
    """The name of a system without that of its input."""
    return label.removeprefix(f"{start} + ")
