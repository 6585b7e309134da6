"""Whose pose it is: nobody is moved onto somebody else whose pose is in the same call.

Where people stand close together, the network may take the neighbour for the person in the middle of the crop. Whoever
would land on the neighbour's pose so stays where they were given, and is not looked for there; so does the one of two
whom the network puts onto one body who is moved the farther. Poses that already lay on each other, such as an
estimator's several of one person, are free to move.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.pose.geometry import box_from_keypoints, parts
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Rows, rows_by_image
from posefix.refine.crops import CroppedPeople

TAKEN = 0.3
"""A place agrees with somebody else's pose if their mean KS is at least this."""
TOGETHER = 0.5
"""Two people are put onto one body if their mean KS becomes at least this, and was below `TAKEN`."""
PAIRS_AT_ONCE = 4096
Places = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Neighbours:
    """Who may be taken for whom: people of one photo whose poses overlap.

    Attributes:
        people: All of a call.
        one: (P,) int32, places of people among these, ascending; each pair stands in both directions. In crowds these
            are most of what is known of people, hence the small numbers.
        other: (P,) those of the others.
    """

    people: CroppedPeople
    one: Places
    other: Places

    @classmethod
    def of(cls, people: CroppedPeople, image_ids: Sequence[ImageId]) -> Neighbours:
        """Those of people in these photos, one of each of the people.

        Whose place in the photo is unknown has no neighbours, and is nobody's.
        """
        boxes = box_from_keypoints(people.keypoints, people.valid)
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        ones, others = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        for everyone in rows_by_image(image_ids).values():
            rows = everyone[people.usable[everyone]]
            touch = (low[rows][:, None] <= high[rows]) & (low[rows] <= high[rows][:, None])
            together = touch.all(axis=-1) & ~np.eye(len(rows), dtype=bool)
            for known, places in zip((ones, others), np.nonzero(together), strict=True):
                known.append(rows[places].astype(np.int32))
        one = np.concatenate(ones)
        ones.clear()
        other = np.concatenate(others)
        others.clear()
        if not (one[1:] >= one[:-1]).all():  # people of one photo who do not stand together
            order = np.argsort(one, kind="stable")
            one, other = one[order], other[order]
        return cls(people, one, other)

    def agreement(self, places: FloatArray, rows: Rows) -> FloatArray:
        """How far places (n, K, 2) of the people `rows` agree with the pose of whichever other person they fit best.

        (n,) mean KS over the keypoints that the other's pose has, 0 where nobody is near.
        """
        place_of = np.full(len(self.people.valid), -1, dtype=np.int64)
        place_of[rows] = np.arange(len(rows))
        best = np.zeros(len(rows))
        for one, other in self._parts(place_of >= 0):
            own = place_of[one]
            np.maximum.at(best, own, self.people.of(other).agreement(places[own]))
        return best

    def _parts(self, asked: BoolArray) -> Iterator[tuple[Rows, Rows]]:
        """The pairs of the people who are asked for (N,), some at a time: in crowds they are many."""
        if not asked.any():
            return
        for start in range(0, len(self.one), PAIRS_AT_ONCE):
            one, other = (side[start : start + PAIRS_AT_ONCE] for side in (self.one, self.other))
            chosen = asked[one]
            if chosen.any():
                yield one[chosen].astype(np.int64), other[chosen].astype(np.int64)

    def taken(self, places: FloatArray, rows: Rows) -> BoolArray:
        """Whose places (n,) are somebody else's more than their own, though their given pose was not."""
        own, others = self._own_agreement(places, rows), np.zeros(len(rows))
        moved = np.flatnonzero(own < 1)  # nobody else fits better than whoever did not move
        others[moved] = self.agreement(places[moved], rows[moved])
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
        for one, other in self._parts(own < 1):
            before = self.people.of(other).agreement(self.people.keypoints[one])
            together = (moved.of(other).agreement(places[one]) >= TOGETHER) & (before < TAKEN)
            lost[one[together & (own[one] < own[other])]] = True
        return lost
