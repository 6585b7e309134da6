"""Networks that differ from a first one in one setting each: trained once, and measured on estimators' results.

What `python -m benchmarks.ablation` and `python -m benchmarks.shapes` share. The networks refine the results of all
estimators on photos that nothing was trained on, uncalibrated and with every keypoint moved, so that only the network
differs. Means are over the estimators whose poses were among the training inputs, and over those that training has
never met.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.accuracy import RULE_OFF, SETS, first_images, read_poses
from benchmarks.documents import TITLES, insert
from benchmarks.environment import DATA, describe, is_kept, keep, kept

from posefix import Refiner, evaluate_coco
from posefix.files import write_text_atomic
from posefix.formats.coco_annotations import Annotations
from posefix.training.config import TrainConfig, load_recipe
from posefix.training.once import train_once
from posefix.training.systems import folder_name

DOCUMENT = Path(__file__).parent.parent / "docs" / "training.md"
MEASURED_FILE = "measured.json"
Settings = Mapping[str, str]
"""Changes to a recipe, as `load_recipe` takes them."""
Gains = dict[str, dict[str, float]]
"""Set -> estimator -> gain in AP."""


@dataclass(frozen=True)
class Measured:
    """What was found of a network.

    Attributes:
        gains: Of every estimator.
        others: Other numbers of it, by name.
    """

    gains: Gains
    others: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Networks, the first of which the others are held beside.

    Attributes:
        name: Of the kept result, and of the marks in the document.
        recipe: Of the first network.
        variants: Name -> what the network has else; the first one's is nothing.
        table: From what was measured of each, and the estimators that training met, to a table for the document.
        others: What else to measure of a trained network: from its recipe and folder to numbers by name.
        looks: How often a network looks at a person.
    """

    name: str
    recipe: Path
    variants: Mapping[str, Settings]
    table: Callable[[Mapping[str, Measured], set[str]], str]
    others: Callable[[TrainConfig, Path], dict[str, float]] = lambda config, folder: {}
    looks: int = 2

    @property
    def first(self) -> str:
        """The name of the first network."""
        return next(iter(self.variants))

    def config(self, name: str, arguments: argparse.Namespace, where: Settings) -> TrainConfig:
        """The recipe of a network."""
        settings = {
            "data.root": json.dumps(str(arguments.data)),
            "optimiser.epochs": str(arguments.epochs),
            "data.limit": str(arguments.people),
        }
        return load_recipe(self.recipe, {**settings, **where, **self.variants[name]})

    def run(self, arguments: argparse.Namespace, where: Settings | None = None) -> dict[str, Measured]:
        """Train what is not trained yet, measure, print and keep, unless it is of fewer people.

        Args:
            arguments: Of `options`.
            where: Settings that say where the data are.
        """
        environment = describe(["torch", "timm", "onnxruntime", "openvino"])
        met = met_estimators(load_recipe(self.recipe))
        results: dict[str, Measured] = {}
        for name in dict.fromkeys([self.first, *arguments.only]):
            config, folder = self.config(name, arguments, where or {}), arguments.output / folder_name(name)
            print(f"{name}: {folder}", flush=True)
            train_once(config, folder, on_epoch=lambda numbers: print(numbers, flush=True))
            results[name] = Measured(
                measure_once(folder, arguments.data, arguments.images, self.looks),
                self.others(config, folder),
            )
            print(self.table(results, met), flush=True)
            if not arguments.people:
                self._keep(results, met, arguments, environment)
        return results

    def _keep(
        self,
        results: Mapping[str, Measured],
        met: set[str],
        arguments: argparse.Namespace,
        environment: dict[str, Any],
    ) -> None:
        """Into the results and the document, beside what an earlier run kept of other networks in the same way."""
        how = {
            "epochs": arguments.epochs,
            "images": arguments.images,
            "looks": self.looks,
            "met": sorted(met),
        }
        together = {**self._kept(how), **results}
        measured = {name: together[name] for name in self.variants if name in together}
        numbers = {name: {"gains": one.gains, "others": one.others} for name, one in measured.items()}
        print(f"kept in {keep(self.name, environment, {**how, 'networks': numbers})}", flush=True)
        text = insert(DOCUMENT.read_text(encoding="utf-8"), self.name, self.table(measured, met))
        write_text_atomic(DOCUMENT, text)

    def _kept(self, how: Mapping[str, Any]) -> dict[str, Measured]:
        """What was measured before, if it was measured so."""
        if not is_kept(self.name):
            return {}
        earlier = kept(self.name)
        if any(earlier.get(name) != value for name, value in how.items()):
            return {}
        return {name: Measured(one["gains"], one["others"]) for name, one in earlier["networks"].items()}


def options(
    description: str | None, comparison: Comparison, *, epochs: int, images: int
) -> argparse.ArgumentParser:
    """What both commands can be told.

    Args:
        description: Of the command.
        comparison: Whose networks may be named.
        epochs: By default.
        images: By default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    names = list(comparison.variants)
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of: {', '.join(names)}"
    )
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--people", type=int, default=0, help="train on so many at most; keeps nothing")
    parser.add_argument("--images", type=int, default=images, help="the first so many photos of each set")
    parser.add_argument("--output", type=Path, default=Path("runs") / comparison.name)
    return parser


def met_estimators(config: TrainConfig) -> set[str]:
    """Estimators whose poses are among a recipe's training inputs."""
    return {Path(file).name.split(".")[0] for file in config.data.estimates}


def measure_once(model: Path, data: Path, images: int, looks: int) -> Gains:
    """As `measure`; what was found is kept beside the model, for the same photos and looks."""
    path, how = model / MEASURED_FILE, {"images": images, "looks": looks}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["how"] == how:
            gains: Gains = found["gains"]
            return gains
    gains = measure(model, data, images, looks)
    write_text_atomic(path, json.dumps({"how": how, "gains": gains}))
    return gains


def measure(model: Path, data: Path, images: int, looks: int) -> Gains:
    """Gains of a trained model over every estimator's input."""
    refiner = Refiner.from_pretrained(model, caution=RULE_OFF, scores="input", looks=looks)
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
