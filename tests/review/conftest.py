"""Six people in three drawn photos, before and refined, as files; and a server of their review."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest
import uvicorn
from PIL import Image

from posefix.interchange import read_pose_file
from posefix.photos.finding import find_images
from posefix.pose.poses import Poses
from posefix.review.output import OutputWriter, ReviewedFile
from posefix.review.scenes import Scenes
from posefix.review.server import ADDRESS, listen, make_app
from posefix.review.session import Review
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
"""Stem of a photo's name, and so an image id."""
SIZE_WH = (640, 360)
GRID = np.stack([np.arange(17) % 4 * 40.0 + 60, np.arange(17) // 4 * 50.0 + 70], axis=-1)
"""(17, 2): keypoints so far apart that none is taken for another."""
IMAGE_IDS = (HOSTILE, HOSTILE, 2, 2, 3, 3)
MOVES = (4.0, 0.0, 16.0, 8.0, 1.0, 2.0)
"""Pixels by which each person's left wrist is moved to the right."""
MOST_MOVED = [2, 3, 0, 5, 4, 1]
LEFT_WRIST = COCO.index("left_wrist")
KEY = "a-key_that-nobody-knows"
NOSE = COCO.index("nose")
SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Files:
    """What a review is made from."""

    folder: Path
    results: Path
    refined: Path
    images: Path
    output: Path

    @property
    def journal(self) -> Path:
        return self.output.with_name(f"{self.output.name}.review.jsonl")

    @property
    def options(self) -> list[str]:
        paths = [str(self.results), str(self.refined)]
        return [*paths, "--images", str(self.images), "--layout", "coco17", "-o", str(self.output)]

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.output.read_text(encoding="utf-8"))
        return rows

    def keypoint(self, person: int, keypoint: int) -> list[float]:
        """x, y and score in the output."""
        numbers: list[float] = self.rows()[person]["keypoints"]
        return numbers[3 * keypoint : 3 * keypoint + 3]


def made_poses() -> tuple[Poses, Poses]:
    """The people before, and refined: the left wrist moved, and the nose of person 1 found."""
    keypoints = np.stack([GRID + np.array([300.0 * (person % 2), 0]) for person in range(6)])
    valid = np.ones((6, 17), dtype=bool)
    valid[1, NOSE] = False
    before = Poses(
        keypoints, np.full((6, 17), 0.5), valid, IMAGE_IDS, np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), COCO
    )
    moved = keypoints.copy()
    moved[:, LEFT_WRIST, 0] += MOVES
    after = Poses(moved, np.full((6, 17), 0.75), np.ones((6, 17), bool), IMAGE_IDS, before.pose_scores, COCO)
    return before, after


def rows_of(poses: Poses) -> list[dict[str, Any]]:
    """Rows of a COCO results file, with a field that posefix does not know."""
    triples = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=-1) * poses.valid[..., None]
    return [
        {"image_id": poses.image_ids[row], "category_id": 1, "keypoints": triples[row].ravel().tolist(),
         "score": float(poses.pose_scores[row]), "team": f"no. {row}"}
        for row in range(len(poses))
    ]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Files:
    images = tmp_path / "photos"
    images.mkdir()
    for name in (HOSTILE, "2", "3"):
        draw_photo(images / f"{name}.png", SIZE_WH)
    made = Files(
        tmp_path, tmp_path / "poses.json", tmp_path / "refined.json", images, tmp_path / "reviewed.json"
    )
    for path, poses in zip((made.results, made.refined), made_poses(), strict=True):
        path.write_text(json.dumps(rows_of(poses), indent=1), encoding="utf-8")
    return made


def draw_photo(path: Path, size_wh: tuple[int, int]) -> None:
    """Dark on the left, light on the right, with a white dot at every keypoint of the first person before."""
    width, height = size_wh
    pixels: npt.NDArray[np.uint8] = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:] = np.linspace(30, 220, width, dtype=np.uint8)[None, :, None]
    for x, y in GRID.astype(int):
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 255
    Image.fromarray(pixels).save(path)


@dataclass
class Served:
    """A review whose page is served by a thread of this process."""

    review: Review
    port: int

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}/{KEY}/"


@pytest.fixture
def serve_here(files: Files) -> Iterator[Served]:
    before, after = (read_pose_file(path, COCO) for path in (files.results, files.refined))
    photos = find_images(after.poses.image_ids, files.images)
    review = Review(before.poses, after.poses, files.journal, (files.results.name, files.refined.name))
    file = ReviewedFile(files.output, after)

    def write() -> int:
        steps, poses = review.snapshot()
        file.write(poses)
        return steps

    output = OutputWriter(write)
    with closing(review), listen(0) as listening:
        port = int(listening.getsockname()[1])
        titles = (files.results.name, files.refined.name, files.output.name)
        app = make_app(Scenes(review, photos, "apply", titles), output, port, KEY)
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield Served(review, port)
        running.should_exit = True
        thread.join()
        assert output.steps == review.version, "the output is written when the server ends"


DIES_AFTER_ITS_FIRST_STEP = (
    "-c",
    """
import os, signal
from posefix.cli.app import main
synced, fsync = [], os.fsync
def fsync_and_die(file):
    fsync(file)
    synced.append(file)
    if len(synced) == 2:  # the first is that of the journal's header
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync_and_die
main()
""",
)
"""`posefix` that is killed when the journal has the first step on the disk, before it is answered."""


WITH_A_BROWSER = (
    "-c",
    """
import sys, webbrowser
from posefix.cli.app import main
webbrowser.open = lambda address: True
sys.exit(main([word for word in sys.argv[1:] if word != "--no-browser"]))
""",
)
"""`posefix` that starts a browser, which shows nothing."""


@dataclass
class Process:
    """`posefix review` in a process of its own."""

    options: list[str]
    port: int = 0
    program: tuple[str, ...] = ("-m", "posefix")
    url: str = field(default="", init=False)
    process: subprocess.Popen[str] = field(init=False)

    def start(self) -> None:
        command = [
            sys.executable,
            *self.program,
            "review",
            *self.options,
            "--no-browser",
            "--port",
            str(self.port),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A shell has its background ignore Ctrl-C, and what is started from there would, too.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        for line in self.process.stdout:
            if line.startswith("review: "):
                self.url = line.removeprefix("review: ").strip()
            if line.startswith("Ctrl-C"):
                return
        raise AssertionError(self.process.stderr.read())

    @property
    def served_port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    def kill(self) -> None:
        """As `kill -9` does: nothing can be tidied up."""
        self.process.kill()
        self.process.communicate()

    def stop(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(how)
        out, error = self.process.communicate(timeout=20)
        return self.process.returncode, out, error


@pytest.fixture
def serve(files: Files) -> Iterator[Callable[..., Process]]:
    """Starts `posefix review`; whatever still runs at the end is killed."""
    started: list[Process] = []

    def start(*more: str, port: int = 0, program: tuple[str, ...] = Process.program) -> Process:
        server = Process([*files.options, *more], port, program)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        if server.process.returncode is None:  # it runs, or died by itself and left its pipes open
            server.kill()
