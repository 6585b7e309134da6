"""Whose pose it is: nobody is moved onto somebody else whose pose is in the same call.

Where people stand close together, the network may take the neighbour for the person in the middle of the crop. Whoever
would land on the neighbour's pose so stays where they were given, and is not looked for there; so does the one of two
whom the network puts onto one body who is moved the farther. Poses that already lay on each other, such as an
estimator's several of one person, are free to move.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posefix.pose.geometry import box_from_keypoints, paired_iou, parts
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Rows, rows_by_image
from posefix.refine.crops import CroppedPeople

TAKEN = 0.3
"""A place agrees with somebody else's pose if their mean KS is at least this."""
TOGETHER = 0.5
"""Two people are put onto one body if their mean KS becomes at least this, and was below `TAKEN`."""
CROWDED = 0.1
"""People are crowded if the boxes around their poses overlap by an IoU of at least this."""
PAIRS_AT_ONCE = 4096


@dataclass(frozen=True)
class Neighbours:
    """Who may be taken for whom: people of one photo whose poses overlap.

    In crowds the pairs would be most of what is known of people, so they are found anew whenever they are asked for.

    Attributes:
        people: All of a call.
        photos: Of each photo the people, ascending, who may be somebody's neighbour.
    """

    people: CroppedPeople
    photos: Sequence[Rows]

    @cached_property
    def boxes(self) -> FloatArray:
        """(N, 4) bbox_xywh around the poses."""
        return box_from_keypoints(self.people.keypoints, self.people.valid)

    @classmethod
    def of(cls, people: CroppedPeople, image_ids: Sequence[ImageId]) -> Neighbours:
        """Those of people in these photos, one of each of the people.

        Whose place in the photo is unknown has no neighbours, and is nobody's.
        """
        photos = [rows[people.usable[rows]] for rows in rows_by_image(image_ids).values()]
        return cls(people, [rows for rows in photos if len(rows) > 1])

    def pairs(self, asked: BoolArray) -> Iterator[tuple[Rows, Rows]]:
        """Each of the people who are asked for (N,) with each neighbour, about `PAIRS_AT_ONCE` pairs at a time.

        Yields:
            (P,) rows of the people, and (P,) those of the neighbours.
        """
        found: list[tuple[Rows, Rows]] = []
        count = 0
        for rows in self.photos if asked.any() else ():
            ones = rows[asked[rows]]
            step = max(1, PAIRS_AT_ONCE // len(rows))
            for start in range(0, len(ones), step):
                found.append(self._together(ones[start : start + step], rows))
                count += len(found[-1][0])
                if count >= PAIRS_AT_ONCE:
                    yield _joined(found)
                    found, count = [], 0
        if count:
            yield _joined(found)

    def _together(self, ones: Rows, others: Rows) -> tuple[Rows, Rows]:
        """The pairs among people of one photo whose boxes overlap."""
        (own_low, own_high), (low, high) = self._corners(ones), self._corners(others)
        touch = ((own_low[:, None] <= high) & (low <= own_high[:, None])).all(axis=-1)
        one, other = np.nonzero(touch & (ones[:, None] != others))
        return ones[one], others[other]

    def _corners(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        boxes = self.boxes[rows]
        return boxes[:, :2], boxes[:, :2] + boxes[:, 2:]

    def crowded(self) -> BoolArray:
        """Whose box (N,) overlaps somebody else's by an IoU of `CROWDED` or more."""
        crowded = np.zeros(len(self.boxes), dtype=bool)
        for one, other in self.pairs(~crowded):
            crowded[one[paired_iou(self.boxes[one], self.boxes[other]) >= CROWDED]] = True
        return crowded

    def agreement(self, places: FloatArray, rows: Rows) -> FloatArray:
        """How far places (n, K, 2) of the people `rows` agree with the pose of whichever other person they fit best.

        (n,) mean KS over the keypoints that the other's pose has, 0 where nobody is near.
        """
        return self._agreement(places, rows, np.arange(len(rows)))

    def _agreement(self, places: FloatArray, rows: Rows, asked: Rows) -> FloatArray:
        """The same of some of them, by their places among these; 0 of the others."""
        place_of = np.full(len(self.people.rows), -1, dtype=np.int64)
        place_of[rows[asked]] = asked
        best = np.zeros(len(rows))
        for one, other in self.pairs(place_of >= 0):
            own = place_of[one]
            np.maximum.at(best, own, self.people.of(other).agreement(places[own]))
        return best

    def taken(self, places: FloatArray, rows: Rows) -> BoolArray:
        """Whose places (n,) are somebody else's more than their own, though their given pose was not."""
        own = self._own_agreement(places, rows)
        moved = np.flatnonzero(own < 1)  # nobody else fits better than whoever did not move
        others = self._agreement(places, rows, moved)
        taken = np.asarray((others >= TAKEN) & (others > own))
        whose = np.flatnonzero(taken)
        taken[whose] = self.agreement(self.people.keypoints[rows[whose]], rows[whose]) < TAKEN
        return taken

    def _own_agreement(self, places: FloatArray, rows: Rows) -> FloatArray:
        """How far places (n, K, 2) of the people `rows` agree with their own pose (n,)."""
        own = np.empty(len(rows))
        for part in parts(len(rows)):
            own[part] = self.people.of(rows[part]).agreement(places[part])
        return own

    def collided(self, places: FloatArray) -> BoolArray:
        """Who of all people (N,) is at places (N, K, 2) on one body with somebody else, and was moved the farther."""
        moved = self.people.at(places)
        own, lost = self.people.agreement(places), np.zeros(len(places), dtype=bool)
        for one, other in self.pairs(own < 1):
            before = self.people.of(other).agreement(self.people.keypoints[one])
            together = (moved.of(other).agreement(places[one]) >= TOGETHER) & (before < TAKEN)
            lost[one[together & (own[one] < own[other])]] = True
        return lost


def _joined(pairs: Sequence[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return one, other
