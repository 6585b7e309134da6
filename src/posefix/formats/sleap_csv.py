"""SLEAP's analysis files as CSV: a row for each animal in a frame, as SLEAP and sleap-io write them.

Columns as in sleap/info/write_tracking_h5.py of https://github.com/talmolab/sleap and docs/formats of
https://github.com/talmolab/sleap-io: `track` (empty without tracking), `frame_idx` from 0, `instance.score`, then
NODE.x, NODE.y and NODE.score of each node; labelled animals have no scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.photos.names import ids_of_frames
from posefix.pose.poses import Poses
from posefix.pose_files.csv_text import CsvText, column_names, csv_line
from posefix.pose_files.node_poses import keypoints_to_write, node_layout, poses_with_gaps
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
)

NAME = "sleap-csv"
TRACK, FRAME, VIDEO = "track", "frame_idx", "video"
SCORES = ("instance.score", "score")
"""What SLEAP and sleap-io call an animal's."""
NONE = -1
"""In the place of a column that is not there."""


def recognise(source: Source) -> str | None:
    """Why a source is an analysis file of SLEAP as CSV."""
    names = column_names(source)
    known = FRAME in names and any(name.endswith(".x") for name in names)
    return f"a CSV file with {FRAME!r} and columns NODE.x" if known else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the animals; those of which a row has no node are not there, and no poses.

    Raises:
        FormatError: The table is faulty.
    """
    text = CsvText.parse(source.path, source.content)
    table = _Table.of(text)
    if not table.nodes:
        raise FormatError(f"{source.path}, line 1: expected columns NODE.x and NODE.y, got none.")
    skeleton = node_layout(source.path, table.nodes, (), (), reading)
    frames = text.numbers([table.frame])[:, 0]
    for row in np.flatnonzero(~(frames == np.floor(frames)) | (frames < 0)).tolist():
        raise FormatError(f"{text.where(row, table.frame)}: expected the number of a frame, from 0.")
    values = _taken(text, table.columns.ravel()).reshape(-1, len(table.nodes), 3)
    there = np.asarray(np.isfinite(values[..., :2]).all(axis=-1))
    rows = np.flatnonzero(there.any(axis=1))
    scored = np.where(
        (table.columns[:, 2] != NONE) & np.isfinite(values[rows, :, 2]), values[rows, :, 2], 1.0
    )
    animals = _taken(text, np.array([table.score]))[rows, 0]
    videos = [""] * len(frames) if table.video is None else text.texts(table.video)
    ids = tuple(ids_of_frames([videos[row] for row in rows], [int(frames[row]) for row in rows]))
    poses = poses_with_gaps(source.path, values[rows, :, :2], scored, animals, ids, skeleton)
    tracks = None if table.track is None else text.texts(table.track)
    return PoseFile(
        source.path,
        NAME,
        poses,
        _Rewrite(text, table, poses, rows, np.isfinite(values[rows, :, 2]), np.isfinite(animals)),
        tracks=tuple(tracks[row] or None for row in rows.tolist()) if tracks and any(tracks) else None,
        notes=table.notes(text),
        has_scores=bool(np.isfinite(values[..., 2]).any() or np.isfinite(animals).any()),
    )


def write(new: NewFile) -> Contents:
    """A new file, a row for each animal; empty cells where a node is missing.

    Raises:
        FormatError: Image ids are not numbers of frames.
    """
    poses = new.poses
    if not all(isinstance(image_id, int) and image_id >= 0 for image_id in poses.image_ids):
        raise FormatError(
            "SLEAP's analysis files count frames: expected image ids that are whole numbers from 0; choose another "
            "format."
        )
    names = [f"{node}.{what}" for node in poses.skeleton.keypoint_names for what in ("x", "y", "score")]
    triples = np.concatenate([np.round(poses.keypoints, DECIMALS), poses.scores[..., None]], axis=-1)
    triples[~poses.valid] = np.nan
    lines = [csv_line([TRACK, FRAME, SCORES[0], *names])]
    for row, numbers in enumerate(triples.reshape(len(poses), len(names)).tolist()):
        track = None if new.tracks is None else new.tracks[row]
        cells = [poses.pose_scores[row].item(), *numbers]
        texts = ["" if math.isnan(cell) else repr(cell) for cell in cells]
        lines.append(csv_line(["" if track is None else str(track), str(poses.image_ids[row]), *texts]))
    return {"": "".join(lines).encode()}


FORMAT = Format(
    NAME,
    "SLEAP, analysis as CSV",
    recognise,
    read,
    write,
    keypoints_needed=True,
    endings=(".csv",),
    one_file=True,
)


@dataclass(frozen=True, eq=False)
class _Table:
    """Which column is what.

    Attributes:
        nodes: Names of the nodes, in order.
        columns: (K, 3) columns of x, y and score, `NONE` for a score that is not there.
        frame: Of the frame's number.
        track: Of the track; None where there is none.
        score: Of the animal's score, or `NONE`.
        video: Of the video's name; None where there is none.
    """

    nodes: list[str]
    columns: npt.NDArray[np.int64]
    frame: int
    track: int | None
    score: int
    video: int | None

    @classmethod
    def of(cls, text: CsvText) -> _Table:
        places = {name: column for column, name in enumerate(text.names)}
        if len(places) < len(text.names) or FRAME not in places:
            raise FormatError(f"{text.path}, line 1: expected names, each once, with {FRAME!r} among them.")
        ends = [name.rpartition(".") for name in text.names]
        nodes = list(dict.fromkeys(node for node, dot, what in ends if dot and what in ("x", "y")))
        for node in nodes:
            for what in ("x", "y"):
                if f"{node}.{what}" not in places:
                    raise FormatError(f"{text.path}, line 1: expected a column {node}.{what}, got none.")
        columns = [
            [places[f"{node}.x"], places[f"{node}.y"], places.get(f"{node}.score", NONE)] for node in nodes
        ]
        score = next((places[name] for name in SCORES if name in places), NONE)
        shaped = np.array(columns, dtype=np.int64).reshape(-1, 3)
        return cls(nodes, shaped, places[FRAME], places.get(TRACK), score, places.get(VIDEO))

    def notes(self, text: CsvText) -> tuple[str, ...]:
        """A note on columns of other quantities, as of `posefix.formats.deeplabcut`."""
        known = {*self.columns.ravel().tolist(), self.frame, self.track, self.score, self.video}
        others = [name for column, name in enumerate(text.names) if column not in known]
        return (f"columns that pass through: {', '.join(others)}",) if any(others) else ()


def _taken(text: CsvText, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(rows, columns) numbers, NaN for columns that are not there."""
    there = columns != NONE
    values = np.full((len(text.rows), len(columns)), np.nan)
    values[:, there] = text.numbers(columns[there].tolist())
    return values


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The same table with other poses; see `posefix.pose_files.pose_file.Rewrite`. It has no boxes.

    Attributes:
        rows: (N,) row of each pose.
        scored: (N, K) which keypoints have a score.
        rated: (N,) who has one.
    """

    text: CsvText
    table: _Table
    poses: Poses
    rows: npt.NDArray[np.int64]
    scored: npt.NDArray[np.bool_]
    rated: npt.NDArray[np.bool_]

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.text.path, poses, self.poses)
        old = self.poses
        places = keypoints_to_write(poses, old, keep)
        gone = old.valid & np.isnan(places).any(axis=-1)
        scores = np.where(gone, np.nan, numbers_to_write(old.scores, poses.scores))
        after = np.concatenate([places, scores[..., None]], axis=-1)
        before = np.concatenate(
            [np.where(old.valid[..., None], old.keypoints, np.nan), old.scores[..., None]], axis=-1
        )
        changed = ~((after == before) | (np.isnan(after) & np.isnan(before)))
        changed[~old.valid & np.isnan(places).any(axis=-1)] = False  # what was not there keeps its cells
        changed[..., 2] &= (self.table.columns[:, 2] != NONE) & (self.scored | ~old.valid)
        row, keypoint, which = np.nonzero(changed)
        rescored = np.flatnonzero((poses.pose_scores != old.pose_scores) & self.rated)
        return {
            "": self.text.edited(
                np.concatenate([self.rows[row], self.rows[rescored]]),
                np.concatenate(
                    [self.table.columns[keypoint, which], np.full(len(rescored), self.table.score)]
                ),
                np.concatenate([after[row, keypoint, which], poses.pose_scores[rescored]]),
            )
        }
