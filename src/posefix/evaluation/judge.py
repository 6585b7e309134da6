"""A ground truth and the metric that judges by it, chosen by what the annotations say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from posefix.evaluation.coco import METRIC_NAMES, check_images, evaluate_coco
from posefix.evaluation.crowdpose import CROWDPOSE_METRIC_NAMES, evaluate_crowdpose
from posefix.evaluation.distances import (
    PCK_METRIC_NAMES,
    PCKH_METRIC_NAMES,
    evaluate_pck,
    evaluate_pckh,
)
from posefix.evaluation.percentages import change_table
from posefix.evaluation.posetrack import POSETRACK_METRIC_NAMES, evaluate_posetrack, read_judged_poses
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.formats.coco_posetrack import PoseTrackAnnotations, read_posetrack_annotations
from posefix.interchange import ComparedPoses, read_compared_poses
from posefix.interchange.pose_files import Layout, load_layout
from posefix.pose.poses import ImageId, Poses

Metric = Literal["coco", "crowdpose", "posetrack", "pckh", "pck"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "coco": METRIC_NAMES,
    "crowdpose": CROWDPOSE_METRIC_NAMES,
    "posetrack": POSETRACK_METRIC_NAMES,
    "pckh": PCKH_METRIC_NAMES,
    "pck": PCK_METRIC_NAMES,
}
"""Names of the numbers of each metric."""


class Metrics(Protocol):
    """What every metric gives."""

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """The keypoints that were compared, as the annotations name them."""
        ...

    def as_dict(self) -> dict[str, float]:
        """The numbers by name."""
        ...

    def notes(self) -> list[str]:
        """What a reader of the numbers must know, a line each."""
        ...

    def table(self) -> str:
        """Numbers and notes, for people."""
        ...


MEASURES: Mapping[str, Callable[[Poses, Annotations], Metrics]] = {
    "coco": evaluate_coco,
    "crowdpose": evaluate_crowdpose,
    "pckh": evaluate_pckh,
    "pck": evaluate_pck,
}
"""Metrics of COCO annotations; PoseTrack's needs more than these hold."""


@dataclass(frozen=True, eq=False)
class JudgedPoses:
    """Poses of annotated photos.

    Attributes:
        poses: The poses.
        left_out: Photo of each pose that was left out, since the annotations do not know it.
        notes: What a user should know of how the poses were chosen, a line each.
    """

    poses: Poses
    left_out: tuple[ImageId, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Judge:
    """A ground truth and its metric.

    Attributes:
        metric: Whose rules.
        annotations: People in photos.
        posetrack: What PoseTrack's rules need besides; None for other metrics.
    """

    metric: Metric
    annotations: Annotations
    posetrack: PoseTrackAnnotations | None = None

    @classmethod
    def read(
        cls,
        path: Path,
        metric: Metric | None = None,
        layout: Layout | None = None,
        category: str | None = None,
        *,
        overrule: bool = False,
    ) -> Judge:
        """Read a ground truth.

        Args:
            path: A COCO annotation file, or a folder of PoseTrack 2018 annotation files.
            metric: Whose rules; None for those that the annotations say.
            layout: As of `posefix.formats.coco_annotations.read_annotations`.
            category: The same.
            overrule: The same.

        Raises:
            InputError: The file, or one of the folder, is faulty.
        """
        if not path.is_dir() and metric != "posetrack":
            annotations = read_annotations(path, layout, category, overrule=overrule)
            return cls(metric or metric_of(annotations), annotations)
        posetrack = read_posetrack_annotations(path)
        if metric in (None, "posetrack"):
            return cls("posetrack", posetrack.annotations, posetrack)
        return cls(metric or "coco", posetrack.annotations)

    def read_poses(self, path: Path, layout: Layout | None, *, subset: bool = False) -> JudgedPoses:
        """Read results of any format that are to be measured.

        Args:
            path: The file, or a folder of one format.
            layout: Skeleton of a file that does not say it.
            subset: Leave out poses of photos that are not annotated, instead of refusing them.

        Raises:
            InputError: The file is faulty, or a pose's photo is not annotated.
        """
        if self.posetrack is None:
            found = read_compared_poses(path, self.annotations, layout)
        else:
            found = ComparedPoses(read_judged_poses(path, load_layout(layout), self.posetrack))
        poses = found.poses
        if not subset:
            check_images(poses, self.annotations, path)
            return JudgedPoses(poses, notes=found.notes)
        known = np.array(
            [image_id in self.annotations.images for image_id in poses.image_ids], dtype=np.bool_
        )
        left_out = tuple(poses.image_ids[row] for row in np.flatnonzero(~known))
        return JudgedPoses(poses[known], left_out, found.notes)

    def measure(self, poses: Poses) -> Metrics:
        """The numbers of poses in annotated photos.

        Raises:
            InputError: The annotations lack what the metric needs, or a pose's photo is not annotated.
        """
        if self.posetrack is not None:
            return evaluate_posetrack(poses, self.posetrack)
        return MEASURES[self.metric](poses, self.annotations)


def metric_of(annotations: Annotations) -> Metric:
    """Whose data these are: CrowdPose's with a crowd index for every photo, MPII's with head sizes, else COCO's."""
    if all(image.crowd_index is not None for image in annotations.images.values()):
        return "crowdpose"
    return "pckh" if np.isfinite(annotations.people.head_size).any() else "coco"


@dataclass(frozen=True)
class MetricChange:
    """Two results on the same annotations."""

    before: Metrics
    after: Metrics

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        before, after = self.before.as_dict(), self.after.as_dict()
        known = [name for name in after if min(before[name], after[name]) >= 0]
        return {
            "before": before,
            "after": after,
            "difference": {name: after[name] - before[name] for name in known},
        }

    def table(self) -> str:
        """Names, before, after and difference, a line each, and what was compared."""
        return "\n".join([*change_table(self.before.as_dict(), self.after.as_dict()), *self.after.notes()])
