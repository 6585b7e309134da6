"""The demo's photo, poses and annotations as files, to try the other commands on: what `posefix demo --files` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from posefix.cli.demo_scene import SAMPLE_PHOTO, packaged_scene
from posefix.errors import InputError
from posefix.files import make_folder, write_bytes_atomic
from posefix.interchange import write_new_pose_file
from posefix.pose.poses import ImageId, Poses
from posefix.pose_files.pose_file import NewFile
from posefix.skeletons import load_skeleton, match_keypoints

LAYOUT = "coco17"
"""Of the files, since the commands of the documents have it."""
POSES, TRUTH, PHOTO = "poses.json", "truth.json", f"photos/{SAMPLE_PHOTO.name}"
IMAGE_ID = 11
"""Annotations number their photos, and results name the same number; the photo's name ends in it."""


def write_demo_files(folder: Path) -> tuple[Path, ...]:
    """Write `poses.json` (COCO results), `truth.json` (COCO annotations) and `photos/` into a folder.

    Args:
        folder: Where; it is made if it is not there.

    Returns:
        The files.

    Raises:
        InputError: One of them is there already, or cannot be written.
    """
    poses, truth, photo = paths = tuple(folder / name for name in (POSES, TRUTH, PHOTO))
    for path in paths:
        if path.exists():
            raise InputError(f"{path}: is there already and is left alone; name another folder, or remove it")
    scene = packaged_scene()
    assert scene.truth is not None
    height, width = scene.image.shape[:2]
    found = replace(scene.poses, image_ids=(IMAGE_ID,) * len(scene.poses))
    labelled = ~np.isnan(scene.truth[..., 0])
    true = found.with_keypoints(np.nan_to_num(scene.truth), valid=labelled)
    mapping = match_keypoints(found.skeleton, load_skeleton(LAYOUT))

    def new(what: Poses) -> NewFile:
        names: dict[ImageId, str] = {IMAGE_ID: SAMPLE_PHOTO.name}
        return NewFile(
            what.in_layout(mapping), boxes=scene.boxes, file_names=names, photo_size=lambda _: (width, height)
        )

    make_folder(photo.parent)
    write_bytes_atomic(photo, SAMPLE_PHOTO.read_bytes())
    write_new_pose_file(poses, new(found))
    write_new_pose_file(truth, new(true), "coco-annotations")
    return paths
