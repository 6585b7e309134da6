"""SLEAP's analysis files: dense arrays over frames, tracks and nodes, in an order that their attribute `dims` tells."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose_files.hdf5 import open_hdf5
from posefix.pose_files.hdf5_filters import check_filters
from posefix.pose_files.node_poses import keypoints_to_write, node_layout, poses_with_gaps
from posefix.pose_files.pose_file import (
    Contents,
    FormatError,
    PoseFile,
    Reading,
    check_same_poses,
    numbers_to_write,
    rows_left_out,
)

ORDER = ("frame", "track", "node", "xy")
MATLAB = ("track", "xy", "node", "frame")  # SLEAP's own exports, which do not say their order
UNTRANSPOSED = ("frame", "node", "xy", "track")


@dataclass(frozen=True)
class _Arrays:
    """How the arrays of a file are turned to (frame, track, node, xy), or as many of these as they have."""

    dims: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, file: h5py.File) -> _Arrays:
        """The order that a file states, or that of its version."""
        stated = file["tracks"].attrs.get("dims")
        if stated is not None:
            dims = tuple(json.loads(stated))
        else:
            dims = MATLAB if bool(file.attrs.get("transpose", True)) else UNTRANSPOSED
        if sorted(dims) != sorted(ORDER):
            raise FormatError(
                f"{path}, tracks, attribute 'dims': expected {', '.join(ORDER)} in any order, got {dims}."
            )
        return cls(dims)

    def read(self, data: h5py.Dataset) -> FloatArray:
        """An array in the order frame, track, node, xy."""
        return np.asarray(np.transpose(data[...], self._axes(data)), dtype=np.float64)

    def write(self, data: h5py.Dataset, values: FloatArray) -> None:
        """Write an array back in the file's order."""
        data[...] = np.transpose(values, np.argsort(self._axes(data))).astype(data.dtype)

    def _axes(self, data: h5py.Dataset) -> tuple[int, ...]:
        """Axes of the stored array in the order frame, track, node, xy."""
        stated = data.attrs.get("dims")
        # Without an attribute of their own, the smaller arrays have the order of tracks with axes left out.
        kept = {4: ORDER, 3: ORDER[:3], 2: ORDER[:2]}[data.ndim]
        dims = json.loads(stated) if stated is not None else [dim for dim in self.dims if dim in kept]
        return tuple(dims.index(dim) for dim in kept)


def read_analysis(path: Path, content: bytes, reading: Reading) -> PoseFile:
    """The poses of an analysis file, by frame and in a frame by track; tracks without any node there are left out.

    Raises:
        FormatError: The file is faulty.
    """
    with open_hdf5(path, io.BytesIO(content)) as file:
        check_filters(path, file)
        arrays = _Arrays.of(path, file)
        tracks = arrays.read(file["tracks"])
        nodes = _texts(file["node_names"])
        if tracks.shape[2:] != (len(nodes), 2):
            raise FormatError(
                f"{path}, tracks: expected {len(nodes)} nodes with x and y, got {tracks.shape[2:]}."
            )
        scores = _scores(path, file, arrays, "point_scores", tracks.shape[:3])
        pose_scores = _scores(path, file, arrays, "instance_scores", tracks.shape[:2])
        names = _texts(file["track_names"]) if "track_names" in file else []
        edges = (
            [(source, target) for source, target in _pairs(file["edge_names"])]
            if "edge_names" in file
            else []
        )
        symmetries = [(a, b) for a, b in json.loads(_text(file.attrs.get("skeleton_symmetries", "[]")))]
    frames, animals = np.nonzero(~np.isnan(tracks).any(axis=-1).all(axis=-1))
    labelled = np.isnan(scores[frames, animals]) & np.isfinite(tracks[frames, animals]).all(axis=-1)
    skeleton = node_layout(path, nodes, edges, symmetries, reading)
    poses = poses_with_gaps(
        path,
        tracks[frames, animals],
        scores[frames, animals],
        pose_scores[frames, animals],
        frames.tolist(),
        skeleton,
    )
    known = len(names) == tracks.shape[1]
    return PoseFile(
        path=path,
        format="sleap",
        poses=poses,
        rewrite=_Rewrite(path, content, poses, frames, animals, tracks, labelled),
        tracks=tuple(names[animal] for animal in animals) if known else None,
        notes=(f"an analysis file in the order {', '.join(arrays.dims)}",),
    )


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """Makes the file again; see `pose_file.Rewrite`. It has no boxes.

    Keypoints that somebody placed by hand (`labelled`), and instances of these alone, stay without scores.
    """

    path: Path
    content: bytes
    poses: Poses
    frames: npt.NDArray[np.int64]
    animals: npt.NDArray[np.int64]
    tracks: FloatArray
    labelled: BoolArray

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        places = self.frames, self.animals
        written = keypoints_to_write(poses, self.poses, keep)
        edits: dict[str, FloatArray] = {}
        # A node of which one of the two numbers is missing is missing, and keeps the other.
        written = np.where((poses.valid | self.poses.valid)[..., None], written, self.tracks[places])
        if not np.array_equal(written, self.tracks[places], equal_nan=True):
            edits["tracks"] = written
        by_hand = np.all(self.labelled | ~self.poses.valid, axis=1)
        for name, after, before, unscored in (
            ("point_scores", poses.scores, self.poses.scores, self.labelled | by_hand[:, None]),
            ("instance_scores", poses.pose_scores, self.poses.pose_scores, by_hand),
        ):
            changed = (after != before) & ~unscored
            if changed.any():
                edits[name] = np.where(changed, numbers_to_write(before, after), np.nan)
        gone = rows_left_out(len(poses), keep).tolist()
        return {"": self._edited(edits, gone) if edits or gone else self.content}

    def _edited(self, edits: dict[str, FloatArray], gone: list[int]) -> bytes:
        buffer = io.BytesIO(self.content)
        with open_hdf5(self.path, buffer, "r+") as file:
            arrays = _Arrays.of(self.path, file)
            for name, written in edits.items():
                if name in file:
                    values = arrays.read(file[name])
                    before = values[self.frames, self.animals]
                    same = np.isnan(written) if name != "tracks" else np.zeros(written.shape, dtype=bool)
                    values[self.frames, self.animals] = np.where(same, before, written)
                    arrays.write(file[name], values)
            if gone and "track_occupancy" in file:
                occupancy = file["track_occupancy"]
                stated = occupancy.attrs.get("dims", '["frame", "track"]')
                places = self.frames[gone], self.animals[gone]
                values = occupancy[...]
                values[places if json.loads(stated)[0] == "frame" else places[::-1]] = 0
                occupancy[...] = values
        return buffer.getvalue()


def _scores(path: Path, file: h5py.File, arrays: _Arrays, name: str, shape: tuple[int, ...]) -> FloatArray:
    """An array of scores; ones where the file has none."""
    if name not in file:
        return np.ones(shape)
    scores = arrays.read(file[name])
    if scores.shape != shape:
        raise FormatError(
            f"{path}, {name}: expected as many values as in tracks, {shape}, got {scores.shape}."
        )
    return scores


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _texts(data: h5py.Dataset) -> list[str]:
    return [_text(value) for value in data[...].tolist()]


def _pairs(data: h5py.Dataset) -> list[tuple[str, str]]:
    return [(_text(first), _text(second)) for first, second in data[...].tolist()] if data.size else []
