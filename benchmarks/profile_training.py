"""Whether a measured error profile trains a better refiner than the paper's, for an estimator that is left out.

    python -m benchmarks.profile_training [--data DIR] [--seeds 1] [--epochs 10] [--output DIR]

Small networks (benchmarks/profile_training.toml: 96x128, ImageNet weights, 2,000 people, synthesised inputs only) are
trained with

* paper: the paper's profile and procedure, nothing else;
* adapted: the paper's profile with the recipe's hand-made options beyond it (more errors, errors by person);
* own NAME: a profile fitted to the estimator NAME, frequencies and distances;
* pooled NAME: a profile of all estimators but NAME together.

and each refines the results of NAME, every keypoint moved. Profiles are measured on one half of the photos of
LSP-Extended's and COCO's held-out people, gains in AP on the other half; nothing was trained on either.

A finished network is not trained again, but measured. Keeps benchmarks/results/profile_training.json; a run of some
systems or with other settings does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.accuracy import RULE_OFF, SETS, read_poses
from benchmarks.environment import DATA, describe, keep
from benchmarks.variants import gain

from posefix import Refiner
from posefix.analysis.costs import select_people
from posefix.analysis.profile_fitting import fit_profile
from posefix.analysis.profile_observation import ObservedErrors, observe_errors, pool
from posefix.files import make_folder
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.training.config import load_recipe
from posefix.training.once import train_once

RECIPE = Path(__file__).with_suffix(".toml")
LEFT_OUT = ("tinypose128", "efficientpose-rt", "tfpose")
"""A good, a middling and a poor estimator."""
SYSTEMS = ("paper", "adapted", *(f"{kind} {name}" for name in LEFT_OUT for kind in ("own", "pooled")))
PLAIN = {
    f"synthesis.{option}": "0"
    for option in (
        "severity",
        "severity_mean",
        "exchange_rate",
        "displaced_rate",
        "far_miss_rate",
    )
}
"""Without what the recipe adds to the paper's errors; missing keypoints stay, which no profile knows."""
FULL = {"seeds": 1, "epochs": 10, "people": 2000, "images": None}
Gains = dict[str, dict[str, float]]
"""Set -> estimator -> gain in AP."""


def half(annotations: Annotations, which: int, limit: int | None = None) -> Annotations:
    """One half of the photos, or its first few, with their people, by the checksums of the photos' names."""
    chosen = [
        (number, info)
        for number, info in annotations.images.items()
        if zlib.crc32(info.file_name.encode()) % 2 == which
    ]
    images = dict(chosen[:limit])
    rows = np.flatnonzero([number in images for number in annotations.people.image_ids])
    return dataclasses.replace(select_people(annotations, rows), images=images)


def observe(data: Path) -> dict[str, ObservedErrors]:
    """The errors of every estimator on the first halves of both sets."""
    parts: dict[str, list[ObservedErrors]] = {}
    for name, (people, _) in SETS.items():
        truth = half(read_annotations(data / people), 0)
        for file in sorted((data / "predictions" / name).glob("*.json")):
            errors = observe_errors(read_poses(file, truth), truth)
            parts.setdefault(file.name.split(".")[0], []).append(errors.without(errors.never_estimated()))
    return {name: pool(sets) for name, sets in parts.items()}


def write_profiles(observed: Mapping[str, ObservedErrors], folder: Path) -> dict[str, str]:
    """A profile file for each system that has one."""
    make_folder(folder)
    written: dict[str, str] = {}
    for name in LEFT_OUT:
        others = [errors for other, errors in observed.items() if other != name]
        for kind, errors in (("own", observed[name]), ("pooled", pool(others))):
            path = folder / f"{kind}-{name}.json"
            fit_profile(errors, f"{kind} {name}", "Halves of LSP-Extended val and COCO val2017.").write(path)
            written[f"{kind} {name}"] = str(path)
    return written


def measure(model: Path, data: Path, estimators: set[str], images: int | None) -> Gains:
    """Gains of a trained model over some estimators' results on the second halves."""
    refiner = Refiner.from_pretrained(model, caution=RULE_OFF, scores="input")
    gains: Gains = {}
    for name, (people, photos) in SETS.items():
        truth = half(read_annotations(data / people), 1, images)
        files = sorted((data / "predictions" / name).glob("*.json"))
        chosen = {file.name.split(".")[0]: file for file in files if file.name.split(".")[0] in estimators}
        gains[name] = {
            estimator: gain(refiner, file, truth, data / photos) for estimator, file in chosen.items()
        }
    return gains


def run_system(system: str, seed: int, profiles: Mapping[str, str], arguments: argparse.Namespace) -> Gains:
    """Train a system with a seed unless that is done already, and measure."""
    folder = arguments.output / f"{system.replace(' ', '-')}-{seed}"
    settings = {
        "data.root": json.dumps(str(arguments.data)),
        "data.error_profile": json.dumps(profiles.get(system, "paper")),
        "data.limit": str(arguments.people),
        "data.validation_annotations": '""',
        "data.validation_images": '""',
        "data.validation_results": "[]",
        "data.validation_layouts": "[]",
        "optimiser.epochs": str(arguments.epochs),
        "seed": str(seed),
    }
    settings |= {} if system == "adapted" else PLAIN
    train_once(load_recipe(RECIPE, settings), folder, on_epoch=print)
    name = system.split(" ", 1)[-1]
    return measure(folder, arguments.data, {name} if name in LEFT_OUT else set(LEFT_OUT), arguments.images)


def summarise(results: Mapping[str, list[Gains]]) -> dict[str, dict[str, list[float]]]:
    """For each set and left-out estimator the gains of all seeds, by system: paper, adapted, own, pooled."""
    summary: dict[str, dict[str, list[float]]] = {}
    for system, runs in results.items():
        for gains in runs:
            for name, by_estimator in gains.items():
                for estimator, value in by_estimator.items():
                    row = summary.setdefault(f"{name}, {estimator}", {})
                    row.setdefault(system.split(" ")[0], []).append(round(value, 4))
    return summary


def table(summary: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Mean gain and its standard deviation over seeds, in points of AP."""
    kinds = list(dict.fromkeys(kind for row in summary.values() for kind in row))
    lines = [f"{'gain in AP':<30}" + "".join(f"{kind:>16}" for kind in kinds)]
    for name, row in summary.items():
        cells = [_with_spread(row[kind]) if kind in row else "-" for kind in kinds]
        lines.append(f"{name:<30}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def _with_spread(gains: list[float]) -> str:
    spread = f" ({100 * np.std(gains):.1f})" if len(gains) > 1 else ""
    return f"{100 * np.mean(gains):+.1f}{spread}"


def main() -> None:
    """Measure profiles, train, refine, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=FULL["seeds"])
    parser.add_argument("--epochs", type=int, default=FULL["epochs"])
    parser.add_argument("--people", type=int, default=FULL["people"])
    parser.add_argument(
        "--images", type=int, default=None, help="refine the first so many photos of each half"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/profile-training"))
    arguments = parser.parse_args()
    environment = describe(["torch", "timm", "onnxruntime"])
    profiles = write_profiles(observe(arguments.data), arguments.output / "profiles")
    results: dict[str, list[Gains]] = {}
    for seed in range(arguments.seeds):
        for system in arguments.systems:
            results.setdefault(system, []).append(run_system(system, seed, profiles, arguments))
            print(table(summarise(results)), flush=True)
    settings: dict[str, Any] = {name: getattr(arguments, name) for name in FULL}
    if settings == FULL and set(results) == set(SYSTEMS):
        print(keep("profile_training", environment, {**settings, "gains": summarise(results)}))


if __name__ == "__main__":
    main()
