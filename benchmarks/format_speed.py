"""How long a COCO results file takes to read and to write with every number changed, and how much memory.

    python -m benchmarks.format_speed [--people 100000] [--repeats 3]

The file is made: so many people of seventeen keypoints with two decimals, a score and a box each. Compared with what
Python's json takes to load and dump the same bytes, measured in turn in the same run; processor time, which other
programs on the machine disturb least. Memory is what a process of its own holds at most above what it held before
reading. Keeps benchmarks/results/format_speed.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.environment import describe, keep, spread

from posefix import Poses, load_skeleton, read_pose_file, write_pose_file

COCO = load_skeleton("coco17")
MOST_TIMES_JSON = 4.0
MOST_TIMES_FILE = 5.0
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), arguments.people, arguments.repeats)
    print(json.dumps(measured, indent=1))
    print(f"kept: {keep('format_speed', describe([]), measured)}")


if __name__ == "__main__":
    main()
