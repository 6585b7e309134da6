"""How long `analyze` and `compare` take on files of the size of COCO val, and how much memory.

    python -m benchmarks.analysis_speed [--people 6352] [--poses 11000] [--repeats 3] [--resamples 1000]

The files are made: people of one template, stretched and turned, alone and in groups as COCO's are; poses of nine in
ten of them with errors drawn from the paper's profile, second poses of some, and poses on nobody. Reading the files
counts. How the time grows is measured on a quarter, a half and twice as many people, by processor time. Stops with exit
code 1 where `analyze` takes 10 s, 1 GiB or more than linear time. Keeps benchmarks/results/analysis_speed.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.environment import describe, keep, seconds, spread

from posefix import load_skeleton
from posefix.analysis import analyze, compare
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file, write_new_pose_file
from posefix.people import build_records
from posefix.pose.poses import Poses
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.synthesis import synthesize

COCO = load_skeleton("coco17")
PHOTO_WH = (640, 480)
PEOPLE_PER_PHOTO = 2.5
TEMPLATE = np.array(
    [
        [0, 0.05], [0.04, 0.03], [-0.04, 0.03], [0.08, 0.05], [-0.08, 0.05], [0.16, 0.2], [-0.16, 0.2], [0.24, 0.36],
        [-0.24, 0.36], [0.28, 0.5], [-0.28, 0.5], [0.1, 0.52], [-0.1, 0.52], [0.12, 0.76], [-0.12, 0.76], [0.13, 0.98],
        [-0.13, 0.98],
    ]
)  # fmt: skip
"""COCO's keypoints of somebody who stands, x and y in heights."""
SHARES = (0.25, 0.5, 1.0, 2.0)
"""Of the people, on which it is measured how the time grows."""
MOST_SECONDS, MOST_MIB, MOST_EXPONENT = 10.0, 1024.0, 1.2
"""Of `analyze` on two cores; 1 is linear, to which Python's bookkeeping of more objects and the caches add a tenth."""
FloatArray = npt.NDArray[np.float64]


def make_people(
    path: Path, count: int, generator: np.random.Generator, people_per_photo: float = PEOPLE_PER_PHOTO
) -> Annotations:
    """Write COCO annotations of so many people, and read them."""
    photo = np.sort(generator.integers(0, max(1, int(count / people_per_photo)), count))
    height = np.exp(generator.uniform(np.log(40), np.log(420), count))
    angle = generator.normal(0, 0.3, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1).reshape(-1, 2, 2)
    shape = (TEMPLATE + generator.normal(0, 0.05, (count, 17, 2))) * height[:, None, None]
    keypoints = np.einsum("nij,nkj->nki", turn, shape) + generator.uniform(0, PHOTO_WH, (count, 1, 2)) / 2
    visibility = generator.choice([0, 1, 2], (count, 17), p=[0.35, 0.1, 0.55])
    visibility[:, 5] = 2  # everybody has a labelled keypoint
    triples = np.concatenate([keypoints.round(1), visibility[..., None]], axis=-1)
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    boxes = np.concatenate([low, high - low], axis=1).round(1)
    annotations = [
        {
            "id": number + 1,
            "image_id": int(photo[number]),
            "category_id": 1,
            "keypoints": triples[number].ravel().tolist(),
            "bbox": boxes[number].tolist(),
            "area": float(0.53 * boxes[number, 2] * boxes[number, 3]),
            "iscrowd": 0,
        }
        for number in range(count)
    ]
    images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in range(int(photo[-1]) + 1)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_annotations(path)


def make_poses(annotations: Annotations, count: int, generator: np.random.Generator) -> Poses:
    """So many poses with the paper's errors: of nine in ten people, of some a second time, the rest on nobody."""
    photos = {image_id: Path(info.file_name) for image_id, info in annotations.images.items()}
    records = build_records(annotations, photos, COCO)
    rows = generator.permutation(len(records))[: int(0.9 * len(records))]
    again = generator.choice(rows, min(count // 4, count - len(rows)))
    rows = np.concatenate([rows, again])
    wrong = synthesize(records.people(rows), COCO, load_error_profile(), generator).keypoints
    noise = generator.normal(0, 0.03, wrong.shape) * np.sqrt(records.area[rows])[:, None, None]
    elsewhere = count - len(rows)
    size = generator.uniform(40, 200, (elsewhere, 1, 1))
    nobody = TEMPLATE * size + generator.uniform(0, PHOTO_WH, (elsewhere, 1, 2))
    image_ids = [*(annotations.people.image_ids[row] for row in rows)]
    image_ids += generator.choice(len(annotations.images), elsewhere).tolist()
    return Poses(
        np.concatenate([wrong + noise, nobody]),
        np.ones((count, 17)),
        np.ones((count, 17), dtype=bool),
        tuple(image_ids),
        np.concatenate([generator.beta(5, 2, len(rows)), generator.beta(2, 5, elsewhere)]),
        COCO,
    )


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Times in seconds and the highest memory of this process so far, after each part."""
    generator = np.random.default_rng(0)
    truth, before, after = (folder / f"{name}.json" for name in ("truth", "before", "after"))
    annotations = make_people(truth, arguments.people, generator)
    poses = make_poses(annotations, arguments.poses, generator)
    write_new_pose_file(before, poses)
    moved = poses.keypoints + generator.normal(0, 2, poses.keypoints.shape)
    write_new_pose_file(after, poses.with_keypoints(moved))

    def read(path: Path) -> Poses:
        return read_pose_file(path, COCO).poses

    start, processor = time.perf_counter(), time.process_time()
    print(analyze(read(before), read_annotations(truth)))
    first = {"wall": time.perf_counter() - start, "processor": time.process_time() - processor}
    memory = memory_mib()
    analysis = seconds(lambda: analyze(read(before), read_annotations(truth)), arguments.repeats)
    start = time.perf_counter()
    print(compare(read(before), read(after), read_annotations(truth), resamples=arguments.resamples))
    return {
        "people": arguments.people,
        "poses": arguments.poses,
        "photos": len(annotations.images),
        "analyze_first_seconds": first,
        "analyze_seconds": spread(analysis),
        "analyze_peak_mib": memory,
        "compare_seconds": time.perf_counter() - start,
        "compare_resamples": arguments.resamples,
        "compare_peak_mib": memory_mib(),
    }


def linearity(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Processor time of `analyze` by number of people, and the exponent of the power of people that fits best."""
    times = {}
    for share in SHARES:
        generator, count = np.random.default_rng(1), max(2, int(share * arguments.people))
        truth = make_people(folder / "truth.json", count, generator)
        poses = make_poses(truth, int(share * arguments.poses), generator)
        analyze(poses, truth)
        start = time.process_time()
        analyze(poses, truth)
        times[count] = time.process_time() - start
    slope = np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0]
    return {
        "processor_seconds_by_people": {str(count): value for count, value in times.items()},
        "exponent": float(slope),
    }


def broken_promises(measured: dict[str, Any]) -> list[str]:
    """What takes more than it should, a sentence each."""
    limits = (
        ("analyze, seconds", measured["analyze_seconds"]["median"], MOST_SECONDS),
        ("analyze, MiB", measured["analyze_peak_mib"], MOST_MIB),
        ("analyze, exponent of its time over people", measured["linearity"]["exponent"], MOST_EXPONENT),
    )
    return [f"{name}: {value:.2f}, expected at most {most:g}" for name, value, most in limits if value > most]


def memory_mib() -> float:
    """The most memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> None:
    """Make files, analyse and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=6352)
    parser.add_argument("--poses", type=int, default=11000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), arguments)
        measured["linearity"] = linearity(Path(folder), arguments)
    print(json.dumps(measured, indent=1))
    print(f"kept: {keep('analysis_speed', describe(['hotcoco']), measured)}")
    if broken := broken_promises(measured):
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
