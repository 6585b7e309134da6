"""What each option of the training data is worth: trained without it, all else equal.

    python -m benchmarks.ablation [--data DIR] [--only NAME ...] [--epochs N] [--people N] [--images N] [--output DIR]

Small networks are trained as the recipe beside this file says (64x96, from ImageNet weights, with all options), again
with one option turned off, and once with another seed: smaller differences than that one say nothing. They refine the
results of all eight estimators on photos that nothing was trained on, uncalibrated and with every keypoint moved, so
that only the network differs. The mean gain in AP is given for the estimators whose poses were among the training
inputs, and for those that training has never met: an option that serves the first alone was fitted to them.

What was trained or measured is not trained or measured again. Keeps benchmarks/results/ablation.json and writes the
table into docs/training.md, beside what an earlier run kept of other options, after each; a run with --people does
neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.documents import markdown
from benchmarks.variants import Comparison, Measured, options, summary

RECIPE = Path(__file__).parent / "ablation.toml"
NOTHING, ALL = "nothing", "all: gain in AP"
OFF: dict[str, dict[str, str]] = {
    NOTHING: {},
    "another seed": {"seed": "8"},
    "estimates": {"data.estimate_rate": "0"},
    "improved estimates": {"data.improved_rate": "0"},
    "consensus labels": {"data.consensus_labels": "false"},
    "crowding": {"augmentation.crowding_rate": "0"},
    "half bodies": {"augmentation.half_body_rate": "0"},
    "low resolution": {"augmentation.low_resolution_rate": "0"},
    "cut-outs": {"augmentation.cut_out_rate": "0"},
    "colour and shift": {"augmentation.colour": "0", "augmentation.shift": "0"},
    "severity": {"synthesis.severity": "0"},
    "exchanges": {"synthesis.exchange_rate": "0"},
    "displaced limbs": {"synthesis.displaced_rate": "0"},
    "far misses": {"synthesis.far_miss_rate": "0"},
    "keypoint dropout": {"synthesis.keypoint_dropout": "0"},
    "pose dropout": {"synthesis.pose_dropout": "0"},
}


def table(results: Mapping[str, Measured], met: set[str]) -> str:
    """What each option adds: the gain of the network trained with all of them, less that of the one without it."""
    means = {name: summary(measured.gains, met) for name, measured in results.items()}
    everything = means.pop(NOTHING)
    rows = [[ALL, *(f"{100 * gain:+.1f}" for gain in everything.values())]]
    for name, without in means.items():
        rows.append(
            [name, *(f"{100 * (everything[column] - gain):+.1f}" for column, gain in without.items())]
        )
    return markdown(["option", *everything], rows)


COMPARISON = Comparison("ablation", RECIPE, OFF, table)


def main() -> None:
    """Train, measure, print, keep."""
    COMPARISON.run(options(__doc__, COMPARISON, epochs=4, images=250).parse_args())


if __name__ == "__main__":
    main()
