"""DeepLabCut: predictions of videos and labelled photos, as CSV and HDF5."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.formats.deeplabcut_csv import format_csv, parse_csv
from posefix.formats.deeplabcut_table import Table
from posefix.pose_file import (
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
    numbers_to_write,
)
from posefix.poses import BoolArray, FloatArray, Poses
from posefix.skeletons import Skeleton, skeleton_from_names

NAME = "deeplabcut"
SCORER = "posefix"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def recognise(source: Source) -> str | None:
    """Whether a file is a table of DeepLabCut."""
    try:
        if source.path.suffix.lower() == ".csv" and source.path.is_file():
            with source.path.open("rb") as file:
                opening = file.read(200)
            return (
                "a CSV file that begins with its scorer"
                if opening.startswith((b"scorer,", b'"scorer"'))
                else None
            )
        if source.path.suffix.lower() in (".h5", ".hdf5") and source.path.is_file():
            content = source.path.read_bytes()
            if content.startswith(HDF5_SIGNATURE) and b"pandas_type" in content:
                return "an HDF5 file with a data frame"
    except OSError:
        pass
    return None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read a table; an animal of which a row has no keypoint is not there, and no pose.

    Raises:
        FormatError: The table is faulty, or it is HDF5 and h5py is not installed.
    """
    content, table = _read_table(source.path)
    skeleton = _skeleton(table, reading.skeleton)
    cells = _Cells.of(table)
    keypoints, scores = cells.take(table.values)
    valid: BoolArray = np.asarray(np.isfinite(keypoints).all(axis=-1))
    read_poses = Poses(
        keypoints=np.where(np.isnan(keypoints), 0.0, keypoints),
        scores=np.where(np.isnan(scores), 0.0, scores),
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
        return {"": table.write(values, changed) if changed.any() else content}

    individuals = len(table.animals) > 1
    notes = []
    if table.left_out:
        notes.append(f"passed through, since their body parts are their own: {', '.join(table.left_out)}")
    return PoseFile(
        path=table.path,
        format=NAME,
        poses=read_poses,
        rewrite=rewrite,
        tracks=tuple(cells.names) if individuals else None,
        notes=tuple(notes),
    )


def write(new: NewFile) -> Contents:
    """A new CSV file: a row for each photo, an individual for each track, or for the first, second ... of a photo."""
    poses, seen = new.poses, dict[object, int]()
    names: list[str] = []
    for image_id, track in zip(poses.image_ids, new.tracks or [None] * len(poses), strict=True):
        seen[image_id] = seen.get(image_id, 0) + 1
        names.append(f"animal{seen[image_id]}" if track is None else str(track))
    individuals = list(dict.fromkeys(names))
    photos = list(dict.fromkeys(poses.image_ids))
    several = len(individuals) > 1
    columns = [
        (SCORER, *([individual] if several else []), part, coordinate)
        for individual in individuals
        for part in poses.skeleton.keypoint_names
        for coordinate in ("x", "y", "likelihood")
    ]
    values = np.full((len(photos), len(individuals), len(poses.skeleton), 3), np.nan)
    for number, (image_id, name) in enumerate(zip(poses.image_ids, names, strict=True)):
        triples = np.round(np.column_stack([poses.keypoints[number], poses.scores[number]]), 3)
        triples[~poses.valid[number]] = np.nan
        values[photos.index(image_id), individuals.index(name)] = triples
    rows = [new.file_names.get(photo, photo) for photo in photos]
    if not columns:
        raise FormatError("deeplabcut: expected at least one pose to write, got none.")
    return {"": format_csv(columns, rows, values.reshape(len(photos), -1))}


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

    def edited(self, values: FloatArray, new: Poses, old: Poses, keep: Sequence[int] | None) -> FloatArray:
        """All values with other poses; cells of keypoints and poses that are gone become empty."""
        before = np.concatenate([old.keypoints, old.scores[..., None]], axis=-1)
        after = np.concatenate([new.keypoints, new.scores[..., None]], axis=-1)
        written = numbers_to_write(before, after)
        gone = old.valid & ~new.valid
        if keep is not None:
            gone[np.setdiff1d(np.arange(len(old)), keep)] = True
        written[gone] = np.nan
        # What was not there and is not there keeps its cells, whatever stands in them.
        same = (written == before) | (~old.valid & ~new.valid)[..., None]
        edited = values.copy()
        pose, keypoint, coordinate = np.nonzero(~same & (self.columns >= 0))
        edited[self.rows[pose], self.columns[pose, keypoint, coordinate]] = written[
            pose, keypoint, coordinate
        ]
        return edited


def _read_table(path: Path) -> tuple[bytes, Table]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}).") from error
    if not content.startswith(HDF5_SIGNATURE):
        try:
            return content, parse_csv(path, content.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise FormatError(f"{path}: expected a CSV file in UTF-8, got other bytes.") from error
    if importlib.util.find_spec("h5py") is None:
        raise FormatError(
            f"{path}: reading HDF5 needs h5py, not installed here; run: pip install 'posefix[animals]'"
        )
    from posefix.formats.deeplabcut_hdf5 import parse_hdf5

    return content, parse_hdf5(path, content)


def _skeleton(table: Table, wanted: Skeleton | None) -> Skeleton:
    """The layout of the body parts' names, or the given one if it has these names in this order."""
    parts = table.body_parts
    if wanted is None:
        try:
            return skeleton_from_names(parts, table.path.name)
        except InputError as error:
            raise FormatError(f"{table.path}, body parts: {error}") from error
    if [wanted.find(part) for part in parts] != list(range(len(wanted))):
        raise FormatError(
            f"{table.path}: its body parts {', '.join(parts)} are not those of layout {wanted.name!r}, "
            f"{', '.join(wanted.keypoint_names)}; leave --layout out, or give a skeleton file with these aliases."
        )
    return wanted


def _mean_scores(scores: FloatArray, valid: BoolArray) -> FloatArray:
    """(N,) mean likelihood of the keypoints that are there."""
    known = valid & ~np.isnan(scores)
    total = np.where(known, scores, 0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(known.sum(axis=-1), 1))


FORMAT = Format(NAME, "DeepLabCut, predictions and labels (.csv, .h5)", recognise, read, write)
