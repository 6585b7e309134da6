"""Seventh step: what was chosen for the model's keypoints back in the layout of the poses, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from posefix.pose.geometry import lengths, parts
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.refine.carrying import place_middles
from posefix.refine.crops import CroppedPeople
from posefix.refine.cutting import FailedPhoto
from posefix.refine.judge import Choice
from posefix.refine.results import Refinement, RefinementReport
from posefix.skeletons import KeypointMapping

Missing = Literal["fill", "keep"]

VISIBLE_MOVE = 5e-4
"""A shorter move, in pixels, is rounding: results files keep three decimals."""


def merge(
    poses: Poses,
    people: CroppedPeople,
    choice: Choice,
    *,
    missing: Missing,
    failed: Sequence[FailedPhoto],
    caution: float,
) -> Refinement:
    """Put chosen keypoints back into the layout of the poses.

    With "fill", a keypoint that was missing gets the network's place and the smallest score of the person's
    valid keypoints; with "keep" it stays missing. Keypoints that the model does not know stay as they were, but for
    middles (`place_middles`), and so do people whom it did not see.

    Args:
        poses: As given to `crop_people`.
        people: What `crop_people` made of them.
        choice: What becomes of them.
        missing: What to do with missing keypoints.
        failed: Photos that are missing or could not be read.
        caution: For the report.

    Returns:
        The refinement, with the estimator's scores.
    """
    source, target = people.mapping.source_index, people.mapping.target_index
    written = np.zeros_like(poses.valid)
    written[:, source] = choice.seen[:, None] & (poses.valid[:, source] | (missing == "fill"))
    filled, moved, keypoints = written & ~poses.valid, written & poses.valid, poses.keypoints.copy()
    for rows in parts(len(poses)):
        found = choice.keypoints[rows][:, target]
        own = keypoints[rows]  # a view: what is put in stands in `keypoints`
        own[:, source] = np.where(written[rows][:, source, None], found, own[:, source])
        moved[rows] &= lengths(own - poses.keypoints[rows]) > VISIBLE_MOVE
    moved |= place_middles(poses, keypoints, people.mapping.target)
    keypoints.flags.writeable = False  # else the poses would hold a copy
    scores = poses.scores
    if filled.any():
        weakest = np.where(poses.valid, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        scores = np.where(filled, weakest, scores)
    similarity = _in_layout(choice.expected_similarity, people.mapping, written)
    return Refinement(
        poses=poses.with_keypoints(keypoints, valid=poses.valid | filled, scores=scores),
        moved=moved,
        filled=filled,
        confidence=_in_layout(choice.confidence, people.mapping, written),
        expected_oks=_mean_of_known(similarity),
        report=_count(poses, people, choice, moved, filled, failed, caution),
    )


def _in_layout(values: FloatArray, mapping: KeypointMapping, known: BoolArray) -> FloatArray:
    """Values of the model's keypoints (N, K) in the layout of the poses, NaN where not `known`."""
    result = np.full(known.shape, np.nan)
    source, target = mapping.source_index, mapping.target_index
    result[:, source] = np.where(known[:, source], values[:, target], np.nan)
    return result


def _mean_of_known(similarity: FloatArray) -> FloatArray:
    """Means (N,) over the keypoints of which something is known; NaN of people of whom nothing is."""
    known = np.isfinite(similarity)
    sums = np.where(known, similarity, 0.0).sum(axis=1)
    return np.asarray(np.where(known.any(axis=1), sums / np.maximum(known.sum(axis=1), 1), np.nan))


def _count(
    poses: Poses,
    people: CroppedPeople,
    choice: Choice,
    moved: BoolArray,
    filled: BoolArray,
    failed: Sequence[FailedPhoto],
    caution: float,
) -> RefinementReport:
    unknown = np.ones(len(poses.skeleton), dtype=bool)
    unknown[people.mapping.source_index] = False
    usable, seen = int(people.usable.sum()), int(choice.seen.sum())
    return RefinementReport(
        people=len(poses),
        refined=seen,
        unchanged=len(poses) - usable,
        outside=usable - seen - sum(photo.people for photo in failed),
        moved_keypoints=int(moved.sum()),
        filled_keypoints=int(filled.sum()),
        passed_through_keypoints=int((poses.valid & unknown & choice.seen[:, None]).sum()),
        failed=tuple(failed),
        reserve=choice.reserve,
        caution=caution,
    )
