"""What a refinement returns."""

from __future__ import annotations

from dataclasses import dataclass

from posefix.poses import Poses
from posefix.refine.pipeline import FailedPhoto
from posefix.refine.vocabulary import BoolArray, FloatArray


@dataclass(frozen=True)
class RefinementReport:
    """What a refinement did.

    Attributes:
        people: Poses in the input.
        refined: People that the network saw.
        unchanged: People without two valid keypoints that the model knows; passed through.
        outside: People so far outside their photo that there is nothing of it to see; passed through.
        moved_keypoints: Valid keypoints that got another place.
        filled_keypoints: Missing keypoints that got a place.
        passed_through_keypoints: Valid keypoints of refined people that the model does not know.
        failed: Photos that could not be read; the poses in them are passed through.
    """

    people: int
    refined: int
    unchanged: int
    outside: int
    moved_keypoints: int
    filled_keypoints: int
    passed_through_keypoints: int
    failed: tuple[FailedPhoto, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.refined} of {self.people} people refined: {self.moved_keypoints} keypoints moved, "
            f"{self.filled_keypoints} filled in, {self.passed_through_keypoints} unknown to the model"
        ]
        if self.unchanged:
            lines.append(f"left as they were, with too few keypoints to be found: {self.unchanged}")
        if self.outside:
            lines.append(f"left as they were, outside their photo: {self.outside}")
        if self.failed:
            people = sum(photo.people for photo in self.failed)
            lines.append(f"unreadable photos: {len(self.failed)}; people in them left as they were: {people}")
            lines += [f"  {photo.reason}" for photo in self.failed]
        return "\n".join(lines)


@dataclass(frozen=True)
class Refinement:
    """Refined poses of many photos.

    Attributes:
        poses: Same rows, order and layout as the input.
        moved: (N, K) valid keypoints that got another place.
        filled: (N, K) missing keypoints that got a place.
        report: Counts, and photos that could not be read.
    """

    poses: Poses
    moved: BoolArray
    filled: BoolArray
    report: RefinementReport


@dataclass(frozen=True)
class RefinedPoses:
    """Refined poses of one photo, in the layout of the input.

    Attributes:
        keypoints: (N, K, 2) in pixels of the photo.
        scores: (N, K); the input's, for a keypoint that was filled in the smallest of its person.
        valid: (N, K).
        moved: (N, K) valid keypoints that got another place.
        filled: (N, K) missing keypoints that got a place.
    """

    keypoints: FloatArray
    scores: FloatArray
    valid: BoolArray
    moved: BoolArray
    filled: BoolArray
