"""Model folders and recipes of strangers: no weights are fetched, and what is damaged is told in a sentence."""

from __future__ import annotations

import dataclasses
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from posefix.errors import InputError
from posefix.network.models import load_model
from posefix.nn.backbones import Backbone
from posefix.nn.checkpoint import load_network
from posefix.nn.model import ModelConfig
from posefix.training.checkpoint import Standing, load_checkpoint, save_checkpoint
from posefix.training.config import TrainConfig, load_recipe

FOREIGN = [
    "hf-hub:someone/resnet18",
    "hf_hub:someone/resnet18",
    "local-dir:{folder}",
    "https://example.org/a",
    "nothing",
    3,
]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", FOREIGN)
def test_backbones_are_timms_own_architectures(name: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "num_classes": 5}))
    name = name.format(folder=tmp_path) if isinstance(name, str) else name
    with pytest.raises(InputError, match="backbone: expected the name of one of timm's architectures, got "):
        Backbone(name, stride=16, pose_channels=0)
    description = {
        "format": 2, "skeleton": "coco17", "input_size_wh": [64, 64],
        "network": {**dataclasses.asdict(ModelConfig(input_size_wh=(64, 64))), "backbone": name},
    }  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="expected the name of one of timm's architectures"):
        load_network(load_model(tmp_path))


def test_an_architecture_may_name_its_weights() -> None:
    assert Backbone("test_resnet.r160_in1k", stride=16, pose_channels=0).strides[-1] == 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000, "expected TOML, got brackets or numbers without end"),
        ("name = " + "9" * 5000, "expected TOML, got brackets or numbers without end"),
        ("seed = " + "9" * 400, "expected numbers of 64 bits, got one of 1329 bits"),
        ("[optimiser]\nlearning_rate = 1" + "0" * 309, "expected numbers of 64 bits, got one of 1027 bits"),
        ("seed = 0x" + "f" * 9000, "expected numbers of 64 bits, got one of 36000 bits"),
        ("[optimiser]\nlearning_rate = nan", "learning_rate must be at least 0, got nan"),
    ],
)
def test_recipes_without_end_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(f'name = "a"\n{text}' if not text.startswith("name") else text)
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "a.toml")
    assert message in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("size", [[10**9, 10**9], [64, 5000], [10**400, 64]])
def test_crops_without_end_are_told(tmp_path: Path, size: list[int]) -> None:
    description = {"format": 2, "skeleton": "coco17", "input_size_wh": size}
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(
        InputError, match=r"input_size_wh: expected \[width, height\] in whole pixels up to 4096, got"
    ):
        load_model(tmp_path)


def test_channels_without_end_are_told() -> None:
    with pytest.raises(InputError, match="deconvolution_channels must be whole numbers from 1 to 4096"):
        ModelConfig(deconvolution_channels=(10**9,))


@pytest.mark.parametrize(
    "state",
    [
        "{",
        "[" * 5000,
        "3",
        "{}",
        '{"config": 3}',
        '{"config": {"seed": 1}, "progress": {}}',
        '{"progress": 1}',
    ],
)
def test_damaged_checkpoints_are_told(tmp_path: Path, state: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    model = torch.nn.Linear(2, 2)
    save_file({"model.weight": torch.zeros(3, 2), "optimiser.x": torch.zeros(1)}, path, {"posefix": state})
    with pytest.raises(InputError, match=r"a\.safetensors: "):
        load_checkpoint(path, model, None, torch.optim.Adam(model.parameters()), TrainConfig("a"))


def test_a_checkpoint_of_other_tensors_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model, other = torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)
    save_checkpoint(path, other, None, torch.optim.Adam(other.parameters()), Standing(1, 2), TrainConfig("a"))
    with pytest.raises(InputError, match=r"the checkpoint is damaged .*size mismatch"):
        load_checkpoint(path, model, None, torch.optim.Adam(model.parameters()), TrainConfig("a"))
