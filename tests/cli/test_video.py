"""`posefix refine` on a video: frames, tracks, smoothing, before and after; hands and feet that go along."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from posefix.network.decoding import Evidence
from posefix.photos.video import Video
from posefix.refine.backends import identity_backend
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

Run = Callable[..., tuple[int, str, str]]
SIZE = 120
FRAMES = 8
PAGE = Path(__file__).parents[2] / "docs" / "video.md"


def sees_the_frame(images: np.ndarray, keypoints: np.ndarray, weights: np.ndarray) -> Evidence:
    """Sure of a place as many crop pixels to the right as the crop is bright, a tenth of its level."""
    level = np.median(images.reshape(len(images), -1), axis=1)
    move = np.stack([level / 10, np.zeros_like(level)], axis=-1)[:, None].astype(np.float32)
    unsure = np.zeros(weights.shape, dtype=np.float32)
    sure = identity_backend(images, keypoints + move, weights)
    return replace(sure, given_similarity=unsure, given_vicinity=unsure)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, looks: int = 1, **others: object) -> Refiner:
        return Refiner(sees_the_frame, load_skeleton("posefix19"), (144, 192), looks=looks, scores="input")

    monkeypatch.setattr(Refiner, "from_pretrained", load)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Frame i is grey of level 20 + 10 i, and less by 3 after compression."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (SIZE, SIZE))
    for number in range(FRAMES):
        writer.write(np.full((SIZE, SIZE, 3), 20 + 10 * number, np.uint8))
    writer.release()
    return path


def write_poses(path: Path, rows: list[tuple[object, int]], layout: str = "coco17", **fields: object) -> Path:
    """One row for each image id and person; persons differ in place."""
    count = len(load_skeleton(layout))
    content = []
    for image_id, person in rows:
        # A box of 48 x 64 makes a crop of a known scale.
        corner = np.array([30 + 20 * person, 25])
        places = corner + np.random.default_rng(0).uniform([0, 0], [40, 64], (count, 2)).round(3)
        triples = np.concatenate([places, np.full((count, 1), 0.5)], axis=1)
        content.append(
            {
                "image_id": image_id,
                "category_id": 1,
                "keypoints": triples.ravel().tolist(),
                "score": 0.5,
                **fields,
            }
        )
    path.write_text(json.dumps(content))
    return path


def moves(before: Path, after: Path) -> np.ndarray:
    """(N, K): how far keypoints moved to the right, pixels."""
    places = [
        np.array([row["keypoints"] for row in json.loads(path.read_text())]).reshape(-1, 3)[:, 0]
        for path in (before, after)
    ]
    rows = len(json.loads(before.read_text()))
    return np.asarray((places[1] - places[0]).reshape(rows, -1))


def test_each_pose_is_refined_on_its_frame(run: Run, tmp_path: Path, clip: Path) -> None:
    ids: list[object] = ["clip_000000000006", "2.jpg", 0, "clip_000000000006"]
    poses = write_poses(tmp_path / "poses.json", [(image_id, 0) for image_id in ids])
    arguments = ("refine", poses, "--layout", "coco17", "--video", clip, "-o", tmp_path / "out.json")
    code, out, _ = run(*arguments, "--looks", "1")
    # Rows 0 and 3 are of one frame, under one id.
    assert (code, out.splitlines()[0]) == (0, "3 frames")
    once = moves(poses, tmp_path / "out.json").mean(axis=1)
    np.testing.assert_allclose(once / once[2], np.array([77, 37, 17, 77]) / 17, rtol=0.02)
    # Who moved far is looked at a second time, on the same frame: the file is read again from its start.
    run(*arguments, "--looks", "2")
    twice = moves(poses, tmp_path / "out.json").mean(axis=1)
    np.testing.assert_allclose(twice / once, [2, 2, 1, 2], rtol=0.02)
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [row["image_id"] for row in rows] == ids


def test_a_file_that_counts_from_one(run: Run, tmp_path: Path, clip: Path) -> None:
    poses = write_poses(tmp_path / "poses.json", [(number, 0) for number in range(1, FRAMES + 1)])
    arguments = ("refine", poses, "--layout", "coco17", "--video", clip, "-o", tmp_path / "out.json")
    code, _, err = run(*arguments)
    assert code == 2
    assert "no frame for image id 8 (1 of 8 ids)" in err
    assert "say --first-frame 1" in err
    assert run(*arguments, "--first-frame", "1", "--looks", "1")[0] == 0
    found = moves(poses, tmp_path / "out.json").mean(axis=1)
    np.testing.assert_allclose(found / found[0], np.arange(17, 97, 10) / 17, rtol=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--images, --video: expected a folder of photos or a video, one of the two"),
        (["--images", ".", "--video", "clip.mp4"], "--images, --video: expected a folder of photos or a video"),
        (["--images", ".", "--smooth"], "--smooth: needs --video"),
        (["--images", ".", "--render", "side.mp4"], "--render: needs --video"),
        (["--images", ".", "--first-frame", "1"], "--first-frame: needs --video"),
        (["--video", "none.mp4"], "video: expected a video file, got none.mp4"),
        (["--video", "poses.json"], "poses.json: cannot be read as a video; it is cut off, damaged, or no video"),
        (["--video", "clip.mp4", "--render", "side.gif"], "expected a file name ending in .mp4 or .webm"),
        (["--video", "clip.mp4", "--render", "clip.mp4"], "expected another file than those that are"),
        (["--video", "clip.mp4", "--render", "../{folder}/clip.mp4"], "expected another file than those that are"),
        (["--video", "clip.mp4", "--render", "link.mp4"], "expected another file than those that are"),
        (["--video", "link.mp4", "--render", "clip.mp4"], "expected another file than those that are"),
        (["--video", "clip.mp4", "--min-cutoff", "0"], "min_cutoff: expected a frequency above 0 Hz, got 0.0"),
    ],
)  # fmt: skip
def test_faults_are_one_sentence_before_the_work(
    run: Run, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(clip.parent)
    (tmp_path / "link.mp4").symlink_to(clip)
    write_poses(tmp_path / "poses.json", [(0, 0)])
    content = clip.read_bytes()
    arguments = [argument.format(folder=tmp_path.name) for argument in arguments]
    code, out, err = run("refine", "poses.json", "--layout", "coco17", "-o", "out.json", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out.json").exists()
    assert clip.read_bytes() == content


def test_a_damaged_video_is_announced_and_its_lost_frames_can_be_passed_through(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (SIZE, SIZE))
    for _ in range(20):
        writer.write(np.full((SIZE, SIZE, 3), 50, np.uint8))
    writer.release()
    path.write_bytes(b"00dc".join(path.read_bytes().split(b"00dc")[:12]))
    poses = write_poses(tmp_path / "poses.json", [(0, 0), (3, 0)])
    code, _, err = run("refine", poses, "--layout", "coco17", "--video", path, "-o", tmp_path / "out.json")
    assert code == 0
    assert "clip.avi: its header promises 20 frames" in err


def test_people_are_followed_smoothed_and_rendered(run: Run, tmp_path: Path, clip: Path) -> None:
    poses = write_poses(
        tmp_path / "poses.json", [(number, person) for number in range(FRAMES) for person in (0, 1)]
    )
    arguments = ("refine", poses, "--layout", "coco17", "--video", clip, "-o")
    _, plain, _ = run(*arguments, tmp_path / "plain.json")
    code, out, _ = run(*arguments, tmp_path / "out.json", "--smooth", "--render", tmp_path / "side.mp4")
    assert code == 0
    assert "smoothed" not in plain
    assert "smoothed over time: 2 tracks, made by following people from frame to frame" in out
    assert f"before and after written to {tmp_path / 'side.mp4'}" in out
    assert len(Video(tmp_path / "side.mp4")) == FRAMES
    rough, smooth = (moves(poses, tmp_path / name)[::2].mean(axis=1) for name in ("plain.json", "out.json"))
    assert np.diff(rough).min() > 0  # brighter, further
    # The ends are drawn to the middle, and nothing overshoots.
    assert rough[0] < smooth[0] <= smooth[-1] < rough[-1]


def test_tracks_of_the_file_are_those_that_are_smoothed(run: Run, tmp_path: Path, clip: Path) -> None:
    poses = write_poses(tmp_path / "poses.json", [(number, 0) for number in range(FRAMES)], track_id=7)
    arguments = (
        "refine",
        poses,
        "--layout",
        "coco17",
        "--video",
        clip,
        "-o",
        tmp_path / "out.json",
        "--smooth",
    )
    code, out, _ = run(*arguments)
    assert code == 0
    assert "smoothed over time: 1 track\n" in out
    assert {row["track_id"] for row in json.loads((tmp_path / "out.json").read_text())} == {7}
    write_poses(poses, [(0, 0), (0, 1)], track_id=7)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "track 7 has two poses of image 0" in err


def test_hands_and_feet_go_along_when_asked(run: Run, tmp_path: Path, clip: Path) -> None:
    poses = write_poses(tmp_path / "poses.json", [(0, 0), (7, 0)], layout="blazepose33")
    arguments = ("refine", poses, "--layout", "blazepose33", "--video", clip, "-o", tmp_path / "out.json")
    layout = load_skeleton("blazepose33")
    fingers = [layout.index(f"left_{name}") for name in ("thumb", "index", "pinky")]
    run(*arguments)
    assert (moves(poses, tmp_path / "out.json")[:, fingers] == 0).all()
    code, out, _ = run(*arguments, "--carry-along")
    assert code == 0
    assert "carried along by others: 16 keypoints" in out
    found = moves(poses, tmp_path / "out.json")
    np.testing.assert_allclose(found[:, fingers], found[:, [layout.index("left_wrist")] * 3], atol=2e-3)
    assert found[:, layout.index("left_wrist")].min() > 0.3


def test_a_file_without_poses_is_rendered_too(run: Run, tmp_path: Path, clip: Path) -> None:
    poses = write_poses(tmp_path / "poses.json", [])
    code, _, _ = run(
        "refine", poses, "--layout", "coco17", "--video", clip, "-o", tmp_path / "out.json", "--smooth",
        "--render", tmp_path / "side.mp4",
    )  # fmt: skip
    assert (code, len(Video(tmp_path / "side.mp4"))) == (0, FRAMES)


@pytest.mark.usefixtures("clip")
def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_poses(tmp_path / "poses.json", [(0, 0), (5, 0)])
    names: dict[str, Any] = {}
    code = "".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    exec(compile(code, "video.md", "exec"), names)  # the page's own code, as a reader would type it
    assert names["refinement"].report.refined == 2


@pytest.mark.usefixtures("clip")
def test_the_commands_of_the_page_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_poses(tmp_path / "poses.json", [(0, 0), (5, 0)])
    commands = re.findall(r"^posefix (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [run(*command.split())[0] for command in commands] == [0, 0]
    assert (tmp_path / "side-by-side.mp4").exists()
