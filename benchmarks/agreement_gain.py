"""What labels by agreement are worth in training, between no labels of such photos and people's labels of them.

    python -m benchmarks.agreement_gain [--data DIR] [--only NAME ...] [--epochs N] [--people N] [--images N]
        [--output DIR]

The networks are those of `benchmarks.shapes`: the packaged model `small`, for one epoch. The first knows photos of
sport alone, and sees them twice, more people in all than the others see. The second also learns from everyday photos
whom three estimators agree on, the third the people whom people labelled in the same photos. The labels are made by

    posefix pseudo-label tinypose256.coco17.json thunder.coco17.json tinypose128.coco17.json --layout coco17
        --annotations person_keypoints_train.json --images PHOTOS -o OUTPUT/labels.json

where the annotations name the photos. Everything else is as in `benchmarks.shapes`. Keeps
benchmarks/results/agreement_gain.json and writes the table into docs/training.md, beside what an earlier run kept of
other networks, after each; a run with --people does neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.documents import markdown
from benchmarks.environment import EVERYDAY
from benchmarks.pseudo_labels import ESTIMATORS
from benchmarks.shapes import RECIPE, photos
from benchmarks.variants import Comparison, Measured, Settings, options, summary

from posefix.training.config import load_recipe

SPORT_EPOCHS = 2


def networks(labels: Path) -> dict[str, Settings]:
    """Name -> settings.

    Args:
        labels: Of everyday people, by agreement.
    """
    data = load_recipe(RECIPE).data
    of_sport = [file for file, number in zip(data.estimates, data.estimate_sets, strict=True) if number == 0]
    sport = {
        "data.annotations": json.dumps(data.annotations[:1]),
        "data.images": json.dumps(data.images[:1]),
        "data.held_out": json.dumps(data.held_out[:1]),
        "data.estimates": json.dumps(of_sport),
        "data.estimate_layouts": json.dumps(data.estimate_layouts[: len(of_sport)]),
        "data.estimate_sets": json.dumps([0] * len(of_sport)),
        "optimiser.epochs": str(SPORT_EPOCHS),
    }
    agreed = {"data.annotations": json.dumps([data.annotations[0], str(labels.resolve())])}
    return {
        "photos of sport": sport,
        "and everyday people, labelled by agreement": agreed,
        "and everyday people, labelled by people": {},
    }


def table(results: Mapping[str, Measured], met: set[str]) -> str:
    """Gains of each network."""
    means = {name: summary(measured.gains, met) for name, measured in results.items()}
    heads = [f"gain in AP, {column}" for column in next(iter(means.values()))]
    rows = [[name, *(f"{100 * gain:+.1f}" for gain in gains.values())] for name, gains in means.items()]
    return markdown(["trained on", *heads], rows)


def comparison(labels: Path) -> Comparison:
    """As `networks` says it."""
    return Comparison("agreement_gain", RECIPE, networks(labels), table, looks=1)


def label(data: Path, output: Path) -> None:
    """Write the labels by agreement, unless they are there."""
    if output.is_file():
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    estimates = [str(data / f"predictions/everyday_train/{name}.coco17.json") for name in ESTIMATORS]
    annotations = str(data / "everyday/person_keypoints_train.json")
    found = ["--annotations", annotations, "--images", str(EVERYDAY / "coco")]
    command = ["pseudo-label", *estimates, "--layout", "coco17", *found, "-o", str(output)]
    subprocess.run([sys.executable, "-m", "posefix", *command], check=True)


def main() -> None:
    """Train, measure, print, keep."""
    arguments = options(__doc__, comparison(Path("labels.json")), epochs=1, images=60).parse_args()
    labels = arguments.output / "labels.json"
    label(arguments.data, labels)
    comparison(labels).run(arguments, photos(load_recipe(RECIPE).data))


if __name__ == "__main__":
    main()
