"""Which pose shows which annotated person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from posefix.evaluation.coco import SharedKeypoints, check_images, share_keypoints
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import FloatArray, Poses, Rows, rows_by_image
from posefix.pose.similarity import best_pairs, oks


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of a pose and the annotated person it shows, P of them, in the order of the poses.

    Attributes:
        poses: (P,) rows of the poses, ascending.
        people: (P,) rows of the annotated people, each at most once.
        oks: (P,) their OKS, above 0.
    """

    poses: Rows
    people: Rows
    oks: FloatArray

    def __len__(self) -> int:
        return len(self.poses)


def match_people(poses: Poses, annotations: Annotations) -> Matches:
    """Pair poses with the annotated people of the same photo, one to one, the most similar pair first.

    OKS is measured on the keypoints that both layouts name, with the annotations' sigmas; a keypoint that the pose
    lacks counts 0. The poses' scores play no part, unlike in COCO's evaluation: this finds who is shown, not what a
    ranking is worth. Of equal pairs the one of the earlier pose wins. People to whom every pose left has an OKS of 0,
    and those whom `countable_people` leaves out, are in no pair.

    Args:
        poses: in pixels of the original photos.
        annotations: people in these photos.

    Raises:
        InputError: if no keypoint is shared, a sigma is unknown on both sides, the annotations hold no people, or a
            pose's photo is not in the annotations.
    """
    shared = share_keypoints(poses, annotations)
    check_images(poses, annotations)
    matched = np.full(len(poses), -1, dtype=np.int64)
    similarity = np.zeros(len(poses))
    for rows, people, table in oks_tables(poses, annotations, shared):
        for pose, person in best_pairs(table):
            matched[rows[pose]], similarity[rows[pose]] = people[person], table[pose, person]
    chosen = np.flatnonzero(matched >= 0)
    return Matches(chosen, matched[chosen], similarity[chosen])


def oks_tables(
    poses: Poses, annotations: Annotations, shared: SharedKeypoints
) -> Iterator[tuple[Rows, Rows, FloatArray]]:
    """Each photo's OKS between its poses and its countable people.

    Args:
        poses: in pixels of the original photos.
        annotations: people in these photos.
        shared: the keypoints to compare.

    Yields:
        Rows of the poses (n,), rows of the annotated people (m,), OKS (n, m); photos in the order of the poses.
    """
    # What is missing is infinitely far from everything.
    found = np.where(poses.valid[..., None], poses.keypoints, np.inf)[:, shared.result_columns]
    people, columns = annotations.people, shared.annotation_columns
    countable = countable_people(annotations, columns)
    truth, area = people.keypoints[countable][:, columns], people.area[countable]
    labelled = people.visibility[countable][:, columns] > 0
    people_of = rows_by_image(people.image_ids[row] for row in countable)
    for image_id, rows in rows_by_image(poses.image_ids).items():
        there = people_of.get(image_id, np.empty(0, dtype=np.int64))
        table = oks(found[rows], truth[there], labelled[there], area[there], shared.sigmas)
        yield rows, countable[there], table


def countable_people(annotations: Annotations, columns: Rows) -> Rows:
    """Rows of the people a pose can be compared with: whom COCO counts on the keypoints `columns`, with an area."""
    people = annotations.people
    return np.flatnonzero(people.counted(columns) & (people.area > 0))
