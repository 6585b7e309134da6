"""Poses carried over to another format or layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from posefix.errors import plural
from posefix.pose.poses import FloatArray, ImageId
from posefix.pose_files.pose_file import HIDDEN, VISIBLE, NewFile, PhotoSize, PoseFile
from posefix.skeletons import KeypointMapping, Skeleton, match_keypoints


@dataclass(frozen=True, eq=False)
class Conversion:
    """What is written to a file of another format.

    Attributes:
        new: The poses, in the layout that was asked for.
        mapping: Which keypoints the two layouts share; None where the layout is the file's own.
        left_out: How many keypoints were left out since their score was too low.
    """

    new: NewFile
    mapping: KeypointMapping | None
    left_out: int = 0

    def report(self) -> str:
        """A line for each kind of keypoint that does not go over, or one that says that all do."""
        return "\n".join([*self._layout_lines(), *self._score_lines()])

    def _score_lines(self) -> list[str]:
        return [f"keypoints of lower scores, left out: {self.left_out}"] if self.left_out else []

    def _layout_lines(self) -> list[str]:
        if self.mapping is None:
            skeleton = self.new.poses.skeleton
            return [f"layout {skeleton.name}: all {plural(len(skeleton), 'keypoint')} kept"]
        names = f"{self.mapping.source.name} -> {self.mapping.target.name}"
        lines = [f"layout {names}: {plural(len(self.mapping.shared), 'keypoint')} kept"]
        if lost := self.mapping.passes_through:
            lines.append(f"  lost, not in {self.mapping.target.name} ({len(lost)}): {', '.join(lost)}")
        if missing := self.mapping.missing:
            lines.append(
                f"  missing, not in {self.mapping.source.name} ({len(missing)}): {', '.join(missing)}"
            )
        return lines


def convert(
    file: PoseFile,
    layout: Skeleton | None = None,
    photo_size: PhotoSize | None = None,
    file_names: Mapping[ImageId, str] | None = None,
    least_score: float | None = None,
) -> Conversion:
    """What a file holds, for a new file of any format.

    Args:
        file: As it was read.
        layout: Skeleton to convert to, matched by keypoint names; None keeps that of the file.
        photo_size: For formats whose coordinates are shares of the photo.
        file_names: Name of the photo of each image id; None for what the file itself says.
        least_score: Keypoints with a lower score become missing ones; None keeps all.

    Raises:
        InputError: The layouts share no keypoint.
    """
    mapping = None
    if layout is not None and layout != file.poses.skeleton:
        mapping = match_keypoints(file.poses.skeleton, layout)
    poses, visibility = file.poses, _visibility(file)
    if mapping is not None:
        poses = poses.in_layout(mapping)
        visibility = None if visibility is None else _in_layout(visibility, mapping)
    left_out = 0
    if least_score is not None:
        kept = poses.valid & (poses.scores >= least_score)
        left_out = int(poses.valid.sum() - kept.sum())
        poses = poses.with_keypoints(poses.keypoints, valid=kept)
    new = NewFile(poses, file.tracks, file.boxes, file_names or file.file_names or {}, photo_size, visibility)
    return Conversion(new, mapping, left_out)


def _visibility(file: PoseFile) -> FloatArray | None:
    """As of `PoseFile`; keypoints of a file without scores are labels, too: somebody saw them.

    Trackers put scores in the place of visibilities; who has one is visible.
    """
    if file.visibility is not None:
        return np.where(np.isin(file.visibility, (0.0, HIDDEN, VISIBLE)), file.visibility, VISIBLE)
    return None if file.has_scores else np.where(file.poses.valid, VISIBLE, 0.0)


def _in_layout(visibility: FloatArray, mapping: KeypointMapping) -> FloatArray:
    """Visibilities (N, K) in another layout; keypoints that this one lacks are not labelled."""
    converted = np.zeros((len(visibility), len(mapping.target)))
    converted[:, mapping.target_index] = visibility[:, mapping.source_index]
    return converted
