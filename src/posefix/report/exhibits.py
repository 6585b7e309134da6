"""The figures of a report: each with what it says in words, and its numbers as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from posefix.analysis.breakdowns import ENOUGH_PEOPLE, PeopleBreakdown
from posefix.analysis.comparison import Comparison
from posefix.analysis.costs import RECALLS, THRESHOLDS, Costs
from posefix.analysis.error_analysis import ErrorAnalysis, status_table
from posefix.analysis.tables import Table
from posefix.errors import plural
from posefix.evaluation.percentages import percent, signed
from posefix.pose_errors.taxonomy import ERRORS
from posefix.report import plots
from posefix.report.svg import render

SHOWN_THRESHOLDS = (0.5, 0.75)
RECALL_STEP = 10
"""Every tenth of the recalls stands in a table."""
NUM_REPAIRS = 4
"""The first so many of `Costs.alone` are kinds of error; others are perfect places, scores and detection."""


@dataclass(frozen=True)
class Exhibit:
    """A figure.

    Attributes:
        title: what it is about.
        finding: what it says here.
        plot: the `<svg>` element.
        tables: the same numbers.
    """

    title: str
    finding: str
    plot: Markup
    tables: tuple[Table, ...]

    @classmethod
    def of(
        cls, title: str, finding: str, plot: plots.Plot, height: float, tables: Sequence[Table]
    ) -> Exhibit:
        """Draw the plot; height in inches."""
        description = f"{title}. {finding} The numbers stand in the table below."
        return cls(
            title, finding, render(plot, height=height, name=title, description=description), tuple(tables)
        )


def analysis_exhibits(analysis: ErrorAnalysis) -> tuple[Exhibit, ...]:
    """Frequencies, costs, precision and recall, and the people who are harder than others."""
    statuses, costs, *factors = analysis.tables()
    shares = analysis.overall.frequencies[0]
    most = max(ERRORS, key=lambda error: shares[error])
    each = status_table("Each keypoint, %", (analysis.keypoints,))
    return (
        Exhibit.of(
            "Which errors, and where",
            f"{percent(shares[0])} % of the labelled keypoints are good; the most frequent error is "
            f"{most.label}, {percent(shares[most])} %.",
            partial(plots.draw_statuses, breakdowns=(analysis.overall, analysis.groups)),
            0.95 + 0.29 * (1 + len(analysis.groups.labels)),
            (statuses, each),
        ),
        cost_exhibit((analysis.costs,), (costs,)),
        *precision_exhibits(analysis.costs),
        *_factor_exhibits(((analysis.labelled, analysis.overlap, analysis.size),), factors),
    )


def comparison_exhibits(
    comparison: Comparison, analyses: tuple[ErrorAnalysis, ErrorAnalysis]
) -> tuple[Exhibit, ...]:
    """Changes of errors and of OKS, and of costs and groups of people, which `analyses` of both results hold."""
    frequencies, _, oks, *_ = comparison.tables()
    before, after = analyses
    (_, costs, *factors), (_, costs_after, *factors_after) = before.tables(), after.tables()
    tables = (*_titled("Before", (costs,)), *_titled("After", (costs_after,)))
    factor_tables = (*_titled("Before", factors), *_titled("After", factors_after))
    gain = comparison.gain
    groups = (comparison.groups_before, comparison.groups_after)
    return (
        Exhibit.of(
            "How often each error happens, before and after",
            _change_of_errors(comparison),
            partial(plots.draw_changes, before=groups[0], after=groups[1]),
            5.2,
            (frequencies,),
        ),
        Exhibit.of(
            "OKS after against before",
            f"{plural(int((gain > 0).sum()), 'person is', 'people are')} better, {(gain < 0).sum():,} worse; "
            "diamonds are means of people "
            "with like OKS before.",
            partial(plots.draw_oks, comparison=comparison),
            5.0,
            (oks,),
        ),
        cost_exhibit((before.costs, after.costs), tables),
        *_factor_exhibits(
            tuple((side.labelled, side.overlap, side.size) for side in analyses), factor_tables
        ),
        *precision_exhibits(after.costs, ", after"),
    )


def cost_exhibit(costs: tuple[Costs, ...], tables: Sequence[Table]) -> Exhibit:
    """What each kind of error costs in AP; of the results before and after, or of one."""
    last = costs[-1]
    worst = max(last.alone[:NUM_REPAIRS], key=lambda stage: stage.ap)
    start = "After, the costliest error is" if len(costs) > 1 else "The costliest error is"
    return Exhibit.of(
        "What each error costs in AP",
        f"{start} {worst.name}: AP {percent(last.input.ap)} would be {percent(worst.ap)} "
        f"({signed(worst.ap - last.input.ap)}) if each became the smallest error of the next kind.",
        partial(plots.draw_costs, costs=costs),
        0.7 + 0.33 * len(last.alone) * (1.25 if len(costs) > 1 else 1),
        tables,
    )


def precision_exhibits(costs: Costs, when: str = "") -> tuple[Exhibit, ...]:
    """Precision over recall at an OKS of .5 and of .75, with each repair in turn."""
    return tuple(
        Exhibit.of(
            f"Precision and recall at OKS {threshold:.2f}{when}",
            "Each colour is what a repair adds to those before it, with the AP then reached.",
            partial(plots.draw_precision, costs=costs, threshold=threshold),
            4.4,
            (_precision_table(costs, threshold),),
        )
        for threshold in SHOWN_THRESHOLDS
    )


def _factor_exhibits(
    sides: tuple[tuple[PeopleBreakdown, ...], ...], tables: Sequence[Table]
) -> tuple[Exhibit, ...]:
    """AP by traits of people; none where every trait puts everybody into one group."""
    factors = [factor for factor in zip(*sides, strict=True) if len(factor[0].labels) > 1]
    if not factors:
        return ()
    known = [factor[-1] for factor in factors if factor[-1].sensitivity is not None]
    finding = f"Groups of fewer than {ENOUGH_PEOPLE} people say little."
    if known:
        strongest = max(known, key=lambda factor: factor.sensitivity or 0.0)
        spread = percent(strongest.sensitivity or 0.0)
        finding = f"AP differs most by {strongest.name}: {spread} between groups. {finding}"
    bars = sum(len(factor[0].labels) for factor in factors)
    height = 0.6 + 0.45 * len(factors) + (0.29 if len(sides) == 1 else 0.4) * bars
    return (
        Exhibit.of(
            "AP by size, overlap and labelled keypoints",
            finding,
            partial(plots.draw_factors, factors=factors),
            height,
            tables,
        ),
    )


def _change_of_errors(comparison: Comparison) -> str:
    first = comparison.groups_before.counts.sum(axis=0)
    second = comparison.groups_after.counts.sum(axis=0)
    changes = (
        f"{error.label} {percent(first[error] / first.sum())} → {percent(second[error] / second.sum())} %"
        for error in ERRORS
    )
    return f"Of all labelled keypoints: {', '.join(changes)}."


def _titled(prefix: str, tables: Sequence[Table]) -> tuple[Table, ...]:
    return tuple(Table(f"{prefix}: {table.title}", table.header, table.rows) for table in tables)


def _precision_table(costs: Costs, threshold: float) -> Table:
    row = int(abs(THRESHOLDS - threshold).argmin())
    chosen = range(0, len(RECALLS), RECALL_STEP)
    rows = tuple(
        (stage.name, *(percent(stage.precision[row, column]) for column in chosen)) for stage in costs.stages
    )
    return Table(
        f"Precision at OKS {threshold:.2f} by recall, %",
        ("", *(f"{RECALLS[column]:.1f}" for column in chosen)),
        rows,
    )
