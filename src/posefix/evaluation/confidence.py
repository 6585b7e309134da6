"""Do scores mean what they say? Keypoint scores as probabilities of being right, pose scores as expected OKS."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.evaluation.coco import share_keypoints
from posefix.evaluation.matching import Matches, match_people
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose.similarity import keypoint_similarity
from posefix.pose_errors.taxonomy import JITTER_SIMILARITY

NUM_BINS = 15
"""Equal-width bins of the reliability diagram and of the expected calibration error."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Keypoints with scores from `low` up to, but below, `high`; the last bin includes 1.

    Attributes:
        count: how many there are.
        mean_score: their mean score.
        share_right: how many of them are right, 0 to 1.
    """

    low: float
    high: float
    count: int
    mean_score: float
    share_right: float


@dataclass(frozen=True)
class Confidence:
    """How well scores foretell what is right.

    A keypoint is right where its KS to the matched person's label is above .5.

    Attributes:
        keypoints: number of labelled keypoints of matched people that have a score.
        base_rate: share of them that are right.
        calibration_error: expected calibration error: mean difference of mean score and share right over
            `NUM_BINS` (15) equal-width bins, weighted by their counts.
        auroc: probability that a right keypoint has a higher score than a wrong one, ties counted half; None
            where all are right or all are wrong.
        brier: mean squared difference of score and outcome (1 right, 0 wrong).
        base_rate_brier: the Brier score of giving every keypoint the base rate.
        bins: those of the bins that hold keypoints, lowest first.
        people: number of matched people whose pose has a score.
        correlation: Pearson's, between pose score and OKS; None with fewer than two people, or where one of both is
            the same for all.
        oks_error: mean absolute difference of pose score and OKS; None without people.
    """

    keypoints: int
    base_rate: float
    calibration_error: float
    auroc: float | None
    brier: float
    base_rate_brier: float
    bins: tuple[ReliabilityBin, ...]
    people: int
    correlation: float | None
    oks_error: float | None

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {**asdict(self), "bins": [asdict(item) for item in self.bins]}

    def __str__(self) -> str:
        brier = f"Brier score {self.brier:.3f} (base rate's {self.base_rate_brier:.3f})"
        return (
            f"{plural(self.keypoints, 'keypoint')}, {100 * self.base_rate:.1f} % right: calibration error "
            f"{self.calibration_error:.3f}, AUROC {_rounded(self.auroc)}, {brier}; {plural(self.people, 'person')}: "
            "correlation "
            f"with OKS {_rounded(self.correlation)}, mean error {_rounded(self.oks_error)}"
        )


def measure_confidence(
    poses: Poses,
    annotations: Annotations,
    *,
    confidence: FloatArray | None = None,
    expected_oks: FloatArray | None = None,
) -> Confidence:
    """Compare scores with what turned out to be right.

    People are those of `match_people`. Keypoints that are missing, have no label, or whose score is NaN are left out.

    Args:
        poses: in pixels of the original photos.
        annotations: people in these photos.
        confidence: (N, K) in the poses' layout, read instead of `poses.scores`; NaN where there is none.
        expected_oks: (N,) read instead of `poses.pose_scores`; NaN where there is none.

    Raises:
        InputError: if scores have another shape or are outside 0 to 1, no score belongs to a labelled keypoint, or
            `match_people` refuses the poses.
    """
    scores = _probabilities(
        "keypoint scores", poses.scores if confidence is None else confidence, poses.valid
    )
    pose_scores = _probabilities(
        "pose scores",
        poses.pose_scores if expected_oks is None else expected_oks,
        np.ones(len(poses), dtype=bool),
    )
    matches = match_people(poses, annotations)
    said, right = _outcomes(poses, scores, annotations, matches)
    if not len(said):
        raise InputError(
            f"{annotations.path}: expected scores of keypoints that are labelled, got none for {poses!r}; give poses "
            "of the annotated people."
        )
    bins = _reliability(said, right)
    base_rate = float(right.mean())
    expected, found = pose_scores[matches.poses], matches.oks
    scored = ~np.isnan(expected)
    return Confidence(
        keypoints=len(said),
        base_rate=base_rate,
        calibration_error=sum(item.count * abs(item.mean_score - item.share_right) for item in bins)
        / len(said),
        auroc=_auroc(said, right),
        brier=float(((said - right) ** 2).mean()),
        base_rate_brier=base_rate * (1 - base_rate),
        bins=bins,
        people=int(scored.sum()),
        correlation=_correlation(expected[scored], found[scored]),
        oks_error=float(np.abs(expected - found)[scored].mean()) if scored.any() else None,
    )


def _probabilities(what: str, values: npt.ArrayLike, used: BoolArray) -> FloatArray:
    """The values as an array of the shape of `used`; where used, they must be 0 to 1 or NaN."""
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != used.shape:
        raise InputError(f"{what}: expected shape {used.shape}, got {scores.shape}.")
    outside = used & ((scores < 0) | (scores > 1))
    if outside.any():
        raise InputError(
            f"{what}: expected probabilities, 0 to 1, got {scores[outside][0]:g}: these scores are not probabilities; "
            "measure those of a model with calibrated confidence."
        )
    return scores


def _outcomes(
    poses: Poses, scores: FloatArray, annotations: Annotations, matches: Matches
) -> tuple[FloatArray, BoolArray]:
    """Scores (n,) of the keypoints that can be judged, and whether each is right (n,)."""
    shared, people = share_keypoints(poses, annotations), annotations.people
    pose_cells = np.ix_(matches.poses, shared.result_columns)
    person_cells = np.ix_(matches.people, shared.annotation_columns)
    offset = poses.keypoints[pose_cells] - people.keypoints[person_cells]
    area = people.area[matches.people, None]
    similarity = keypoint_similarity((offset**2).sum(axis=-1), area, shared.sigmas)
    said = scores[pose_cells]
    judged = (people.visibility[person_cells] > 0) & poses.valid[pose_cells] & ~np.isnan(said)
    return said[judged], similarity[judged] > JITTER_SIMILARITY


def _reliability(scores: FloatArray, right: BoolArray) -> tuple[ReliabilityBin, ...]:
    """The bins that hold scores."""
    number = np.minimum((scores * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    return tuple(
        ReliabilityBin(
            low=int(index) / NUM_BINS,
            high=(int(index) + 1) / NUM_BINS,
            count=int((number == index).sum()),
            mean_score=float(scores[number == index].mean()),
            share_right=float(right[number == index].mean()),
        )
        for index in np.unique(number)
    )


def _auroc(scores: FloatArray, right: BoolArray) -> float | None:
    """Area under the ROC curve, from the ranks of the right ones (Mann and Whitney's U)."""
    positives, negatives = int(right.sum()), int((~right).sum())
    if positives == 0 or negatives == 0:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Equal scores share the mean of their ranks, so that a tie counts half.
    ranks = (counts.cumsum() - (counts - 1) / 2)[place]
    return float((ranks[right].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _correlation(first: FloatArray, second: FloatArray) -> float | None:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
