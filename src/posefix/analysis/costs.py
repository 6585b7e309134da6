"""What each kind of error costs: AP after it is repaired, alone and one kind after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.pairing import EVERYONE, Pairing
from posefix.analysis.scoring import optimal_scores
from posefix.analysis.statuses import FoundPeople, repaired_places, true_places, with_places
from posefix.evaluation.coco import EvaluatorTruth
from posefix.evaluation.percentages import percent
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import FloatArray, Poses, Rows
from posefix.pose_errors.taxonomy import Status

THRESHOLDS = np.linspace(0.5, 0.95, 10).round(2)
"""The OKS thresholds of COCO's AP."""
RECALLS = np.linspace(0.0, 1.0, 101).round(2)
"""The recalls at which COCO reads precision."""
REPAIR_ORDER = (Status.MISS, Status.SWAP, Status.INVERSION, Status.JITTER)
"""The order in which Ronchi and Perona repair."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Stage:
    """How good results are after some repair.

    Attributes:
        name: what was repaired: input (nothing), miss, swap, inversion, jitter, places (every labelled keypoint of the
            found people put where it is), scores (put in the best order), background (poses on nobody left out; in
            turn, all that show nobody or somebody for the second time), not found (people without a pose left out).
        precision: (T, R) at the OKS `THRESHOLDS` and `RECALLS`.
    """

    name: str
    precision: FloatArray

    @property
    def ap_by_threshold(self) -> FloatArray:
        """(T,): AP at each of `THRESHOLDS`."""
        return np.asarray(self.precision.mean(axis=1))

    @property
    def ap(self) -> float:
        """COCO's AP, the mean over `THRESHOLDS`."""
        return float(self.precision.mean())

    @property
    def ap50(self) -> float:
        """AP at an OKS of .50."""
        return float(self.ap_by_threshold[0])

    @property
    def ap75(self) -> float:
        """AP at an OKS of .75."""
        return float(self.ap_by_threshold[5])

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {
            "name": self.name,
            "AP": self.ap,
            "AP_by_threshold": self.ap_by_threshold.tolist(),
            "precision": self.precision.round(4).tolist(),
        }

    def __str__(self) -> str:
        return f"{self.name}: AP {percent(self.ap)}, AP50 {percent(self.ap50)}, AP75 {percent(self.ap75)}"


@dataclass(frozen=True, eq=False)
class Costs:
    """AP after repairs.

    Attributes:
        alone: each kind of error repaired alone.
        stages: each kind repaired after those before it, beginning with the input; the last one has an AP of 1, but
            where people are annotated on top of each other.
    """

    alone: tuple[Stage, ...]
    stages: tuple[Stage, ...]

    @property
    def input(self) -> Stage:
        """The results as they are."""
        return self.stages[0]

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {
            "thresholds": THRESHOLDS.tolist(),
            "recalls": RECALLS.tolist(),
            "alone": [stage.as_dict() for stage in self.alone],
            "stages": [stage.as_dict() for stage in self.stages],
        }


def measure_costs(
    poses: Poses, truth: GroundTruth, pairing: Pairing, found: FoundPeople, progress: Progress | None = None
) -> Costs:
    """AP after each kind of error is repaired (see `repaired_places`), and after perfect scores and detection.

    Args:
        poses: in pixels of the original photos.
        truth: people in these photos.
        pairing: which pose shows whom.
        found: these people's keypoints.
        progress: called with the number of evaluations that are done and of all.
    """
    course = _Course(poses, truth, found, progress)
    start = course.measure("input", poses)
    alone = [course.repair((error,), start) for error in REPAIR_ORDER]
    stages = [start, alone[0]]
    for number in range(2, len(REPAIR_ORDER) + 1):
        stages.append(course.repair(REPAIR_ORDER[:number], stages[-1]))
    perfect = with_places(poses, found, truth.shared, true_places(found))
    places = course.measure("places", perfect)
    others = np.setdiff1d(np.arange(len(truth.annotations.people)), pairing.not_found)
    only_found = EvaluatorTruth.of(select_people(truth.annotations, others), truth.shared)
    ranked = replace(perfect, pose_scores=optimal_scores(perfect, truth))
    alone += [
        places,
        course.measure("scores", replace(poses, pose_scores=optimal_scores(poses, truth))),
        course.measure("background", poses[np.setdiff1d(np.arange(len(poses)), pairing.background)]),
        course.measure("not found", poses, only_found),
    ]
    stages += [
        places,
        course.measure("scores", ranked),
        course.measure("background", ranked[pairing.poses]),
        course.measure("not found", ranked[pairing.poses], only_found),
    ]
    return Costs(tuple(alone), tuple(stages))


class _Course:
    """Measures one stage after the other."""

    MEASUREMENTS = 15

    def __init__(
        self, poses: Poses, truth: GroundTruth, found: FoundPeople, progress: Progress | None
    ) -> None:
        self.poses, self.truth, self.found, self.progress = poses, truth, found, progress
        self.done = 0

    def repair(self, errors: tuple[Status, ...], before: Stage) -> Stage:
        """The stage named after the last of the errors, all of which are repaired; the others were so before."""
        name = errors[-1].label
        if not (self.found.statuses == errors[-1]).any():
            return self._finish(Stage(name, before.precision))
        places = repaired_places(self.found, errors)
        return self.measure(name, with_places(self.poses, self.found, self.truth.shared, places))

    def measure(self, name: str, poses: Poses, people: EvaluatorTruth | None = None) -> Stage:
        """Precision of poses, on some of the annotated people if given."""
        return self._finish(Stage(name, measure_precision(poses, people or self.truth.evaluator)))

    def _finish(self, stage: Stage) -> Stage:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.MEASUREMENTS)
        return stage


def measure_precision(poses: Poses, truth: EvaluatorTruth) -> FloatArray:
    """Precision (T, R) at the OKS `THRESHOLDS` and `RECALLS`, for people of all sizes; 0 without poses or people."""
    if not len(poses):
        return np.zeros((len(THRESHOLDS), len(RECALLS)))
    evaluator = truth.evaluator(poses)
    evaluator.params.area_rng, evaluator.params.area_rng_lbl = [EVERYONE], ["all"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="hotcoco: kpt_oks_sigmas")
        evaluator.evaluate()
        evaluator.accumulate()
    assert evaluator.eval is not None, "the evaluator has just run"
    precision: FloatArray = evaluator.eval["precision"][:, :, 0, 0, 0]
    return np.asarray(np.maximum(precision, 0.0))


def select_people(annotations: Annotations, rows: Rows) -> Annotations:
    """The annotations of the people of some rows, with all photos."""
    people = annotations.people
    chosen: dict[str, Any] = {}
    for field in fields(people):
        value = getattr(people, field.name)
        if isinstance(value, tuple):
            chosen[field.name] = tuple(value[row] for row in rows)
        elif isinstance(value, np.ndarray):
            chosen[field.name] = value[rows]
    return replace(annotations, people=replace(people, **chosen))
