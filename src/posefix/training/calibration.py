"""Fitting a model's calibration (`posefix.refine.calibration`) on people held out of its training.

The poses are what the model will meet: estimators' and synthesised ones, poor and good, and what the model made of
them, with the pose and without it, so that a second look knows a refined pose for what it is. Each set counts as much
as any other, however few people it holds.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.files import ensure_writable, read_json, write_text_atomic
from posefix.network.models import DESCRIPTION_FILE, load_model
from posefix.people import PersonRecords
from posefix.pose.poses import BoolArray, FloatArray, Poses, Rows
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.synthesis import SynthesisOptions, synthesize
from posefix.refine.backends import open_backend
from posefix.refine.calibration import (
    FEATURES,
    FULL_STRENGTH,
    OPINION_FEATURES,
    Calibration,
    Regression,
    UsualCompany,
    check_strengths,
    multiplied,
)
from posefix.refine.company import contradiction_of
from posefix.refine.refiner import Refiner
from posefix.skeletons import Skeleton
from posefix.training.config import TrainConfig
from posefix.training.recipe_people import load_sets
from posefix.training.regression import fit_regression
from posefix.training.trained import check_unseen
from posefix.training.trials import Examples, GivenPoses, Trial, join, try_starts, usual_company

RIGHT = 0.5
"""A keypoint is right if its similarity to the truth is above this."""
IMPROVEMENTS = (0.4, 0.75)
"""How far all poses of an estimator are brought to the truth, to stand for better estimators: the regressions must meet
companies whose poses are all good."""
GAIN = 0.02
"""In worth: an estimator that gains less has nothing to gain."""
HARM = 6.0
"""What a person loses by being looked for elsewhere counts so many times what another one wins."""

OnPass = Callable[[str], None]
"""Called with a line about each pass of the network over the people."""


def calibrate(
    config: TrainConfig,
    folder: Path,
    *,
    strengths: tuple[float, float] = FULL_STRENGTH,
    strength_in_crowds: float | None = None,
    share: float = 1.0,
    device: str = "auto",
    on_pass: OnPass | None = None,
) -> None:
    """Fit the calibration of a trained model and write it into its description.

    Args:
        config: The recipe it was trained with; `data.held_out` says which photos it has not seen.
        folder: The model folder.
        strengths: Of the poses in the first and in later looks, see `Calibration`.
        strength_in_crowds: At the first look at people whose boxes overlap; None for no other.
        share: Of the held-out photos, for each estimator another draw of them: less takes less time.
        device: As in `posefix.refine.backends.open_backend`.
        on_pass: Called with a line about each pass.

    Raises:
        InputError: No photos are held out, or some that the model was trained on; or it does not fit the recipe's data.
    """
    if not any(config.data.held_out):
        raise InputError(
            f"{config.name}: data.held_out is empty: a model can only be calibrated on photos held out of its training"
        )
    in_crowds = strengths[0] if strength_in_crowds is None else strength_in_crowds
    check_strengths(strengths, in_crowds)
    if not 0 < share <= 1:
        raise InputError(f"share: expected a number above 0 and at most 1, got {share}")
    model = load_model(folder)
    check_unseen(config, model.folder)
    ensure_writable(folder / DESCRIPTION_FILE)
    sets = load_sets(config, model.skeleton, held=True)
    refiner = Refiner(open_backend(model, device=device), model.skeleton, model.input_size_wh)
    trials: list[list[Trial]] = []
    for number, records in enumerate(sets):
        if len(records) == 0:
            continue
        part = []
        for given in drawn_poses(records, model.skeleton, config, share):
            if on_pass is not None:
                on_pass(
                    f"{config.data.annotations[number]}, {given.name}: {plural(len(given.poses), 'pose')}"
                )
            part.append(try_starts(refiner, given, records, strengths, in_crowds))
        trials.append(part)
    trials = telling(trials)
    if not trials:
        raise InputError(
            f"{config.name}: nobody can be seen in the photos held out; hold out more, or try a larger share of them"
        )
    usual = usual_company([trial.poses() for part in trials for trial in part])
    trials = [[trial.in_calls(usual) for trial in part] for part in trials]
    calibration = fit([join([trial.examples() for trial in part]) for part in trials], usual)
    calibration = dataclasses.replace(
        calibration,
        elsewhere=fit_elsewhere(trials, calibration),
        # Sets differ in what is to be gained; this is for estimators who gain nothing in one of them.
        trusted=max(fit_trust(part, calibration) for part in trials),
        strengths=strengths,
        strength_in_crowds=in_crowds,
    )
    description = read_json(folder / DESCRIPTION_FILE) | {"calibration": calibration.as_dict()}
    write_text_atomic(folder / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")


def telling(trials: Sequence[Sequence[Trial]]) -> list[list[Trial]]:
    """Each set's trials in which the network saw somebody, and the sets that have one: of others nothing has a mean."""
    kept = [[trial for trial in part if trial.given.look.seen.any()] for part in trials]
    return [part for part in kept if part]


def drawn_poses(
    records: PersonRecords, skeleton: Skeleton, config: TrainConfig, share: float
) -> list[GivenPoses]:
    """`given_poses` in a share of the photos, of each kind in others, so that all photos have their part."""
    generator = np.random.default_rng(config.seed)
    photos = list(dict.fromkeys(records.images))
    parts = []
    for given in given_poses(records, skeleton, config):
        count = max(round(share * len(photos)), 1)
        chosen = {photos[place] for place in generator.permutation(len(photos))[:count]}
        kept = np.array([records.images[row] in chosen for row in given.rows], dtype=bool)
        if kept.any():
            parts.append(GivenPoses(given.name, given.kind, given.poses[kept], given.rows[kept]))
    return parts


def given_poses(records: PersonRecords, skeleton: Skeleton, config: TrainConfig) -> list[GivenPoses]:
    """Poses of held-out people to be refined.

    Each estimator's as they are and improved (`IMPROVEMENTS`), since those that the model will meet may be far better;
    synthesised ones as the recipe says and with the paper's plain errors, which leave most keypoints right.
    """
    profile = load_error_profile(config.data.error_profile)
    generator = np.random.default_rng(config.seed)
    everyone: Rows = np.arange(len(records))
    parts = []
    for number in range(records.estimates.shape[1]):
        rows: Rows = np.flatnonzero(records.estimated[:, number].any(axis=1))
        valid, found = records.estimated[rows, number], records.estimates[rows, number]
        name = f"estimator {number + 1}"
        parts.append(GivenPoses(name, "real", _as_poses(found, valid, records, rows, skeleton), rows))
        for share in IMPROVEMENTS:
            way = np.where(records.labelled[rows], share, 0.0)[..., None] * (records.keypoints[rows] - found)
            better = _as_poses(found + way, valid, records, rows, skeleton)
            parts.append(GivenPoses(f"{name}, {share:.0%} improved", "improved", better, rows))
    for name, options in (("synthesised", config.synthesis), ("plainly synthesised", SynthesisOptions())):
        wrong = synthesize(records.people(everyone), skeleton, profile, generator, options)
        made = _as_poses(wrong.keypoints, wrong.present, records, everyone, skeleton)
        parts.append(GivenPoses(name, "synthesised", made, everyone))
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


def fit(sets: list[Examples], usual: UsualCompany) -> Calibration:
    """A calibration by its regressions of keypoints, each set of equal weight.

    It prefers nothing that is found elsewhere, and trusts nobody.
    """
    examples = join(sets)
    there, absent = examples.labelled & examples.given, examples.labelled & ~examples.given
    weights = np.concatenate(
        [part.importance[:, None] * part.labelled / max(int(part.labelled.sum()), 1) for part in sets]
    )
    refined, kept = examples.refined, examples.kept

    def regression(targets: FloatArray | BoolArray, mask: BoolArray) -> Regression:
        return fit_regression(
            examples.features, targets, np.where(mask, weights, 0.0), products=multiplied(FEATURES)
        )

    return Calibration(
        refined_similarity=regression(refined, there),
        refined_right=regression(refined > RIGHT, there),
        given_similarity=regression(kept, there),
        given_right=regression(kept > RIGHT, there),
        filled_similarity=regression(refined, absent),
        filled_right=regression(refined > RIGHT, absent),
        elsewhere=Regression(np.full(1, -np.inf), np.zeros(len(OPINION_FEATURES))),
        usual=usual,
        trusted=0.0,
    )


def fit_elsewhere(sets: list[list[Trial]], calibration: Calibration) -> Regression:
    """When to prefer what is found elsewhere: where it was the better pose, by how much it was.

    Each set is of equal weight. What a person loses counts `HARM` times what another one wins.
    """
    features, better, importance = [], [], []
    for trials in sets:
        for trial in trials:
            seen, gain = trial.opinions(calibration)
            features.append(seen)
            better.append(gain > 0)
            people = sum(len(other.given.truth) for other in trials)
            importance.append(np.where(gain > 0, gain, -HARM * gain) / people)
    return fit_regression(
        np.concatenate(features),
        np.concatenate(better)[:, None],
        np.concatenate(importance)[:, None],
        products=len(OPINION_FEATURES),
    )


def fit_trust(trials: Sequence[Trial], calibration: Calibration) -> float:
    """`Calibration.trusted`: between estimators with nothing to gain and the least contradicted of those with some.

    It is 0 where the photo contradicts none of the former less than all of the latter.
    """
    estimators = [trial for trial in trials if trial.kind == "real"]
    contradiction = np.array(
        [contradiction_of(trial.poses().mean(axis=0)) for trial in estimators], dtype=np.float64
    )
    gain = np.array([trial.gain(calibration) for trial in estimators], dtype=np.float64)
    least = contradiction[gain >= GAIN].min(initial=1.0)
    known = contradiction[(gain < GAIN) & (contradiction < least)]
    return float(np.sqrt(known.max() * least)) if known.size else 0.0
