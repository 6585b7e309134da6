"""DeepLabCut: predictions of videos and labelled photos, as CSV and HDF5."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, Where, quoted
from posefix.formats.deeplabcut_csv import format_csv, parse_csv
from posefix.formats.deeplabcut_table import Table
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses
from posefix.pose_files import hdf5
from posefix.pose_files.layouts import check_names
from posefix.pose_files.pose_file import (
    DECIMALS,
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
    numbers_to_write,
    require_libraries,
    rows_left_out,
)
from posefix.skeletons import Skeleton, skeleton_from_names

NAME = "deeplabcut"
OPENING = re.compile(rb'(\xef\xbb\xbf)?"?scorer"?[,;\t]')
"""How its CSV files begin: maybe with a mark of spreadsheets, and with another separator in some countries."""
SCORER = "posefix"


def recognise(source: Source) -> str | None:
    """Whether a file is a table of DeepLabCut."""
    try:
        if source.path.suffix.lower() == ".csv" and source.path.is_file():
            with source.path.open("rb") as file:
                opening = file.read(200)
            return "a CSV file that begins with its scorer" if OPENING.match(opening) else None
        if source.path.suffix.lower() not in (".h5", ".hdf5") or not source.path.is_file():
            return None
        known = source.content.startswith(hdf5.SIGNATURE) and b"pandas_type" in source.content
        return "an HDF5 file with a data frame" if known else None
    except (OSError, FormatError):
        return None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read a table; an animal of which a row has no keypoint is not there, and no pose.

    Raises:
        FormatError: The table is faulty, or it is HDF5 and h5py is not installed.
    """
    table = _read_table(source)
    skeleton = _skeleton(table, reading.skeleton)
    cells = _Cells.of(table)
    keypoints, scores = cells.take(table.values)
    valid: BoolArray = np.asarray(np.isfinite(keypoints).all(axis=-1))
    # A place without a likelihood was labelled by hand.
    scores = np.where(np.isnan(scores), valid, scores)
    read_poses = Poses(
        keypoints=np.where(np.isnan(keypoints), 0.0, keypoints),
        scores=scores,
        valid=valid,
        image_ids=tuple(table.rows[row] for row in cells.rows),
        pose_scores=_mean_scores(scores, valid),
        skeleton=skeleton,
    )

    def rewrite(poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False) -> Contents:
        """`update_boxes` changes nothing: the table has no boxes."""
        check_same_poses(table.path, poses, read_poses)
        values = cells.edited(table.values, poses, read_poses, keep)
        changed = ~((values == table.values) | (np.isnan(values) & np.isnan(table.values)))
        return {"": table.write(values, changed) if changed.any() else source.content}

    individuals = len(table.animals) > 1
    notes = []
    if table.left_out:
        notes.append(f"passed through, since their body parts are their own: {', '.join(table.left_out)}")
    if table.others:
        notes.append(f"columns that pass through: {', '.join(table.others)}")
    return PoseFile(
        path=table.path,
        format=NAME,
        poses=read_poses,
        rewrite=rewrite,
        tracks=tuple(cells.names) if individuals else None,
        notes=tuple(notes),
        has_scores=bool((cells.columns[..., 2] >= 0).any()),
    )


def write(new: NewFile) -> Contents:
    """A new CSV file: a row for each photo, an individual for each track, or for the first, second ... of a photo.

    The row of a photo has empty cells for who has no keypoint in it, as for who is not there.

    Raises:
        FormatError: There is no pose, or two of a photo have one track, which has one place in a row.
    """
    poses, names = new.poses, _names(new)
    individuals = {name: place for place, name in enumerate(dict.fromkeys(names))}
    photos = {photo: place for place, photo in enumerate(dict.fromkeys(poses.image_ids))}
    several = len(individuals) > 1
    columns = [
        (SCORER, *([individual] if several else []), part, coordinate)
        for individual in individuals
        for part in poses.skeleton.keypoint_names
        for coordinate in ("x", "y", "likelihood")
    ]
    values = np.full((len(photos), len(individuals), len(poses.skeleton), 3), np.nan)
    for number, (image_id, name) in enumerate(zip(poses.image_ids, names, strict=True)):
        triples = np.column_stack([np.round(poses.keypoints[number], DECIMALS), poses.scores[number]])
        triples[~poses.valid[number]] = np.nan
        values[photos[image_id], individuals[name]] = triples
    rows = [new.file_names.get(photo, photo) for photo in photos]
    if not columns:
        raise FormatError("deeplabcut: expected at least one pose to write, got none.")
    _check_lines([*map(str, rows), *(part for column in columns for part in column)])
    return {"": format_csv(columns, rows, values.reshape(len(photos), -1))}


def _check_lines(texts: Sequence[str]) -> None:
    """Refuse names with line breaks, at which a table is cut into rows.

    Raises:
        FormatError: There is one.
    """
    for text in texts:
        if len(text.splitlines()) > 1 or text.endswith(("\n", "\r")):
            raise FormatError(
                f"deeplabcut: a table has no place for the line break in {quoted(text)}; rename it."
            )


def _names(new: NewFile) -> list[str]:
    """Individual of each pose: its track; without one, a name that no track has.

    Raises:
        FormatError: Two poses of a photo have one track.
    """
    tracks = new.tracks or (None,) * len(new.poses)
    taken = {str(track) for track in tracks if track is not None}
    free = [name for name in (f"animal{n + 1}" for n in range(len(tracks) + len(taken))) if name not in taken]
    unnamed: dict[ImageId, int] = {}
    row_of: dict[tuple[ImageId, str], int] = {}
    for row, (image_id, track) in enumerate(zip(new.poses.image_ids, tracks, strict=True)):
        number = unnamed.get(image_id, 0)
        if track is None:
            unnamed[image_id] = number + 1
        place = image_id, free[number] if track is None else str(track)
        if (other := row_of.setdefault(place, row)) != row:
            raise FormatError(
                f"deeplabcut: poses {other} and {row} of image {image_id!r} are both of track "
                f"{place[1]!r}, which has one place in a row; give each a track of its own, or none."
            )
    return [name for _, name in row_of]


@dataclass(frozen=True, eq=False)
class _Cells:
    """Where each pose is in a table.

    Attributes:
        rows: (N,) row of each pose.
        columns: (N, K, 3) columns of x, y and likelihood, -1 where there is no likelihood.
        names: Individual of each pose.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    names: list[str]

    @classmethod
    def of(cls, table: Table) -> _Cells:
        """The poses of a table: by row, and in a row by individual."""
        parts = np.stack(list(table.animals.values()))  # (A, K, 3)
        places = table.values[:, parts[..., :2]]  # (R, A, K, 2)
        there = ~np.isnan(places).any(axis=-1).all(axis=-1)
        rows, animals = np.nonzero(there)
        individuals = list(table.animals)
        return cls(rows, parts[animals], [individuals[animal] for animal in animals])

    def take(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Keypoints (N, K, 2) and likelihoods (N, K), which are 1 where the table has none."""
        cells = values[self.rows[:, None, None], self.columns]
        return cells[..., :2], np.where(self.columns[..., 2] < 0, 1.0, cells[..., 2])

    def _labelled(self, values: FloatArray, valid: BoolArray) -> BoolArray:
        """(N, K): keypoints labelled by hand, without a likelihood, and all others of who has nothing but these.

        Args:
            values: Of the table.
            valid: (N, K) which keypoints are there.
        """
        unscored = np.isnan(values[self.rows[:, None], self.columns[..., 2]])
        by_hand = valid & unscored
        return by_hand | ((by_hand | ~valid).all(axis=1, keepdims=True) & unscored)

    def edited(self, values: FloatArray, new: Poses, old: Poses, keep: Sequence[int] | None) -> FloatArray:
        """All values with other poses; cells of keypoints and poses that are gone become empty."""
        before = np.concatenate([old.keypoints, old.scores[..., None]], axis=-1)
        after = np.concatenate([new.keypoints, new.scores[..., None]], axis=-1)
        written = numbers_to_write(before, after)
        gone = old.valid & ~new.valid
        gone[rows_left_out(len(old), keep)] = True
        written[gone] = np.nan
        written[..., 2] = np.where(self._labelled(values, old.valid), np.nan, written[..., 2])
        # What was not there and is not there keeps its cells, whatever stands in them.
        same = (written == before) | (~old.valid & ~new.valid)[..., None]
        edited = values.copy()
        pose, keypoint, coordinate = np.nonzero(~same & (self.columns >= 0))
        edited[self.rows[pose], self.columns[pose, keypoint, coordinate]] = written[
            pose, keypoint, coordinate
        ]
        return edited


def _read_table(source: Source) -> Table:
    path, content = source.path, source.content
    if not content.startswith(hdf5.SIGNATURE):
        try:
            return parse_csv(path, content.decode("utf-8"))
        except UnicodeDecodeError as error:
            problem = "expected a CSV file in UTF-8, got other bytes; save it as CSV UTF-8."
            raise FormatError.at(Where(path), problem) from error
    require_libraries(path, "h5py")
    from posefix.formats.deeplabcut_hdf5 import parse_hdf5

    return parse_hdf5(path, content)


def _skeleton(table: Table, wanted: Skeleton | None) -> Skeleton:
    """The layout of the body parts' names, or the given one if it has these names in this order."""
    parts = table.body_parts
    if wanted is None:
        try:
            return skeleton_from_names(parts, table.path.name)
        except InputError as error:
            raise FormatError(f"{table.path}, body parts: {error}") from error
    check_names(table.path, wanted, parts, "body parts")
    return wanted


def _mean_scores(scores: FloatArray, valid: BoolArray) -> FloatArray:
    """(N,) mean likelihood of the keypoints that are there."""
    total = np.where(valid, scores, 0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(valid.sum(axis=-1), 1))


FORMAT = Format(
    NAME,
    "DeepLabCut, predictions and labels (.csv, .h5)",
    recognise,
    read,
    write,
    keypoints_needed=True,
    endings=(".csv", ".h5", ".hdf5"),
    one_file=True,
)
