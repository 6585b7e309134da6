"""What is written can be read back, or is refused; what cannot be written is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from posefix.cli.app import main
from posefix.errors import InputError
from posefix.files import ensure_new_folder, ensure_not_input, ensure_writable, write_text_atomic
from posefix.skeletons import load_skeleton

Run = Callable[..., tuple[int, str, str]]
SOURCE = Path(__file__).parents[2] / "src"


def person(first_x: float = 10.0, **fields: Any) -> dict[str, Any]:
    keypoints = [
        value for number in range(17) for value in (first_x if number == 0 else 20.0, 20.0 + number, 0.6)
    ]
    return {"image_id": "a", "category_id": 1, "keypoints": keypoints, "score": 0.5, **fields}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((64, 48, 3), np.uint8))
    return tmp_path / "photos"


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\rb.jpg", "a\u2028b.jpg", "a.jpg\n"])
def test_a_line_break_in_a_name_is_not_written_into_a_table(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "in.json").write_text(json.dumps([person(image_id=name)]))
    output = tmp_path / "out.csv"
    code, _, told = run("convert", tmp_path / "in.json", output, "--to", "deeplabcut", "--layout", "coco17")
    assert code == 2 and "a table has no place for the line break in" in told and not output.exists()


@pytest.mark.parametrize("x", [48 * 2.5, -48 * 2.5, 1e8])
def test_keypoints_beyond_the_reach_of_labels_are_not_written(
    run: Run, tmp_path: Path, photos: Path, x: float
) -> None:
    (tmp_path / "in.json").write_text(json.dumps([person(x)]))
    options = ("--to", "ultralytics-labels", "--layout", "coco17", "--images", photos)
    code, _, told = run("convert", tmp_path / "in.json", tmp_path / "out", *options)
    assert code == 2 and "label files have no place for person 0" in told and not (tmp_path / "out").exists()


def test_track_numbers_without_end_are_not_written(run: Run, tmp_path: Path, photos: Path) -> None:
    from posefix.interchange.pose_files import read_pose_file
    from posefix.pose_files.pose_file import NewFile

    (tmp_path / "in.json").write_text(json.dumps([person()]))
    poses = read_pose_file(tmp_path / "in.json", "coco17").poses
    assert NewFile(poses, (2**53 - 1,)).track_numbers() == (2**53 - 1,)
    with pytest.raises(
        InputError, match=r"tracks: expected numbers below 9007199254740992, got 1180591620717411303424"
    ):
        NewFile(poses, (2**70,)).track_numbers()


def test_coordinates_that_no_photo_has_are_not_drawn(run: Run, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps([person(), person(1e12)]))
    for command in (("draw", tmp_path / "in.json"), ("review", tmp_path / "in.json", tmp_path / "in.json")):
        output = tmp_path / "out.png"
        code, _, told = run(*command, "--images", photos, "--layout", "coco17", "-o", output)
        assert code == 2 and not output.exists()
        assert "in.json, person 1: expected coordinates in pixels of the photo, got 1e+12 at nose" in told


def truth_of(people: list[dict[str, Any]]) -> dict[str, Any]:
    """Annotations of people as results show them."""
    annotations = [
        {"id": number, "image_id": "a", "category_id": 1, "bbox": [5, 5, 40, 50], "area": 1000, "iscrowd": 0,
         "keypoints": [2 if place % 3 == 2 else value for place, value in enumerate(one["keypoints"])]}
        for number, one in enumerate(people)
    ]  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(load_skeleton("coco17").keypoint_names)}
    images = [{"id": "a", "file_name": "a.png", "width": 48, "height": 64}]
    return {"images": images, "annotations": annotations, "categories": [category]}


@pytest.mark.parametrize(
    ("command", "truth_is_far"),
    [("synthesize", True), ("analyze", True), ("analyze", False), ("compare", True), ("compare", False)],
)
def test_coordinates_that_no_photo_has_are_not_drawn_into_reports(
    run: Run, tmp_path: Path, photos: Path, command: str, truth_is_far: bool
) -> None:
    far, near = [person(), person(1e12)], [person(), person()]
    truth, results, output = (tmp_path / name for name in ("truth.json", "in.json", "out.png"))
    truth.write_text(json.dumps(truth_of(far if truth_is_far else near)))
    results.write_text(json.dumps(near if truth_is_far else far))
    page = ("--layout", "coco17", "--annotations", truth, "--images", photos, "--html", output)
    given = {
        "synthesize": (truth, "--images", photos, "-o", output),
        "analyze": (results, *page),
        "compare": (results, results, *page),
    }
    code, _, told = run(command, *given[command])
    whose = "truth.json, annotated person 1" if truth_is_far else "in.json, person 1"
    assert (code, output.exists()) == (2, False)
    assert f"{whose}: expected coordinates in pixels of the photo, got 1e+12 at nose" in told


def test_coordinates_that_no_photo_has_are_not_drawn_into_a_video(run: Run, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
    for _ in range(2):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    (tmp_path / "in.json").write_text(json.dumps([person(1e12, image_id=0)]))
    video = ("--video", tmp_path / "a.mp4", "--render", tmp_path / "out.mp4", "--layout", "coco17")
    code, _, told = run("refine", tmp_path / "in.json", *video, "-o", tmp_path / "out.json")
    assert code == 2 and "in.json, person 0: expected coordinates in pixels of the photo" in told
    assert not (tmp_path / "out.json").exists() and not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("length", [200, 242, 250, 255])
def test_every_legal_name_is_written(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * (length - 5) + ".json")
    ensure_writable(path)
    write_text_atomic(path, "{}")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    for write in (ensure_writable, lambda path: write_text_atomic(path, "{}")):
        with pytest.raises(InputError, match=r"cannot be written \(File name too long\)"):
            write(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\)"):
        ensure_new_folder(tmp_path / ("x" * 300))
    ensure_not_input(tmp_path / ("x" * 300), [tmp_path])  # who writes says that it cannot be
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "in.json", "--layout", "LONG"],
        ["convert", "in.json", "LONG", "--layout", "coco17", "--to", "mmpose"],
        ["evaluate", "in.json", "--layout", "coco17", "--annotations", "LONG"],
        ["refine", "in.json", "--layout", "coco17", "--images", ".", "-o", "LONG.json"],
        ["refine", "in.json", "--layout", "coco17", "--images", "LONG", "-o", "out.json"],
        ["refine", "in.json", "--layout", "coco17", "--video", "LONG", "-o", "out.json"],
        ["skeleton", "coco17", "--output", "LONG.json"],
        ["demo", "--files", "LONG"],
        ["demo", "--model", "LONG", "-o", "out.png"],
        ["train", "LONG", "-o", "out"],
    ],
)
def test_no_command_stumbles_over_a_name_that_is_too_long(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.json").write_text(json.dumps([person()]))
    code, _, told = run(*(word.replace("LONG", "x" * 300) for word in words))
    assert code == 2 and "(File name too long)" in told and len(told.splitlines()) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.json"]


def test_a_fault_of_the_system_elsewhere_is_not_put_on_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> object:
        raise OSError("a library could not be loaded")

    monkeypatch.setattr("posefix.cli.app._answer", fail)
    with pytest.raises(OSError, match="could not be loaded"):
        main(["inspect"])


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[")
    command = f"{sys.executable} -m posefix inspect in.json --layout coco17 <&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(
        ["sh", "-c", command], check=False, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(("redirection", "code"), [(">/dev/full", 2), (">&-", 0)])
def test_standard_output_that_is_full_or_closed(tmp_path: Path, redirection: str, code: int) -> None:
    (tmp_path / "in.json").write_text(json.dumps([person()]))
    command = f"{sys.executable} -m posefix inspect in.json --layout coco17 {redirection}"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(
        ["sh", "-c", command], check=False, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == code
    expected = "posefix: standard output: cannot be written (No space left on device)\n" if code else ""
    assert ended.stderr == expected
