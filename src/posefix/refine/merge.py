"""Seventh step: what was chosen for the model's keypoints back in the layout of the poses, and counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from posefix.pose.geometry import lengths, parts
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.refine.carrying import place_middles
from posefix.refine.cutting import FailedPhoto
from posefix.refine.judge import Choice
from posefix.refine.results import Refinement, RefinementReport
from posefix.skeletons import KeypointMapping

Missing = Literal["fill", "keep"]

VISIBLE_MOVE = 5e-4
"""A shorter move, in pixels, is rounding: results files keep three decimals."""


def merge(
    poses: Poses,
    choice: Choice,
    mapping: KeypointMapping,
    usable: BoolArray,
    *,
    missing: Missing,
    failed: Sequence[FailedPhoto],
    caution: float,
) -> Refinement:
    """Put chosen keypoints back into the layout of the poses.

    With "fill", a keypoint that was missing gets the network's place, where one was chosen, and the smallest score of
    the person's valid keypoints; with "keep" it stays missing. Keypoints that the model does not know stay as they
    were, but for middles (`place_middles`), and so do people whom it did not see.

    Args:
        poses: As given to `crop_people`.
        choice: What becomes of them.
        mapping: Which of their keypoints are which of the model, as of `CroppedPeople`.
        usable: (N,) as of `CroppedPeople`.
        missing: What to do with missing keypoints.
        failed: Photos that are missing or could not be read.
        caution: For the report.

    Returns:
        The refinement, with the estimator's scores.
    """
    source, target = mapping.source_index, mapping.target_index
    written = np.zeros_like(poses.valid)
    written[:, source] = choice.seen[:, None] & (poses.valid[:, source] | (missing == "fill"))
    moved, keypoints = np.zeros_like(written), poses.keypoints.copy()
    for rows in parts(len(poses)):
        found = choice.keypoints[rows][:, target]
        written[rows, source] &= np.isfinite(found).all(axis=-1)
        own = keypoints[rows]  # a view: what is put in stands in `keypoints`
        own[:, source] = np.where(written[rows, source][..., None], found, own[:, source])
        moved[rows] = (
            written[rows] & poses.valid[rows] & (lengths(own - poses.keypoints[rows]) > VISIBLE_MOVE)
        )
    filled = written & ~poses.valid
    moved |= place_middles(poses, keypoints, mapping.target)
    scores, valid = poses.scores, poses.valid | filled
    if filled.any():
        weakest = np.where(poses.valid, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        scores = np.where(filled, weakest, scores)
    for array in (keypoints, scores, valid):
        array.flags.writeable = False  # else the poses would hold a copy
    report = _count(poses, choice, mapping, usable, moved, filled, failed)
    return Refinement(
        poses=poses.with_keypoints(keypoints, valid=valid, scores=scores),
        moved=moved,
        filled=filled,
        confidence=_in_layout(choice.confidence, mapping, written),
        expected_oks=_mean_in_layout(choice.expected_similarity, mapping, written),
        report=dataclasses.replace(report, caution=caution),
    )


def _in_layout(values: FloatArray, mapping: KeypointMapping, known: BoolArray) -> FloatArray:
    """Values of the model's keypoints (N, K) in the layout of the poses, NaN where not `known`."""
    result = np.full(known.shape, np.nan)
    source, target = mapping.source_index, mapping.target_index
    for rows in parts(len(result)):
        result[rows, source] = np.where(known[rows, source], values[rows, target], np.nan)
    return result


def _mean_in_layout(values: FloatArray, mapping: KeypointMapping, known: BoolArray) -> FloatArray:
    """Means (N,) of what `_in_layout` gives; NaN of people of whom nothing is known."""
    means = np.empty(len(known))
    for rows in parts(len(known)):
        means[rows] = _mean_of_known(_in_layout(values[rows], mapping, known[rows]))
    return means


def _mean_of_known(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.where(known.any(axis=1), sums / np.maximum(known.sum(axis=1), 1), np.nan))


def _count(
    poses: Poses,
    choice: Choice,
    mapping: KeypointMapping,
    usable: BoolArray,
    moved: BoolArray,
    filled: BoolArray,
    failed: Sequence[FailedPhoto],
) -> RefinementReport:
    unknown = np.ones(len(poses.skeleton), dtype=bool)
    unknown[mapping.source_index] = False
    croppable, seen = int(usable.sum()), int(choice.seen.sum())
    return RefinementReport(
        people=len(poses),
        refined=seen,
        unchanged=len(poses) - croppable,
        outside=croppable - seen - sum(photo.people for photo in failed),
        moved_keypoints=int(moved.sum()),
        filled_keypoints=int(filled.sum()),
        passed_through_keypoints=int((poses.valid & unknown & choice.seen[:, None]).sum()),
        failed=tuple(failed),
        reserve=choice.reserve,
    )
