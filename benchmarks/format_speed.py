"""How long a COCO results file takes to read and to write with every number changed, and what memory; other formats.

    python -m benchmarks.format_speed [--people 100000] [--repeats 3] [--others 10000]

The file is made: so many people of seventeen keypoints with two decimals, a score and a box each. Compared with what
Python's json takes to load and dump the same bytes, measured in turn in the same run; processor time, which other
programs on the machine disturb least. Memory is what a process of its own holds at most above what it held before
reading. So many people of each other text format (`OTHERS`) are compared with what its parser takes for the same bytes:
json, csv or ElementTree. Keeps benchmarks/results/format_speed.json.
"""

from __future__ import annotations

import argparse
import csv
import gc
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from benchmarks.environment import describe, keep, spread

from posefix import NewFile, Poses, load_skeleton, read_pose_file, write_new_pose_file, write_pose_file

COCO = load_skeleton("coco17")
MOST_TIMES_JSON = 4.0
MOST_TIMES_FILE = 5.0
OTHERS = {
    "coco-annotations": ("coco-annotations", ".json"),
    "coco-wholebody": ("coco-annotations", ".json"),
    "mpii-json": ("mpii-json", ".json"),
    "label-studio": ("label-studio", ".json"),
    "cvat": ("cvat", ".xml"),
    "labelme": ("labelme", ""),
    "sleap-csv": ("sleap-csv", ".csv"),
    "mediapipe-json": ("mediapipe", ".json"),
    "mediapipe-csv": ("mediapipe", ".csv"),
}
"""Format and ending of the files of other formats; without ending, a folder."""
MEMORY_PROGRAM = """
from pathlib import Path
import resource, sys
from benchmarks.format_speed import highest_bytes, moved, read_and_write
from posefix import read_pose_file
path, warm_up, output = map(Path, sys.argv[1:])
read_and_write(warm_up, output)
before = highest_bytes()
read_and_write(path, output)
print(highest_bytes() - before)
"""


def make_file(path: Path, people: int, generator: np.random.Generator) -> None:
    """Write a results file of so many people, a row each, as estimators do."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(people):
            places = generator.uniform(0, 640, (17, 2)).round(2)
            triples = np.column_stack([places, generator.uniform(0.05, 1, 17).round(4)])
            low, high = places.min(axis=0), places.max(axis=0)
            row = {
                "image_id": number // 3,
                "category_id": 1,
                "keypoints": triples.ravel().tolist(),
                "bbox": [*low.tolist(), *(high - low).round(2).tolist()],
                "score": round(float(triples[:, 2].mean()), 4),
            }
            file.write(("[" if number == 0 else ", ") + json.dumps(row))
        file.write("]")


def moved(poses: Poses) -> Poses:
    """The poses as a refinement returns them: every coordinate and score another one."""
    return Poses(
        poses.keypoints + 1.2345,
        poses.scores * 0.9,
        poses.valid,
        poses.image_ids,
        poses.pose_scores * 0.9,
        poses.skeleton,
    )


def read_and_write(path: Path, output: Path) -> None:
    """What is measured: read, change all numbers, write."""
    file = read_pose_file(path, COCO)
    write_pose_file(output, file, moved(file.poses))


def load_and_dump(path: Path, output: Path) -> None:
    """What it is measured against: the same bytes through Python's json."""
    output.write_text(json.dumps(json.loads(path.read_bytes())), encoding="utf-8")


def highest_bytes() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with the memory of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 2**10


def parse_and_print(path: Path, output: Path) -> None:
    """The same bytes through the parser that a file's ending names; of a folder, all its files."""
    if path.is_dir():
        output.mkdir()
        for file in path.iterdir():
            load_and_dump(file, output / file.name)
    elif path.suffix == ".xml":
        output.write_bytes(ElementTree.tostring(ElementTree.fromstring(path.read_bytes())))
    elif path.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        output.write_text(text.getvalue(), encoding="utf-8")
    else:
        load_and_dump(path, output)


def make_other(path: Path, format: str, people: int) -> None:
    """Write so many people to a new file of a format; landmarks of MediaPipe, which posefix does not, by hand."""
    generator = np.random.default_rng(0)
    layouts = {"mediapipe": "blazepose33", "coco-wholebody": "wholebody133"}
    skeleton = load_skeleton(layouts.get(path.stem if path.stem in layouts else format, "coco17"))
    shape = (people, len(skeleton))
    places, scores = (
        generator.uniform(0, 640, (*shape, 2)).round(2),
        generator.uniform(0.05, 1, shape).round(4),
    )
    if format != "mediapipe":
        ids = tuple(
            number // 3 if format == "sleap-csv" else f"im{number // 3}.jpg" for number in range(people)
        )
        poses = Poses(places, scores, np.ones(shape, np.bool_), ids, np.ones(people), skeleton)
        names = {image_id: f"{image_id}" for image_id in ids}
        new = NewFile(poses, file_names=names, photo_size=lambda _: (640, 480))
        write_new_pose_file(path, new, format)
        if path.stem == "coco-wholebody":
            path.write_text(json.dumps(_in_parts(json.loads(path.read_text(encoding="utf-8")))), "utf-8")
    elif path.suffix == ".json":
        triples = np.concatenate([places, scores[..., None]], axis=-1).tolist()
        frames = [
            [{"x": x, "y": y, "z": -0.125, "visibility": seen} for x, y, seen in one] for one in triples
        ]
        path.write_text(json.dumps([{"pose_landmarks": frame} for frame in frames]), encoding="utf-8")
    else:
        lines = [
            f"{frame},{index},{x},{y},-0.125,{scores[frame, index]}"
            for frame, person in enumerate(places.tolist())
            for index, (x, y) in enumerate(person)
        ]
        path.write_text("\n".join(["frame,landmark,x,y,z,visibility", *lines, ""]), encoding="utf-8")


def _in_parts(content: dict[str, Any]) -> dict[str, Any]:
    """Annotations of the whole body with the fields that COCO-WholeBody has for its parts."""
    ends = {"keypoints": (0, 17), "foot_kpts": (17, 23), "face_kpts": (23, 91), "lefthand_kpts": (91, 112)}
    ends["righthand_kpts"] = (112, 133)
    body = {"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}
    people = [
        {**one, **{field: one["keypoints"][3 * first : 3 * end] for field, (first, end) in ends.items()}}
        for one in content["annotations"]
    ]
    return {**content, "annotations": people, "categories": [body]}


def measure_other(folder: Path, name: str, people: int, repeats: int) -> dict[str, Any]:
    """Times of one other format."""
    format, ending = OTHERS[name]
    path = folder / f"{name}{ending}"
    make_other(path, format, people)
    layout = COCO if format == "mpii-json" else None
    ours, theirs = [], []
    for number in range(repeats):
        outputs = [folder / f"{name}-{whose}-{number}{ending}" for whose in ("theirs", "ours")]
        theirs.append(_seconds(lambda output=outputs[0]: parse_and_print(path, output)))  # type: ignore[misc]
        ours.append(_seconds(lambda output=outputs[1]: _read_and_write_other(path, layout, output)))  # type: ignore[misc]
    times = float(np.median(ours) / np.median(theirs))
    return {
        "parser_seconds": spread(theirs),
        "posefix_seconds": spread(ours),
        "times_parser": times,
        "within": times <= MOST_TIMES_JSON,
    }


def _read_and_write_other(path: Path, layout: Any, output: Path) -> None:
    file = read_pose_file(path, layout, photo_size=lambda _: (640, 480))
    write_pose_file(output, file, moved(file.poses))


def measure(folder: Path, people: int, repeats: int) -> dict[str, Any]:
    """Times and memory, and whether they are within what is promised."""
    path, warm_up, output = (folder / name for name in ("poses.json", "small.json", "out.json"))
    make_file(path, people, np.random.default_rng(0))
    make_file(warm_up, 10, np.random.default_rng(0))
    read_and_write(warm_up, output)
    ours, theirs = [], []
    for _ in range(repeats):  # in turn, so that a slow minute of the machine strikes both
        theirs.append(_seconds(lambda: load_and_dump(path, output)))
        ours.append(_seconds(lambda: read_and_write(path, output)))
    arguments = [str(name) for name in (path, warm_up, output)]
    program = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    times = float(np.median(ours) / np.median(theirs))
    memory = int(program.stdout) / path.stat().st_size
    return {
        "people": people,
        "file_mib": path.stat().st_size / 2**20,
        "json_seconds": spread(theirs),
        "posefix_seconds": spread(ours),
        "times_json": times,
        "most_times_json": MOST_TIMES_JSON,
        "memory_mib": int(program.stdout) / 2**20,
        "times_file": memory,
        "most_times_file": MOST_TIMES_FILE,
        "within": times <= MOST_TIMES_JSON and memory <= MOST_TIMES_FILE,
    }


def _seconds(work: Callable[[], None]) -> float:
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Make a file, read and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--others", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), arguments.people, arguments.repeats)
        measured["others"] = {
            name: measure_other(Path(folder), name, arguments.others, arguments.repeats) for name in OTHERS
        }
    print(json.dumps(measured, indent=1))
    print(f"kept: {keep('format_speed', describe([]), measured)}")


if __name__ == "__main__":
    main()
