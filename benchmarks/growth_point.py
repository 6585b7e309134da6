"""One point of a growth curve, measured by a process of its own: see `benchmarks.growth`.

    python -m benchmarks.growth_point FOLDER '{"task": "refine", ...}'

The folder holds made files. After a warm-up on a few people, the task is done once, and again up to twice if it is
short; what is printed is JSON: median seconds of each step, processor time of all threads, and the peak of resident
memory before and after.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
from benchmarks.analysis_speed import make_people, make_poses
from benchmarks.format_speed import highest_bytes
from benchmarks.made_files import make_skeleton, write_photos, write_results

from posefix import Refiner, load_skeleton, read_pose_file, write_pose_file
from posefix.analysis import analyze
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import write_new_pose_file
from posefix.photos.finding import decode_image, decode_reduced
from posefix.refine.backends import identity_backend

Task = Literal["refine", "refine with the network", "analyze", "decode", "decode reduced"]
Steps = dict[str, float]

CROP_WH = (48, 64)
"""Of the identity backend: small, so that what is measured is everything but the crop's pixels."""
REDUCTION = 4.0
"""Of photos of which crops need no more; the crop of a person of half the height of a 12-megapixel photo has a tenth of
the photo's pixels per side."""
SHORT_SECONDS = 2.0
"""Shorter tasks are repeated."""
REPEATS = 3
WARM_UP_PEOPLE = 8


@dataclass(frozen=True)
class Point:
    """What is done, and on how much.

    Attributes:
        task: What is done.
        people: In the file.
        people_per_photo: Of these.
        photo_wh: Size of the photos, pixels.
        num_keypoints: Of each person; a made layout unless 17.
    """

    task: Task
    people: int = 0
    people_per_photo: float = 1
    photo_wh: tuple[int, int] = (640, 480)
    num_keypoints: int = 17

    def smaller(self) -> Point:
        """The same with a few people, to warm up on."""
        return replace(self, people=min(self.people, WARM_UP_PEOPLE))


def make_files(point: Point, folder: Path) -> None:
    """Write what the task reads."""
    folder.mkdir(exist_ok=True)
    if point.task == "analyze":
        generator = np.random.default_rng(0)
        truth = make_people(folder / "truth.json", point.people, generator, point.people_per_photo)
        write_new_pose_file(folder / "poses.json", make_poses(truth, int(1.7 * point.people), generator))
        return
    each = int(point.people_per_photo)
    write_photos(folder / "photos", -(-point.people // each), point.photo_wh)
    write_results(folder / "poses.json", point.people, each, point.num_keypoints, point.photo_wh)


def task_of(point: Point) -> Callable[[Path], Steps]:
    """What does the task on the files of a folder and tells how long each step took."""
    if point.task == "analyze":
        return _analyze
    if point.task == "decode":
        return lambda folder: _decode(folder, 1.0)
    if point.task == "decode reduced":
        return lambda folder: _decode(folder, REDUCTION)
    skeleton = load_skeleton("coco17") if point.num_keypoints == 17 else make_skeleton(point.num_keypoints)
    if point.task == "refine":
        refiner = Refiner(identity_backend, skeleton, CROP_WH)
    else:
        # One look without its mirror image: everybody costs one pass of the network, whatever it sees.
        refiner = replace(Refiner.from_pretrained("small", device="cpu", flip_test=False), looks=1)
    return lambda folder: _refine(refiner, folder, skeleton)


def _refine(refiner: Refiner, folder: Path, skeleton: Any) -> Steps:
    start = time.perf_counter()
    file = read_pose_file(folder / "poses.json", skeleton)
    read = time.perf_counter()
    refinement = refiner.refine(file.poses, folder / "photos")
    refined = time.perf_counter()
    write_pose_file(folder / "refined.json", file, refinement.poses)
    return {"read": read - start, "refine": refined - read, "write": time.perf_counter() - refined}


def _analyze(folder: Path) -> Steps:
    start = time.perf_counter()
    poses = read_pose_file(folder / "poses.json", load_skeleton("coco17")).poses
    truth = read_annotations(folder / "truth.json")
    read = time.perf_counter()
    analyze(poses, truth)
    return {"read": read - start, "analyze": time.perf_counter() - read}


def _decode(folder: Path, most: float) -> Steps:
    start = time.perf_counter()
    for path in sorted((folder / "photos").iterdir()):
        _ = decode_image(path) if most == 1 else decode_reduced(path, most).pixels
    return {"decode": time.perf_counter() - start}


def measure(folder: Path, point: Point) -> dict[str, Any]:
    """Medians of the times, and the peaks of memory before and after in MiB."""
    task = task_of(point)
    with tempfile.TemporaryDirectory() as warm_up:
        make_files(replace(point.smaller(), photo_wh=(320, 240)), Path(warm_up))
        task(Path(warm_up))
    before = highest_bytes()
    runs: list[Steps] = []
    processor: list[float] = []
    while not runs or (sum(runs[-1].values()) < SHORT_SECONDS and len(runs) < REPEATS):
        start = time.process_time()
        runs.append(task(folder))
        processor.append(time.process_time() - start)
    steps = {name: median(run[name] for run in runs) for name in runs[0]}
    return {
        **asdict(point),
        "seconds": sum(steps.values()),
        "processor_seconds": median(processor),
        "steps": steps,
        "runs": len(runs),
        "memory_before_mib": before / 2**20,
        "memory_mib": highest_bytes() / 2**20,
    }


if __name__ == "__main__":
    chosen = json.loads(sys.argv[2])
    print(json.dumps(measure(Path(sys.argv[1]), Point(**{**chosen, "photo_wh": tuple(chosen["photo_wh"])}))))
