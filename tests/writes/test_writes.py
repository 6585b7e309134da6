"""Outputs are whole or not there: after kills, on a full disk, and with two writers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.writes.kills import broken_outputs, expected_outputs, kill_once, make_inputs

from posefix.skeletons import load_skeleton

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills and limits of POSIX")
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
SMALL_DISK = """
import resource, signal, sys
from posefix.cli.app import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does by itself, said for the reader
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""
"""Files of more bytes than the first argument fail to be written, as on a disk that is full."""
BYTES = 1000


def person(number: int = 0) -> dict[str, Any]:
    keypoints = [value for index in range(17) for value in (10.0 + index, 20.0 + index, 0.5)]
    return {"image_id": number, "category_id": 1, "keypoints": keypoints, "score": 0.5}


def truth() -> dict[str, Any]:
    labelled = [2 if place % 3 == 2 else value for place, value in enumerate(person()["keypoints"])]
    annotations = [
        {"id": number, "image_id": number, "category_id": 1, "keypoints": labelled, "bbox": [5, 5, 40, 50],
         "area": 1000, "iscrowd": 0}
        for number in range(9)
    ]  # fmt: skip
    images = [{"id": number, "file_name": f"{number}.png", "width": 64, "height": 48} for number in range(9)]
    category = {"id": 1, "name": "person", "keypoints": list(load_skeleton("coco17").keypoint_names)}
    return {"images": images, "annotations": annotations, "categories": [category]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results and annotations of nine photos, and a video of as many frames."""
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
    for number, photo in enumerate(noise):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), photo)
        writer.write(photo)
    writer.release()
    (tmp_path / "in.json").write_text(json.dumps([person(number) for number in range(9)]))
    (tmp_path / "truth.json").write_text(json.dumps(truth()))
    return tmp_path


def run(folder: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("wait", [0.0, 0.003, 0.01])
def test_who_is_killed_while_writing_leaves_whole_outputs(tmp_path: Path, wait: float) -> None:
    make_inputs(tmp_path, 100)
    expected = expected_outputs(tmp_path)
    kill_once(tmp_path, wait)
    assert broken_outputs(tmp_path, expected) == []
    assert (tmp_path / "out" / "results.json").exists()


def test_what_is_not_whole_is_seen(tmp_path: Path) -> None:
    make_inputs(tmp_path, 8)
    expected = expected_outputs(tmp_path)
    for version in (1, 2):
        (tmp_path / f"whole-{version}" / "labelme").rename(tmp_path / "out" / f"labelme-{version}")
    (tmp_path / "out" / "results.json").write_bytes(next(iter(expected["results.json"])))
    assert broken_outputs(tmp_path, expected) == []
    (tmp_path / "out" / "results.json").write_bytes(next(iter(expected["results.json"]))[:-1])
    next((tmp_path / "out" / "labelme-2").iterdir()).unlink()
    assert broken_outputs(tmp_path, expected) == ["labelme-2", "results.json"]


LAYOUT = ("--layout", "coco17")
MEASURED = ("in.json", *LAYOUT, "--annotations", "truth.json")
WRITING: dict[str, Sequence[str]] = {
    "a file": ("convert", "in.json", "out.xml", *LAYOUT, "--to", "cvat"),
    "a folder": ("convert", "in.json", "out", *LAYOUT, "--to", "labelme", "--images", "photos"),
    "refined": ("refine", "in.json", *LAYOUT, "--images", "photos", "-o", "out.json"),
    "refined video": (
        "refine",
        "in.json",
        *LAYOUT,
        "--video",
        "a.mp4",
        "--render",
        "out.mp4",
        "-o",
        "r.json",
    ),
    "numbers": ("analyze", *MEASURED, "--json", "out.json"),
    "a page": ("analyze", *MEASURED, "--html", "out.html"),
    "a plot": ("analyze", *MEASURED, "--plot", "out.png"),
    "a picture": ("draw", "in.json", *LAYOUT, "--images", "photos", "-o", "out.png"),
    "a profile": ("profile", *MEASURED, "-o", "out.json"),
    "a skeleton": ("skeleton", "truth.json", "-o", "out.json"),
    "a table": ("table", "a=in.json", *LAYOUT, "--annotations", "truth.json", "-o", "out.md"),
}


@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_is_told_and_leaves_nothing_and_what_was_there(folder: Path, name: str) -> None:
    command = WRITING[name]
    output = folder / next(word for word in command if word.startswith("out"))
    if output.suffix:
        output.write_text("old")
    before = contents(folder)
    least = 100 if name in ("a skeleton", "a table") else BYTES
    ended = run(folder, SMALL_DISK, least, *command)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1 and "cannot be written (File too large)" in ended.stderr
    after = contents(folder)
    assert {path: after.pop(path) for path in before} == before
    assert list(after) in ([], ["r.json"]), "what was written before the disk was full stays"


TWO_WRITERS = """
import sys
from posefix.cli.app import main
codes = [main(["convert", *sys.argv[2:]]) for _ in range(int(sys.argv[1]))]
sys.exit(max(codes))
"""


def start(folder: Path, program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_of_two_writers_of_one_file_one_comes_last(tmp_path: Path) -> None:
    make_inputs(tmp_path, 200)
    expected = expected_outputs(tmp_path)["labels.xml"]
    options = (*LAYOUT, "--to", "cvat")
    writers = [start(tmp_path, TWO_WRITERS, 12, f"in-{n}.json", "out/labels.xml", *options) for n in (1, 2)]
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "out" / "labels.xml").exists():
            assert (tmp_path / "out" / "labels.xml").read_bytes() in expected
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.xml"]


def test_of_two_writers_of_one_folder_one_is_refused(tmp_path: Path) -> None:
    make_inputs(tmp_path, 200)
    expected_outputs(tmp_path)
    options = (*LAYOUT, "--to", "labelme")
    writers = [start(tmp_path, TWO_WRITERS, 1, f"in-{n}.json", "out/labels", *options) for n in (1, 2)]
    told = [writer.communicate()[1] for writer in writers]
    assert sorted(writer.returncode for writer in writers) == [0, 2]
    assert "".join(told).startswith("posefix: ") and "".join(told).count("\n") == 1
    written = contents(tmp_path / "out" / "labels")
    assert written in [contents(tmp_path / f"whole-{version}" / "labelme") for version in (1, 2)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels"]
