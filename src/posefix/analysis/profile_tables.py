"""A fitted profile as text."""

from __future__ import annotations

import numpy as np

from posefix.analysis.profile_fitting import (
    BANDS,
    POSSIBLE,
    FittedProfile,
    paper_frequencies,
)
from posefix.analysis.tables import Table, as_text, share
from posefix.errors import plural
from posefix.pose.poses import FloatArray
from posefix.pose_errors.taxonomy import STATUS_NAMES, Status

LABELLED_NAMES = ("1-5 labelled", "6-10 labelled", "11-15 labelled", "16+ labelled")
OVERLAP_NAMES = ("nobody", "1-2 people", "3+ people")
SHOWN = {"10 %": 2, "50 %": 10, "90 %": 18}
"""Which of the quantiles a table shows."""


def describe(fitted: FittedProfile) -> str:
    """What is in a profile, for a terminal."""
    return as_text(_lines(fitted), (_group_table(fitted), _band_table(fitted), _distance_table(fitted)))


def _lines(fitted: FittedProfile) -> list[str]:
    """What a reader of the numbers must know, a line each."""
    keypoints = plural(int(fitted.counts.sum()), "labelled keypoint")
    lines = [f"errors of {plural(int(fitted.poses.sum()), 'pose')}, {keypoints}"]
    for status in (Status.INVERSION, Status.SWAP):
        if not fitted.counts[..., POSSIBLE[:, status], :].any():
            lines.append(
                f"the labels allow no {status.label}; the profile has the paper's mean frequency of it"
            )
    if fitted.missing:
        lines.append(
            f"not counted: {plural(fitted.missing, 'labelled keypoint')} that the poses lack; a profile says nothing "
            "of missing keypoints, synthesis.keypoint_dropout takes some out"
        )
    return lines


def _group_table(fitted: FittedProfile) -> Table:
    """Smoothed frequencies by group."""
    counts = fitted.counts.sum(axis=(1, 2, 3, 4))
    rows = [
        (group, f"{count:,}", *_percentages(frequencies))
        for group, count, frequencies in zip(fitted.profile.groups, counts, fitted.by_group, strict=True)
    ]
    rows.append(("all", f"{counts.sum():,}", *_percentages(fitted.overall)))
    rows.append(("the paper's profile", "", *_percentages(paper_frequencies())))
    title = "Frequencies where every status is possible, %"
    return Table(title, ("", "keypoints", *STATUS_NAMES), tuple(rows))


def _band_table(fitted: FittedProfile) -> Table:
    """Shares that were counted, by number of labelled keypoints and of overlapping people."""
    rows = []
    for labelled, overlap in BANDS:
        counts = fitted.counts[:, labelled, overlap].sum(axis=(0, 1))
        if total := counts.sum():
            label = f"{LABELLED_NAMES[labelled]}, {OVERLAP_NAMES[overlap]}"
            poses = f"{fitted.poses[labelled, overlap]:,}"
            rows.append((label, poses, f"{total:,}", *(share(count, total) for count in counts)))
    title = "Counted, by labelled keypoints of the person and people who overlap, %"
    return Table(title, ("", "poses", "keypoints", *STATUS_NAMES), tuple(rows))


def _distance_table(fitted: FittedProfile) -> Table:
    """Distances by status, over all groups."""
    rows = tuple(
        (status.label, *(f"{rows['other'][place]:.2f}" for place in SHOWN.values()))
        for status, rows in fitted.profile.distances.items()
    )
    title = (
        "Distances, in units of the distance at which KS is 1/e: so many percent of the keypoints are nearer"
    )
    return Table(title, ("", *SHOWN), rows)


def _percentages(frequencies: FloatArray) -> tuple[str, ...]:
    return tuple(f"{100 * value:.1f}" for value in np.asarray(frequencies))
