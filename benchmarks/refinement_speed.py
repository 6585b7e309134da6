"""What refinement costs besides the network, and whether its memory grows with the number of photos.

    python -m benchmarks.refinement_speed [--data DIR] [--model NAME] [--repeats 5] [--limit IMAGES]

Speed: from a results file and photos on disk to a refined results file, for coco_dev, against the network alone
on the very crops of that run; both by turns, the ratio of each turn. Memory: peak resident memory of a fresh process
that refines the photos 1, 4 and 16 times under new image ids. Keeps benchmarks/results/refinement_speed.json; with
--limit (the first images) nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.environment import DATA, describe, keep, spread

from posefix import Poses, Refiner, read_pose_file, write_pose_file
from posefix.network import DEFAULT_MODEL_NAME
from posefix.photos.finding import find_images
from posefix.pose.similarity import Array
from posefix.refine.backends import HeatmapBackend
from posefix.refine.networks import Network

RESULTS_FILE = "predictions/coco_dev/tinypose128.coco17.json"
COPIES = (1, 4, 16)
Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass
class Recorder:
    """A network that keeps what it is given."""

    network: Network
    batches: list[Batch] = field(default_factory=list)

    def __call__(
        self,
        images: npt.NDArray[np.uint8],
        keypoints: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float32],
    ) -> Array:
        self.batches.append((images, keypoints, weights))
        return self.network(images, keypoints, weights)


def first_rows(path: Path, limit: int | None, folder: Path) -> Path:
    """A results file with the rows of the first `limit` images; the file itself when None."""
    if limit is None:
        return path
    rows = json.loads(path.read_text(encoding="utf-8"))
    ids = list(dict.fromkeys(row["image_id"] for row in rows))[:limit]
    part = folder / path.name
    part.write_text(json.dumps([row for row in rows if row["image_id"] in ids]), encoding="utf-8")
    return part


def refine_file(refiner: Refiner, path: Path, photos: Path, output: Path) -> None:
    """What `posefix refine` does."""
    file = read_pose_file(path, "coco17")
    write_pose_file(output, file, refiner.refine(file.poses, photos).poses)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def speed(refiner: Refiner, path: Path, photos: Path, repeats: int) -> dict[str, Any]:
    """Seconds end to end and of the network alone, and their ratio, turn by turn."""
    backend = refiner.backend
    assert isinstance(backend, HeatmapBackend)
    recorder = Recorder(backend.network)
    end_to_end, network = [], []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "refined.json"
        recording = replace(refiner, backend=replace(backend, network=recorder))
        refine_file(recording, path, photos, output)  # warms up, too
        for _ in range(repeats):
            network.append(timed(lambda: [backend.network(*batch) for batch in recorder.batches]))
            end_to_end.append(timed(lambda: refine_file(refiner, path, photos, output)))
    rows = sum(len(images) for images, _, _ in recorder.batches)
    return {
        "people": len(read_pose_file(path, "coco17").poses),
        # Whoever changed much is looked at again.
        "looks": rows // 2 if backend.flip_test else rows,
        "flip_test": backend.flip_test,
        "end_to_end_seconds": spread(end_to_end),
        "network_seconds": spread(network),
        "ratio": spread([whole / bare for whole, bare in zip(end_to_end, network, strict=True)]),
    }


def repeat(poses: Poses, paths: dict[int | str, Path], copies: int) -> tuple[Poses, dict[int | str, Path]]:
    """The same poses under `copies` times as many image ids, and the photo of each id."""
    rows = np.tile(np.arange(len(poses)), copies)
    ids = tuple(f"{image_id}-{copy}" for copy in range(copies) for image_id in poses.image_ids)
    photos: dict[int | str, Path] = {
        f"{image_id}-{copy}": path for copy in range(copies) for image_id, path in paths.items()
    }
    return replace(poses[rows], image_ids=ids), photos


def peak_memory(refiner: Refiner, path: Path, photos: Path, copies: int) -> float:
    """Peak resident memory of this process in MiB, after refining all copies; on Linux only."""
    poses = read_pose_file(path, "coco17").poses
    refiner.refine(*repeat(poses, dict(find_images(poses.image_ids, photos)), copies))
    # Not getrusage: on Linux its peak is handed on from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 2**10


def memory(path: Path, photos: Path, model: str) -> dict[str, float]:
    """Peak memory in MiB by number of copies, each in a process of its own."""
    peaks = {}
    for copies in COPIES:
        command = [sys.executable, "-m", "benchmarks.refinement_speed", "--model", model, "--memory-of"]
        arguments = [str(path), str(photos), str(copies)]
        output = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout
        peaks[str(copies)] = float(output)
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--model", default=DEFAULT_MODEL_NAME, help="a packaged model's name, or a model folder"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, help="only the first so many images; not kept")
    parser.add_argument(
        "--memory-of", nargs=3, metavar=("RESULTS", "PHOTOS", "COPIES"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    refiner = Refiner.from_pretrained(options.model, device="cpu")
    if options.memory_of:
        path, photos, copies = options.memory_of
        print(peak_memory(refiner, Path(path), Path(photos), int(copies)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = first_rows(options.data / RESULTS_FILE, options.limit, Path(folder))
        photos = options.data / "coco" / "images"
        measured = {
            "model": options.model,
            "speed": speed(refiner, path, photos, options.repeats),
            "peak_memory_mib_by_copies": memory(path, photos, options.model),
        }
    print(json.dumps(measured, indent=1))
    if options.limit is None:
        environment = describe(["onnxruntime", "opencv-python-headless", "pillow"])
        print(f"kept in {keep('refinement_speed', environment, measured)}")


if __name__ == "__main__":
    main()
