"""SLEAP's labels: sleap-io reads what they mean, and of the file only the changed points are written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sleap_io

from posefix.errors import plural
from posefix.pose.poses import ImageId, Poses
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
)

PREDICTED = 1
CENTRE_VERSION = 1.1
"""From this version on, (0, 0) is the centre of the top-left pixel; before, its corner."""


def read_labels(path: Path, content: bytes, reading: Reading) -> PoseFile:
    """The instances of a .slp file, those that people labelled and those that were predicted, in its order.

    Raises:
        FormatError: The file is faulty, or has instances of two skeletons.
    """
    with open_hdf5(path, io.BytesIO(content)) as file:
        check_filters(path, file)
    labels = sleap_io.load_slp(str(path), open_videos=False)
    with open_hdf5(path, io.BytesIO(content)) as file:
        frames, instances = file["frames"][...], file["instances"][...]
        points = [file[name][...] for name in ("points", "pred_points")]
        version = float(file["metadata"].attrs.get("format_id", 1.0))
    rows = [
        np.arange(start, end)
        for start, end in zip(frames["instance_id_start"], frames["instance_id_end"], strict=True)
    ]
    order = np.concatenate([*rows, np.zeros(0)]).astype(np.int64)
    used = set(instances["skeleton"][order].tolist())
    if len(used) > 1:
        raise FormatError(
            f"{path}: expected instances of one skeleton, got {len(used)}; save each in a file of its own."
        )
    skeleton = labels.skeletons[used.pop() if used else 0]
    layout = node_layout(path, skeleton.node_names, skeleton.edge_names, skeleton.symmetry_names, reading)
    places = _places(path, instances[order], len(layout))
    shift = 0.0 if version >= CENTRE_VERSION else 0.5
    kinds = (instances["instance_type"][order] == PREDICTED).astype(np.int64)
    chosen = [points[kind][place] for kind, place in zip(kinds, places, strict=True)]
    poses = poses_with_gaps(
        path,
        np.array([_coordinates(some) for some in chosen]).reshape(-1, len(layout), 2) - shift,
        np.array(
            [some["score"] if kind else np.ones(len(some)) for some, kind in zip(chosen, kinds, strict=True)]
        ).reshape(-1, len(layout)),
        np.where(kinds, instances["score"][order].astype(np.float64), 1.0),
        _image_ids(labels, [len(row) for row in rows]),
        layout,
    )
    tracks = [labels.tracks[track].name if track >= 0 else None for track in instances["track"][order]]
    people = int((kinds != PREDICTED).sum())
    return PoseFile(
        path=path,
        format="sleap",
        poses=poses,
        rewrite=_Rewrite(path, content, poses, kinds, places, order, shift),
        tracks=tuple(tracks) if labels.tracks else None,
        has_scores=bool((kinds == PREDICTED).any()),
        notes=(f"{plural(people, 'instance')} labelled by people, {len(order) - people} predicted",),
    )


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """Makes the file again; see `pose_file.Rewrite`. It has no boxes, and instances not kept lose all their points.

    Instances that people labelled stay without scores.
    """

    path: Path
    content: bytes
    poses: Poses
    kinds: npt.NDArray[np.int64]
    places: list[slice]
    rows: npt.NDArray[np.int64]
    shift: float

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        written = keypoints_to_write(poses, self.poses, keep, self.shift)
        before = np.where(self.poses.valid[..., None], self.poses.keypoints + self.shift, np.nan)
        moved = ~((written == before) | (np.isnan(written) & np.isnan(before))).all(axis=-1)
        predicted = self.kinds == PREDICTED
        scored = (poses.scores != self.poses.scores) & predicted[:, None]
        ranked = (poses.pose_scores != self.poses.pose_scores) & predicted
        if not (moved.any() or scored.any() or ranked.any()):
            return {"": self.content}
        buffer = io.BytesIO(self.content)
        with open_hdf5(self.path, buffer, "r+") as file:
            for kind, name in enumerate(("points", "pred_points")):
                data = file[name]
                values = data[...]
                for number in np.flatnonzero((self.kinds == kind) & (moved | scored).any(axis=1)):
                    part = values[self.places[number]]  # a view: what is set here is set in values
                    part["x"][moved[number]], part["y"][moved[number]] = written[number, moved[number]].T
                    part["visible"][moved[number]] = ~np.isnan(written[number, moved[number], 0])
                    if kind == PREDICTED:
                        new = numbers_to_write(self.poses.scores[number], poses.scores[number])
                        part["score"][scored[number]] = new[scored[number]]
                data[...] = values
            if ranked.any():
                data = file["instances"]
                values = data[...]
                new = numbers_to_write(self.poses.pose_scores, poses.pose_scores)
                values["score"][self.rows[ranked]] = new[ranked]
                data[...] = values
        return {"": buffer.getvalue()}


def _places(path: Path, instances: npt.NDArray[Any], keypoints: int) -> list[slice]:
    """Which points each instance has."""
    places = [
        slice(int(start), int(end))
        for start, end in zip(instances["point_id_start"], instances["point_id_end"], strict=True)
    ]
    for number, place in enumerate(places):
        if place.stop - place.start != keypoints:
            raise FormatError(
                f"{path}, instance {number}: expected {plural(keypoints, 'point')}, as its skeleton has nodes, "
                f"got {place.stop - place.start}."
            )
    return places


def _coordinates(points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(K, 2), NaN where a point is not visible, which is how SLEAP marks a missing one."""
    places = np.column_stack([points["x"], points["y"]]).astype(np.float64)
    places[~points["visible"].astype(bool)] = np.nan
    return places


def _image_ids(labels: Any, counts: list[int]) -> list[ImageId]:
    """Photo of each instance: its name, or a frame's number, after its video's name where there are several."""
    ids: list[ImageId] = []
    for frame, count in zip(labels.labeled_frames, counts, strict=True):
        name, number = frame.video.filename, int(frame.frame_idx)
        if isinstance(name, list):
            image_id: ImageId = Path(name[number]).name
        elif len(labels.videos) == 1:
            image_id = number
        else:
            image_id = f"{Path(name).name}/{number}"
        ids += [image_id] * count
    return ids
