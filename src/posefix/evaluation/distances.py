"""PCK, AUC, EPE and NME: how far keypoints lie from their labels, person by person, whatever the poses' scores.

The numbers are those of MMPose's functions of these names (`mmpose.evaluation.functional`):

* PCK@t is the share of labelled keypoints less than t units away, of each keypoint, averaged over the keypoints.
* AUC is the mean of PCK at 20 distances, 0, 1.5, ..., 28.5 pixels.
* EPE is the mean distance in pixels, NME in units, over all labelled keypoints together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.evaluation.coco import check_images, describe_keypoints, share_keypoints
from posefix.evaluation.matching import match_people
from posefix.evaluation.percentages import metric_table
from posefix.formats.coco_annotations import AREA_OF_BOX, Annotations
from posefix.pose.poses import BoolArray, FloatArray, Poses, Rows

PCK_THRESHOLDS = (0.05, 0.1, 0.2)
"""Shares of the longer side of the person's box."""
AUC_PIXELS, AUC_STEPS = 30.0, 20
PCK_METRIC_NAMES = ("PCK@.05", "PCK@.1", "PCK@.2", "AUC", "EPE px", "NME")
PCKH_GROUPS = {
    "Head": ("head_top",),
    "Shou": ("left_shoulder", "right_shoulder"),
    "Elb": ("left_elbow", "right_elbow"),
    "Wri": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankl": ("left_ankle", "right_ankle"),
}
"""Columns of PCKh, and the keypoints whose mean each shows."""
PCKH_LEFT_OUT = ("pelvis", "thorax")
"""MPII labels them, but does not judge by them."""
PCKH, PCKH_FINE, PCKH_MEAN = "PCKh", "PCKh@.1", "Mean"
PCKH_METRIC_NAMES = (*PCKH_GROUPS, PCKH, PCKH_FINE, PCKH_MEAN)
PCKH_THRESHOLD, PCKH_FINE_THRESHOLD = 0.5, 0.1
"""In head sizes."""


@dataclass(frozen=True)
class DistanceMetrics:
    """What was measured, and on whom.

    Attributes:
        values: The numbers by name, 0 to 1, or pixels where the name says so; -1 where nothing is labelled.
        keypoint_names: The keypoints that were compared, as the annotations name them.
        people: Number of annotated people who count.
        not_found: How many of them no pose is of. PCK and AUC take their keypoints for wrong, EPE and NME leave them
            out.
    """

    values: Mapping[str, float]
    keypoint_names: tuple[str, ...]
    people: int
    not_found: int

    def as_dict(self) -> dict[str, float]:
        """The numbers by name."""
        return dict(self.values)

    def notes(self) -> list[str]:
        """Lines that say what was compared."""
        lines = [describe_keypoints(self.keypoint_names)]
        if self.not_found:
            lines.append(
                f"without a pose of theirs: {self.not_found} of {plural(self.people, 'person')}, wrong in PCK and "
                "AUC, left out "
                "of EPE and NME"
            )
        return lines

    def table(self) -> str:
        """Names above numbers, and what was compared."""
        return "\n".join([*metric_table(self.values), *self.notes()])


@dataclass(frozen=True, eq=False)
class Distances:
    """How far keypoints lie from their labels, of the N annotated people who count and S shared keypoints.

    Attributes:
        people: (N,) rows in the annotations.
        offset: (N, S, 2) pixels; infinite where no pose is of the person.
        labelled: (N, S) which of them are measured.
        names: Of the keypoints, as in the annotations.
    """

    people: Rows
    offset: FloatArray
    labelled: BoolArray
    names: tuple[str, ...]

    @property
    def found(self) -> BoolArray:
        """(N,) of whom there is a pose."""
        return np.asarray(np.isfinite(self.offset).all(axis=(1, 2)), dtype=np.bool_)

    def of(self, names: tuple[str, ...]) -> Distances:
        """Those of some of the keypoints; people without a label on these stay."""
        columns = [self.names.index(name) for name in names]
        return Distances(self.people, self.offset[:, columns], self.labelled[:, columns], names)

    def shares_below(self, threshold: float, unit: FloatArray | float = 1.0) -> FloatArray:
        """(S,) share of the labelled keypoints less than `threshold` units away; NaN where none is labelled.

        Args:
            threshold: In units.
            unit: (N,) pixels, or one for all.
        """
        near = self._lengths(unit) < threshold
        count = self.labelled.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray((near & self.labelled).sum(axis=0) / count, dtype=np.float64)

    def mean(self, unit: FloatArray | float = 1.0) -> float:
        """Mean distance in units, over the labelled keypoints of the people found; -1 where there is none."""
        measured = self.labelled & self.found[:, None]
        return float(self._lengths(unit)[measured].mean(dtype=np.float64)) if measured.any() else -1.0

    def _lengths(self, unit: FloatArray | float) -> npt.NDArray[np.float32]:
        """(N, S) in units. In single precision, as in MMPose: where coordinates are round, many are at a threshold."""
        lengths = np.linalg.norm(self.offset / np.reshape(unit, (-1, 1, 1)), axis=-1)
        return np.asarray(lengths, dtype=np.float32)


def measure_distances(results: Poses, annotations: Annotations) -> Distances:
    """Compare the keypoints of each person's pose with the labels.

    Which pose is whose is what `match_people` finds, the most similar pair first; whoever has an area of 0 is found by
    one of `AREA_OF_BOX`, since distances need none. A missing keypoint is compared as it stands in the file, at 0, 0
    as a rule.

    Args:
        results: Poses in pixels of the original photos.
        annotations: People in these photos.

    Raises:
        InputError: No keypoint is shared, the annotations hold no people, or a pose's photo is not in them.
    """
    check_images(results, annotations)
    shared = share_keypoints(results, annotations)
    counted = np.flatnonzero(annotations.people.counted(shared.annotation_columns))
    matches = match_people(results, _with_areas(annotations))
    pose_of = np.full(len(annotations.people), -1, dtype=np.int64)
    pose_of[matches.people] = matches.poses
    rows = pose_of[counted]
    truth = annotations.people.keypoints[counted][:, shared.annotation_columns]
    offset = np.full(truth.shape, np.inf)
    offset[rows >= 0] = results.keypoints[rows[rows >= 0]][:, shared.result_columns] - truth[rows >= 0]
    labelled = annotations.people.visibility[counted][:, shared.annotation_columns] > 0
    return Distances(counted, offset, labelled, shared.names)


def _with_areas(annotations: Annotations) -> Annotations:
    """The same people, none of whom is left out for an area of 0; a box may be a line, and is a pixel then."""
    people = annotations.people
    estimated = np.maximum(AREA_OF_BOX * people.bbox_xywh[:, 2:].prod(axis=1), 1.0)
    area = np.where(people.area > 0, people.area, estimated)
    return replace(annotations, people=replace(people, area=area))


def evaluate_pck(results: Poses, annotations: Annotations) -> DistanceMetrics:
    """PCK and NME in units of the longer side of the box, AUC and EPE in pixels.

    Args:
        results: As of `measure_distances`.
        annotations: As of `measure_distances`.

    Raises:
        InputError: See `measure_distances`, or a person who counts has a box without extent.
    """
    distances = measure_distances(results, annotations)
    unit = annotations.people.bbox_xywh[distances.people, 2:].max(axis=1)
    _check_units(unit, distances, annotations, "bbox", "PCK and NME are measured in box sides")
    steps = [step / AUC_STEPS for step in range(AUC_STEPS)]
    numbers = [
        *(_mean_of_known(distances.shares_below(share, unit)) for share in PCK_THRESHOLDS),
        float(np.mean([_mean_of_known(distances.shares_below(step, AUC_PIXELS)) for step in steps])),
        distances.mean(),
        distances.mean(unit),
    ]
    return _metrics(dict(zip(PCK_METRIC_NAMES, numbers, strict=True)), distances)


def evaluate_pckh(results: Poses, annotations: Annotations) -> DistanceMetrics:
    """PCK in units of the head size, as MPII measures it: at .5 by groups, of all keypoints together, and at .1.

    PCKh pools the keypoints, as MPII does: each counts as often as it is labelled. Mean is that over the keypoints'
    own shares. Pelvis and thorax are left out.

    Args:
        results: As of `measure_distances`.
        annotations: As of `measure_distances`; ``head_size`` in pixels is MPII's .6 of the head box's diagonal.

    Raises:
        InputError: See `measure_distances`, or a person who counts has no head size.
    """
    distances = measure_distances(results, annotations)
    distances = distances.of(tuple(name for name in distances.names if name not in PCKH_LEFT_OUT))
    unit = annotations.people.head_size[distances.people]
    _check_units(unit, distances, annotations, "head_size", "PCKh is measured in head sizes")
    near = distances.shares_below(PCKH_THRESHOLD, unit)
    share_of = dict(zip(distances.names, near, strict=True))
    values = {
        group: _mean_of_known(np.array([share_of.get(name, np.nan) for name in names]))
        for group, names in PCKH_GROUPS.items()
    }
    values[PCKH] = _pooled(near, distances.labelled)
    values[PCKH_FINE] = _pooled(distances.shares_below(PCKH_FINE_THRESHOLD, unit), distances.labelled)
    values[PCKH_MEAN] = _mean_of_known(near)
    return _metrics(values, distances)


def _check_units(
    unit: FloatArray, distances: Distances, annotations: Annotations, field: str, why: str
) -> None:
    """Refuse people whom nothing can be measured by."""
    bad = np.flatnonzero(~(unit > 0) & distances.labelled.any(axis=1))
    if bad.size:
        row = distances.people[bad[0]]
        got = "none" if np.isnan(unit[bad[0]]) else "one without extent"
        raise InputError(
            f"{annotations.path}, annotation {annotations.people.ids[row]!r}, field {field!r}: expected one, got "
            f"{got}, and {why}; give it to every labelled person, or choose another --metric."
        )


def _metrics(values: dict[str, float], distances: Distances) -> DistanceMetrics:
    judged = distances.labelled.any(axis=1)
    not_found = int((judged & ~distances.found).sum())
    return DistanceMetrics(values, distances.names, int(judged.sum()), not_found)


def _mean_of_known(shares: FloatArray) -> float:
    """Mean over the keypoints that anybody is labelled with, -1 where there is none."""
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if known.size else -1.0


def _pooled(shares: FloatArray, labelled: BoolArray) -> float:
    """Share of all labelled keypoints together, -1 where there is none."""
    count = labelled.sum(axis=0)
    return float(np.nansum(shares * count) / count.sum()) if count.any() else -1.0
