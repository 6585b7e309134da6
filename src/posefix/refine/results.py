"""What a refinement returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from posefix.errors import plural
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.refine.cutting import FailedPhoto

Scores = Literal["input", "model", "product"]
"""The estimator's scores, the model's confidence and expected OKS, or the product of the two (see
`posefix.refine.scores.rescore`)."""
NOTABLE_RESERVE = 0.05
"""A smaller one is not worth a line."""
TELLING = 16
"""From so many people on, what they have to gain says what their estimator's poses have to gain."""


@dataclass(frozen=True)
class RefinementReport:
    """What a refinement did.

    Attributes:
        people: Poses in the input.
        refined: People that the network saw.
        unchanged: People without a box, given or made from two keypoints in different places, or without any valid
            keypoint that the model knows; passed through.
        outside: People so far outside their photo that there is nothing of it to see; passed through.
        moved_keypoints: Valid keypoints that got another place.
        filled_keypoints: Missing keypoints that got a place.
        passed_through_keypoints: Valid keypoints of refined people that the model does not know.
        doubtful_keypoints: Missing keypoints that stayed so, since a file without scores could not tell how little
            their places are believed.
        failed: Photos that are missing or could not be read; the poses in them are passed through.
        reserve: Gain in KS beyond the caution that a move had to promise, since there was little to gain on the whole.
        caution: Gain in KS that a move had to promise in any case.
        scores: Whose scores the refined poses carry.
        model: `owner/name@commit` of a model of the Hugging Face Hub; empty for others.
        trust: How far the estimator was trusted, 0 to 1, by how little the photos contradict its poses; from .5 on its
            own scores take part in those that are written unasked. None for a model without a calibration.
    """

    people: int
    refined: int
    unchanged: int
    outside: int
    moved_keypoints: int
    filled_keypoints: int
    passed_through_keypoints: int
    doubtful_keypoints: int = 0
    failed: tuple[FailedPhoto, ...] = ()
    reserve: float = 0.0
    caution: float = 0.0
    scores: Scores = "input"
    model: str = ""
    trust: float | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.refined} of {plural(self.people, 'person')} refined: {plural(self.moved_keypoints, 'keypoint')} "
            "moved, "
            f"{self.filled_keypoints} filled in, {self.passed_through_keypoints} unknown to the model"
        ]
        if self.doubtful_keypoints:
            lines.append(f"left missing, as hardly seen: {plural(self.doubtful_keypoints, 'keypoint')}")
        if held_back := self.held_back():
            lines.append(held_back)
        if self.unchanged:
            lines.append(f"left as they were, with too few keypoints to be found: {self.unchanged}")
        if self.outside:
            lines.append(f"left as they were, outside their photo: {self.outside}")
        if self.failed:
            people = sum(photo.people for photo in self.failed)
            lines.append(
                f"missing or unreadable photos: {len(self.failed)}; people in them left as they were: {people}"
            )
            lines += [f"  {photo.reason}" for photo in self.failed]
        if self.model:
            lines.append(f"model: {self.model}")
        return "\n".join(lines)

    def held_back(self) -> str:
        """Why keypoints had to promise more than the caution to be moved, in a line; empty where they had not."""
        if self.reserve < NOTABLE_RESERVE or self.caution + self.reserve <= 0:
            return ""
        reason = "these poses have little to gain on the whole"
        if self.refined < TELLING:
            reason = f"so few people ({self.refined}) do not tell how good their estimator is"
        return (
            f"held back, as {reason}: a keypoint moved only where it promised "
            f"{min(self.caution + self.reserve, 1.0):.2f} of similarity "
            f"(caution {max(self.caution - self.reserve, -1.0):.2f} undoes that)"
        )


@dataclass(frozen=True)
class Refinement:
    """Refined poses of many photos.

    Attributes:
        poses: Same rows, order and layout as the input, with the scores that were asked for.
        moved: (N, K) valid keypoints that got another place.
        filled: (N, K) missing keypoints that got a place.
        confidence: (N, K) probability that a keypoint's similarity (KS) to the truth is above .5; NaN for
            keypoints that the model does not know or that stayed missing, people it did not see, and models without a
            calibration.
        expected_oks: (N,) mean expected KS of the keypoints that have a confidence; NaN where none has.
        report: Counts, and photos that are missing or could not be read.
    """

    poses: Poses
    moved: BoolArray
    filled: BoolArray
    confidence: FloatArray
    expected_oks: FloatArray
    report: RefinementReport

    def made_by(self, model: str, trust: float | None) -> Refinement:
        """The same, whose report names the model, and how far it trusted the estimator."""
        return replace(self, report=replace(self.report, model=model, trust=trust))


@dataclass(frozen=True)
class RefinedPoses:
    """Refined poses of one photo, in the layout of the input.

    Attributes:
        keypoints: (N, K, 2) in pixels of the photo.
        scores: (N, K) those that were asked for. Of the estimator's, a keypoint that was filled in gets the smallest of
            its person.
        valid: (N, K).
        moved: (N, K) valid keypoints that got another place.
        filled: (N, K) missing keypoints that got a place.
        confidence: (N, K) as in `Refinement`.
        expected_oks: (N,) as in `Refinement`.
        report: As in `Refinement`.
    """

    keypoints: FloatArray
    scores: FloatArray
    valid: BoolArray
    moved: BoolArray
    filled: BoolArray
    confidence: FloatArray
    expected_oks: FloatArray
    report: RefinementReport

    @classmethod
    def of(cls, refinement: Refinement) -> RefinedPoses:
        """A refinement as arrays."""
        poses = refinement.poses
        return cls(
            poses.keypoints,
            poses.scores,
            poses.valid,
            refinement.moved,
            refinement.filled,
            refinement.confidence,
            refinement.expected_oks,
            refinement.report,
        )
