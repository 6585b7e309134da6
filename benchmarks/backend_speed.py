"""What computes the packaged network fastest on a CPU, and what its precision does to AP.

    python -m benchmarks.backend_speed [--data DIR] [--model NAME] [--repeats 5] [--limit IMAGES] [--only NAME ...]

Speed: people per second of the network alone, with flip averaging, on the crops of coco_dev; all candidates by turns.
Accuracy: AP after refinement on the first 200 photos of each set, mean of two estimators, and its change from ONNX
Runtime in single precision.
The graph in 8-bit integers is made by NNCF (pip install nncf), weights and activations by crops of training photos, but
for the rendering of the poses, whose coordinates need more. A candidate whose library is not installed is left out.
Keeps benchmarks/results/backend_speed.json; with another --limit or --only nothing is kept.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.accuracy import SETS, read_poses
from benchmarks.environment import DATA, describe, keep, spread
from benchmarks.refinement_speed import Batch, Recorder

from posefix import Refiner, read_pose_file
from posefix.evaluation.coco import evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import ONNX_FILE, Model, load_model
from posefix.network.openvino_core import openvino_core
from posefix.photos.finding import find_images
from posefix.refine.backends import HeatmapBackend
from posefix.refine.networks import Network, OnnxNetwork, OpenVinoNetwork, TorchNetwork

REFERENCE = "onnxruntime float32"
PHOTOS = 200
ESTIMATORS = ("movenet", "efficientpose-rt")
CROPS_FROM = "tinypose128"
QUANTISED_ON = ("predictions/lspet_train/movenet.coco17.json", "lspet/images", 500)
"""Poses, photos and how many people: their crops tell NNCF the range of each activation."""
RENDERING = ["Subtract", "Power", "Exp", "Multiply", "Divide"]


def candidates(
    model: Model, refiner: Refiner, data: Path, folder: Path
) -> Iterator[tuple[str, Callable[[], Network]]]:
    """Name of each candidate that is installed here, and what opens it."""
    path = model.file(ONNX_FILE)
    yield REFERENCE, lambda: OnnxNetwork(path)
    if importlib.util.find_spec("openvino"):
        yield "openvino float32", lambda: OpenVinoNetwork(path, half=False)
        yield "openvino bfloat16", lambda: OpenVinoNetwork(path)
    if importlib.util.find_spec("timm"):
        yield "pytorch float32", lambda: open_pytorch(model, half=False)
        yield "pytorch bfloat16", lambda: open_pytorch(model, half=True)
    if importlib.util.find_spec("nncf"):
        yield "openvino int8", lambda: OpenVinoNetwork(quantise(path, training_crops(refiner, data), folder))


def open_pytorch(model: Model, *, half: bool) -> Network:
    """The network in PyTorch on the CPU."""
    from posefix.nn.checkpoint import load_network

    return TorchNetwork(load_network(model), half=half)


def quantise(path: Path, crops: list[Batch], folder: Path) -> Path:
    """The graph in 8-bit integers."""
    import nncf
    import openvino

    chosen = nncf.Dataset([list(batch) for batch in crops])
    graph = nncf.quantize(
        openvino_core().read_model(str(path)),
        chosen,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(crops),
        ignored_scope=nncf.IgnoredScope(types=RENDERING, validate=False),
    )
    openvino.save_model(graph, str(folder / "int8.xml"))
    return folder / "int8.xml"


def training_crops(refiner: Refiner, data: Path) -> list[Batch]:
    """What the network is given for some people it was trained on."""
    file, photos, count = QUANTISED_ON
    poses = read_pose_file(data / file, "coco17").poses[np.arange(count)]
    return record_crops(refiner, lambda recording: recording.refine(poses, data / photos))


def record_crops(refiner: Refiner, work: Callable[[Refiner], object]) -> list[Batch]:
    """What the network is given while a refiner works."""
    assert isinstance(refiner.backend, HeatmapBackend)
    recorder = Recorder(refiner.backend.network)
    work(replace(refiner, backend=replace(refiner.backend, network=recorder)))
    return recorder.batches


def refine_part(refiner: Refiner, data: Path, name: str, estimator: str, limit: int) -> float:
    """AP after refinement of an estimator's poses of a set's first photos."""
    people, photos = SETS[name]
    truth = first_photos(read_annotations(data / people), limit)
    (file,) = (data / "predictions" / name).glob(f"{estimator}.*.json")
    poses = read_poses(file, truth)
    names = {image_id: info.file_name for image_id, info in truth.images.items()}
    found = find_images(poses.image_ids, data / photos, names)
    return evaluate_coco(refiner.refine(poses, found).poses, truth).ap


def first_photos(annotations: Annotations, limit: int) -> Annotations:
    """The first photos with their people."""
    from posefix.analysis.costs import select_people

    images = dict(list(annotations.images.items())[:limit])
    rows = np.flatnonzero([number in images for number in annotations.people.image_ids])
    return replace(select_people(annotations, rows), images=images)


def seconds(network: Network, crops: list[Batch]) -> float:
    start = time.perf_counter()
    for batch in crops:
        network(*batch)
    return time.perf_counter() - start


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Speed and AP of each candidate."""
    model = load_model(options.model)
    refiner = Refiner.from_pretrained(options.model, device="cpu", scores="input")
    assert isinstance(refiner.backend, HeatmapBackend)
    crops = record_crops(
        refiner, lambda recording: refine_part(recording, options.data, "coco_dev", CROPS_FROM, options.limit)
    )
    people = sum(len(images) for images, _, _ in crops) / 2
    networks = {
        name: open_network()
        for name, open_network in candidates(model, refiner, options.data, folder)
        if not options.only or name in options.only
    }
    turns: dict[str, list[float]] = {name: [] for name in networks}
    for network in networks.values():
        seconds(network, crops[:2])
    for _ in range(options.repeats):
        for name, network in networks.items():
            turns[name].append(people / seconds(network, crops))
    measured: dict[str, Any] = {}
    for name, network in networks.items():
        changed = replace(refiner, backend=replace(refiner.backend, network=network))
        ap = {
            part: 100
            * float(
                np.mean(
                    [refine_part(changed, options.data, part, file, options.limit) for file in ESTIMATORS]
                )
            )
            for part in SETS
        }
        measured[name] = {"people_per_second": spread(turns[name]), "ap": ap}
        print(line(name, measured), flush=True)
    return {"model": model.name, "flip_test": True, "people": people, "candidates": measured}


def line(name: str, measured: dict[str, Any]) -> str:
    """A candidate's figures, with the change in AP from the reference."""
    found, reference = measured[name], measured.get(REFERENCE)
    cells = [f"{name:<20} {found['people_per_second']['median']:6.0f} people/s"]
    for part, ap in found["ap"].items():
        change = f" ({ap - reference['ap'][part]:+.2f})" if reference else ""
        cells.append(f"{part} AP {ap:.2f}{change}")
    return "  ".join(cells)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--model", default=DEFAULT_MODEL_NAME, help="a packaged model's name, or a model folder"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, default=PHOTOS, help="the first so many photos of each set")
    parser.add_argument("--only", nargs="+", help="only these candidates; not kept")
    options = parser.parse_args()
    environment = describe(["onnxruntime", "openvino", "torch", "nncf"])
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options, Path(folder))
    if options.limit == PHOTOS and not options.only:
        print(f"kept in {keep('backend_speed', environment, measured)}")


if __name__ == "__main__":
    main()
