"""The ground truth that poses are compared with, as commands are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from posefix.cli.options import AnnotationsLayout, Category

if TYPE_CHECKING:
    from posefix.formats.coco_annotations import Annotations
    from posefix.pose.poses import Poses


@Parameter(name="*", group="Ground truth")
@dataclass(frozen=True, kw_only=True)
class TruthOptions:
    """How the ground truth is read."""

    annotations: Path
    """A COCO keypoint annotation file, or a folder of PoseTrack 2018 annotation files."""
    annotations_layout: AnnotationsLayout = None
    category: Category = None

    def read(self, layout: str | None = None) -> Annotations:
        """The ground truth; prints what of the file it does not hold.

        Args:
            layout: Skeleton of the results.
        """
        from posefix.interchange import read_truth

        named = self.annotations_layout
        truth = read_truth(self.annotations, named or layout, self.category, overrule=named is not None)
        self.tell(truth)
        return truth

    def tell(self, truth: Annotations) -> None:
        """Print what of the file the ground truth does not hold."""
        for line in (*truth.notes, *truth.left_out):
            print(f"{self.annotations}: {line}")

    def read_poses(self, results: Path, truth: Annotations, layout: str | None) -> Poses:
        """The poses that are compared with the ground truth; prints how they were chosen."""
        from posefix.interchange import read_compared_poses

        found = read_compared_poses(results, truth, layout)
        for line in found.notes:
            print(f"{results}: {line}")
        return found.poses
