"""ONNX Runtime and PyTorch behind one call."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from posefix.errors import InputError
from posefix.models import load_model
from posefix.refine import backends
from posefix.refine.backends import (
    Backend,
    OnnxBackend,
    TorchBackend,
    flip_averaged,
    identity_backend,
    open_backend,
)
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

MODEL = load_skeleton("posefix19")
BATCH = (
    np.full((2, 192, 144, 3), 10, np.uint8),
    np.random.default_rng(0).uniform(0, 100, (2, 19, 2)).astype(np.float32),
    np.ones((2, 19), np.float32),
)


def write_graph(path: Path, num_keypoints: int = 19, output: str = "refined") -> Path:
    """A graph that adds a tenth of the crop's mean brightness to the keypoints that are there."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=types.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "tenth"], ["shift"]),
        helper.make_node("Unsqueeze", ["shift", "last"], ["column"]),
        helper.make_node("Mul", ["column", "weights"], ["moves"]),
        helper.make_node("Unsqueeze", ["moves", "last"], ["step"]),
        helper.make_node("Add", ["keypoints", "step"], [output]),
    ]
    inputs = [
        helper.make_tensor_value_info("image", types.UINT8, ["batch", 192, 144, 3]),
        helper.make_tensor_value_info("keypoints", types.FLOAT, ["batch", num_keypoints, 2]),
        helper.make_tensor_value_info("weights", types.FLOAT, ["batch", num_keypoints]),
    ]
    outputs = [helper.make_tensor_value_info(output, types.FLOAT, ["batch", num_keypoints, 2])]
    constants = [
        helper.make_tensor("tenth", types.FLOAT, [], [0.1]),
        helper.make_tensor("last", types.INT64, [1], [-1]),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def model_folder(path: Path) -> Path:
    description = {"format": 1, "name": "tiny", "skeleton": "posefix19", "input_size_wh": [144, 192]}
    (path / "model.json").write_text(json.dumps(description), encoding="utf-8")
    return path


def test_a_graph_runs_on_batches_of_any_size(tmp_path: Path) -> None:
    backend = OnnxBackend(write_graph(tmp_path / "model.onnx"), threads=1)
    assert backend.num_keypoints() == 19
    for size in (1, 2, 0):
        images, keypoints, weights = BATCH
        refined = backend(images[:size], keypoints[:size], weights[:size])
        assert np.allclose(refined, keypoints[:size] + 1)


def test_a_model_folder_refines(tmp_path: Path) -> None:
    write_graph(model_folder(tmp_path) / "model.onnx")
    refiner = Refiner.from_pretrained(tmp_path, device="cpu", threads=1)
    keypoints = np.random.default_rng(1).uniform(0, 50, (1, 17, 2))
    refined = refiner(np.full((60, 60, 3), 255, np.uint8), keypoints, skeleton="coco17")
    assert refined.moved.all()


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07"])
def test_a_file_that_is_no_graph_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.onnx: "):
        OnnxBackend(path)


def test_a_truncated_graph_is_an_error(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"model\.onnx: cannot be loaded"):
        OnnxBackend(path)


def test_a_graph_with_other_names_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a graph with inputs .* and output 'refined'"):
        OnnxBackend(write_graph(tmp_path / "model.onnx", output="result"))


def test_a_graph_of_another_skeleton_is_an_error(tmp_path: Path) -> None:
    write_graph(model_folder(tmp_path) / "model.onnx", num_keypoints=17)
    with pytest.raises(
        InputError, match="expected 19 keypoints for skeleton 'posefix19', got a graph for 17"
    ):
        Refiner.from_pretrained(tmp_path, device="cpu")


def test_a_device_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_graph(model_folder(tmp_path) / "model.onnx")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InputError, match="device: 'cuda' needs PyTorch with CUDA, or onnxruntime-gpu"):
        OnnxBackend(path, device="cuda")


def test_auto_takes_the_graph_where_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_cuda_is_there", lambda: False)
    write_graph(model_folder(tmp_path) / "model.onnx")
    assert isinstance(open_backend(load_model(tmp_path)), OnnxBackend)


def test_auto_takes_pytorch_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    devices: list[str] = []

    def open_torch(network: object, device: str) -> Backend:
        devices.append(device)
        return identity_backend

    write_graph(model_folder(tmp_path) / "model.onnx")
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(backends, "_cuda_is_there", lambda: True)
    monkeypatch.setattr(backends, "_load_network", lambda model: "network")
    monkeypatch.setattr(backends, "TorchBackend", open_torch)
    assert open_backend(load_model(tmp_path)) is identity_backend
    assert devices == ["cuda"]


def test_pytorch_without_timm_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs YOLO has PyTorch and a GPU, but not what posefix's network is made of."""
    write_graph(model_folder(tmp_path) / "model.onnx")
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "timm" else name)
    assert isinstance(open_backend(load_model(tmp_path)), OnnxBackend)
    with pytest.raises(InputError, match=r"pip install 'posefix\[train\]'"):
        open_backend(load_model(tmp_path), device="cuda")


def test_threads_are_counted_from_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="threads: expected 1 or more, got 0"):
        OnnxBackend(write_graph(tmp_path / "model.onnx"), threads=0)


def test_pytorch_runs_a_network() -> None:
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):  # type: ignore[misc,name-defined]
        def refine(self, image: Any, keypoints: Any, weights: Any) -> Any:
            assert image.dtype == torch.uint8
            return keypoints + image.float().mean((1, 2, 3))[:, None, None] / 10

    backend = TorchBackend(Network())
    assert np.allclose(backend(*BATCH), BATCH[1] + 1)
    assert np.allclose(flip_averaged(backend, MODEL.flip_index)(*BATCH), BATCH[1] + [0, 1], atol=1e-4)
    with pytest.raises(InputError, match="device: 'toaster' is not usable here"):
        TorchBackend(Network(), device="toaster")


def test_flip_averaging_calls_the_network_once() -> None:
    calls: list[int] = []

    def counting(images: Any, keypoints: Any, weights: Any) -> Any:
        calls.append(len(images))
        return keypoints

    assert np.allclose(flip_averaged(counting, MODEL.flip_index)(*BATCH), BATCH[1], atol=1e-4)
    assert calls == [4]
