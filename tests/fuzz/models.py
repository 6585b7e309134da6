"""Models, recipes, checkpoints and shards: small ones, for `tests.fuzz.subjects`."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from tests.fuzz.subjects import Subject

from posefix.network.models import load_model
from posefix.nn.checkpoint import load_network, load_weights, save_network
from posefix.nn.model import ModelConfig, RefinementNetwork
from posefix.people import PersonRecords
from posefix.refine.backends import open_backend
from posefix.refine.calibration import read_calibration
from posefix.shards.contexts import ContextOptions
from posefix.shards.folder import read_index, read_people
from posefix.shards.reading import open_pictures
from posefix.shards.writing import write_shards
from posefix.skeletons import load_skeleton
from posefix.training.checkpoint import Standing, load_checkpoint, save_checkpoint
from posefix.training.config import TrainConfig, load_recipe

CONFIG = ModelConfig(
    backbone="test_resnet", backbone_stride=16, input_size_wh=(32, 32), pose_stride=4,
    deconvolution_channels=(8, 8),
)  # fmt: skip
SKELETON = "lsp14"
RECIPE = """name = "a"
skeleton = "lsp14"
seed = 3

[model]
backbone = "resnet18"
input_size_wh = [64, 64]
sigma = 2.0

[optimiser]
learning_rate = 1e-3
epochs = 3
drops = [1, 2]

[data]
annotations = ["a.json"]
images = ["photos"]
held_out = [0.1]

[augmentation]
colour = 0.3
"""


def model_subjects() -> Iterator[Subject]:
    yield Subject("model description", _make_graph, _use_graph)
    yield Subject("model weights", _make_weights, _use_weights)
    yield Subject("recipe", lambda folder: _write(folder / "a.toml", RECIPE), _use_recipe)
    yield Subject("checkpoint", _make_checkpoint, _use_checkpoint)
    yield Subject("shards", _make_shards, _use_shards)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _make_graph(folder: Path) -> None:
    """A graph that adds up its three inputs, and the description of its model with a calibration."""
    count = len(load_skeleton(SKELETON))
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 32, 32, 3]),
        helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, ["n", count, 2]),
        helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["n", count]),
    ]
    output = helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, ["n", count, 8, 8])
    spread = helper.make_tensor("spread", TensorProto.FLOAT, [1, 1, 8, 8], np.linspace(0, 1, 64).tolist())
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    nodes = [
        helper.make_node("Unsqueeze", ["weights", "axes"], ["wide"]),
        helper.make_node("Mul", ["wide", "spread"], ["heatmaps"]),
    ]
    graph = helper.make_graph(nodes, "a", inputs, [output], [spread, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    packaged = json.loads((load_model("base").folder / "model.json").read_text())
    calibration = packaged["calibration"]
    for part in calibration.values():
        if isinstance(part, dict) and len(part.get("bias", ())) > 1:
            part["bias"] = part["bias"][:count]
    description = {
        "format": 2, "name": "a", "skeleton": SKELETON, "input_size_wh": [32, 32],
        "network": {"decoder": "soft_argmax"}, "calibration": calibration,
    }  # fmt: skip
    _write(folder / "model.json", json.dumps(description))


def _use_graph(folder: Path) -> None:
    model = load_model(folder)
    read_calibration(model)
    backend = open_backend(model, device="cpu", runtime="onnxruntime", threads=1)
    width, height = model.input_size_wh
    count = len(model.skeleton)
    backend(
        np.zeros((1, height, width, 3), np.uint8),
        np.ones((1, count, 2), np.float32),
        np.ones((1, count), np.float32),
    )


def _make_weights(folder: Path) -> None:
    save_network(_network(), SKELETON, folder, "a", {"epochs": 1})


def _use_weights(folder: Path) -> None:
    """Building a network takes a second; where its description has no fault, one is enough for all."""
    model = load_model(folder)
    if dict(model.network) == json.loads(json.dumps(dataclasses.asdict(CONFIG))):
        load_weights(_network(), folder / "model.safetensors")
    else:
        load_network(model)


@cache
def _network() -> RefinementNetwork:
    torch.manual_seed(0)
    return RefinementNetwork(CONFIG, load_skeleton(SKELETON))


def _use_recipe(folder: Path) -> None:
    config = load_recipe(folder / "a.toml")
    json.dumps(dataclasses.asdict(config))


def _parts() -> tuple[torch.nn.Module, torch.optim.Optimizer, TrainConfig]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    return model, torch.optim.Adam(model.parameters()), TrainConfig("a")


def _make_checkpoint(folder: Path) -> None:
    model, optimiser, config = _parts()
    average = copy.deepcopy(model)
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    save_checkpoint(folder / "a.safetensors", model, average, optimiser, Standing(1, 2), config, 3)
    (folder / "a.json").unlink()  # for people to read


def _use_checkpoint(folder: Path) -> None:
    model, optimiser, config = _parts()
    average = copy.deepcopy(model)
    load_checkpoint(folder / "a.safetensors", model, average, optimiser, config, 3)


def _make_shards(folder: Path) -> None:
    cv2.imwrite(str(folder / "0.png"), np.full((240, 360, 3), 99, np.uint8))
    records = _records(folder / "0.png")
    options = ContextOptions((48, 64))
    settings: dict[str, Any] = {"skeleton": ["nose"], "sha256": {}}
    write_shards(folder / "shards", records, [3], settings, options, threads=1)
    (folder / "0.png").unlink()


def _records(photo: Path) -> PersonRecords:
    generator = np.random.default_rng(0)
    keypoints = generator.uniform(40, 200, (3, 5, 2)).astype(np.float32)
    return PersonRecords(
        keypoints, np.ones((3, 5), bool), np.full(3, 900.0, np.float32), np.zeros(3, np.int64),
        np.full((3, 2), -1), (photo,) * 3, np.zeros((3, 0, 5, 2), np.float32), np.zeros((3, 0, 5), bool),
        np.zeros((3, 4), np.float32),
    )  # fmt: skip


def _use_shards(folder: Path) -> None:
    index = read_index(folder / "shards")
    records = read_people(folder / "shards", index)
    pictures = open_pictures(folder / "shards", index, (48, 64))
    for row in range(min(3, len(records))):
        pictures(row, np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]))
