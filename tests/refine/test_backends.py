"""ONNX Runtime and PyTorch behind one call, and the mean with the mirrored crop."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from posefix.errors import InputError
from posefix.network.decoding import Decoder, Evidence
from posefix.network.models import load_model
from posefix.pose.geometry import flip_keypoints
from posefix.refine import backends
from posefix.refine.backends import HeatmapBackend, fastest_runtime, identity_backend, open_backend
from posefix.refine.networks import Network, OnnxNetwork, OpenVinoNetwork, TorchNetwork
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
MODEL = load_skeleton("posefix19")
SIZE_WH = (144, 192)
X = ((np.arange(36) + 0.5) * 4 - 0.5).astype(np.float32)
Y = ((np.arange(48) + 0.5) * 4 - 0.5).astype(np.float32)
RUNTIMES = ["onnxruntime", "openvino"]
RNG = np.random.default_rng(0)
BATCH = (
    np.full((2, 192, 144, 3), 10, np.uint8),
    RNG.uniform(20, 120, (2, 19, 2)).astype(np.float32),
    np.ones((2, 19), np.float32),
)


def peaks(places: Array) -> Array:
    """Logits (B, K, 48, 36) whose heatmaps are Gaussians of 5 crop pixels about places (B, K, 2)."""
    x, y = X - places[..., :1], Y - places[..., 1:]
    logits: Array = -(y[..., :, None] ** 2 + x[..., None, :] ** 2) / 50
    return logits


def darkening(images: Array, keypoints: Array, weights: Array) -> Array:
    """A network: peaks below the keypoints by a tenth of the mean brightness, at the place of absent ones."""
    step = images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None] * weights
    return peaks(keypoints + step[..., None] * np.array([0, 0.1], np.float32))


def lopsided(images: Array, keypoints: Array, weights: Array) -> Array:
    """A network that treats left and right differently, in the crop and in the body."""
    lightness = images.mean(axis=3, dtype=np.float32)[:, ::4, ::4] / 32
    slopes = np.linspace(-0.05, 0.1, keypoints.shape[1], dtype=np.float32)[:, None, None]
    logits = peaks(keypoints + np.array([7, 3], np.float32)) * weights[..., None, None]
    return np.asarray(logits + lightness[:, None] + slopes * np.arange(36, dtype=np.float32))


def backend(network: Network, **options: Any) -> HeatmapBackend:
    return HeatmapBackend(network, Decoder(MODEL, SIZE_WH), MODEL.flip_index, **options)


def random_batch(count: int = 3) -> tuple[Array, Array, Array]:
    """Some keypoints lie outside the crop, some are absent."""
    rng = np.random.default_rng(1)
    weights = (rng.random((count, 19)) > 0.2).astype(np.float32)
    keypoints = rng.uniform(-10, 150, (count, 19, 2)).astype(np.float32) * weights[..., None]
    return rng.integers(0, 256, (count, 192, 144, 3), dtype=np.uint8), keypoints, weights


def write_graph(path: Path, num_keypoints: int = 19, output: str = "heatmaps") -> Path:
    """The graph of `darkening`."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=types.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "tenth"], ["tenths"]),
        helper.make_node("Unsqueeze", ["tenths", "one"], ["step"]),
        helper.make_node("Mul", ["step", "weights"], ["steps"]),
        helper.make_node("Unsqueeze", ["steps", "two"], ["down"]),
        helper.make_node("Split", ["keypoints"], ["across", "along"], axis=2),
        helper.make_node("Add", ["along", "down"], ["below"]),
        helper.make_node("Sub", ["columns", "across"], ["x"]),
        helper.make_node("Sub", ["rows", "below"], ["y"]),
        helper.make_node("Mul", ["x", "x"], ["x_squared"]),
        helper.make_node("Mul", ["y", "y"], ["y_squared"]),
        helper.make_node("Unsqueeze", ["x_squared", "two"], ["row"]),
        helper.make_node("Unsqueeze", ["y_squared", "three"], ["column"]),
        helper.make_node("Add", ["row", "column"], ["squared"]),
        helper.make_node("Mul", ["squared", "scale"], [output]),
    ]
    inputs = [
        helper.make_tensor_value_info("image", types.UINT8, ["batch", 192, 144, 3]),
        helper.make_tensor_value_info("keypoints", types.FLOAT, ["batch", num_keypoints, 2]),
        helper.make_tensor_value_info("weights", types.FLOAT, ["batch", num_keypoints]),
    ]
    outputs = [helper.make_tensor_value_info(output, types.FLOAT, ["batch", num_keypoints, 48, 36])]
    axes = {"one": 1, "two": 2, "three": 3}
    constants = [
        helper.make_tensor("tenth", types.FLOAT, [], [0.1]),
        helper.make_tensor("scale", types.FLOAT, [], [-1 / 50]),
        helper.make_tensor("columns", types.FLOAT, [36], X),
        helper.make_tensor("rows", types.FLOAT, [48], Y),
        *(helper.make_tensor(name, types.INT64, [1], [axis]) for name, axis in axes.items()),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def model_folder(path: Path, size_wh: tuple[int, int] = SIZE_WH) -> Path:
    description = {"format": 2, "name": "tiny", "skeleton": "posefix19", "input_size_wh": size_wh}
    (path / "model.json").write_text(json.dumps(description), encoding="utf-8")
    return path


def open_graph(runtime: str, path: Path, **options: Any) -> OnnxNetwork | OpenVinoNetwork:
    """In single precision."""
    if runtime == "onnxruntime":
        return OnnxNetwork(path, **options)
    pytest.importorskip("openvino")
    return OpenVinoNetwork(path, half=False, **options)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_runs_on_batches_of_any_size(runtime: str, tmp_path: Path) -> None:
    network = open_graph(runtime, write_graph(tmp_path / "model.onnx"), threads=1)
    assert network.shape("keypoints") == (None, 19, 2)
    assert network.shape("image") == (None, 192, 144, 3)
    for size in (1, 3, 0):
        images, keypoints, weights = (array[:size] for array in random_batch())
        logits = network(images, keypoints, weights)
        assert logits.shape == (size, 19, 48, 36)
        np.testing.assert_allclose(logits, darkening(images, keypoints, weights), atol=1e-2)


def test_a_model_folder_refines(tmp_path: Path) -> None:
    write_graph(model_folder(tmp_path) / "model.onnx")
    refiner = Refiner.from_pretrained(tmp_path, device="cpu", threads=1)
    keypoints = np.random.default_rng(1).uniform(0, 50, (1, 17, 2))
    refined = refiner(np.full((60, 60, 3), 255, np.uint8), keypoints, skeleton="coco17")
    # The network prefers places below those that were given, by 25 crop pixels.
    assert refined.moved.all()
    assert (refined.keypoints - keypoints)[..., 1].min() > 1
    assert np.isnan(refined.confidence).all()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07"])
def test_a_file_that_is_no_graph_is_an_error(runtime: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.onnx: "):
        open_graph(runtime, path)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_whose_names_are_no_text_is_an_error(runtime: str, tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"Cast", b"\x80" * 4))
    with pytest.raises(InputError, match=r"model\.onnx: cannot be loaded"):
        open_graph(runtime, path)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_truncated_graph_is_an_error(runtime: str, tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"model\.onnx: cannot be loaded"):
        open_graph(runtime, path)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_with_other_names_is_an_error(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a graph with inputs .* and output 'heatmaps'"):
        open_graph(runtime, write_graph(tmp_path / "model.onnx", output="result"))


def test_a_graph_of_another_skeleton_is_an_error(tmp_path: Path) -> None:
    write_graph(model_folder(tmp_path) / "model.onnx", num_keypoints=17)
    with pytest.raises(
        InputError, match="expected 19 keypoints for skeleton 'posefix19', got a graph for 17"
    ):
        Refiner.from_pretrained(tmp_path, device="cpu")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_for_crops_of_another_size_is_an_error(runtime: str, tmp_path: Path) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    write_graph(model_folder(tmp_path, size_wh=(192, 144)) / "model.onnx")
    with pytest.raises(
        InputError,
        match=r"model\.onnx: expected a graph for crops of 192 x 144, .* got one for 144 x 192; export",
    ):
        open_backend(load_model(tmp_path), device="cpu", runtime=runtime)  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_graph(model_folder(tmp_path) / "model.onnx")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InputError, match="device: 'cuda' needs PyTorch with CUDA, or onnxruntime-gpu"):
        OnnxNetwork(path, device="cuda")


@pytest.mark.parametrize(
    ("device", "number"), [("cuda", "0"), ("cuda:1", "1"), ("cuda:", None), ("mps", None), ("gpuu", None)]
)
def test_a_graph_runs_on_the_gpu_that_was_named(
    device: str, number: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = write_graph(model_folder(tmp_path) / "model.onnx"), []
    real = onnxruntime.InferenceSession

    def session(graph: str, options: object, providers: list[tuple[str, dict[str, str]]]) -> object:
        asked.extend(providers)
        return real(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    problem = "no usable" if number else "expected 'cpu', 'cuda' or 'cuda:NUMBER'"
    with pytest.raises(InputError, match=problem):
        OnnxNetwork(path, device=device)
    assert asked == ([("CUDAExecutionProvider", {"device_id": number})] if number else [])


def test_pytorch_where_it_is_not_installed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(graph_and_weights(tmp_path))
    monkeypatch.setattr(backends, "_pytorch_is_there", lambda: False)
    with pytest.raises(InputError, match=r"runtime: 'pytorch' is not installed whole; pip install"):
        open_backend(model, device="cpu", runtime="pytorch")


def test_auto_takes_the_graph_where_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    model = load_model(graph_and_weights(tmp_path))
    monkeypatch.setattr(backends, "openvino_is_there", lambda: False)
    assert fastest_runtime(model, "cpu") == "onnxruntime"
    assert isinstance(opened(tmp_path), OnnxNetwork)


def test_auto_prefers_openvino_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert isinstance(opened(graph_and_weights(tmp_path)), OpenVinoNetwork)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert isinstance(opened(tmp_path), OnnxNetwork)


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_pytorch_on_a_gpu(native: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    opened_on: list[tuple[str, bool]] = []

    def open_torch(network: object, device: str, half: bool, threads: int) -> Network:
        assert threads == 1
        opened_on.append((device, half))
        return darkening

    graph_and_weights(tmp_path)
    monkeypatch.setattr(backends, "_pytorch_has_gpu", lambda model: True)
    monkeypatch.setattr(backends, "_load_network", lambda model: "network")
    monkeypatch.setattr(backends, "TorchNetwork", open_torch)
    # A GPU that emulates bfloat16 computes in single precision.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert opened(tmp_path) is darkening
    assert isinstance(opened(tmp_path, runtime="onnxruntime"), OnnxNetwork)
    assert opened(tmp_path, device="cpu", runtime="pytorch") is darkening
    assert opened_on == [("cuda", native), ("cpu", False)]


def test_pytorch_without_timm_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs YOLO has PyTorch and a GPU, but not what posefix's network is made of."""
    graph_and_weights(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "timm" else name)
    assert not isinstance(opened(tmp_path, runtime="onnxruntime"), TorchNetwork)
    assert fastest_runtime(load_model(tmp_path), "cpu") != "pytorch"
    with pytest.raises(InputError, match=r"pip install 'posefix\[train\]'"):
        open_backend(load_model(tmp_path), device="cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "tensorrt"}, "runtime: expected 'auto' or 'openvino' or .*, got 'tensorrt'"),
        ({"runtime": "openvino", "device": "cuda"}, "'openvino' is for device 'cpu', not 'cuda'"),
        ({"runtime": "openvino", "device": "cpu"}, "'openvino' is not installed; pip install openvino"),
    ],
)
def test_a_runtime_that_is_not_there_is_an_error(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph_and_weights(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=message):
        open_backend(load_model(tmp_path), **options)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_are_counted_from_one(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="threads: expected 1 or more, got 0"):
        open_graph(runtime, write_graph(tmp_path / "model.onnx"), threads=0)


def test_threads_of_pytorch_are_those_asked_for_while_the_network_is_called() -> None:
    torch = pytest.importorskip("torch")
    seen: list[int] = []

    class Small(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, image: Any, keypoints: Any, weights: Any) -> Any:
            seen.append(torch.get_num_threads())
            return torch.from_numpy(darkening(image.numpy(), keypoints.numpy(), weights.numpy()))

    before = torch.get_num_threads()
    for threads in (None, 1, 3):
        TorchNetwork(Small(), threads=threads)(*random_batch())
        assert torch.get_num_threads() == before
    assert seen == [before, 1, 3]
    with pytest.raises(InputError, match="threads: expected 1 or more, got -5"):
        TorchNetwork(Small(), threads=-5)


def graph_and_weights(folder: Path) -> Path:
    write_graph(model_folder(folder) / "model.onnx")
    (folder / "model.safetensors").touch()
    return folder


def opened(folder: Path, **options: Any) -> Network:
    opened = open_backend(load_model(folder), threads=1, **options)
    assert isinstance(opened, HeatmapBackend)
    return opened.network


def test_openvino_in_half_precision_sees_what_the_packaged_model_sees_in_single() -> None:
    """Crops of a drawn figure: places agree to a quarter of a pixel in the median; batches do not matter at all."""
    pytest.importorskip("openvino")
    path = load_model("small").file("model.onnx")
    rng = np.random.default_rng(3)
    width, height = load_model("small").input_size_wh
    images = rng.integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    keypoints = rng.uniform(10, 110, (4, 19, 2)).astype(np.float32)
    weights = np.ones((4, 19), np.float32)
    batch = (images, keypoints, weights)
    single, half = OnnxNetwork(path)(*batch), OpenVinoNetwork(path)(*batch)
    np.testing.assert_allclose(OpenVinoNetwork(path, half=False)(*batch), single, atol=1e-3)
    decode = Decoder(MODEL, (width, height), load_model("small").decoder)
    found, expected = (decode(decode.probability(logits), keypoints).keypoints for logits in (half, single))
    assert np.median(np.linalg.norm(found - expected, axis=-1)) < 0.25
    network = OpenVinoNetwork(path)
    alone = [network(images[[row]], keypoints[[row]], weights[[row]]) for row in range(4)]
    np.testing.assert_allclose(np.concatenate(alone), half, atol=0.05)


def test_a_batch_beyond_the_memory_is_halved_with_one_warning() -> None:
    torch = pytest.importorskip("torch")
    sizes: list[int] = []

    class Small(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, image: Any, keypoints: Any, weights: Any) -> Any:
            sizes.append(len(image))
            if len(image) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return torch.from_numpy(darkening(image.numpy(), keypoints.numpy(), weights.numpy()))

    most, network, batch = 2, TorchNetwork(Small()), random_batch(7)
    with pytest.warns(RuntimeWarning, match="7 crops at once do not fit into the memory of cpu"):
        logits = network(*batch)
    assert sizes == [7, 3, 1, 2, 4, 2, 2]
    np.testing.assert_allclose(np.asarray(logits), darkening(*batch), atol=1e-3)
    network(*batch)  # no second warning
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        network(*batch)


@pytest.mark.parametrize(("crops", "poses_of_each"), [(7, 2), (4, 3), (5, 1)])
def test_halves_keep_every_pose_in_its_crop(crops: int, poses_of_each: int) -> None:
    torch = pytest.importorskip("torch")
    sizes: list[tuple[int, int]] = []

    class Sharing(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, image: Any, keypoints: Any, weights: Any) -> Any:
            sizes.append((len(image), len(keypoints)))
            if len(image) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            again = image.numpy()[np.arange(len(keypoints)) % len(image)]
            return torch.from_numpy(darkening(again, keypoints.numpy(), weights.numpy()))

    images = random_batch(crops)[0]
    # Each crop of a brightness of its own, so that a pose in another one is answered otherwise.
    images[:] = np.linspace(0, 250, crops)[:, None, None, None]
    _, keypoints, weights = random_batch(crops * poses_of_each)
    with pytest.warns(RuntimeWarning, match=f"{crops} crops at once do not fit"):
        logits = TorchNetwork(Sharing())(images, keypoints, weights)
    again = images[np.arange(len(keypoints)) % crops]
    np.testing.assert_allclose(np.asarray(logits), darkening(again, keypoints, weights), atol=1e-3)
    assert all(poses == poses_of_each * count for count, poses in sizes)
    assert sum(count for count, _ in sizes if count <= 2) == crops


def test_pytorch_runs_a_network() -> None:
    torch = pytest.importorskip("torch")

    class Darkening(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, image: Any, keypoints: Any, weights: Any) -> Any:
            assert image.dtype == torch.uint8
            return torch.from_numpy(darkening(image.numpy(), keypoints.numpy(), weights.numpy()))

    network, batch = TorchNetwork(Darkening()), random_batch()
    logits = network(*batch)
    assert isinstance(logits, torch.Tensor)
    np.testing.assert_allclose(logits.numpy(), darkening(*batch), atol=1e-3)
    agree(backend(network)(*batch), backend(darkening)(*batch))
    with pytest.raises(InputError, match="device: 'toaster' is not usable here"):
        TorchNetwork(Darkening(), device="toaster")


def test_a_graph_and_its_formula_give_the_same_evidence(tmp_path: Path) -> None:
    write_graph(model_folder(tmp_path) / "model.onnx")
    for flip_test in (True, False):
        exported = open_backend(load_model(tmp_path), device="cpu", threads=1, flip_test=flip_test)
        agree(exported(*random_batch()), backend(darkening, flip_test=flip_test)(*random_batch()))


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cpu", r"^runtime: 'onnxruntime' is not installed; run: pip install 'posefix\[onnxruntime\]'$"),
        ("cuda", r"^device: 'cuda' needs PyTorch with CUDA, .*; or onnxruntime-gpu$"),
    ],
)
def test_without_onnx_runtime_what_to_install_is_named(
    device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=message):
        OnnxNetwork("model.onnx", device=device)


def test_the_evidence_is_arrays_in_single_precision() -> None:
    evidence = backend(darkening)(*BATCH)
    np.testing.assert_allclose(evidence.keypoints, BATCH[1] + [0, 1], atol=0.05)
    assert (evidence.similarity > evidence.given_similarity).all()
    assert (evidence.vicinity > evidence.similarity).all()
    for field in dataclasses.fields(evidence):
        value = getattr(evidence, field.name)
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.float32


def test_the_mirrored_pass_sees_the_mirrored_crop_with_exchanged_sides() -> None:
    seen: list[tuple[Array, Array, Array]] = []

    def spy(images: Array, keypoints: Array, weights: Array) -> Array:
        seen.append((images, keypoints, weights))
        return darkening(images, keypoints, weights)

    crops, given, there = random_batch(2)
    there[:] = 1
    there[0, MODEL.index("left_wrist")] = 0
    backend(spy)(crops, given, there)
    ((images, keypoints, weights),) = seen  # the network is called once
    assert np.array_equal(images, np.concatenate([crops, crops[:, :, ::-1]]))
    assert np.array_equal(keypoints[:2], given)
    left, right = MODEL.index("left_knee"), MODEL.index("right_knee")
    assert np.allclose(keypoints[2, left], [143 - given[0, right, 0], given[0, right, 1]], atol=1e-4)
    assert np.argwhere(weights == 0).tolist() == [
        [0, MODEL.index("left_wrist")],
        [2, MODEL.index("right_wrist")],
    ]
    assert images.dtype == np.uint8
    assert keypoints.dtype == weights.dtype == np.float32
    seen.clear()
    backend(spy, flip_test=False)(crops, given, there)
    assert [len(images) for images, _, _ in seen] == [2]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_mirrored_photo_gives_the_mirrored_evidence(kind: str) -> None:
    """With flip averaging a network that prefers one side no longer does."""
    images, keypoints, weights = random_batch()
    flip = MODEL.flip_index
    mirrored = (
        np.ascontiguousarray(images[:, :, ::-1]),
        flip_keypoints(keypoints.astype(np.float64), 144, flip).astype(np.float32),
        weights[:, flip],
    )
    network = as_torch(lopsided) if kind == "torch" else lopsided
    plain, other = backend(network)(images, keypoints, weights), backend(network)(*mirrored)
    back = dataclasses.replace(
        other,
        **{name: getattr(other, name)[:, flip] for name in EVIDENCE_OF_PLACES},
        keypoints=flip_keypoints(other.keypoints.astype(np.float64), 144, flip),
    )
    agree(back, plain)
    alone = backend(network, flip_test=False)
    one_sided = flip_keypoints(alone(*mirrored).keypoints.astype(np.float64), 144, flip)
    assert np.abs(one_sided - alone(images, keypoints, weights).keypoints).max() > 5


def test_flip_averaging_is_the_mean_of_two_heatmaps() -> None:
    """Two peaks three pixels to either side become one, less sharp, between them."""

    def aside(images: Array, keypoints: Array, weights: Array) -> Array:
        return peaks(keypoints + np.array([3, 0], np.float32))

    evidence = backend(aside)(*BATCH)
    hips = [MODEL.index(name) for name in ("left_hip", "right_hip")]
    assert np.allclose(evidence.keypoints[:, hips], BATCH[1][:, hips], atol=0.1)
    alone = backend(aside, flip_test=False)(*BATCH)
    assert np.allclose(alone.keypoints[:, hips], BATCH[1][:, hips] + [3, 0], atol=0.1)
    assert (alone.similarity[:, hips] > evidence.similarity[:, hips]).all()


def test_batches_give_what_single_people_give() -> None:
    batch = random_batch(4)
    whole = backend(lopsided)(*batch)
    for row in range(4):
        single = backend(lopsided)(*(array[[row]] for array in batch))
        agree(single, Evidence(*(getattr(whole, name)[[row]] for name in ("keypoints", *EVIDENCE_OF_PLACES))))


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("shares_features", [False, True])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_several_poses_in_a_crop_are_answered_as_each_alone(
    kind: str, shares_features: bool, flip_test: bool
) -> None:
    """Also by a network that takes one pose a crop: it is given each crop as often as there are poses in it."""
    asked: list[tuple[int, int]] = []

    def network(images: Array, keypoints: Array, weights: Array) -> Array:
        asked.append((len(images), len(keypoints)))
        return lopsided(images[np.arange(len(keypoints)) % len(images)], keypoints, weights)

    images, *first = random_batch(3)
    second = [first[0][::-1] + np.float32(5), first[1][::-1].copy()]
    third = [first[0], np.zeros_like(first[1])]
    questions = (first, second, third)
    chosen = as_torch(network) if kind == "torch" else network
    answering = backend(chosen, flip_test=flip_test, shares_features=shares_features)
    found = answering(images, *(np.concatenate(parts) for parts in zip(*questions, strict=True)))
    times = 2 if flip_test else 1
    assert asked == [(times * (3 if shares_features else 9), times * 9)]
    for number, question in enumerate(questions):
        rows = slice(3 * number, 3 * number + 3)
        part = Evidence(*(getattr(found, name)[rows] for name in ("keypoints", *EVIDENCE_OF_PLACES)))
        agree(part, answering(images, *question))


def test_the_identity_is_as_sure_of_the_one_place_as_of_the_other() -> None:
    evidence = identity_backend(*BATCH)
    assert np.array_equal(evidence.keypoints, BATCH[1])
    assert np.array_equal(evidence.similarity, evidence.given_similarity)
    assert np.array_equal(evidence.vicinity, evidence.given_vicinity)


EVIDENCE_OF_PLACES = ("similarity", "vicinity", "given_similarity", "given_vicinity")


def agree(found: Evidence, expected: Evidence) -> None:
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=0.02)
    for name in EVIDENCE_OF_PLACES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-3)


def as_torch(network: Network) -> Network:
    torch = pytest.importorskip("torch")
    return lambda *arrays: torch.from_numpy(network(*arrays))


GIVEN_UP = """
import signal, subprocess, sys
from posefix.network.models import load_model
from posefix.refine.networks import OpenVinoNetwork
signal.signal(signal.SIGCHLD, lambda *_: None)
networks = [OpenVinoNetwork(load_model("small").file("model.onnx")) for _ in range(2)]
while networks:
    del networks[0]
subprocess.run([sys.executable, "-c", "pass"], check=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="no signals of child processes on this system")
def test_networks_that_were_given_up_leave_the_process_alive() -> None:
    """Each core of OpenVINO sets the stack for signals; see `posefix.network.openvino_core`."""
    pytest.importorskip("openvino")
    subprocess.run([sys.executable, "-c", GIVEN_UP], check=True)
