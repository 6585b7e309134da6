"""Poses smoothed over time, person by person: the One-Euro filter (Casiez, Roussel and Vogel, CHI 2012).

A low-pass filter whose cutoff frequency rises with speed: slow at rest, where jitter shows, and fast in motion, where
lag does. Two things differ from the paper, which filters what a user's hand does while it moves. A video is there as a
whole, so the filter runs forwards and backwards and the mean of the two is taken: where the one is late, the other is
early. And lengths are measured in the person's size, so that the same settings serve every resolution and distance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.pose import geometry
from posefix.pose.poses import FloatArray, Poses, Rows
from posefix.pose.similarity import best_pairs, keypoint_similarity

Track = int | str

LONGEST_GAP = 0.5
"""Seconds: who is missing for longer starts anew on coming back, and so does a keypoint."""
SPEED_CUTOFF = 1.0
"""Cutoff frequency of the speed in Hz, that of the paper."""
SAME_PERSON = 0.3
"""OKS above which poses of neighbouring frames may be of one person."""


@dataclass(frozen=True)
class OneEuro:
    """Settings of the filter.

    Of a keypoint that moves on at a steady speed, each of the two runs is behind by less than 1 / (2 pi beta) of the
    person's size, however fast it is, and their mean is not behind at all.

    Attributes:
        min_cutoff: Cutoff frequency at rest, Hz: lower ones take away more jitter.
        beta: By how many Hz the cutoff rises with a speed of one person's size a second: higher ones follow faster.
            The person's size is the longer side of the box around the keypoints, in the median over the track.

    Raises:
        InputError: The first is not above 0, or the second is below.
    """

    min_cutoff: float = 1.0
    beta: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.min_cutoff < math.inf:
            raise InputError(f"min_cutoff: expected a frequency above 0 Hz, got {self.min_cutoff}")
        if not 0 <= self.beta < math.inf:
            raise InputError(f"beta: expected 0 or more, got {self.beta}")


def smooth(
    poses: Poses, tracks: Sequence[Track | None], times: npt.ArrayLike, settings: OneEuro | None = None
) -> Poses:
    """Filter the places of each person's keypoints over time.

    Every valid keypoint is filtered on its own, x and y alike, at the times when it is there; missing ones stay
    missing. A gap of over `LONGEST_GAP` starts its filter anew. Scores stay as they are.

    Args:
        poses: Of a video, in any order.
        tracks: (N) whom each pose is of; poses of None stay as they are.
        times: (N,) seconds at which the pose's frame is shown.
        settings: None takes the defaults.

    Raises:
        InputError: Two poses of one track at one time, or arrays of other lengths.
    """
    seconds = np.asarray(times, dtype=np.float64)
    keypoints = poses.keypoints.copy()
    for rows in rows_of_tracks(poses, tracks, seconds).values():
        keypoints[rows] = _both_ways(poses[rows], seconds[rows], settings or OneEuro())
    return poses.with_keypoints(keypoints)


def rows_of_tracks(poses: Poses, tracks: Sequence[Track | None], times: npt.ArrayLike) -> dict[Track, Rows]:
    """The poses of each track in the order of time; those of None left out. Arguments and errors as of `smooth`."""
    seconds = np.asarray(times, dtype=np.float64)
    if not len(tracks) == len(seconds) == len(poses):
        raise InputError(
            f"smooth: expected one track and one time for each of {plural(len(poses), 'pose')}, got {len(tracks)} and "
            f"{len(seconds)}"
        )
    members: dict[Track, list[int]] = defaultdict(list)
    for row in np.argsort(seconds, kind="stable").tolist():
        if (track := tracks[row]) is not None:
            members[track].append(row)
    for track, rows in members.items():
        twice = np.flatnonzero(np.diff(seconds[rows]) <= 0)
        if twice.size:
            raise InputError(
                f"smooth: track {track!r} has two poses of image {poses.image_ids[rows[twice[0]]]!r}; expected one of "
                "each person"
            )
    return {track: np.array(rows, dtype=np.int64) for track, rows in members.items()}


def _both_ways(person: Poses, seconds: FloatArray, settings: OneEuro) -> FloatArray:
    """Smoothed keypoints (T, K, 2) of one person, whose poses are in the order of time."""
    forwards = one_way(person, seconds, settings)
    backwards = one_way(person[::-1], -seconds[::-1], settings)[::-1]
    # Half the difference is added, so that what both leave alone stays as it is to the last bit.
    return np.asarray(forwards + (backwards - forwards) / 2)


def one_way(person: Poses, seconds: FloatArray, settings: OneEuro) -> FloatArray:
    """The filter of the paper (its algorithm 1): keypoints (T, K, 2) in the order of rising seconds (T,)."""
    size = _size(person)
    result = person.keypoints.copy()
    place = np.zeros(result.shape[1:])
    speed = np.zeros_like(place)
    seen = np.full(len(person.skeleton), -np.inf)
    for pose, valid, time, smoothed in zip(person.keypoints, person.valid, seconds, result, strict=True):
        known = time - seen <= LONGEST_GAP
        step = np.where(known, time - seen, 1.0)[:, None]
        change = _share(SPEED_CUTOFF, step) * ((pose - place) / step - speed)
        now = np.where(known[:, None], speed + change, 0.0)
        share = _share(settings.min_cutoff + settings.beta * np.abs(now) / size, step)
        there = np.where(known[:, None], place + share * (pose - place), pose)
        place, speed = np.where(valid[:, None], there, place), np.where(valid[:, None], now, speed)
        seen = np.where(valid, time, seen)
        smoothed[valid] = there[valid]
    return result


def _share(cutoff: float | FloatArray, step: FloatArray) -> FloatArray:
    """Weight of the new value in a low-pass filter (alpha of the paper) after so many seconds."""
    return np.asarray(1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * step)))


def _size(person: Poses) -> float:
    """Pixels that a person is tall or wide, whichever is more, in the median over the poses."""
    sides = geometry.box_from_keypoints(person.keypoints, person.valid)[:, 2:].max(axis=1)
    sides = sides[sides > 0]
    return max(float(np.median(sides)) if sides.size else 0.0, geometry.MINIMAL_BOX_SIDE)


def associate(poses: Poses, times: npt.ArrayLike) -> tuple[Track, ...]:
    """Tracks for poses without: who is who from one frame to the next, by OKS.

    Frame by frame, a pose continues the track whose last pose it is most similar to, the most similar pair first,
    if their OKS is above `SAME_PERSON` and that pose at most `LONGEST_GAP` old; else it begins a track. OKS is taken
    over the keypoints that both have, with the area of the earlier pose's box; keypoints without a sigma play no part.
    Nothing recognises a person: people who cross, or come back after the gap, can change tracks.

    Args:
        poses: Of a video, in any order.
        times: (N,) seconds at which the pose's frame is shown.

    Returns:
        Track of each pose, counted from 1.
    """
    seconds = np.asarray(times, dtype=np.float64)
    tracks = np.zeros(len(poses), dtype=np.int64)
    last = np.empty(0, dtype=np.int64)  # row of each track's last pose
    for time in np.unique(seconds):
        rows = np.flatnonzero(seconds == time)
        recent = np.flatnonzero(time - seconds[last] <= LONGEST_GAP)
        for row, track in _pairs(poses, rows, last[recent]):
            tracks[rows[row]] = recent[track] + 1
            last[recent[track]] = rows[row]
        new = rows[tracks[rows] == 0]
        tracks[new] = len(last) + 1 + np.arange(len(new))
        last = np.concatenate([last, new])
    return tuple(tracks.tolist())


def _pairs(poses: Poses, rows: Rows, others: Rows) -> list[tuple[int, int]]:
    """Which of some poses continues which of others: positions in both, the most similar pairs first."""
    table = _similarity(poses, rows, others)
    return best_pairs(np.where(table > SAME_PERSON, table, 0.0))


def _similarity(poses: Poses, rows: Rows, others: Rows) -> FloatArray:
    """OKS of poses (n,) to others (m,) over the keypoints that both have: (n, m)."""
    sigmas = np.array([keypoint.sigma or np.nan for keypoint in poses.skeleton.keypoints])
    both = poses.valid[rows][:, None] & poses.valid[others][None] & np.isfinite(sigmas)
    boxes = geometry.box_from_keypoints(poses.keypoints[others], poses.valid[others])
    area = np.maximum(boxes[:, 2:].prod(axis=1), 1.0)
    squared = ((poses.keypoints[rows][:, None] - poses.keypoints[others][None]) ** 2).sum(axis=-1)
    similarity = keypoint_similarity(squared, area[None, :, None], np.nan_to_num(sigmas, nan=1.0))
    return np.asarray((similarity * both).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1))
