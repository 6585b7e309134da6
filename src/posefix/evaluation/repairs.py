"""What a refinement repaired and what it broke, by kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.evaluation.coco import SharedKeypoints, share_keypoints
from posefix.evaluation.matching import countable_people, match_people
from posefix.formats.coco_annotations import Annotations
from posefix.people import PersonRecords, build_records
from posefix.pose.poses import BoolArray, Poses
from posefix.pose_errors.taxonomy import NUM_STATUSES, STATUS_NAMES, Status, classify
from posefix.skeletons import Skeleton

RIGHT = (Status.GOOD, Status.JITTER)
"""Near the true keypoint, KS at least .5, and nearer to it than to any other."""
WRONG = (Status.INVERSION, Status.SWAP, Status.MISS)


@dataclass(frozen=True, eq=False)
class Repairs:
    """Status of the same labelled keypoints before and after a change of their places.

    Attributes:
        people: how many matched people were compared.
        counts: (5, 5) int64, status before by status after, in the order of `Status`; keypoints that were there before.
        filled_right: keypoints that were missing before and are right now.
        filled_wrong: keypoints that were missing before and are wrong now.
        still_missing: keypoints that were missing before and still are.
    """

    people: int
    counts: npt.NDArray[np.int64]
    filled_right: int
    filled_wrong: int
    still_missing: int

    @property
    def broken_by_error(self) -> dict[Status, int]:
        """Keypoints that were right, by the error that they have now."""
        return {error: int(self.counts[list(RIGHT), error].sum()) for error in WRONG}

    @property
    def repaired_by_error(self) -> dict[Status, int]:
        """Keypoints that are right now, by the error that they had."""
        return {error: int(self.counts[error, list(RIGHT)].sum()) for error in WRONG}

    @property
    def broken(self) -> int:
        """How many keypoints were right and are wrong now."""
        return sum(self.broken_by_error.values())

    @property
    def repaired(self) -> int:
        """How many keypoints were wrong and are right now."""
        return sum(self.repaired_by_error.values())

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON; `counts` has one row per status before."""
        return {
            "people": self.people,
            "statuses": list(STATUS_NAMES),
            "counts": self.counts.tolist(),
            "broken": self.broken,
            "broken_by_error": {error.label: count for error, count in self.broken_by_error.items()},
            "repaired": self.repaired,
            "repaired_by_error": {error.label: count for error, count in self.repaired_by_error.items()},
            "filled_right": self.filled_right,
            "filled_wrong": self.filled_wrong,
            "still_missing": self.still_missing,
        }

    def __str__(self) -> str:
        repaired, broken = _listed(self.repaired_by_error), _listed(self.broken_by_error)
        filled = f"filled {self.filled_right} rightly, {self.filled_wrong} wrongly, {self.still_missing} not"
        people = plural(self.people, "person")
        return (
            f"{people}: {plural(self.repaired, 'keypoint')} repaired ({repaired}), {self.broken} broken ({broken}); "
            f"of the missing ones {filled}"
        )


def count_repairs(before: Poses, after: Poses, annotations: Annotations) -> Repairs:
    """Count what became right and what became wrong.

    People are matched with the poses before (`match_people`), and these pairs hold for both sides, so that nobody
    changes identity by being moved. A keypoint's status is that of `classify`, with the other labelled people in the
    photo as neighbours, on the keypoints that poses and annotations share. A keypoint that is missing only after is a
    miss.

    Args:
        before: the poses to start from.
        after: the same people in the same order, with other places.
        annotations: people in these photos.

    Raises:
        InputError: if the two do not have the same rows, or `match_people` refuses the poses.
    """
    if not before.same_people_as(after):
        raise InputError(
            f"Before and after must be the same people in the same order and layout, got {before!r} and {after!r}; "
            "give the poses and their refinement."
        )
    shared, matches = share_keypoints(before, annotations), match_people(before, annotations)
    if not len(matches):
        return Repairs(0, np.zeros((NUM_STATUSES, NUM_STATUSES), dtype=np.int64), 0, 0, 0)
    records, skeleton = annotated_people(annotations, shared)
    countable = countable_people(annotations, shared.annotation_columns)
    people = records.people(np.searchsorted(countable, matches.people))
    cells = np.ix_(matches.poses, shared.result_columns)
    first = classify(before.keypoints[cells], people, skeleton)
    second = np.where(after.valid[cells], classify(after.keypoints[cells], people, skeleton), Status.MISS)
    return tally_repairs(first, second, before.valid[cells], after.valid[cells])


def tally_repairs(
    before: npt.NDArray[np.int64],
    after: npt.NDArray[np.int64],
    valid_before: BoolArray,
    valid_after: BoolArray,
) -> Repairs:
    """Count changes of status; all arrays are (P, S), of P people and S keypoints.

    Args:
        before: `Status` before; `UNLABELLED` where nothing can be said.
        after: `Status` after, of the same keypoints.
        valid_before: whether the keypoint was there before.
        valid_after: whether it is there after.
    """
    labelled = before != Status.UNLABELLED
    compared, missing = labelled & valid_before, labelled & ~valid_before
    moves = np.bincount(NUM_STATUSES * before[compared] + after[compared], minlength=NUM_STATUSES**2)
    filled, right = missing & valid_after, np.isin(after, RIGHT)
    return Repairs(
        people=len(before),
        counts=moves.reshape(NUM_STATUSES, NUM_STATUSES),
        filled_right=int((filled & right).sum()),
        filled_wrong=int((filled & ~right).sum()),
        still_missing=int((missing & ~filled).sum()),
    )


def annotated_people(annotations: Annotations, shared: SharedKeypoints) -> tuple[PersonRecords, Skeleton]:
    """The people of `countable_people` with their neighbours, and the skeleton of the shared keypoints.

    Raises:
        InputError: if nobody is countable.
    """
    skeleton = replace(annotations.skeleton.subset(shared.names), keypoints=shared.keypoints)
    # Only the labels are wanted: no photo is opened.
    photos = {image_id: Path(info.file_name) for image_id, info in annotations.images.items()}
    people = annotations.people
    # Who does not count is nobody's neighbour either, as crowds are not.
    counted = replace(people, is_crowd=people.is_crowd | (people.num_keypoints == 0))
    records = build_records(replace(annotations, people=counted), photos, skeleton)
    countable = countable_people(annotations, shared.annotation_columns)
    assert len(records) == len(countable), "records and matches take the same people"
    return records, skeleton


def _listed(counts: Mapping[Status, int]) -> str:
    return ", ".join(f"{error.label} {count}" for error, count in counts.items())
