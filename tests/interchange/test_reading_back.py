"""What `convert` writes is read back before it is put in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.formats import coco_results
from posefix.interchange import catalogue, detection
from posefix.interchange.catalogue import FORMATS
from posefix.interchange.reading_back import difference, write_checked_pose_file
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import Contents, NewFile, PoseFile
from posefix.skeletons import load_skeleton

LAYOUTS = {"openpose": "body25", "mpii-json": "mpii16", "mediapipe": "blazepose33"}
NUMBERED = ("sleap-csv", "nwb", "mediapipe")
"""Formats whose photos are frames."""
WRITTEN = [known for known in FORMATS if known.write is not None]


def made_poses(layout: str, image_ids: tuple[Any, ...]) -> Poses:
    """Three people, the second of whom lacks some keypoints."""
    skeleton = load_skeleton(layout)
    generator = np.random.default_rng(0)
    shape = (3, len(skeleton))
    valid = np.ones(shape, np.bool_)
    valid[1, 2:5] = False
    keypoints = np.where(valid[..., None], generator.uniform(20, 400, (*shape, 2)).round(3), 0.0)
    scores = np.where(valid, generator.uniform(0.1, 1, shape).round(3), 0.0)
    return Poses(keypoints, scores, valid, image_ids, np.array([0.9, 0.5, 0.25]), skeleton)


def new_file(name: str) -> NewFile:
    ids = (4, 4, 9) if name in NUMBERED else ("b", "a", "b")
    names: dict[int | str, str] = {} if name in NUMBERED else {"a": "a.png", "b": "b.png"}
    return NewFile(made_poses(LAYOUTS.get(name, "coco17"), ids), None, None, names, lambda _: (640, 480))


@pytest.mark.parametrize("name", [known.name for known in WRITTEN])
def test_every_format_is_written_and_read_back(tmp_path: Path, name: str) -> None:
    known = detection.find_format(name)
    output = tmp_path / (f"out{known.endings[0]}" if known.one_file else "out")
    write_checked_pose_file(output, new_file(name), name)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def shifted(contents: Contents) -> Contents:
    rows = json.loads(contents[""])
    rows[0]["keypoints"][0] += 1
    return {"": json.dumps(rows).encode()}


def shortened(contents: Contents) -> Contents:
    return {"": json.dumps(json.loads(contents[""])[1:]).encode()}


def faulty(contents: Contents) -> Contents:
    return {"": contents[""].replace(b", ", b"; ", 1)}


def scored(contents: Contents) -> Contents:
    rows = json.loads(contents[""])
    rows[2]["keypoints"][5] += 0.01
    return {"": json.dumps(rows).encode()}


def crowded(contents: Contents) -> Contents:
    return {"": contents[""].replace(b'"image_id": "a"', b'"image_id": "b"')}


def thinned(contents: Contents) -> Contents:
    rows = json.loads(contents[""])
    rows[2]["keypoints"][:3] = [0, 0, 0]
    return {"": json.dumps(rows).encode()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (shifted, "nose lies elsewhere"),
        (shortened, "3 people become 2"),
        (faulty, "could not be read again: out.json: expected JSON, got an error at line 1"),
        (scored, "left_eye has another score"),
        (crowded, "the people of 2 photos become those of 1"),
        (thinned, "nose is there 3 times, then 2 times"),
    ],
)
def test_what_reads_back_as_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Contents], Contents], told: str
) -> None:
    odd = replace(coco_results.FORMAT, write=lambda new: change(coco_results.write(new)))
    formats = tuple(odd if known is coco_results.FORMAT else known for known in catalogue.FORMATS)
    monkeypatch.setattr(detection, "FORMATS", formats)
    with pytest.raises(InputError, match="not written, since ") as caught:
        write_checked_pose_file(tmp_path / "out.json", new_file("coco-results"), "coco-results")
    assert told in str(caught.value) and not list(tmp_path.iterdir())


def test_another_layout_is_a_difference() -> None:
    poses = made_poses("coco17", ("a", "a", "b"))
    found = replace(poses, skeleton=load_skeleton("posetrack18"))
    assert difference(poses, PoseFile(Path("a"), "a", found, lambda *_, **__: {})) == (
        "layout coco17 becomes posetrack18"
    )
