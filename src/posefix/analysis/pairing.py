"""Which pose is judged by which annotated person: COCO's matching at a very low OKS (Ronchi and Perona, ICCV 2017)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posefix.analysis.ground_truth import GroundTruth
from posefix.errors import InputError, plural
from posefix.evaluation.matching import oks_tables
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses, Rows

LOCALISATION_OKS = 0.1
"""OKS from which on a pose shows a person, if badly; below, it shows nobody."""
DUPLICATE_OKS = 0.5
"""A pose left over is a second one of a person from this OKS on; below, COCO never counts it as right."""
POSES_PER_IMAGE = 20
"""COCO's evaluation takes that many poses of an image, those of the highest scores."""
NOBODY, NOT_TAKEN = -1, -2
EVERYONE = [0.0, 1e10]
"""The evaluator's range of areas that holds everybody, in square pixels."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """What became of each pose and of each annotated person.

    Attributes:
        poses: (P,) rows of the poses that show a person, ascending.
        people: (P,) rows of these people in the annotations, each at most once.
        duplicates: rows of the poses left over that are near a person whom another pose shows.
        background: rows of the poses left over that are near nobody.
        ignored: rows of the poses that show somebody who does not count (a crowd, nobody's keypoint labelled).
        surplus: rows of the poses beyond the `POSES_PER_IMAGE` of an image.
        not_found: rows of the annotated people whom COCO counts and no pose shows.
    """

    poses: Rows
    people: Rows
    duplicates: Rows
    background: Rows
    ignored: Rows
    surplus: Rows
    not_found: Rows

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def num_poses(self) -> int:
        """All poses."""
        parts = (self.poses, self.duplicates, self.background, self.ignored, self.surplus)
        return sum(map(len, parts))

    @property
    def num_people(self) -> int:
        """All people who count."""
        return len(self.people) + len(self.not_found)

    def __str__(self) -> str:
        parts = [
            f"{plural(len(self.background), 'pose')} on nobody",
            f"{plural(len(self.duplicates), 'second pose')} of a person",
        ]
        if len(self.ignored):
            parts.append(f"{plural(len(self.ignored), 'pose')} of people who do not count")
        if len(self.surplus):
            parts.append(f"{plural(len(self.surplus), 'pose')} beyond {POSES_PER_IMAGE} in a photo")
        people = plural(self.num_people, "annotated person")
        return (
            f"{plural(self.num_poses, 'pose')}, {people}: {len(self):,} found, {len(self.not_found):,} not found; "
            f"{', '.join(parts)}"
        )

    def renumbered(self, rows: Rows) -> Pairing:
        """The same with rows of other results, of which these poses are the ones at `rows`."""
        return replace(
            self,
            poses=rows[self.poses],
            duplicates=rows[self.duplicates],
            background=rows[self.background],
            ignored=rows[self.ignored],
            surplus=rows[self.surplus],
        )


def pair_people(poses: Poses, truth: GroundTruth) -> Pairing:
    """Pair poses with people as the COCO evaluator does at `LOCALISATION_OKS`.

    Pose by pose, the highest score first (the earlier row of equal ones): each takes, of the people of its image whom
    no pose has taken, the one of the highest OKS, if that is at least `LOCALISATION_OKS`; people who do not count are
    taken only where no other is near enough.

    Args:
        poses: in pixels of the original photos, all of them annotated.
        truth: people in these photos.
    """
    person = _matched_people(poses, truth)
    paired = np.isin(person, truth.countable)
    people = person[paired]
    left_over = np.flatnonzero(person == NOBODY)
    duplicates = _duplicates(poses, truth, left_over, people)
    return Pairing(
        poses=np.flatnonzero(paired),
        people=people,
        duplicates=duplicates,
        background=np.setdiff1d(left_over, duplicates),
        ignored=np.flatnonzero(~paired & (person >= 0)),
        surplus=np.flatnonzero(person == NOT_TAKEN),
        not_found=np.setdiff1d(_counted_people(truth), person),
    )


def check_found(pairing: Pairing, annotations: Annotations) -> None:
    """Refuse to analyse poses that show nobody.

    Raises:
        InputError: no pose is near an annotated person.
    """
    if not len(pairing):
        raise InputError(
            f"{annotations.path}: none of {plural(pairing.num_poses, 'pose')} comes near an annotated person (OKS of "
            f"{LOCALISATION_OKS} or more); check that they are pixels of the original photos and that the layout is "
            "theirs."
        )


def _matched_people(poses: Poses, truth: GroundTruth) -> Rows:
    """(N,): row of the person to whom the evaluator matched each pose, or `NOBODY`, or `NOT_TAKEN`."""
    person = np.full(len(poses), NOT_TAKEN, dtype=np.int64)
    if not len(poses):
        return person
    evaluator = truth.evaluator.evaluator(poses)
    evaluator.params.iou_thrs = [LOCALISATION_OKS]
    evaluator.params.area_rng, evaluator.params.area_rng_lbl = [EVERYONE], ["all"]
    evaluator.params.max_dets = [POSES_PER_IMAGE]
    evaluator.evaluate()
    for image in evaluator.eval_imgs:
        if image is not None and image["dtIds"]:
            # Ids are rows plus 1; 0 is the evaluator's word for nobody.
            person[np.array(image["dtIds"]) - 1] = np.array(image["dtMatches"][0]) - 1
    return person


def _counted_people(truth: GroundTruth) -> Rows:
    """Rows of the people whom COCO counts: those who are countable, and those without an area."""
    return np.flatnonzero(truth.annotations.people.counted(truth.shared.annotation_columns))


def _duplicates(poses: Poses, truth: GroundTruth, left_over: Rows, people: Rows) -> Rows:
    """Those of the poses left over that are near one of the people."""
    found = [left_over[:0]]
    for rows, there, table in oks_tables(poses[left_over], truth.annotations, truth.shared):
        near = (table >= DUPLICATE_OKS) & np.isin(there, people)
        found.append(left_over[rows[near.any(axis=1)]])
    return np.sort(np.concatenate(found))
