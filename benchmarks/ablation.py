"""What each option of the training data is worth: trained without it, all else equal.

    python -m benchmarks.ablation [--data DIR] [--without NAME ...] [--epochs N] [--images N] [--output DIR]

Small networks are trained as the recipe beside this file says (64x96, from ImageNet weights, with all options), again
with one option turned off, and once with another seed: smaller differences than that one say nothing. They refine the
results of all eight estimators on photos that nothing was trained on, uncalibrated and with every keypoint moved, so
that only the network differs. The mean gain in AP is given for the estimators whose poses were among the training
inputs, and for those that training has never met: an option that serves the first alone was fitted to them.

A finished network is not trained again, but measured. Keeps benchmarks/results/ablation.json and writes the table into
docs/training.md; a run of some options only does neither.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from benchmarks.accuracy import RULE_OFF, SETS, first_images, read_poses
from benchmarks.documents import TITLES, insert, markdown
from benchmarks.environment import DATA, describe, keep

from posefix import Refiner, evaluate_coco
from posefix.files import write_text_atomic
from posefix.formats.coco_annotations import Annotations
from posefix.training.config import load_recipe
from posefix.training.once import train_once

RECIPE = Path(__file__).parent / "ablation.toml"
NOTHING, ALL = "nothing", "all: gain in AP"
DOCUMENT = Path(__file__).parent.parent / "docs" / "training.md"
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
Gains = dict[str, dict[str, float]]
"""Set -> estimator -> gain in AP."""


def measure(model: Path, data: Path, images: int) -> Gains:
    """Gains of a trained model over every estimator's input."""
    refiner = Refiner.from_pretrained(model, caution=RULE_OFF, scores="input")
    gains: Gains = {}
    for name, (people, photos) in SETS.items():
        truth = first_images(data / people, images)
        files = sorted((data / "predictions" / name).glob("*.json"))
        gains[name] = {file.name.split(".")[0]: gain(refiner, file, truth, data / photos) for file in files}
    return gains


def gain(refiner: Refiner, file: Path, truth: Annotations, photos: Path) -> float:
    """What a refinement adds to the AP of a results file."""
    poses = read_poses(file, truth)
    after = refiner.refine(poses, photos).poses
    return evaluate_coco(after, truth).ap - evaluate_coco(poses, truth).ap


def summary(gains: Gains, met: set[str]) -> dict[str, float]:
    """Mean gain by set, over estimators that training met and over the others."""
    means: dict[str, float] = {}
    for name, by_estimator in gains.items():
        for label, members in (("met", met), ("not met", set(by_estimator) - met)):
            values = [value for estimator, value in by_estimator.items() if estimator in members]
            means[f"{TITLES[name]}, {label}"] = float(np.mean(values)) if values else float("nan")
    return means


def ablate(name: str, arguments: argparse.Namespace) -> Gains:
    """Train without an option unless that is done already, and measure."""
    folder = arguments.output / name.replace(" ", "-")
    settings = {"data.root": str(arguments.data), "optimiser.epochs": str(arguments.epochs)} | OFF[name]
    train_once(load_recipe(RECIPE, settings), folder, on_epoch=print)
    return measure(folder, arguments.data, arguments.images)


def table(results: Mapping[str, Gains], met: set[str]) -> str:
    """What each option adds: the gain of the network trained with all of them, less that of the one without it."""
    means = {name: summary(gains, met) for name, gains in results.items()}
    everything = means.pop(NOTHING)
    rows = [[ALL, *(f"{100 * gain:+.1f}" for gain in everything.values())]]
    for name, without in means.items():
        rows.append(
            [name, *(f"{100 * (everything[column] - gain):+.1f}" for column, gain in without.items())]
        )
    return markdown(["option", *everything], rows)


def main() -> None:
    """Train, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--without", nargs="+", choices=list(OFF), default=list(OFF))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=250, help="the first so many photos of each set")
    parser.add_argument("--output", type=Path, default=Path("runs/ablation"))
    arguments = parser.parse_args()
    environment = describe(["torch", "timm", "onnxruntime"])
    met = {Path(file).name.split(".")[0] for file in load_recipe(RECIPE).data.estimates}
    results: dict[str, Gains] = {}
    for name in dict.fromkeys([NOTHING, *arguments.without]):
        results[name] = ablate(name, arguments)
        print(table(results, met), flush=True)
    if set(results) == set(OFF):
        measured = {
            "epochs": arguments.epochs,
            "images": arguments.images,
            "met": sorted(met),
            "gains": results,
        }
        print(f"kept in {keep('ablation', environment, measured)}")
        text = insert(DOCUMENT.read_text(encoding="utf-8"), "ablation", table(results, met))
        write_text_atomic(DOCUMENT, text)


if __name__ == "__main__":
    main()
