"""What happens to poses of known truth: looks at them from three starts, of which a calibration is fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from posefix.people import PersonRecords
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses, Rows
from posefix.pose.similarity import falloff
from posefix.refine.again import SETTLED
from posefix.refine.calibration import Calibration, UsualCompany
from posefix.refine.company import Company
from posefix.refine.elsewhere import elsewhere, measure_opinions
from posefix.refine.features import measure_features, measure_poses
from posefix.refine.identity import Neighbours
from posefix.refine.judge import Choice, judge
from posefix.refine.look import Look
from posefix.refine.refiner import Refiner

OKS_THRESHOLDS = np.arange(0.5, 1.0, 0.05)
"""Of AP."""
SOFTNESS = 0.03
"""Difference in OKS from a threshold at which a pose counts 73 % or 27 %."""
LARGEST_CALL = 512
"""People who are refined together, as far as the company's means go on getting more exact."""
LEAST_SHARE = 1e-3
"""Estimators are taken to differ by at least this share of how much people do, so that no mean is believed blindly."""
TINY = 1e-12

IMPROVED_IMPORTANCE = 0.2
"""Of estimators' improved poses, beside 1 of their own: each stands there with more than one improvement, and most
estimators are no better than those that are known."""
REFINED_IMPORTANCE = 0.3
"""Of a refined pose that is looked at again, beside 1 of a given one: most decisions are about the latter."""


Kind = Literal["real", "improved", "synthesised"]


@dataclass(frozen=True)
class GivenPoses:
    """Poses of held-out people to be refined.

    Attributes:
        name: For whoever waits.
        kind: An estimator's own, these brought nearer to the truth, or synthesised.
        poses: N of them.
        rows: (N,) the record that each is of.
    """

    name: str
    kind: Kind
    poses: Poses
    rows: Rows


@dataclass(frozen=True)
class Examples:
    """N poses, K keypoints each, and how similar their places are to the truth.

    Attributes:
        features: (N, K, F), see `measure_features`.
        given: (N, K) bool, keypoints that the pose had.
        labelled: (N, K) bool, keypoints whose truth is known.
        refined: (N, K) KS of the network's place.
        kept: (N, K) KS of the given place.
        importance: (N,) how much each pose counts.
    """

    features: FloatArray
    given: BoolArray
    labelled: BoolArray
    refined: FloatArray
    kept: FloatArray
    importance: FloatArray


@dataclass(frozen=True)
class Attempt:
    """N poses that the network looked at, and the truth.

    Attributes:
        look: What the network said.
        neighbours: Who may be taken for whom.
        truth: (N, K, 2) true places in original-image pixels.
        labelled: (N, K) bool, keypoints whose truth is known, of people whom the network saw.
        reach: (N, K) distance at which KS is 1/e, pixels.
        company: Of each person at the first look.
    """

    look: Look
    neighbours: Neighbours
    truth: FloatArray
    labelled: BoolArray
    reach: FloatArray
    company: Company

    def examples(self, importance: float) -> Examples:
        """What the regressions of keypoints are fitted on, each pose of this importance."""
        return Examples(
            measure_features(self.look, self.company.means),
            self.look.people.valid,
            self.labelled,
            self._similarity(self.look.evidence.keypoints),
            self._similarity(self.look.people.keypoints),
            np.full(len(self.truth), importance),
        )

    def judged(self, calibration: Calibration) -> Choice:
        """What would become of the poses."""
        return judge(self.look, self.company, calibration, caution=0.0)

    def worth(self, places: FloatArray) -> FloatArray:
        """What each person's places (N, K, 2) are worth (N,) in AP: the share of its thresholds that OKS is above.

        Thresholds are softened by `SOFTNESS`. Mean KS would count what is won for hopeless poses, and AP never sees.
        """
        similarity = np.where(self.labelled, self._similarity(places), 0.0)
        oks = similarity.sum(axis=1) / np.maximum(self.labelled.sum(axis=1), 1)
        return np.asarray((1 / (1 + np.exp((OKS_THRESHOLDS - oks[:, None]) / SOFTNESS))).mean(axis=1))

    def _similarity(self, places: FloatArray) -> FloatArray:
        """KS (N, K) of places (N, K, 2) in original-image pixels."""
        return np.asarray(np.exp(-(((places - self.truth) / self.reach[..., None]) ** 2).sum(axis=-1)))


@dataclass(frozen=True)
class Trial:
    """Attempts at the same people from three starts.

    Attributes:
        given: The given poses.
        refined: What the network made of them.
        alone: What it sees without any pose.
        kind: Of the given poses.
        measured: (N, M) what regressions see of the given poses, see `measure_poses`.
    """

    given: Attempt
    refined: Attempt
    alone: Attempt
    kind: Kind
    measured: FloatArray

    def poses(self) -> FloatArray:
        """What regressions see of the given poses of the n people whom the network saw, (n, M)."""
        return self.measured[self.given.look.seen]

    def in_calls(self, usual: UsualCompany) -> Trial:
        """The same with people who are refined in calls of many sizes."""
        company = companies(self.measured, self.given.look.seen, draw_calls(len(self.measured)), usual)
        given, refined, alone = (
            dataclasses.replace(attempt, company=company)
            for attempt in (self.given, self.refined, self.alone)
        )
        return dataclasses.replace(self, given=given, refined=refined, alone=alone)

    def gain(self, calibration: Calibration) -> float:
        """Mean gain in worth of the given poses at the first look."""
        given = self.given
        worth = given.worth(given.judged(calibration).keypoints) - given.worth(given.look.people.keypoints)
        return float(worth[given.look.seen].mean())

    def examples(self) -> Examples:
        """What the regressions of keypoints learn from; with `alone` among it, confidences come out too low."""
        importance = IMPROVED_IMPORTANCE if self.kind == "improved" else 1.0
        parts = self.given.examples(importance), self.refined.examples(REFINED_IMPORTANCE * importance)
        return join(list(parts))

    def opinions(self, calibration: Calibration) -> tuple[FloatArray, FloatArray]:
        """Of the n people whom the photo alone shows elsewhere what `measure_opinions` sees, (n, 1, F), and the gain.

        The gain (n,) in worth is that of what is found there over what was chosen.
        """
        first, found = self.given.look, self.alone.judged(calibration)
        choice = self.given.judged(calibration)
        changed = first.people.agreement(choice.keypoints) < SETTLED
        choice.take(self.refined.judged(calibration).among(changed))
        places = elsewhere(first, choice, self.given.neighbours).rows
        gain = self.alone.worth(found.keypoints) - self.given.worth(choice.keypoints)
        there, found = self.alone.look.of(places), found.of(places)
        return measure_opinions(choice, first, there, found, self.given.neighbours), gain[places]


def try_starts(
    refiner: Refiner,
    given: GivenPoses,
    records: PersonRecords,
    strengths: tuple[float, float],
    in_crowds: float,
) -> Trial:
    """Look at the poses as they are, as the network made them, and as it sees them without any; each person alone.

    Args:
        refiner: With the network.
        given: The poses.
        records: People whom they are of.
        strengths: As of `Calibration`.
        in_crowds: `Calibration.strength_in_crowds`.
    """
    poses, rows = given.poses, given.rows
    photos: dict[ImageId, Path] = {str(path): path for path in records.images}
    area = records.area[rows].astype(np.float64)[:, None]
    truth = records.keypoints[rows].astype(np.float64)
    reach = falloff(area, refiner.skeleton.sigmas)
    at_first, later = strengths
    look, neighbours = refiner.examine(poses, photos, strength=at_first, in_crowds=in_crowds)
    measured = measure_poses(look)
    company = Company(measured)

    def attempt(look: Look, neighbours: Neighbours) -> Attempt:
        return Attempt(look, neighbours, truth, records.labelled[rows] & look.seen[:, None], reach, company)

    def again(keypoints: FloatArray) -> Attempt:
        start = poses.with_keypoints(keypoints, valid=poses.valid | look.seen[:, None])
        return attempt(*refiner.examine(start, photos, strength=later))

    return Trial(
        attempt(look, neighbours),
        again(look.evidence.keypoints),
        again(look.alone.keypoints),
        given.kind,
        measured,
    )


def usual_company(estimators: Sequence[FloatArray]) -> UsualCompany:
    """What is common to estimators.

    The number of people that outweighs what is expected is the ratio of how much people of one estimator differ and how
    much estimators do, as in an analysis of variance.

    Args:
        estimators: Of each of them the means (n, M) of what regressions see of n people's poses.
    """
    means = np.array([people.mean(axis=0) for people in estimators])
    within = np.mean([people.var(axis=0) for people in estimators], axis=0)
    by_chance = within * np.mean([1 / len(people) for people in estimators])
    between = np.maximum(means.var(axis=0) - by_chance, LEAST_SHARE * within)
    return UsualCompany(means.mean(axis=0), np.maximum(within, TINY) / np.maximum(between, TINY))


def companies(poses: FloatArray, seen: BoolArray, calls: Rows, usual: UsualCompany) -> Company:
    """Of each person the company of those who are refined in the same call, nothing held back.

    Args:
        poses: (N, M) what regressions see of N people's poses.
        seen: (N,) whom the network saw; the others are in nobody's company, and their own is 0.
        calls: (N,) number of each person's call.
        usual: What is expected of an estimator beforehand.
    """
    means = np.zeros_like(poses)
    for call in np.unique(calls[seen]):
        together = seen & (calls == call)
        means[together] = usual.with_people(poses[together].mean(axis=0), int(together.sum()))
    return Company(means)


def draw_calls(count: int) -> Rows:
    """Number (N,) of the call that each person is refined in: calls of 1, 2, 4 ... `LARGEST_CALL` people by turns.

    A regression that had only seen files of hundreds of people would believe the company of a single photo too much.
    """
    turn = 2 ** np.arange(int(np.log2(LARGEST_CALL)) + 1)
    sizes = np.tile(turn, count // int(turn.sum()) + 1)
    calls = np.repeat(np.arange(len(sizes)), sizes)[:count]
    return np.random.default_rng(count).permutation(calls)


def join(parts: list[Examples]) -> Examples:
    """Several examples as one."""
    fields = [field.name for field in dataclasses.fields(Examples)]
    return Examples(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))
