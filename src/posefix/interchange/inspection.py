"""What a pose file holds, for people: format, layout, people, photos, scores, and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.interchange.detection import Detection, detect_format
from posefix.interchange.pose_files import NO_HINTS, Hints, check_pixels
from posefix.pose_file import PoseFile, Source
from posefix.poses import Poses
from posefix.skeletons import Skeleton, match_keypoints

FEWEST_KEYPOINTS = 2
"""Of the model's keypoints a person must have so many to be found in the photo."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a pose file holds.

    Attributes:
        path: The file or folder.
        detection: Its format, and why.
        file: As it was read; None where it cannot be.
        problems: What is wrong or odd, a sentence each.
        vocabulary: The keypoints that a model refines.
    """

    path: Path
    detection: Detection
    file: PoseFile | None
    problems: tuple[str, ...]
    vocabulary: Skeleton

    def lines(self) -> list[tuple[str, str]]:
        """Name and value of each line of the report."""
        kind, reason = self.detection
        lines = [
            ("file", str(self.path)),
            ("format", f"{kind.name}, {kind.title}"),
            ("recognised by", reason),
        ]
        if self.file is not None:
            lines += _file_lines(self.file, self.vocabulary)
            lines += [("note", note) for note in self.file.notes]
        return lines + [("problem", problem) for problem in self.problems or ("none found",)]

    def __str__(self) -> str:
        lines = self.lines()
        width = max(len(name) for name, _ in lines)
        before = [None, *(name for name, _ in lines)]
        shown = ("" if name == last else name for (name, _), last in zip(lines, before, strict=False))
        return "\n".join(f"{name:<{width}}  {value}" for name, (_, value) in zip(shown, lines, strict=True))


def inspect_file(path: str | Path, vocabulary: Skeleton, hints: Hints = NO_HINTS) -> Inspection:
    """Say what a pose file holds, as far as it can be read.

    Args:
        path: The file, or the folder of a format that is one.
        vocabulary: The keypoints that a model refines.
        hints: What the file may not say itself.

    Raises:
        InputError: There is no such file or layout, or the file's format is unknown.
    """
    source, reading = Source(path), hints.reading
    detection = detect_format(source, hints.format)
    try:
        file = detection.format.read(source, reading)
    except InputError as error:
        return Inspection(source.path, detection, None, (str(error),), vocabulary)
    problems = [*_oddities(file.poses)]
    for check in (check_pixels, hints.photo_names):
        try:
            check(file)
        except InputError as error:
            problems.append(str(error))
    return Inspection(source.path, detection, file, tuple(problems), vocabulary)


def _file_lines(file: PoseFile, vocabulary: Skeleton) -> list[tuple[str, str]]:
    poses = file.poses
    skeleton, photos = poses.skeleton, len(set(poses.image_ids))
    lines = [
        ("layout", f"{skeleton.name}, {len(skeleton)} keypoints"),
        ("people", f"{len(poses):,} in {photos:,} photos"),
    ]
    if poses.valid.any():
        share = poses.valid.mean()
        lines += [
            ("keypoints", f"{int(poses.valid.sum()):,} there, {1 - share:.1%} missing"),
            ("keypoint scores", _range(poses.scores[poses.valid])),
            ("pose scores", _range(poses.pose_scores)),
        ]
    if file.tracks is not None:
        known = {track for track in file.tracks if track is not None}
        lines.append(("tracks", f"{len(known):,}"))
    if file.boxes is not None:
        lines.append(("boxes", f"{int(np.isfinite(file.boxes).all(axis=1).sum()):,}"))
    return lines + _refinement_lines(poses, vocabulary)


def _refinement_lines(poses: Poses, vocabulary: Skeleton) -> list[tuple[str, str]]:
    """Which keypoints, and whose, a refinement would move."""
    try:
        mapping = match_keypoints(poses.skeleton, vocabulary)
    except InputError:
        return [("refined", "nothing: the model knows none of these keypoints by name")]
    enough = poses.valid[:, mapping.source_index].sum(axis=1) >= FEWEST_KEYPOINTS
    which = f"all {len(mapping.shared)} keypoints"
    if mapping.passes_through:
        which = f"{len(mapping.shared)} keypoints, {', '.join(mapping.shared)}"
    lines = [("refined", f"{_people(enough)}: {which}")]
    if mapping.passes_through:
        lines.append(("passes through", ", ".join(mapping.passes_through)))
    if len(poses) and not enough.all():
        lines.append(("passes through", f"{_people(np.asarray(~enough))} with too few keypoints to be found"))
    return lines


def _oddities(poses: Poses) -> Iterator[str]:
    """What can be read and is not as it should be."""
    if not len(poses):
        yield "there is nobody in the file"
        return
    empty = np.asarray(~poses.valid.any(axis=1))
    if empty.any():
        yield f"{_people(empty)} without any keypoint"
    if poses.valid.any() and not 0 <= poses.scores[poses.valid].min() <= poses.scores[poses.valid].max() <= 1:
        yield "keypoint scores are not all in 0 to 1"
    rows = {
        (image_id, places.tobytes())
        for image_id, places in zip(
            poses.image_ids, np.where(poses.valid[..., None], poses.keypoints, 0), strict=True
        )
    }
    if twice := len(poses) - len(rows):
        yield f"people who are there again, same photo and same keypoints: {twice:,}"


def _people(chosen: npt.NDArray[np.bool_]) -> str:
    count = int(chosen.sum())
    return "1 person" if count == 1 else f"{count:,} people"


def _range(values: npt.NDArray[np.float64]) -> str:
    return f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"
