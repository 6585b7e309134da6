"""Writes what `posefix experiment` found into docs/paper.md: no number is copied by hand.

    python -m benchmarks.paper_report

Reads the documents that `posefix experiment` leaves in its folder of tables, from benchmarks/results/experiments/SET/,
a folder for each set of people to judge by (`SETS`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.documents import TITLES, insert, markdown
from benchmarks.environment import RESULTS

from posefix.evaluation.percentages import percent, signed
from posefix.files import write_text_atomic

DOCUMENT = Path(__file__).parent.parent / "docs" / "paper.md"
FOLDER = RESULTS / "experiments"

SETS = ("lspet_val", "everyday_dev")

Line = Mapping[str, Any]
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "figure 6, the paper's input": ("pipelines", ("RefineNet", "RefineNet + *")),
    "figure 6": ("pipelines", ("movenet", "movenet + *")),
    "figure 6, a poor input": ("pipelines", ("hourglass", "hourglass + *")),
    "figure 6 on a trunk, the paper's input": ("pipelines-of-results", ("refinenet", "refinenet + *")),
    "figure 6 on a trunk": ("pipelines-of-results", ("movenet", "movenet + *")),
    "figure 6 on a trunk, a poor input": ("pipelines-of-results", ("hourglass", "hourglass + *")),
    "table 1": ("end-to-end", ("*",)),
    "table 3": ("baselines", ("GlobalNet", "RefineNet", "GlobalNet + C2F")),
    "table 6": ("baselines", ("Simple", "Simple + *")),
    "table 6, an estimator": ("baselines", ("movenet", "movenet + *")),
    "table 6, a poor input": ("baselines", ("hourglass", "hourglass + *")),
    "table 2": ("baselines", ("IntegralPose", "IntegralPose + *")),
    "procedure": ("procedure", ("movenet", "movenet + *")),
    "procedure, a poor input": ("procedure", ("hourglass", "hourglass + *")),
}
"""Mark in the document -> the experiment, and the labels of its lines, a star for the rest of one."""


def kept_lines(path: Path) -> list[Line]:
    """The lines of a table that `posefix experiment` left."""
    lines: list[Line] = json.loads(path.read_text(encoding="utf-8"))["lines"]
    return lines


def chosen(lines: Sequence[Line], patterns: Sequence[str]) -> list[Line]:
    """The lines whose labels fit, in their order."""

    def fits(label: str) -> bool:
        return any(
            label.startswith(pattern[:-1]) if pattern.endswith("*") else label == pattern
            for pattern in patterns
        )

    return [line for line in lines if fits(line["label"])]


def table(lines: Sequence[Line]) -> str:
    """AP and its change, means and standard deviations over the seeds, and AP50 and AP75."""
    rows = []
    for line in lines:
        change = line.get("change")
        rows.append(
            [
                line["label"],
                _with_spread(percent(line["mean"]["AP"]), line["deviation"]["AP"], line["seeds"]),
                ""
                if change is None
                else _with_spread(signed(change["mean"]), change["deviation"], change["seeds"]),
                percent(line["mean"]["AP50"]),
                percent(line["mean"]["AP75"]),
            ]
        )
    return markdown(["system", "AP", "change", "AP50", "AP75"], rows)


def order(lines: Sequence[Line]) -> str:
    """The lines from the best to the worst, and which neighbours every seed puts in this order; nothing of one seed.

    Lines of fewer seeds than others are in no order.
    """
    count = max(len(line["seeds"]) for line in lines)
    ranked = sorted(
        (line for line in lines if len(line["seeds"]) == count), key=lambda line: -float(line["mean"]["AP"])
    )
    if count < 2:
        return ""
    text = ranked[0]["label"]
    for better, worse in pairwise(ranked):
        agree = all(a["AP"] > b["AP"] for a, b in zip(better["seeds"], worse["seeds"], strict=True))
        text += f"{' > ' if agree else ' ? '}{worse['label']}"
    agreeing = "both seeds" if count == 2 else f"all {count} seeds"
    return f"Order, with > where {agreeing} agree on two neighbours and ? where they do not: {text}.\n"


def _with_spread(mean: str, deviation: float, seeds: Sequence[object]) -> str:
    return f"{mean} ± {100 * deviation:.1f}" if len(seeds) > 1 else mean


def section(name: str, patterns: Sequence[str], folder: Path) -> str:
    """Table and order of some lines of an experiment on each set that it was judged on; empty for none."""
    parts = []
    for which in SETS:
        path = folder / which / f"{name}.json"
        if path.exists():
            lines = chosen(kept_lines(path), patterns)
            if lines:
                parts.append("\n".join(filter(None, (f"{TITLES[which]}:\n", table(lines), order(lines)))))
    return "\n".join(parts)


def main() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for mark, (name, patterns) in TABLES.items():
        found = section(name, patterns, FOLDER)
        if found:
            text = insert(text, mark, found)
    write_text_atomic(DOCUMENT, text)


if __name__ == "__main__":
    main()
