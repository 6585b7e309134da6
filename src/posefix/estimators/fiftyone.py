"""FiftyOne's data sets: a field of keypoints refined into another one, beside the one that was there.

Shape as in fiftyone/core/labels.py of https://github.com/voxel51/fiftyone: a sample has a file and fields; a field of
`Keypoints` holds `keypoints`, each a person with `points` (K pairs, shares of the photo, NaN where missing) and maybe
`confidence` (K numbers). Its importers divide COCO's pixels by width and height as they are, so there is no half pixel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from posefix.errors import InputError, plural
from posefix.estimators.prediction import COCO, NEXT_TO_NOTHING, resolve_skeleton
from posefix.photos.pixels import read_size
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.refine.merge import Missing
from posefix.refine.refiner import Refiner
from posefix.refine.results import RefinementReport
from posefix.skeletons import Skeleton, load_skeleton


def refine_dataset(
    refiner: Refiner,
    samples: Any,
    field: str,
    *,
    into: str = "refined",
    skeleton: Skeleton | str | None = None,
    missing: Missing = "fill",
) -> RefinementReport:
    """Refine a keypoint field of a FiftyOne data set, view or list of samples into a field beside it.

    The people of the new field are copies of the old one's, in the same order, with other `points` and `confidence`,
    and with `right` (K probabilities that a keypoint is right, NaN where nobody knows), `moved` (K distances in
    pixels, 0 for what stayed, NaN for what was missing) and `expected_oks`. All poses are judged as one estimator's.
    FiftyOne itself is not imported.

    Example:
        >>> dataset = fiftyone.load_dataset("mine")  # doctest: +SKIP
        >>> print(refine_dataset(refiner, dataset, "found", skeleton="coco17"))  # doctest: +SKIP

    Args:
        refiner: Moves the keypoints. Confidence stays the estimator's unless it was made with `scores`.
        samples: A data set or a view, whose samples are saved, or samples that belong to none.
        field: The name of the field with `Keypoints`; it stays as it is.
        into: The name of the field to write; one that is there is overwritten.
        skeleton: Layout of the keypoints, or its name; coco17 where there are 17 of them and none is named.
        missing: As in `Refiner`.

    Returns:
        The report of the refinement.

    Raises:
        InputError: The fields are the same, a sample has no such field or no photo, its people have different numbers
            of keypoints, or a layout that must be named.
    """
    if into == field:
        raise InputError(f"into: expected another field than {field!r}, so that both can be compared")
    people = list(_people(samples, field))
    named = load_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
    poses, sizes = _poses(people, named)
    made = dataclasses.replace(refiner, scores=refiner.scores or "input")
    photos = {image_id: str(image_id) for image_id in poses.image_ids}
    refined = made.refine(poses, photos, missing=missing)
    after = refined.poses
    points = np.where(after.valid[..., None], after.keypoints / sizes[:, None], np.nan)
    distance = np.linalg.norm(after.keypoints - poses.keypoints, axis=-1)
    moved = np.where(poses.valid, np.where(refined.moved, distance, 0.0), np.nan)
    rows = iter(range(len(poses)))
    for sample in _iterate(samples, save=True):
        if sample[field] is None:
            continue
        copies = sample[field].copy()
        for person, row in zip(copies.keypoints, rows, strict=False):
            kept = ~(refined.moved[row] | refined.filled[row])
            person.points = np.where(kept[:, None], np.array(person.points), points[row]).tolist()
            person.confidence = after.scores[row].tolist()
            person["right"] = refined.confidence[row].tolist()
            person["moved"] = moved[row].tolist()
            person["expected_oks"] = float(refined.expected_oks[row])
        sample[into] = copies
    return refined.report


def _iterate(samples: Any, *, save: bool = False) -> Iterator[Any]:
    """The samples one by one; with `save`, those of a data set are saved."""
    return samples.iter_samples(autosave=save) if hasattr(samples, "iter_samples") else iter(samples)


def _people(samples: Any, field: str) -> Iterator[tuple[str, Any]]:
    """The file of the photo and the `Keypoint` of each person.

    Raises:
        InputError: A field is not there, or holds something else.
    """
    for sample in _iterate(samples):
        if not sample.has_field(field):
            there = ", ".join(sample.field_names)
            raise InputError(f"{sample.filepath}: expected a field {field!r}, got {there}")
        label = sample[field]
        if label is None:
            continue
        if not hasattr(label, "keypoints"):
            raise InputError(
                f"{sample.filepath}: field {field!r}: expected Keypoints, got {type(label).__name__}"
            )
        yield from ((sample.filepath, person) for person in label.keypoints)


def _poses(people: list[tuple[str, Any]], named: Skeleton | None) -> tuple[Poses, FloatArray]:
    """The people as poses in pixels, and width and height (N, 2) of their photos."""
    if not people:
        raise InputError("samples: expected people to refine, got none")
    counts = {len(person.points) for _, person in people}
    if len(counts) > 1:
        raise InputError(
            f"samples: expected people of one layout, got {min(counts)} to {max(counts)} keypoints; refine a view of "
            "those alike"
        )
    layout = resolve_skeleton(named, (len(people), *counts), COCO, "FiftyOne")
    known = {path: read_size(path) for path in {path for path, _ in people}}
    sizes = np.array([known[path] for path, _ in people], dtype=np.float64)
    shares = np.array([person.points for _, person in people], dtype=np.float64)
    valid: BoolArray = np.asarray(np.isfinite(shares).all(axis=-1))
    scores = np.array([_confidence(person, len(layout)) for _, person in people])
    scores = np.where(valid, np.maximum(scores, NEXT_TO_NOTHING), 0.0)
    counted = np.maximum(valid.sum(axis=1), 1)
    poses = Poses(
        keypoints=np.where(valid[..., None], shares * sizes[:, None], 0.0),
        scores=scores,
        valid=valid,
        image_ids=tuple(path for path, _ in people),
        pose_scores=scores.sum(axis=1) / counted,
        skeleton=layout,
    )
    return poses, sizes


def _confidence(person: Any, count: int) -> list[float]:
    """K numbers; 1 where there is none."""
    values = person.confidence
    if values is None:
        return [1.0] * count
    if len(values) != count:
        raise InputError(
            f"confidence: expected a number for each of {plural(count, 'keypoint')}, got {len(values)}"
        )
    return [0.0 if value is None or np.isnan(value) else float(value) for value in values]
