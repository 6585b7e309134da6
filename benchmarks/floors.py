"""The least that each step of refinement and training can cost on this machine, and what it costs.

    python -m benchmarks.floors [--repeats 5]

Ceilings are measured first, with all cores: bytes per second of a large copy, multiply-adds per second of a large
matrix product in single precision and, where PyTorch is installed, in bfloat16. What a person costs is counted: the
multiply-adds that the step's formula needs and the bytes that go in and come out, once each. The floor is the larger
of the two times that follow; the measured time stands beside it. Network and rendering in training need the extra
`train`, and without it are left out.

Keeps benchmarks/results/floors.json; `python -m benchmarks.performance_report` writes it into docs/performance.md.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.analysis_speed import make_people, make_poses
from benchmarks.environment import describe, keep, seconds, spread
from benchmarks.graph_cost import GraphCost, graph_cost
from benchmarks.made_files import draw_photo
from PIL import Image

from posefix.evaluation import evaluate_coco
from posefix.network.decoding import ASCENT_STEPS, Decoder
from posefix.network.models import ONNX_FILE, Model, load_model, missing_libraries
from posefix.network.openvino_core import openvino_core, openvino_is_there
from posefix.people import build_records
from posefix.photos.finding import decode_image, decode_reduced
from posefix.pose.geometry import crop_matrices, warp
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.synthesis import synthesize
from posefix.refine.backends import HeatmapBackend, Runtime, open_backend
from posefix.refine.networks import Network
from posefix.skeletons import load_skeleton

BATCH = 32
COPY_BYTES = 2**28
MATRIX = 2048
PHOTO_WH, LARGE_WH = (640, 480), (4000, 3000)
JPEG_ADDS_PER_PIXEL = 25
"""Of a photo with halved colours: 8.5 multiply-adds for each of 1.5 samples in the fast cosine transform of Arai, Agui
and Nakajima, 12 to bring the colours to full size and to RGB. Huffman codes are not arithmetic and not counted."""
SYNTHESIS_ADDS = 3 * 6 * 5 * 10
"""Of a keypoint: 6 candidates for each of 5 kinds of error, 10 operations for place and distances, and the draws."""
EVALUATED_PEOPLE = 2000
FLOAT_BYTES, DOUBLE_BYTES = 4, 8

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of the way.

    Attributes:
        name: What is done, and on what.
        unit: What the numbers are for one of.
        multiply_adds: For one.
        bytes: In and out, for one.
        count: How many of them `work` does.
        work: What is measured.
        reason: Why the measured time is above the floor.
        precision: Of the multiply-adds; their ceiling is another in bfloat16.
    """

    name: str
    unit: str
    multiply_adds: float
    bytes: float
    count: int
    work: Callable[[], object]
    reason: str
    precision: str = "float32"


def copy_bytes_per_second(repeats: int) -> Numbers:
    """Bytes read and written in a second by a copy that no cache holds, a part for each core."""
    cores = os.cpu_count() or 1
    parts = [
        (np.ones(COPY_BYTES // cores, np.uint8), np.zeros(COPY_BYTES // cores, np.uint8))
        for _ in range(cores)
    ]
    with ThreadPoolExecutor(cores) as pool:
        times = seconds(lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), parts)), repeats)
    return spread([2 * COPY_BYTES / value for value in times])


def matrix_adds_per_second(repeats: int) -> Numbers:
    """Multiply-adds in a second of a product of two large matrices in single precision."""
    left, right = np.random.default_rng(0).random((2, MATRIX, MATRIX), dtype=np.float32)
    return spread([MATRIX**3 / value for value in seconds(lambda: left @ right, repeats)])


def half_adds_per_second(repeats: int) -> Numbers:
    """The same in bfloat16, by PyTorch."""
    import torch

    left, right = torch.rand((2, MATRIX, MATRIX)).to(torch.bfloat16)
    return spread([MATRIX**3 / value for value in seconds(lambda: left @ right, repeats)])


def photo_steps() -> Iterator[Step]:
    """Decoding and cropping."""
    reason = "Huffman codes are read bit after bit, by one thread for each photo"
    for size_wh, factor in ((PHOTO_WH, 1), (LARGE_WH, 1), (LARGE_WH, 4)):
        content, pixels = _jpeg(size_wh), size_wh[0] * size_wh[1] / factor**2
        name = f"decode, {size_wh[0]} x {size_wh[1]}" + (f" at 1/{factor}" if factor > 1 else "")
        in_and_out = len(content) + 3 * pixels

        def decode(content: bytes = content, factor: int = factor) -> object:
            return decode_image(content) if factor == 1 else decode_reduced(content, factor)

        yield Step(name, "photo", JPEG_ADDS_PER_PIXEL * pixels, in_and_out, 1, decode, reason)
    photo, size_wh = decode_image(_jpeg(PHOTO_WH)), load_model("small").input_size_wh
    matrix = crop_matrices(np.array([[200.0, 100.0, 140.0, 200.0]]), size_wh)[0]
    pixels = size_wh[0] * size_wh[1]
    yield Step(
        f"crop, {size_wh[0]} x {size_wh[1]}",
        "person",
        12 * pixels,  # four neighbours of three colours
        6 * pixels,
        BATCH,
        lambda: [warp(photo, matrix, size_wh) for _ in range(BATCH)],
        "one thread for each photo; addresses and weights of every pixel are computed, too",
    )


@cache
def _jpeg(size_wh: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw_photo(size_wh, np.random.default_rng(0))).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def pose_steps(folder: Path) -> Iterator[Step]:
    """Synthesis and evaluation."""
    generator, coco = np.random.default_rng(0), load_skeleton("coco17")
    truth = make_people(folder / "truth.json", EVALUATED_PEOPLE, generator)
    poses = make_poses(truth, int(1.7 * EVALUATED_PEOPLE), generator)
    records = build_records(truth, {name: Path(info.file_name) for name, info in truth.images.items()}, coco)
    people, profile = records.people(np.arange(min(4 * BATCH, len(records)))), load_error_profile()
    keypoints, neighbours = len(coco), people.neighbour_keypoints.shape[1]
    yield Step(
        "synthesis of a wrong pose",
        "person",
        keypoints * SYNTHESIS_ADDS * (2 + neighbours),
        keypoints * DOUBLE_BYTES * (2 * (1 + neighbours) + 2 + 1),
        len(people),
        lambda: synthesize(people, coco, profile, generator),
        "NumPy on one core: every operation is an array that goes to memory and back",
    )
    yield Step(
        "evaluation, COCO's AP",
        "pose",
        keypoints * 6 * len(truth.people) / len(truth.images),  # OKS with everybody in the photo
        keypoints * 3 * DOUBLE_BYTES,
        len(poses),
        lambda: evaluate_coco(poses, truth),
        "poses become dictionaries of the evaluator, one Python object for each number",
    )


def heatmap_step(logits: Any) -> Step:
    """Reading places and evidence off the heatmaps."""
    model = load_model("small")
    decoder = Decoder(model.skeleton, model.input_size_wh, model.decoder)
    count, keypoints, height, width = logits.shape
    given = np.full((count, keypoints, 2), 60.0, np.float32)
    cells = height * width
    smoothing, ascent, evidence = height + width, 2 * (ASCENT_STEPS + 1), 4
    return Step(
        f"decoding heatmaps, {keypoints} of {width} x {height}",
        "person",
        keypoints * cells * (3 + smoothing + ascent + evidence),  # 3: the softmax
        keypoints * cells * FLOAT_BYTES,
        count,
        lambda: decoder(decoder.probability(logits), given),
        "NumPy on one core; the heatmaps are read a dozen times, matrix products of 32 x 44 are small",
    )


def network_steps(cost: GraphCost) -> Iterator[Step]:
    """The packaged network forward in each runtime; decoding what it returns."""
    model = load_model("small")
    width, height = model.input_size_wh
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, height, width, 3), dtype=np.uint8)
    keypoints = generator.uniform(0, width, (BATCH, len(model.skeleton), 2)).astype(np.float32)
    weights = np.ones(keypoints.shape[:2], np.float32)
    for runtime, title, precision in _runtimes():
        yield Step(
            f"network forward, one pass, {title} in {precision}",
            "person",
            cost.multiply_adds,
            cost.activation_bytes + cost.weight_bytes / BATCH,
            BATCH,
            partial(_network(model, runtime), images, keypoints, weights),
            "convolutions of few channels reach less of the peak than a large product; activations go through memory",
            precision,
        )
    yield heatmap_step(np.asarray(_network(model, "auto")(images, keypoints, weights)))
    if not missing_libraries():
        yield from _training_steps(cost, images, keypoints, weights)


def _network(model: Model, runtime: Runtime) -> Network:
    backend = open_backend(model, device="cpu", runtime=runtime, flip_test=False)
    assert isinstance(backend, HeatmapBackend)
    return backend.network


def _runtimes() -> Iterator[tuple[Runtime, str, str]]:
    """Runtimes of the plain install, their names, and the precision that each takes by default on this CPU."""
    yield "onnxruntime", "ONNX Runtime", "float32"
    if openvino_is_there() and not missing_libraries():  # which measures the ceiling in bfloat16
        half = "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        yield "openvino", "OpenVINO", "bfloat16" if half else "float32"


def _training_steps(cost: GraphCost, images: Any, keypoints: Any, weights: Any) -> Iterator[Step]:
    import torch
    from benchmarks.shapes import multiply_adds

    from posefix.nn.checkpoint import load_network
    from posefix.nn.heatmaps import render_gaussians
    from posefix.training.config import load_recipe

    model = load_model("small")
    network = load_network(model).train()
    image, pose, there = (torch.from_numpy(array) for array in (images, keypoints, weights))
    (width, height), stride = model.input_size_wh, 4
    grid = width // stride, height // stride
    cells = grid[0] * grid[1] * len(model.skeleton)
    yield Step(
        f"rendering the input pose, {grid[0]} x {grid[1]}",
        "person",
        cells,
        cells * FLOAT_BYTES,
        BATCH,
        lambda: render_gaussians(pose, there, grid, stride, 7.0),
        "the heatmaps are written once, by few threads",
    )

    def step() -> None:
        network.zero_grad(set_to_none=True)
        network.losses(image, pose, there, pose, there > 0)["total"].backward()

    parts = multiply_adds(load_recipe("small"))
    yield Step(
        "network forward and backward",
        "person",
        # The trunk is not trained; of the rest, gradients of activations and of weights cost a forward pass each.
        round(parts["trunk_multiply_adds"] + 3 * parts["fusing_multiply_adds"]),
        # Of the forward pass alone, which is less than the arithmetic.
        cost.activation_bytes + cost.weight_bytes / BATCH,
        BATCH,
        step,
        "normalisation layers read every activation several times; single precision in PyTorch",
    )


def measure(step: Step, copy: float, ceilings: Mapping[str, float], repeats: int) -> Numbers:
    """One step's counts, floor and time, in seconds for one; `ceilings` of multiply-adds are by precision."""
    adds = ceilings[step.precision]
    times = spread([value / step.count for value in seconds(step.work, repeats)])
    floor = max(step.multiply_adds / adds, step.bytes / copy)
    row = {name: value for name, value in vars(step).items() if name not in ("count", "work")}
    row |= {"floor_seconds": floor, "seconds": times, "times_floor": times["median"] / floor}
    row["bound"] = "arithmetic" if step.multiply_adds / adds > step.bytes / copy else "memory"
    print(f"{step.name}: {1e6 * times['median']:,.0f} us a {step.unit}, floor {1e6 * floor:,.1f}", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    ceilings = {"copy_bytes_per_second": copy_bytes_per_second(repeats)}
    ceilings["float32_multiply_adds_per_second"] = matrix_adds_per_second(repeats)
    if not missing_libraries():
        ceilings["bfloat16_multiply_adds_per_second"] = half_adds_per_second(repeats)
    copy = ceilings["copy_bytes_per_second"]["median"]
    adds = {
        precision: ceilings[name]["median"]
        for precision in ("float32", "bfloat16")
        if (name := f"{precision}_multiply_adds_per_second") in ceilings
    }
    cost = graph_cost(load_model("small").file(ONNX_FILE))
    with tempfile.TemporaryDirectory() as folder:
        steps = [*photo_steps(), *pose_steps(Path(folder)), *network_steps(cost)]
        rows = [measure(step, copy, adds, repeats) for step in steps]
    environment = describe(
        ["hotcoco", "onnxruntime", "opencv-python-headless", "openvino", "pillow", "torch"]
    )
    measured = {"model": "small", "ceilings": ceilings, "network": asdict(cost), "steps": rows}
    print(f"kept: {keep('floors', environment, measured)}")


if __name__ == "__main__":
    main()
