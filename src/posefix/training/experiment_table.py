"""What an experiment found: numbers of several seeds as a table and as a document."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posefix.evaluation.percentages import percent, signed

COLUMNS = ("AP", "AP50", "AP75", "AP-M", "AP-L")


@dataclass(frozen=True)
class Measured:
    """A line of the table.

    Attributes:
        label: What was measured.
        against: Label of the line that the change in AP is counted from; empty for none.
        seeds: COCO's numbers (`CocoMetrics.as_dict`) of each seed.
    """

    label: str
    against: str
    seeds: list[dict[str, float]]

    def mean(self, name: str) -> float:
        """Over the seeds."""
        return statistics.fmean(numbers[name] for numbers in self.seeds)

    def deviation(self, name: str) -> float:
        """Sample standard deviation over the seeds; 0 for one seed."""
        return spread([numbers[name] for numbers in self.seeds])

    def changes(self, other: Measured) -> list[float]:
        """Change in AP from another line, seed by seed."""
        return [now["AP"] - then["AP"] for now, then in zip(self.seeds, other.seeds, strict=True)]


def spread(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def as_text(title: str, measured: Sequence[Measured]) -> str:
    """The table: AP and its change in percentage points with their spread over the seeds, the other numbers' means."""
    by_label = {entry.label: entry for entry in measured}
    width = max(len(label) for label in by_label)
    count = len(measured[0].seeds)
    plural = "s: means, and standard deviations after +-" if count > 1 else ""
    lines = [f"{title}; {count} seed{plural}"]
    lines.append(f"{'':{width}}  {'AP':>12}  {'change':>12}" + "".join(f"{name:>7}" for name in COLUMNS[1:]))
    for entry in measured:
        ap = _with_spread(percent(entry.mean("AP")), entry.deviation("AP"), count)
        change = ""
        if entry.against in by_label:
            changes = entry.changes(by_label[entry.against])
            change = _with_spread(signed(statistics.fmean(changes)), spread(changes), count)
        rest = "".join(f"{percent(entry.mean(name)):>7}" for name in COLUMNS[1:])
        lines.append(f"{entry.label:{width}}  {ap:>12}  {change:>12}{rest}")
    return "\n".join(lines)


def _with_spread(mean: str, deviation: float, count: int) -> str:
    return f"{mean} +-{100 * deviation:.1f}" if count > 1 else mean


def as_document(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """All numbers of all seeds, for JSON; shares of 1 as COCO's evaluator gives them."""
    by_label = {entry.label: entry for entry in measured}
    rows = []
    for entry in measured:
        row: dict[str, Any] = {"label": entry.label, "seeds": entry.seeds}
        row |= {"mean": {name: entry.mean(name) for name in COLUMNS}}
        row |= {"deviation": {name: entry.deviation(name) for name in COLUMNS}}
        if entry.against in by_label:
            changes = entry.changes(by_label[entry.against])
            row["change"] = {"from": entry.against, "seeds": changes, "mean": statistics.fmean(changes)}
            row["change"]["deviation"] = spread(changes)
        rows.append(row)
    return rows
