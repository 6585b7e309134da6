"""What the figures of a report draw. Colours of the errors are those of their examples, Okabe and Ito's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posefix.analysis.breakdowns import Breakdown, PeopleBreakdown
from posefix.analysis.comparison import Comparison
from posefix.analysis.costs import RECALLS, THRESHOLDS, Costs
from posefix.analysis.error_analysis import STAGE_TITLES
from posefix.evaluation.percentages import percent, signed
from posefix.pictures.drawing import ink_on
from posefix.pictures.synthesised import MARKS
from posefix.pose_errors.taxonomy import ERRORS, STATUS_NAMES
from posefix.report.style import AFTER, BEFORE, GOOD, GRID, INK, MUTED, PAPER, css

STATUS_COLOURS = [GOOD, *(css(MARKS[error].colour) for error in ERRORS)]
"""By `Status`."""
STATUS_INKS = [INK, *(css(ink_on(MARKS[error].colour)) for error in ERRORS)]
"""Of text on these."""
STAGE_COLOURS = {
    "input": GOOD,
    **{error.label: STATUS_COLOURS[error] for error in ERRORS},
    "places": "#e69f00",
    "scores": "#56b4e9",
    "background": "#f0e442",
    "not found": MUTED,
}
READABLE_SHARE = 0.05
"""A smaller part of a bar has no room for its number."""
MOST_POINTS = 1500
"""More points than that are drawn as pixels: as SVG they would outweigh the rest of the page."""

Plot = Callable[..., None]
Series = Sequence[tuple[str, Sequence[float]]]


def draw_statuses(figure: Figure, breakdowns: Sequence[Breakdown]) -> None:
    """Shares of the statuses as bars of one length, a bar per group that has keypoints."""
    axes = figure.add_subplot()
    rows = [
        (label, counts / counts.sum())
        for breakdown in breakdowns
        for label, counts in zip(breakdown.labels, breakdown.counts, strict=True)
        if counts.sum()
    ]
    places = np.arange(len(rows))
    left = np.zeros(len(rows))
    for status, (name, colour) in enumerate(zip(STATUS_NAMES, STATUS_COLOURS, strict=True)):
        width = np.array([shares[status] for _, shares in rows])
        axes.barh(places, 100 * width, left=100 * left, color=colour, edgecolor=PAPER, label=name)
        for place, (start, share) in enumerate(zip(left, width, strict=True)):
            if share >= READABLE_SHARE:
                axes.text(
                    100 * (start + share / 2),
                    place,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color=STATUS_INKS[status],
                )
        left += width
    _name_rows(axes, [label for label, _ in rows])
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of labelled keypoints")
    figure.legend(loc="outside upper left", ncols=5, fontsize=9, columnspacing=1.0, handlelength=1.0)


def draw_changes(figure: Figure, before: Breakdown, after: Breakdown) -> None:
    """Frequency of each error by group, before (ring) and after (disc): figures 8 to 11 of the paper in one."""
    groups = [number for number, counts in enumerate(before.counts) if counts.sum()]
    first, second = 100 * before.frequencies[groups], 100 * after.frequencies[groups]
    panels = figure.subplots(2, 2, sharey=True)
    places = np.arange(len(groups))
    for axes, error in zip(panels.flat, ERRORS, strict=True):
        colour = STATUS_COLOURS[error]
        axes.hlines(places, first[:, error], second[:, error], color=colour, linewidth=2)
        axes.plot(first[:, error], places, "o", color=BEFORE, markersize=6, markerfacecolor=PAPER)
        axes.plot(second[:, error], places, "o", color=colour, markersize=6)
        axes.set_xlim(0, 1.08 * max(first[:, error].max(), second[:, error].max(), 1.0))
        axes.set_title(error.label)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    _name_rows(panels[0, 0], [before.labels[number] for number in groups])
    figure.supxlabel("% of labelled keypoints: ring before, disc after", fontsize=10)


def draw_costs(figure: Figure, costs: Sequence[Costs]) -> None:
    """AP gained when one kind of error alone is repaired, from one analysis or from those before and after."""
    names = [stage.name for stage in costs[0].alone]
    series = [
        (label, [stage.ap - cost.input.ap for stage in cost.alone])
        for label, cost in zip(_sides(costs), costs, strict=True)
    ]
    axes = figure.add_subplot()
    colours = [STAGE_COLOURS[name] for name in names] if len(costs) == 1 else None
    _bars(axes, [STAGE_TITLES[name] for name in names], series, signed, colours)
    axes.set_xlabel("AP gained if these alone were repaired")


def draw_factors(figure: Figure, factors: Sequence[Sequence[PeopleBreakdown]]) -> None:
    """AP of groups of people, a panel per trait; each trait from one analysis or from those before and after."""
    heights = [len(sides[0].labels) + 1 for sides in factors]
    panels = figure.subplots(len(factors), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, sides in zip(panels[:, 0], factors, strict=True):
        labels = [
            f"{label} ({people:,})" for label, people in zip(sides[0].labels, sides[0].people, strict=True)
        ]
        series = [(name, side.ap.tolist()) for name, side in zip(_sides(sides), sides, strict=True)]
        _bars(axes, labels, series, percent, legend=axes is panels[0, 0])
        axes.set_title(sides[0].name)
        axes.set_xlim(0, 110)
    panels[-1, 0].set_xlabel("AP (in brackets: annotated people)")


def draw_precision(figure: Figure, costs: Costs, threshold: float) -> None:
    """Precision over recall at one OKS threshold: each repair in turn adds the area of its colour."""
    row = int(np.argmin(np.abs(THRESHOLDS - threshold)))
    axes = figure.add_subplot()
    reached = np.zeros(len(RECALLS))
    for stage in costs.stages:
        precision = np.maximum(stage.precision[row], reached)
        axes.fill_between(
            RECALLS,
            reached,
            precision,
            color=STAGE_COLOURS[stage.name],
            linewidth=0,
            label=f"{stage.name} {100 * stage.ap_by_threshold[row]:.1f}",
        )
        axes.plot(RECALLS, precision, color=PAPER, linewidth=0.8)
        reached = precision
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="recall", ylabel="precision")
    figure.legend(loc="outside upper left", ncols=3, fontsize=9, handlelength=1.0, columnspacing=1.2)


def draw_oks(figure: Figure, comparison: Comparison) -> None:
    """OKS after over OKS before: every person, the mean of each band, and the line of no change (figure 7)."""
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    axes.plot(
        comparison.before.oks,
        comparison.after.oks,
        "o",
        # Pixels know no variables of the page; this blue is seen on light and dark.
        color="#3f8fc4" if len(comparison.before) > MOST_POINTS else AFTER,
        markersize=3.6,
        markeredgewidth=0,
        alpha=0.6,
        rasterized=len(comparison.before) > MOST_POINTS,
    )
    bands = comparison.oks_bands()
    before, after = [band.before for band in bands], [band.after for band in bands]
    axes.plot(before, after, "D-", color=INK, markersize=5, linewidth=1.4, markerfacecolor=PAPER)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="OKS before", ylabel="OKS after")
    axes.set_aspect("equal")
    axes.grid()
    axes.text(0.03, 0.96, "better", va="top", color=INK)
    axes.text(0.97, 0.03, "worse", ha="right", color=INK)


def _sides(items: Sequence[object]) -> tuple[str, ...]:
    return ("before", "after") if len(items) == 2 else ("",)


def _bars(
    axes: Axes,
    labels: Sequence[str],
    series: Series,
    number: Callable[[float], str],
    colours: Sequence[str] | None = None,
    *,
    legend: bool = True,
) -> None:
    """Horizontal bars of AP with their numbers, the first row on top; two series stand below each other in a row."""
    places, height = np.arange(len(labels)), 0.76 / len(series)
    for index, (name, values) in enumerate(series):
        own = places + (index - (len(series) - 1) / 2) * height
        last = index == len(series) - 1
        axes.barh(
            own,
            [100 * value for value in values],
            height,
            color=colours or (AFTER if last else BEFORE),
            label=name,
        )
        for place, value in zip(own, values, strict=True):
            axes.annotate(
                number(value),
                (max(100 * value, 0), place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8 if len(series) > 1 else 9,
            )
    _name_rows(axes, labels)
    axes.margins(x=0.14)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.grid(axis="x", color=GRID)
    if len(series) > 1 and legend:
        axes.legend(loc="lower right", fontsize=9)


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [label.replace("_", " ") for label in labels])
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
