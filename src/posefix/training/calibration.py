"""Fitting a model's calibration (`posefix.refine.calibration`) on people held out of its training.

The poses are what the model will meet: estimators' and synthesised ones, poor and good, and what the model made of
them, with the pose and without it, so that a second look knows a refined pose for what it is. Each set counts as much
as any other, however few people it holds.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from posefix.error_profile import load_error_profile
from posefix.errors import InputError
from posefix.files import ensure_writable, read_json, write_text_atomic
from posefix.models import DESCRIPTION_FILE, load_model
from posefix.people import PersonRecords
from posefix.poses import ImageId, Poses
from posefix.refine.backends import open_backend
from posefix.refine.calibration import PERSON_FEATURES, Calibration, Regression
from posefix.refine.decision import choose, measure_features
from posefix.refine.refiner import Refiner
from posefix.refine.second_opinion import Look, measure_contradiction
from posefix.refine.vocabulary import BoolArray, FloatArray, People
from posefix.similarity import falloff
from posefix.skeletons import Skeleton
from posefix.synthesis import SynthesisOptions, synthesize
from posefix.training.config import TrainConfig
from posefix.training.datasets import improve
from posefix.training.run import load_sets

RIGHT = 0.5
"""A keypoint is right if its similarity to the truth is above this."""
DISTRUST = -3.0
"""Log odds from which trust in the given place is learnt: half way to one that is far off, KS is flat."""
RIDGE = 1e-3
"""Penalty on the squared weights; it matters only where a keypoint has few examples."""

Rows = npt.NDArray[np.int64]
OnPass = Callable[[str], None]
"""Called with a line about each pass of the network over the people."""


@dataclass(frozen=True)
class Examples:
    """N poses, K keypoints each, and where their places are from the truth.

    Attributes:
        features: (N, K, F), see `measure_features`.
        given: (N, K) bool, keypoints that the pose had.
        labelled: (N, K) bool, keypoints whose truth is known.
        refined: (N, K, 2) from the truth to the network's place, in units of the distance at which KS is 1/e.
        kept: (N, K, 2) from the truth to the given place.
    """

    features: FloatArray
    given: BoolArray
    labelled: BoolArray
    refined: FloatArray
    kept: FloatArray


@dataclass(frozen=True)
class Attempt:
    """N poses that the network looked at, and the truth.

    Attributes:
        people: As they were given.
        look: What the network said.
        truth: (N, K, 2) true places in original-image pixels.
        labelled: (N, K) bool, keypoints whose truth is known, of people whom the network saw.
        reach: (N, K) distance at which KS is 1/e, pixels.
    """

    people: People
    look: Look
    truth: FloatArray
    labelled: BoolArray
    reach: FloatArray

    def examples(self) -> Examples:
        """What the regressions of keypoints are fitted on."""
        return Examples(
            measure_features(self.look.evidence, self.people),
            self.people.valid,
            self.labelled,
            self._offsets(self.look.evidence.keypoints),
            self._offsets(self.people.keypoints),
        )

    def mean_similarity(self, calibration: Calibration) -> FloatArray:
        """Mean KS (N,) of what would become of the labelled keypoints; 0 for people without."""
        choice = choose(self.look.evidence, self.people, calibration, caution=0.0)
        similarity = np.where(self.labelled, _similarity(self._offsets(choice.keypoints)), 0.0)
        return np.asarray(similarity.sum(axis=1) / np.maximum(self.labelled.sum(axis=1), 1))

    def _offsets(self, places: FloatArray) -> FloatArray:
        return np.asarray((places - self.truth) / self.reach[..., None])


@dataclass(frozen=True)
class Trial:
    """Attempts at the same people from three starts.

    Attributes:
        given: The given poses.
        refined: What the network made of them.
        anew: What it sees without any pose.
    """

    given: Attempt
    refined: Attempt
    anew: Attempt

    def attempts(self) -> tuple[Attempt, ...]:
        """All three."""
        return self.given, self.refined, self.anew


def calibrate(
    config: TrainConfig, folder: Path, *, device: str = "auto", on_pass: OnPass | None = None
) -> None:
    """Fit the calibration of a trained model and write it into its description.

    Args:
        config: The recipe it was trained with; `data.held_out` says which photos it has not seen.
        folder: The model folder.
        device: As in `posefix.refine.backends.open_backend`.
        on_pass: Called with a line about each pass.

    Raises:
        InputError: No photos are held out, or the model does not fit the recipe's data.
    """
    if not any(config.data.held_out):
        raise InputError(
            f"{config.name}: data.held_out is empty: a model can only be calibrated on photos held out of its training"
        )
    model = load_model(folder)
    ensure_writable(folder / DESCRIPTION_FILE)
    sets = load_sets(config, model.skeleton, held=True)
    refiner = Refiner(open_backend(model, device=device), model.skeleton, model.input_size_wh)
    trials: list[list[Trial]] = []
    for number, records in enumerate(sets):
        if len(records) == 0:
            continue
        trials.append([])
        for name, poses, rows in given_poses(records, model.skeleton, config):
            if on_pass is not None:
                on_pass(f"{config.data.annotations[number]}, {name}: {len(poses)} poses")
            trials[-1].append(try_starts(refiner, poses, records, rows))
    calibration = fit(
        [join([attempt.examples() for trial in part for attempt in trial.attempts()]) for part in trials]
    )
    calibration = dataclasses.replace(calibration, anew=fit_anew(trials, calibration))
    description = read_json(folder / DESCRIPTION_FILE) | {"calibration": calibration.as_dict()}
    write_text_atomic(folder / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")


def given_poses(
    records: PersonRecords, skeleton: Skeleton, config: TrainConfig
) -> list[tuple[str, Poses, Rows]]:
    """Poses of held-out people to be refined: name, poses, and the record that each is of.

    Each estimator's as they are and improved, since those that the model will meet may be far better; synthesised ones
    as the recipe says and with the paper's plain errors, which leave most keypoints right.
    """
    profile = load_error_profile(config.data.error_profile)
    generator = np.random.default_rng(config.seed)
    everyone: Rows = np.arange(len(records))
    parts = []
    for number in range(records.estimates.shape[1]):
        rows: Rows = np.flatnonzero(records.estimated[:, number].any(axis=1))
        valid, found = records.estimated[rows, number], records.estimates[rows, number]
        better = improve(found, records.keypoints[rows], records.labelled[rows], 1.0, generator)
        for name, keypoints in (
            (f"estimator {number + 1}", found),
            (f"estimator {number + 1} improved", better),
        ):
            parts.append((name, _as_poses(keypoints, valid, records, rows, skeleton), rows))
    for name, options in (("synthesised", config.synthesis), ("plainly synthesised", SynthesisOptions())):
        wrong = synthesize(records.people(everyone), skeleton, profile, generator, options)
        parts.append((name, _as_poses(wrong.keypoints, wrong.present, records, everyone, skeleton), everyone))
    return parts


def _as_poses(
    keypoints: npt.NDArray[Any], valid: BoolArray, records: PersonRecords, rows: Rows, skeleton: Skeleton
) -> Poses:
    return Poses(
        keypoints=keypoints,
        scores=np.ones(valid.shape),
        valid=valid,
        image_ids=tuple(str(records.images[row]) for row in rows),
        pose_scores=np.ones(len(rows)),
        skeleton=skeleton,
    )


def try_starts(refiner: Refiner, poses: Poses, records: PersonRecords, rows: Rows) -> Trial:
    """Look at the poses as they are, as the network made them, and as it sees them without any."""
    photos: dict[ImageId, Path] = {str(path): path for path in records.images}
    area = records.area[rows].astype(np.float64)[:, None]
    truth = records.keypoints[rows].astype(np.float64)
    reach = falloff(area, refiner.skeleton.sigmas)

    def attempt(given: Poses, *, alone: bool = False) -> Attempt:
        people, look = refiner.examine(given, photos, alone=alone)
        return Attempt(people, look, truth, records.labelled[rows] & look.seen[:, None], reach)

    first = attempt(poses, alone=True)
    everywhere = poses.valid | first.look.seen[:, None]
    return Trial(
        first,
        attempt(poses.with_keypoints(first.look.evidence.keypoints, valid=everywhere)),
        attempt(poses.with_keypoints(first.look.alone.keypoints, valid=everywhere)),
    )


def join(parts: list[Examples]) -> Examples:
    """Several examples as one."""
    fields = [field.name for field in dataclasses.fields(Examples)]
    return Examples(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def fit(sets: list[Examples]) -> Calibration:
    """The regressions of a calibration for keypoints, each set of equal weight; `anew` is left for `fit_anew`."""
    examples = join(sets)
    there, absent = examples.labelled & examples.given, examples.labelled & ~examples.given
    weights = np.concatenate(
        [np.full(part.labelled.shape, 1 / max(int(part.labelled.sum()), 1)) for part in sets]
    )
    trust = fit_trust(examples, np.where(there, weights, 0.0))
    share = np.where(examples.given, trust(examples.features), 0.0)[..., None]
    refined = _similarity(examples.refined + share * (examples.kept - examples.refined))
    kept = _similarity(examples.kept)

    def regression(targets: FloatArray | BoolArray, mask: BoolArray) -> Regression:
        return fit_regression(examples.features, targets, np.where(mask, weights, 0.0))

    return Calibration(
        trust=trust,
        refined_similarity=regression(refined, there),
        refined_right=regression(refined > RIGHT, there),
        given_similarity=regression(kept, there),
        given_right=regression(kept > RIGHT, there),
        filled_similarity=regression(refined, absent),
        filled_right=regression(refined > RIGHT, absent),
        anew=Regression(np.zeros(1), np.zeros(len(PERSON_FEATURES))),
    )


def fit_anew(sets: list[list[Trial]], calibration: Calibration) -> Regression:
    """When to look for a person anew: where that made the better pose, by how much it did, each set of equal weight."""
    features, better, importance = [], [], []
    for trials in sets:
        gain = np.concatenate(
            [
                trial.anew.mean_similarity(calibration) - trial.given.mean_similarity(calibration)
                for trial in trials
            ]
        )
        features += [measure_contradiction(trial.given.look, trial.given.people) for trial in trials]
        better.append(gain > 0)
        importance.append(np.abs(gain) / len(gain))
    return fit_regression(
        np.concatenate(features), np.concatenate(better)[:, None], np.concatenate(importance)[:, None]
    )


def _similarity(offsets: FloatArray) -> FloatArray:
    """KS (...) of places at offsets (..., 2) from the truth."""
    return np.asarray(np.exp(-(offsets**2).sum(axis=-1)))


def fit_trust(examples: Examples, importance: FloatArray) -> Regression:
    """The share of the way back to the given place that makes the mean KS largest.

    Args:
        examples: N poses.
        importance: (N, K) weight of each example in any unit, 0 for those to leave out.
    """
    mask = importance > 0
    refined, kept = torch.as_tensor(examples.refined[mask]), torch.as_tensor(examples.kept[mask])

    def objective(logits: Tensor, share: Tensor) -> Tensor:
        places = refined + torch.sigmoid(logits)[:, None] * (kept - refined)
        return -(share * torch.exp(-(places**2).sum(dim=-1))).sum()

    return _minimize(objective, examples.features, importance, start=DISTRUST)


def fit_regression(
    features: FloatArray, targets: FloatArray | BoolArray, importance: FloatArray
) -> Regression:
    """Logistic regression by maximum likelihood; targets may lie between 0 and 1.

    Args:
        features: (N, K, F).
        targets: (N, K).
        importance: (N, K) weight of each example in any unit, 0 for those to leave out.
    """
    wanted = torch.as_tensor(targets[importance > 0].astype(np.float64))

    def objective(logits: Tensor, share: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, wanted, share, reduction="sum")

    return _minimize(objective, features, importance)


def _minimize(
    objective: Callable[[Tensor, Tensor], Tensor],
    features: FloatArray,
    importance: FloatArray,
    start: float = 0.0,
) -> Regression:
    """The regression whose log odds (n,) of the n examples of some importance make an objective smallest.

    Args:
        objective: Called with the log odds and each example's share of all importance.
        features: (N, K, F).
        importance: (N, K).
        start: Biases to start from.
    """
    mask = importance > 0
    bias = torch.full(mask.shape[1:], start, dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(features.shape[2], dtype=torch.float64, requires_grad=True)
    if mask.any():
        keypoint, inputs = torch.as_tensor(np.nonzero(mask)[1]), torch.as_tensor(features[mask])
        share = torch.as_tensor(importance[mask] / importance[mask].sum())
        optimiser = torch.optim.LBFGS([bias, weights], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            penalty = RIDGE * ((weights**2).sum() + (bias**2).sum() / len(bias))
            value = objective(inputs @ weights + bias[keypoint], share) + penalty
            value.backward()
            return value

        optimiser.step(loss)
    return Regression(bias.detach().numpy(), weights.detach().numpy())
