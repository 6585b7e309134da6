"""Averaging the weights of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("onnx")

pytest.importorskip("timm")

from tools.average_models import average, average_models  # noqa: E402

from posefix.errors import InputError  # noqa: E402
from posefix.network.models import load_model  # noqa: E402
from posefix.nn.checkpoint import load_network, save_network  # noqa: E402
from posefix.nn.model import ModelConfig, RefinementNetwork  # noqa: E402
from posefix.skeletons import load_skeleton, skeleton_text  # noqa: E402


def test_the_mean_keeps_precision_and_counters() -> None:
    first = {"weight": torch.tensor([1.0, 2.0], dtype=torch.float16), "steps": torch.tensor(7)}
    second = {"weight": torch.tensor([2.0, 4.0], dtype=torch.float16), "steps": torch.tensor(9)}
    found = average([first, second])
    assert found["weight"].dtype == torch.float16
    assert found["weight"].tolist() == [1.5, 3.0]
    assert found["steps"].item() == 7


def test_networks_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="expected networks of one shape"):
        average([{"weight": torch.zeros(2)}, {"weight": torch.zeros(3)}])


def test_a_model_of_ones_own_skeleton_becomes_a_whole_folder(tmp_path: Path) -> None:
    config = ModelConfig(backbone="resnet18", input_size_wh=(64, 64))
    skeleton = tmp_path / "mine.json"
    skeleton.write_text(skeleton_text(replace(load_skeleton("lsp14"), name="mine")))
    weights = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = RefinementNetwork(config, load_skeleton(skeleton))
        (tmp_path / str(seed)).mkdir()
        save_network(network, str(skeleton), tmp_path / str(seed), "one", {"seed": seed})
        weights.append(network.state_dict()["output.weight"])
    mean = tmp_path / "mean"
    mean.mkdir()
    (mean / "model.onnx").write_bytes(b"of another model")
    assert average_models([tmp_path / "0", tmp_path / "1"], mean) < 0.03
    model = load_model(mean)
    assert model.skeleton.name == "mine" and model.file("model.onnx").stat().st_size > 1000
    found = load_network(model).state_dict()["output.weight"]
    torch.testing.assert_close(found, (weights[0] + weights[1]) / 2, atol=1e-3, rtol=0)
