"""New files that are read back before they are put in place: what cannot be, or is another, is not written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from posefix.errors import InputError, plural
from posefix.files import TEMPORARY, ensure_new_folder, ensure_writable
from posefix.interchange.detection import find_format
from posefix.interchange.pose_files import new_contents, read_pose_file, write_contents
from posefix.pose.poses import FloatArray, Poses
from posefix.pose_files.pose_file import Contents, NewFile, PhotoSize, PoseFile

TOLERANCE = 0.01
"""Pixels by which places may differ: those that are written as shares are rounded."""
SHARE = 1e-6
"""The same as a share of the coordinate, for those far from the photo's corner."""
SCORE_TOLERANCE = 0.002
"""By which scores may differ: some formats write no zero for a keypoint that is there."""


def write_checked_pose_file(
    path: str | Path, new: NewFile, format: str, photo_size: PhotoSize | None = None
) -> None:
    """Write poses as a new file, if it reads back as the same poses.

    Args:
        path: The file or folder to write.
        new: The poses and what else is known of them.
        format: Name of the format (docs/formats.md).
        photo_size: What who reads the file knows of the photos, by the names in it; that of `new` when None.

    Raises:
        FormatError: The format cannot be written anew, or has no place for such poses.
        InputError: It cannot be written, or does not read back as it should.
    """
    contents = new_contents(path, new, format)
    if contents:
        ensure = ensure_writable if find_format(format).one_file else ensure_new_folder
        ensure(path)
        _check(Path(path), contents, new, format, photo_size or new.photo_size)
    write_contents(path, contents)


def _check(path: Path, contents: Contents, new: NewFile, format: str, photo_size: PhotoSize | None) -> None:
    """Refuse what does not read back as it should.

    The copy lies beside the output: elsewhere there may be no room for it.
    """
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.resolve().parent) as folder:
        copy = Path(folder) / path.name
        try:
            write_contents(copy, contents)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(path))) from error
        try:
            found = read_pose_file(copy, new.poses.skeleton, format=format, photo_size=photo_size)
        except InputError as error:
            told = str(error).replace(str(copy), path.name)
            raise InputError(f"{path}: not written, since it could not be read again: {told}") from error
    expected = new.poses
    if find_format(format).keypoints_needed:
        expected = expected[np.flatnonzero(expected.valid.any(axis=1))]
    if problem := difference(expected, found):
        raise InputError(
            f"{path}: not written, since {format} has no place for these poses: {problem}; choose another format"
        )


def difference(expected: Poses, found: PoseFile) -> str | None:
    """What a file that was read again has otherwise than the poses that were written; None where all is the same.

    Folders have people by photo, in whatever order. So what is compared is how many people the photos have and, for
    each keypoint, the numbers of all people in order of size.

    Args:
        expected: The poses.
        found: As read.
    """
    poses = found.poses
    if len(poses) != len(expected):
        return f"{plural(len(expected), 'person')} become {len(poses)}"
    if _crowds(poses) != _crowds(expected):
        photos = plural(len(set(expected.image_ids)), "photo")
        return f"the people of {photos} become those of {len(set(poses.image_ids))}"
    if poses.skeleton.keypoint_names != expected.skeleton.keypoint_names:
        return f"layout {expected.skeleton.name} becomes {poses.skeleton.name}"
    for column, name in enumerate(expected.skeleton.keypoint_names):
        if problem := _keypoint_difference(column, expected, found):
            return f"{name} {problem}"
    return None


def _keypoint_difference(column: int, expected: Poses, found: PoseFile) -> str | None:
    """What is otherwise of a keypoint."""
    before, after = (_sorted_numbers(one, column) for one in (expected, found.poses))
    if len(before) != len(after):
        return f"is there {len(before)} times, then {len(after)} times"
    off = np.abs(before - after)
    if (off[:, :2] > TOLERANCE + SHARE * np.abs(before[:, :2])).any():
        return "lies elsewhere"
    return "has another score" if found.has_scores and (off[:, 2] > SCORE_TOLERANCE).any() else None


def _crowds(poses: Poses) -> list[int]:
    """How many people each photo has, in order of size."""
    _, counts = np.unique([str(image_id) for image_id in poses.image_ids], return_counts=True)
    return sorted(counts.tolist())


def _sorted_numbers(poses: Poses, column: int) -> FloatArray:
    """(n, 3) x, y and score of a keypoint of whoever has it, each in order of size.

    Sorting moves numbers that were changed by a little by no more than that.
    """
    valid = poses.valid[:, column]
    numbers = np.column_stack([poses.keypoints[valid, column], poses.scores[valid, column]])
    return np.sort(numbers, axis=0)
