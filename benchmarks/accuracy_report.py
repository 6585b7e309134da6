"""Writes what was measured of the packaged models into the documents: no number is copied by hand.

    python -m benchmarks.accuracy_report

docs/accuracy.md gets a table for each set of the default model (benchmarks/results/accuracy.json), each card these
and the details; docs/figures/reliability.svg shows how far the default model's confidence can be believed.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from benchmarks.documents import TITLES, insert, markdown
from benchmarks.environment import kept
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posefix.evaluation.percentages import percent
from posefix.files import make_folder, write_bytes_atomic, write_text_atomic

ROOT = Path(__file__).parent.parent
FIGURE = ROOT / "docs" / "figures" / "reliability.svg"
MARK = "accuracy"
ERRORS = ("inversion", "swap", "miss")
SEEN = ("tinypose256", "thunder")
"""Estimators that taught packaged models: no strangers to them, and in no mean."""
UNKNOWN = "-"
"""What a cell says where nothing was measured."""

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table with one row per estimator.

    Attributes:
        head: Its title.
        paths: Where the numbers of a cell stand, such as "comparison.before.AP".
        text: Format of the numbers.
        mean_text: Format of their means over the estimators; `text` when empty.
        scale: What the numbers are multiplied by.
    """

    head: str
    paths: tuple[str, ...]
    text: str = "{:.1f}"
    mean_text: str = ""
    scale: float = 100.0

    def values(self, estimator: Numbers) -> list[float] | None:
        """The numbers of one estimator's cell, None if one of them was not measured."""
        found = [lookup(estimator, path) for path in self.paths]
        return [self.scale * value for value in found if value is not None] if None not in found else None

    def cells(self, estimators: Mapping[str, Numbers]) -> list[str]:
        """The cells of all estimators, and the one of the mean of those that were not seen."""
        rows = {name: self.values(estimator) for name, estimator in estimators.items()}
        cells = [UNKNOWN if row is None else self.text.format(*row) for row in rows.values()]
        strangers = [row for name, row in rows.items() if not is_seen(name)]
        known = [row for row in strangers if row is not None]
        if len(known) < len(strangers) or not known:
            return [*cells, UNKNOWN]
        means = [sum(values) / len(known) for values in zip(*known, strict=True)]
        return [*cells, (self.mean_text or self.text).format(*means)]


WAYS = {"given": "AP, given", "proportions": "refined", "boxes beside": "refined, with the people's boxes"}
"""Ways of `benchmarks.partial_people`, and what a table calls them."""

CHANGE = "{:.1f} -> {:.1f}"
COMPARISON = (
    "comparison.after.AP",
    "comparison.difference",
    "comparison.interval.0",
    "comparison.interval.1",
)
GAINS = (
    Column("input", ("comparison.before.AP",)),
    Column(
        "refined (gain; 95 % interval)",
        COMPARISON,
        "**{:.1f}** ({:+.1f}; {:+.1f} to {:+.1f})",
        "**{:.1f}** ({:+.1f})",  # an interval of the mean is not the mean of the intervals
    ),
    Column("refined, scores as written", ("scores.usual.AP",)),
    Column("control", ("control.AP",)),
    Column("second pass", ("second_pass.metrics.AP",)),
    Column("photo by photo", ("photo_by_photo.AP",)),
    Column("parts only", ("parts_only.before.AP", "parts_only.after.AP"), CHANGE),
    Column("errors x .3", ("better_input.before.AP", "better_input.after.AP"), CHANGE),
)
DETAILS = (
    Column("AP50", ("comparison.before.AP50", "comparison.after.AP50"), CHANGE),
    Column("AP75", ("comparison.before.AP75", "comparison.after.AP75"), CHANGE),
    Column("AR", ("comparison.before.AR", "comparison.after.AR"), CHANGE),
    Column("AP, model's scores", ("scores.model.AP",)),
    Column("AP, product of scores", ("scores.product.AP",)),
    Column("AP, 20 % missing", ("missing.before.AP", "missing.after.AP"), CHANGE),
    Column("errors x .3, photo by photo", ("better_input.before.AP", "better_input_by_photo.AP"), CHANGE),
    Column("AP, rule off", ("rule_off.metrics.AP",)),
    Column("moved by the second pass", ("second_pass.movement",), "{:.2f} %"),
)
COUNTS = "{:.0f} / {:.0f}"
PEOPLE = (
    Column("people", ("changes.people",), "{:.0f}", scale=1),
    Column("better by .1", ("shares.better",), "{:.1f} %"),
    Column("worse by .1", ("shares.worse",), "{:.1f} %"),
    Column("worse by .3", ("shares.much_worse",), "{:.1f} %"),
    Column("handed to somebody else", ("shares.handed_over",), "{:.1f} %"),
    Column("good ones broken", ("shares.broken",), "{:.1f} %"),
)
"""Of all people with a pose; broken ones of those whose OKS was above .7."""
KEYPOINTS = (
    Column("repaired / broken", ("repairs.repaired", "repairs.broken"), COUNTS, scale=1),
    Column("rule off", ("rule_off.repairs.repaired", "rule_off.repairs.broken"), COUNTS, scale=1),
    Column("collapsed pairs", ("collapsed.before", "collapsed.after"), "{:.0f} -> {:.0f}", CHANGE, scale=1),
    Column("calibration error", ("confidence.calibration_error",), "{:.3f}", scale=1),
    Column("AUROC", ("confidence.auroc",), "{:.3f}", scale=1),
    Column(
        "Brier (base rate's)", ("confidence.brier", "confidence.base_rate_brier"), "{:.3f} ({:.3f})", scale=1
    ),
    Column(
        "OKS: correlation, error",
        ("confidence.correlation", "confidence.oks_error"),
        "{:.2f}, {:.2f}",
        scale=1,
    ),
)


def is_seen(estimator: str) -> bool:
    """Whether a results file NAME.LAYOUT is of one of `SEEN`."""
    return estimator.split(".", maxsplit=1)[0] in SEEN


def short(measured: Numbers) -> str:
    """A table for each set: what refinement is worth."""
    return "\n".join(
        title(name, part, "AP")
        + estimator_table(part, GAINS)
        + f"\n{verdict(part['summary'])}\n"
        + people_table(name, part)
        for name, part in measured["sets"].items()
    )


def full(measured: Numbers) -> str:
    """The tables of `short`, and all else that was measured."""
    sections = [short(measured)]
    for name, part in measured["sets"].items():
        sections += [
            title(name, part, "more of AP") + estimator_table(part, DETAILS),
            title(name, part, "keypoints and people") + estimator_table(part, KEYPOINTS),
            title(name, part, "errors, all estimators") + error_table(part),
        ]
    return "\n".join(sections)


def people_table(name: str, part: Numbers) -> str:
    """Whom refinement helped and whom it harmed, where that was measured."""
    if not any("changes" in numbers for numbers in part["estimators"].values()):
        return ""
    return "\n" + title(name, part, "people") + estimator_table(with_shares(part), PEOPLE)


def with_shares(part: Numbers) -> Numbers:
    """A set whose estimators' counts of people are shares, too."""
    estimators = {}
    for name, numbers in part["estimators"].items():
        counts = numbers.get("changes")
        shares = {key: count / max(counts["people"], 1) for key, count in (counts or {}).items()}
        if counts:
            shares["broken"] = counts["broken"] / max(counts["good"], 1)
        estimators[name] = {**numbers, "shares": shares} if counts else numbers
    return {**part, "estimators": estimators}


def title(name: str, part: Numbers, what: str) -> str:
    return f"**{TITLES.get(name, name)}, {part['photos']:,} photos: {what}**\n\n"


def verdict(summary: Numbers) -> str:
    """Wins and losses in one sentence."""
    return (
        f"{summary['wins']} go up ({summary['certain_wins']} beyond the interval), {summary['losses']} go down "
        f"({summary['certain_losses']} beyond the interval)."
    )


def estimator_table(part: Numbers, columns: Sequence[Column]) -> str:
    """One row per estimator, and one with the means; no column of what was not measured."""
    names = [estimator.split(".", 1) for estimator in part["estimators"]]
    heads = [f"{name} ({layout}{', seen' * is_seen(name)})" for name, layout in names] + ["mean"]
    cells = {column.head: column.cells(part["estimators"]) for column in columns}
    return measured_table("estimator (layout)", heads, cells)


def error_table(part: Numbers) -> str:
    """Keypoints of all estimators: the error that was repaired, the error that what was right became."""
    columns = {
        f"{change}{how}": [total(part, f"{side}{change}_by_error.{error}") for error in ERRORS]
        for side, how in (("repairs.", ""), ("rule_off.repairs.", ", rule off"))
        for change in ("repaired", "broken")
    }
    return measured_table("error", ERRORS, columns)


def measured_table(what: str, rows: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    """A table without the columns of what was not measured."""
    known = {head: cells for head, cells in columns.items() if set(cells) != {UNKNOWN}}
    return markdown([what, *known], zip(rows, *known.values(), strict=True))


def total(part: Numbers, path: str) -> str:
    """The sum of a count over the estimators."""
    counts = [lookup(estimator, path) for estimator in part["estimators"].values()]
    return UNKNOWN if None in counts else f"{sum(count for count in counts if count is not None):,.0f}"


def lookup(numbers: Any, path: str) -> float | None:
    """The number at a path of keys and list positions; None where there is none."""
    for key in path.split("."):
        numbers = numbers[int(key)] if isinstance(numbers, list) else numbers.get(key)
        if numbers is None:
            return None
    return float(numbers)


def partial(measured: Numbers) -> str:
    """People of whom only a part was found, all sets in one table."""
    rows = [
        [TITLES.get(name, name), str(found["people"]), part, *(percent(ways[way]["ap"]) for way in WAYS)]
        for name, found in measured["sets"].items()
        for part, ways in found["parts"].items()
    ]
    return markdown(["people of", "people", "part", *WAYS.values()], rows)


def pooled_bins(part: Numbers) -> npt.NDArray[np.float64]:
    """The reliability bins of all estimators together, (bins, 3): count, mean confidence, share right."""
    sums: dict[float, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(3))
    for estimator in part["estimators"].values():
        for item in estimator.get("confidence", {}).get("bins", []):
            weights = np.array([1.0, item["mean_score"], item["share_right"]])
            sums[item["low"]] += item["count"] * weights
    pooled = np.array([sums[low] for low in sorted(sums)]).reshape(-1, 3)
    pooled[:, 1:] /= pooled[:, :1]
    return pooled


def reliability(measured: Numbers) -> bytes:
    """The reliability diagram as SVG; the same numbers give the same bytes."""
    sets = measured["sets"]
    with mpl.rc_context({"svg.hashsalt": "posefix", "font.size": 10}):
        figure = Figure(figsize=(4.2 * len(sets), 4.4), layout="constrained")
        panels = figure.subplots(1, len(sets), squeeze=False)[0]
        for axes, (name, part) in zip(panels, sets.items(), strict=True):
            draw_reliability(axes, TITLES.get(name, name), pooled_bins(part))
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def draw_reliability(axes: Axes, name: str, bins: npt.NDArray[np.float64]) -> None:
    """Share right against confidence, and, as bars, how many keypoints have that confidence."""
    count, confidence, right = bins.T
    everything = max(count.sum(), 1.0)
    error = float((count * np.abs(confidence - right)).sum() / everything)
    axes.bar(confidence, count / everything, width=0.045, color="#cccccc", label="share of the keypoints")
    axes.plot([0, 1], [0, 1], color="#777777", linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot(confidence, right, color="#0072b2", marker="o", markersize=4, label="keypoints that are right")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", ylabel="share")
    axes.set_title(f"{name}: {count.sum():,.0f} keypoints,\ncalibration error {error:.3f}", fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=8)


MODELS = ROOT / "src" / "posefix" / "data" / "models"
PAGE = ROOT / "docs" / "accuracy.md"
DOCUMENTS: Mapping[tuple[Path, str], tuple[str, Callable[[Numbers], str]]] = {
    (PAGE, MARK): ("accuracy", short),
    (PAGE, "people of whom only a part was found"): ("partial_people", partial),
    (MODELS / "base" / "README.md", MARK): ("accuracy", full),
    (MODELS / "small" / "README.md", MARK): ("accuracy-small", full),
}
"""Each document and mark in it, the result that it shows, and what of it stands there."""


def main() -> None:
    for (path, mark), (result, tables) in DOCUMENTS.items():
        write_text_atomic(path, insert(path.read_text(encoding="utf-8"), mark, tables(kept(result))))
    make_folder(FIGURE.parent)
    write_bytes_atomic(FIGURE, reliability(kept("accuracy")))


if __name__ == "__main__":
    main()
