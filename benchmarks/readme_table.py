"""Writes the accuracy table of README and model card from benchmarks/results/accuracy.json: no number copied by hand.

python -m benchmarks.readme_table
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.environment import RESULTS

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "src" / "posefix" / "data" / "models" / "small" / "README.md")
SOURCE = RESULTS / "accuracy.json"
START, END = "<!-- accuracy -->\n", "<!-- /accuracy -->\n"
SETS = {"lspet_val": "LSP-Extended, 1,000 photos", "coco_dev": "COCO val2017, 82 photos"}


def table(measured: dict[str, Any]) -> str:
    """The Markdown table of what `benchmarks.accuracy` measured."""
    sets = measured["sets"]
    head = "| estimator (layout) | " + " | ".join(f"{SETS[name]}: AP before -> after" for name in SETS) + " |"
    lines = [head, "|---" * (len(SETS) + 1) + "|"]
    for estimator in sets["lspet_val"]["estimators"]:
        name, layout = estimator.split(".", 1)
        cells = [cell(sets[key]["estimators"][estimator]) for key in SETS]
        lines.append(f"| {name} ({layout}) | {' | '.join(cells)} |")
    gains = [f"{sets[key]['summary']['mean_gain']:+.1f}" for key in SETS]
    return "\n".join([*lines, f"| mean gain | {' | '.join(gains)} |"]) + "\n"


def cell(comparison: dict[str, Any]) -> str:
    """One comparison: both APs, the gain, and its interval."""
    before, after = (100 * comparison[side]["AP"] for side in ("before", "after"))
    low, high = (100 * end for end in comparison["interval"])
    return (
        f"{before:.1f} -> **{after:.1f}** ({100 * comparison['difference']:+.1f}; {low:+.1f} to {high:+.1f})"
    )


def insert(text: str, new: str) -> str:
    """A document's text with another table between the two marks."""
    before, rest = text.split(START)
    after = rest.split(END)[1]
    return f"{before}{START}{new}{END}{after}"


def main() -> None:
    measured = json.loads(SOURCE.read_text(encoding="utf-8"))
    for path in DOCUMENTS:
        path.write_text(insert(path.read_text(encoding="utf-8"), table(measured)), encoding="utf-8")


if __name__ == "__main__":
    main()
