"""Fourth step, keep or move: the network's evidence for its place weighed against the place that was given.

The heatmap's own belief is too sure of itself, and knows nothing of how good the other keypoints of the pose look. A
calibration, fitted on people held out of training, maps the evidence to two numbers by logistic regression: the
expected keypoint similarity (KS) of a place to the truth, by which the refined or the given one is chosen, and the
probability that its KS is above .5, which is the keypoint's confidence.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from posefix.network.decoding import Evidence
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Rows
from posefix.refine.calibration import Calibration
from posefix.refine.company import Company
from posefix.refine.features import measure_features
from posefix.refine.look import Look

ALWAYS, NEVER = -1.0, 1.0
"""At this caution every keypoint goes to the network's own place, and none moves."""


@dataclass(frozen=True)
class Choice:
    """What becomes of each keypoint of N people, K keypoints of the model.

    Attributes:
        rows: (N,) which of the poses they are.
        seen: (N,) whom the network saw; what is chosen for the others means nothing.
        keypoints: (N, K, 2) the refined place, or the given one where that is better; original-image pixels.
        confidence: (N, K) probability that KS to the truth is above .5; NaN without a calibration.
        expected_similarity: (N, K) expected KS to the truth; NaN without a calibration.
        reserve: Gain in KS beyond the caution that a move had to promise, see `Company`.
        calibrated: Whether there was a calibration; without one confidence and expected KS take no memory and are not
            to be written to.
    """

    rows: Rows
    seen: BoolArray
    keypoints: FloatArray
    confidence: FloatArray
    expected_similarity: FloatArray
    reserve: float
    calibrated: bool

    def of(self, places: Rows) -> Choice:
        """That of some of the people, by their places among these."""
        return dataclasses.replace(
            self,
            rows=self.rows[places],
            seen=self.seen[places],
            keypoints=self.keypoints[places],
            confidence=self.confidence[places],
            expected_similarity=self.expected_similarity[places],
        )

    def among(self, people: BoolArray) -> Choice:
        """That of some of the people only (N,), as if the network had not seen the others."""
        return dataclasses.replace(self, seen=self.seen & people)

    def take(self, later: Choice) -> None:
        """Replace what was chosen for all poses by a later choice, for the people whom the network saw then."""
        rows = later.rows[later.seen]
        self.keypoints[rows] = later.keypoints[later.seen]
        if self.calibrated:
            self.confidence[rows] = later.confidence[later.seen]
            self.expected_similarity[rows] = later.expected_similarity[later.seen]


def judge(look: Look, company: Company, calibration: Calibration | None, caution: float) -> Choice:
    """Decide for each keypoint.

    Args:
        look: At N people, with their pose and, for a calibration, with it withheld.
        company: What is known of the estimator. Its reserve is added to the caution, but for keypoints far off the
            rest of their pose.
        calibration: Of the model; without one the heatmap's own expected KS is compared.
        caution: Smallest expected gain in KS that a move must bring; `ALWAYS` takes the network's own places, `NEVER`
            only where none was given.
    """
    reserve, means, people = company.reserve, company.means_of(len(look.seen)), look.people
    if not ALWAYS < caution < NEVER:
        # Rounding can put a gain on or beyond the ends of its scale, where caution means never and always.
        caution, reserve = np.inf * caution, 0.0
    keypoints, calibrated = people.keypoints.copy(), calibration is not None
    confidence, similarity = (_numbers(people.valid.shape, calibrated) for _ in range(2))
    for places, part in look.parts():
        given = part.people
        # A keypoint far off the rest of its pose is no estimator's considered place: nothing speaks for keeping it.
        held = np.where(geometry.far_off(given.keypoints, given.valid), 0.0, reserve)
        if calibration is None:
            better = _promised_gain(part.evidence) > caution + held
        else:
            features = measure_features(part, means[places], calibration.features)
            better, *numbers = _judge(features, given.valid, calibration, caution + held)
            confidence[places], similarity[places] = numbers
        moved = better | ~given.valid
        keypoints[places] = np.where(moved[..., None], part.evidence.keypoints, given.keypoints)
    return Choice(people.rows, look.seen, keypoints, confidence, similarity, reserve, calibrated)


def _numbers(shape: tuple[int, ...], calibrated: bool) -> FloatArray:
    """Room for what a calibration tells of each keypoint; without one NaN, which takes no memory."""
    return np.zeros(shape) if calibrated else np.broadcast_to(np.float64(np.nan), shape)


def _promised_gain(evidence: Evidence) -> FloatArray:
    """Expected KS (N, K) of the network's place over that of the given one, as the heatmap itself has it."""
    return np.asarray(np.subtract(evidence.similarity, evidence.given_similarity, dtype=np.float64))


def _judge(
    features: FloatArray, given: BoolArray, calibration: Calibration, threshold: FloatArray
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Of which keypoints (N, K) the gain is above the threshold; confidence; expected KS of what is chosen."""
    similarity = calibration.refined_similarity(features)
    kept_similarity = calibration.given_similarity(features)
    better = similarity - kept_similarity > threshold
    right = np.where(better, calibration.refined_right(features), calibration.given_right(features))
    confidence = np.where(given, right, calibration.filled_right(features))
    chosen = np.where(better, similarity, kept_similarity)
    return better, confidence, np.where(given, chosen, calibration.filled_similarity(features))
