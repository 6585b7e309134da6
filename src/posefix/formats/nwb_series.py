"""The series of poses in a file of Neurodata Without Borders."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from posefix.pose.poses import FloatArray, Poses
from posefix.pose_files.hdf5 import open_hdf5
from posefix.pose_files.node_poses import keypoints_to_write, node_layout, poses_with_gaps
from posefix.pose_files.pose_file import (
    Contents,
    FormatError,
    PoseFile,
    Reading,
    check_same_poses,
    numbers_to_write,
)

TYPE, POSES, SERIES, SKELETON = "neurodata_type", "PoseEstimation", "PoseEstimationSeries", "Skeleton"
DATA, CONFIDENCE, VIDEOS = "data", "confidence", "original_videos"
UNNAMED_UNITS = ("pixels", "pixel", "px", "")
"""Units in which data are places in frames."""


@dataclass(frozen=True, eq=False)
class _Individual:
    """A `PoseEstimation`.

    Attributes:
        name: Its path in the file.
        nodes: Names of its series, in the order of its skeleton.
        series: The path of each.
        edges: Pairs of names.
        values: (F, K, 3) x, y and confidence; NaN where there is none.
        scored: (K,) which nodes have a confidence.
        videos: Those that it is of.
    """

    name: str
    nodes: list[str]
    series: list[str]
    edges: list[tuple[str, str]]
    values: FloatArray
    scored: npt.NDArray[np.bool_]
    videos: tuple[str, ...]


def read_series(path: Path, content: bytes, reading: Reading) -> PoseFile:
    """The poses of all individuals, by frame; those of whom a frame shows nothing are left out.

    Raises:
        FormatError: There are none, or they are of several videos or skeletons.
    """
    with open_hdf5(path, io.BytesIO(content)) as file:
        individuals = [_individual(path, group) for group in _groups_of(file, POSES)]
    if not individuals:
        raise FormatError(
            f"{path}: expected a {POSES} of ndx-pose, got none; poses of other types are not read."
        )
    first = individuals[0]
    for other in individuals[1:]:
        if (
            other.nodes != first.nodes
            or other.videos != first.videos
            or len(other.values) != len(first.values)
        ):
            raise FormatError(
                f"{path}: expected individuals of one skeleton in the frames of one video, got others in {first.name} "
                f"and {other.name}; write them to files of their own."
            )
    skeleton = node_layout(path, first.nodes, first.edges, (), reading)
    values = np.stack([one.values for one in individuals], axis=1)  # (F, A, K, 3)
    there = ~np.isnan(values[..., :2]).any(axis=-1).all(axis=-1)
    frames, animals = np.nonzero(there)
    found = values[frames, animals]
    scored = np.stack([one.scored for one in individuals])[animals]
    poses = poses_with_gaps(
        path,
        found[..., :2],
        np.where(scored, found[..., 2], 1.0),
        np.full(len(frames), np.nan),
        frames.tolist(),
        skeleton,
    )
    names = [one.name.rpartition("/")[2] for one in individuals]
    names = names if len(set(names)) == len(names) else [one.name for one in individuals]
    return PoseFile(
        path,
        "nwb",
        poses,
        _Rewrite(path, content, individuals, poses, frames, animals, scored),
        tracks=tuple(names[animal] for animal in animals.tolist()) if len(names) > 1 else None,
        notes=(f"frames are the rows of {', '.join(one.name for one in individuals)}, counted from 0",),
        has_scores=bool(scored.any()),
    )


def _groups_of(file: Any, kind: str) -> list[Any]:
    """The groups of a type anywhere in a file, by name."""
    found: list[Any] = []

    def look(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and _text(item.attrs.get(TYPE, "")) == kind:
            found.append(item)

    file.visititems(look)
    return found


def _individual(path: Path, group: Any) -> _Individual:
    inner = {name: group[name] for name in group}
    kinds = {name: _text(item.attrs.get(TYPE, "")) for name, item in inner.items()}
    series = {name: inner[name] for name, kind in kinds.items() if kind == SERIES}
    if not series:
        raise FormatError(f"{path}, {group.name}: expected a {SERIES} for each node, got none.")
    skeletons = [inner[name] for name, kind in kinds.items() if kind == SKELETON]
    source = skeletons[0] if skeletons else group  # where older versions name them
    named = [_text(name) for name in source["nodes"][...].tolist()] if "nodes" in source else []
    nodes = named if set(named) == set(series) else list(series)
    ends = source["edges"][...].tolist() if "edges" in source and nodes == named else []
    edges = [(nodes[int(start)], nodes[int(end)]) for start, end in ends if max(start, end) < len(nodes)]
    values = [_values(path, series[name]) for name in nodes]
    if len({len(one) for one in values}) > 1:
        raise FormatError(
            f"{path}, {group.name}: expected series of as many frames each, got different ones."
        )
    return _Individual(
        group.name,
        nodes,
        [series[name].name for name in nodes],
        edges,
        np.stack(values, axis=1),
        np.array([CONFIDENCE in series[name] for name in nodes], dtype=np.bool_),
        tuple(_text(name) for name in group[VIDEOS][...].tolist()) if VIDEOS in group else (),
    )


def _values(path: Path, series: Any) -> FloatArray:
    """(F, 3) x, y and confidence of a series, NaN where it has none."""
    data = series[DATA]
    if data.ndim != 2 or data.shape[1] != 2:
        raise FormatError(
            f"{path}, {series.name}: expected x and y of each frame, got data of shape {data.shape}; places in space "
            "are not those of a photo."
        )
    unit = _text(data.attrs.get("unit", ""))
    if unit.lower() not in UNNAMED_UNITS:
        raise FormatError(f"{path}, {series.name}: expected places in pixels, got {unit}.")
    values = np.full((len(data), 3), np.nan)
    values[:, :2] = data[...]
    if CONFIDENCE in series:
        values[:, 2] = series[CONFIDENCE][...]
    return values


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """Makes the file again; see `posefix.pose_files.pose_file.Rewrite`. It has no boxes.

    Attributes:
        frames: (N,) frame of each pose.
        animals: (N,) which individual it is of.
        scored: (N, K) which keypoints have a confidence.
    """

    path: Path
    content: bytes
    individuals: Sequence[_Individual]
    poses: Poses
    frames: npt.NDArray[np.int64]
    animals: npt.NDArray[np.int64]
    scored: npt.NDArray[np.bool_]

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        places = keypoints_to_write(poses, self.poses, keep)
        before = np.where(self.poses.valid[..., None], self.poses.keypoints, np.nan)
        moved = ~((places == before) | (np.isnan(places) & np.isnan(before))).all(axis=-1)
        scores = numbers_to_write(self.poses.scores, poses.scores)
        rescored = (scores != self.poses.scores) & self.scored & poses.valid
        if not (moved.any() or rescored.any()):
            return {"": self.content}
        buffer = io.BytesIO(self.content)
        with open_hdf5(self.path, buffer, "r+") as file:
            for number, individual in enumerate(self.individuals):
                own = self.animals == number
                for keypoint, name in enumerate(individual.series):
                    _write(file[name][DATA], self.frames, own & moved[:, keypoint], places[:, keypoint])
                    chosen = own & rescored[:, keypoint]
                    if chosen.any():
                        _write(file[name][CONFIDENCE], self.frames, chosen, scores[:, keypoint])
        return {"": buffer.getvalue()}


def _write(
    data: Any, frames: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], values: FloatArray
) -> None:
    """Put the chosen values into their frames."""
    if chosen.any():
        whole = data[...]
        whole[frames[chosen]] = values[chosen]
        data[...] = whole


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
