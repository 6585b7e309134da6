"""What labels by agreement are worth in training, beside people's labels alone.

    python -m benchmarks.agreement_gain [--data DIR] [--only NAME ...] [--epochs N] [--people N] [--images N]
        [--output DIR]

The networks are the first one of `benchmarks.shapes`: the packaged model `small`, on the people that people labelled,
for two epochs. Then people whom estimators agree on are added, of photos that nobody labelled, for half the epochs:
they are about as many, so each network takes as many steps. In the second round the packaged model `base`, which was
trained on labels of the first, agreed or not as a fourth estimator:

    posefix refine SET/tinypose256.coco17.json --layout coco17 --annotations SET/people.json --images PHOTOS
        -o SET/base.coco17.json
    posefix pseudo-label SET/{tinypose256,thunder,tinypose128,base}.coco17.json --layout coco17
        --annotations SET/people.json --images PHOTOS -o SET/labels-second.json

The sets are those of `posefix train small`, in `pseudo/` of the data. Everything else is as in `benchmarks.shapes`.
Keeps benchmarks/results/agreement_gain.json and writes the table into docs/training.md, beside what an earlier run
kept of other networks, after each; a run with --people does neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.documents import markdown
from benchmarks.shapes import RECIPE, photos
from benchmarks.variants import Comparison, Measured, Settings, options, summary

from posefix.training.config import load_recipe

EPOCHS = 2


def with_agreement(labels: str) -> Settings:
    """Settings that add the sets whose labels are in files of that name, for half the epochs."""
    packaged, labelled = load_recipe("small").data, load_recipe(RECIPE).data
    people = len(labelled.annotations)
    annotations = [name.replace("labels.json", labels) for name in packaged.annotations]
    return {
        "data.annotations": json.dumps(annotations),
        **photos(packaged),
        "data.held_out": json.dumps([*labelled.held_out, *[0.0] * (len(annotations) - people)]),
        "optimiser.epochs": str(EPOCHS // 2),
    }


NETWORKS: dict[str, Settings] = {
    "people's labels": {},
    "and labels by agreement": with_agreement("labels.json"),
    "and labels of a second round": with_agreement("labels-second.json"),
}


def table(results: Mapping[str, Measured], met: set[str]) -> str:
    """Gains of each network."""
    means = {name: summary(measured.gains, met) for name, measured in results.items()}
    heads = [f"gain in AP, {column}" for column in next(iter(means.values()))]
    rows = [[name, *(f"{100 * gain:+.1f}" for gain in gains.values())] for name, gains in means.items()]
    return markdown(["trained on", *heads], rows)


COMPARISON = Comparison("agreement_gain", RECIPE, NETWORKS, table, looks=1)


def main() -> None:
    """Train, measure, print, keep."""
    arguments = options(__doc__, COMPARISON, epochs=EPOCHS, images=60).parse_args()
    COMPARISON.run(arguments, photos(load_recipe(RECIPE).data))


if __name__ == "__main__":
    main()
