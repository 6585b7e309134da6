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
    "resnet18.hf-hub:someone/resnet18",
    "resnet18./someone/resnet18",
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
        ("[optimiser]\nlearning_rate = inf", "optimiser: learning_rate: expected a finite number, got inf"),
        ("[augmentation]\ncolour = nan", "augmentation: colour: expected a finite number, got nan"),
        ("[data]\nheld_out = [0.1, -inf]", "data: held_out: 1: expected a finite number, got -inf"),
        ("seed = 0x" + "f" * 9000, "expected numbers of 64 bits, got one of 36000 bits"),
        ("[optimiser]\nlearning_rate = nan", "optimiser: learning_rate: expected a finite number, got nan"),
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


FUSION: dict[str, Any] = {"architecture": "fusion", "backbone_stride": 16}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"deconvolution_channels": (10**9,)},
            "deconvolution_channels must be whole numbers from 1 to 4096, got (1000000000,)",
        ),
        (FUSION | {"fusion_blocks": (10**6, 1)}, "fusion_blocks must be 2 whole numbers from 0 to 64, got"),
        (
            FUSION | {"fusion_channels": (10**6,) * 3},
            "fusion_channels must be 3 whole numbers from 1 to 4096",
        ),
        (
            {"input_size_wh": (2**20, 64)},
            "input_size_wh must be two multiples of the backbone's stride 32 up to",
        ),
        ({"backbone_stride": 10**400}, "backbone_stride must be a whole number from 1 to 4096, got 1000"),
        ({"backbone_stride": "a"}, "backbone_stride must be a whole number from 1 to 4096, got 'a'"),
        ({"sigma": float("inf")}, "sigma must be a number above 0 and at most 1e+09, got inf"),
        ({"sigma": "a"}, "sigma must be a number above 0 and at most 1e+09, got 'a'"),
        ({"lateral": "no"}, "lateral must be true or false, got 'no'"),
    ],
)
def test_networks_without_end_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        ModelConfig(**changes)
    assert message in str(caught.value) and len(str(caught.value)) < 200


def describe(folder: Path, **network: Any) -> Path:
    settings = dataclasses.asdict(ModelConfig(input_size_wh=(64, 64))) | network
    description = {"format": 2, "skeleton": "coco17", "input_size_wh": [64, 64], "network": settings}
    (folder / "model.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({}, "network: expected as many weights as .* may hold, got a network of 34"),
        (
            {"input_size_wh": [64, 128]},
            r"network: input_size_wh: expected that of the model, \(64, 64\), got \(64, 128\)",
        ),
    ],
)
def test_networks_larger_than_their_weights_are_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any], message: str
) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))

    def fill(weight: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return weight if weight.is_meta else pytest.fail("the network was built")

    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", fill)
    with pytest.raises(InputError, match=message):
        load_network(load_model(describe(tmp_path, **network)))


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
        load_checkpoint(path, model, None, torch.optim.Adam(model.parameters()), TrainConfig("a"), 1)


def test_a_checkpoint_of_other_tensors_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model, other = torch.nn.Linear(2, 2), torch.nn.Linear(3, 2)
    save_checkpoint(
        path, other, None, torch.optim.Adam(other.parameters()), Standing(1, 2), TrainConfig("a"), 1
    )
    with pytest.raises(InputError, match=r"the checkpoint is damaged .*size mismatch"):
        load_checkpoint(path, model, None, torch.optim.Adam(model.parameters()), TrainConfig("a"), 1)
