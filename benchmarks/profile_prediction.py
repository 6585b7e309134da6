"""How well a measured profile predicts the errors of people it was not fitted to, and how much smoothing serves it.

    python -m benchmarks.profile_prediction [--data DIR] [--splits 4]

The people of a set are split into halves at random. A profile fitted to one half gives each keypoint of the other half
a probability of the status it has; the mean of its logarithm is better the higher it is. Compared are the profile of
the estimator itself at several weights of smoothing, that of all other estimators together, and the paper's.

Keeps benchmarks/results/profile_prediction.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from benchmarks.accuracy import SETS, read_poses
from benchmarks.environment import DATA, describe, keep

from posefix.analysis import profile_fitting as fitting
from posefix.analysis.profile_fitting import fit_profile
from posefix.analysis.profile_observation import ObservedErrors, observe_errors, pool
from posefix.formats.coco_annotations import read_annotations
from posefix.pose_errors.profile import ErrorProfile, frequencies, load_error_profile
from posefix.skeletons import load_skeleton

WEIGHTS = (1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
LEAST = 1e-6
"""Probability below which a status counts no worse."""
SEED = 0


def log_likelihood(profile: ErrorProfile, errors: ObservedErrors) -> float:
    """Mean logarithm of the probability of the statuses, in nats per keypoint."""
    skeleton = load_skeleton("posefix19").subset(errors.keypoint_names)
    chances = frequencies(profile, skeleton, errors.num_labelled, errors.overlap) * errors.possible
    chances /= np.maximum(chances.sum(axis=-1, keepdims=True), LEAST)
    seen = np.take_along_axis(chances, np.maximum(errors.statuses, 0)[..., None], axis=-1)[..., 0]
    return float(np.log(np.maximum(seen[errors.statuses >= 0], LEAST)).mean())


def predict(
    estimator: str, observed: dict[str, ObservedErrors], weight: float, halves: list[npt.NDArray[np.int64]]
) -> float:
    """Likelihood of one half under the estimator's profile of the other, mean over the splits."""
    errors = observed[estimator]
    values = []
    with mock.patch.object(fitting, "SMOOTHING", weight):
        for order in halves:
            fit, test = np.array_split(order, 2)
            values.append(
                log_likelihood(fit_profile(errors.take(fit), "half", "").profile, errors.take(test))
            )
    return float(np.mean(values))


def measure_set(data: Path, name: str, splits: int) -> dict[str, Any]:
    """Likelihoods of every estimator's statuses under the profiles."""
    truth = read_annotations(data / SETS[name][0])
    files = sorted((data / "predictions" / name).glob("*.json"))
    observed = {file.name.split(".")[0]: observe_errors(read_poses(file, truth), truth) for file in files}
    generator = np.random.default_rng(SEED)
    measured: dict[str, Any] = {}
    for estimator, errors in observed.items():
        halves = [generator.permutation(len(errors)) for _ in range(splits)]
        others = pool([other for key, other in observed.items() if key != estimator])
        own = {f"{weight:g}": round(predict(estimator, observed, weight, halves), 4) for weight in WEIGHTS}
        measured[estimator] = {
            "paper": round(log_likelihood(load_error_profile(), errors), 4),
            "others": round(log_likelihood(fit_profile(others, "others", "").profile, errors), 4),
            "own, by smoothing": own,
        }
        print(name, estimator, measured[estimator], flush=True)
    return measured


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--splits", type=int, default=4)
    arguments = parser.parse_args()
    environment = describe(["hotcoco"])
    sets = {name: measure_set(arguments.data, name, arguments.splits) for name in SETS}
    for name, measured in sets.items():
        rows = [
            {**row, "own": row["own, by smoothing"][f"{fitting.SMOOTHING:g}"]} for row in measured.values()
        ]
        print(
            name,
            {key: round(float(np.mean([row[key] for row in rows])), 3) for key in ("paper", "others", "own")},
        )
        weights = {
            key: np.mean([row["own, by smoothing"][key] for row in rows])
            for key in rows[0]["own, by smoothing"]
        }
        print(name, {key: round(float(value), 4) for key, value in weights.items()})
    print(keep("profile_prediction", environment, {"splits": arguments.splits, "sets": sets}))


if __name__ == "__main__":
    main()
