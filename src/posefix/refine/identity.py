"""Whose pose it is: nobody is moved onto somebody else whose pose is in the same call.

Where people stand close together, the network may take the neighbour for the person in the middle of the crop. Whoever
would land on the neighbour's pose so stays where they were given, and is not looked for anew there; so does the one of
two whom the network puts onto one body who is moved the farther. Poses that already lay on each other, such as an
estimator's several of one person, are free to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posefix.pose.geometry import box_from_keypoints
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Rows, rows_by_image
from posefix.refine.crops import CroppedPeople

TAKEN = 0.3
"""A place agrees with somebody else's pose if their mean KS is at least this."""
TOGETHER = 0.5
"""Two people are put onto one body if their mean KS becomes at least this, and was below `TAKEN`."""
PAIRS_AT_ONCE = 4096


@dataclass(frozen=True)
class Neighbours:
    """Who may be taken for whom: people of one photo whose poses overlap.

    Attributes:
        people: All of a call.
        one: (P,) places of people among these, ascending; each pair stands in both directions.
        other: (P,) those of the others.
    """

    people: CroppedPeople
    one: Rows
    other: Rows

    @classmethod
    def of(cls, people: CroppedPeople, image_ids: Sequence[ImageId]) -> Neighbours:
        """Those of people in these photos, one of each of the people.

        Whose place in the photo is unknown has no neighbours, and is nobody's.
        """
        boxes = box_from_keypoints(people.keypoints, people.valid)
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        pairs = [np.empty((0, 2), dtype=np.int64)]
        for everyone in rows_by_image(image_ids).values():
            rows = everyone[people.usable[everyone]]
            touch = (low[rows][:, None] <= high[rows]) & (low[rows] <= high[rows][:, None])
            together = touch.all(axis=-1) & ~np.eye(len(rows), dtype=bool)
            pairs.append(rows[np.argwhere(together)])
        one, other = np.concatenate(pairs).T
        order = np.argsort(one, kind="stable")
        return cls(people, one[order], other[order])

    def agreement(self, places: FloatArray, rows: Rows) -> FloatArray:
        """How far places (n, K, 2) of the people `rows` agree with the pose of whichever other person they fit best.

        (n,) mean KS over the keypoints that the other's pose has, 0 where nobody is near.
        """
        place_of = np.full(len(self.people.valid), -1, dtype=np.int64)
        place_of[rows] = np.arange(len(rows))
        best = np.zeros(len(rows))
        asked = np.flatnonzero(place_of[self.one] >= 0)
        for part in np.split(asked, range(PAIRS_AT_ONCE, len(asked), PAIRS_AT_ONCE)):
            own, other = place_of[self.one[part]], self.other[part]
            np.maximum.at(best, own, self.people.of(other).agreement(places[own]))
        return best

    def taken(self, places: FloatArray, rows: Rows) -> BoolArray:
        """Whose places (n,) are somebody else's more than their own, though their given pose was not."""
        own, others = self.people.of(rows), self.agreement(places, rows)
        taken = np.asarray((others >= TAKEN) & (others > own.agreement(places)))
        whose = np.flatnonzero(taken)
        taken[whose] = self.agreement(own.keypoints[whose], rows[whose]) < TAKEN
        return taken

    def collided(self, places: FloatArray) -> BoolArray:
        """Who of all people (N,) is at places (N, K, 2) on one body with somebody else, and was moved the farther."""
        moved = self.people.at(places)
        own, lost = self.people.agreement(places), np.zeros(len(places), dtype=bool)
        for start in range(0, len(self.one), PAIRS_AT_ONCE):
            one, other = self.one[start : start + PAIRS_AT_ONCE], self.other[start : start + PAIRS_AT_ONCE]
            before = self.people.of(other).agreement(self.people.keypoints[one])
            together = (moved.of(other).agreement(places[one]) >= TOGETHER) & (before < TAKEN)
            lost[one[together & (own[one] < own[other])]] = True
        return lost
