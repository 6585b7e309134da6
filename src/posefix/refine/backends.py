"""What says where keypoints are: a plain callable, crops and poses in, refined places and their evidence out."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import array_api_compat
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.network.decoding import Decoder, Evidence
from posefix.network.models import DESCRIPTION_FILE, ONNX_FILE, WEIGHTS_FILE, Model, missing_libraries
from posefix.network.openvino_core import openvino_is_there
from posefix.pose.geometry import flip_images, flip_keypoints
from posefix.pose.similarity import Array
from posefix.refine.networks import (
    Float32Array,
    Network,
    OnnxNetwork,
    OpenVinoNetwork,
    TorchNetwork,
)

Runtime = Literal["auto", "openvino", "onnxruntime", "pytorch"]
"""What computes a network: OpenVINO in bfloat16 where the CPU does so natively; PyTorch in bfloat16 on
GPUs that do so natively; ONNX Runtime in single precision."""
Backend = Callable[[npt.NDArray[np.uint8], Float32Array, Float32Array], Evidence]
"""Called as a `Network`; returns what it says of the people, as NumPy arrays. There may be more poses than crops: first
one in each crop, then another in each, and so on."""


def identity_backend(
    images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
) -> Evidence:
    """Return the input pose: a refiner around it changes nothing, which tests every step but the network."""
    certain = np.ones(keypoints.shape[:2], dtype=np.float32)
    return Evidence(keypoints, certain, certain, certain, certain)


@dataclass(frozen=True)
class HeatmapBackend:
    """A network whose heatmaps are averaged with those of the mirrored crop, and decoded.

    Attributes:
        network: Called once per batch, of twice the size if mirrored.
        decoder: Reads places and evidence off the heatmaps.
        flip_index: (K,) each keypoint's partner of the other side.
        flip_test: Whether to average; twice the work, better places.
        shares_features: Whether the network takes several poses in one crop (`posefix.nn.fusion`); crops are repeated
            for one that does not.
    """

    network: Network
    decoder: Decoder
    flip_index: npt.NDArray[np.int64]
    flip_test: bool = True
    shares_features: bool = False

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Evidence:
        """Refine a batch, see `Backend`."""
        if len(keypoints) > len(images) and not self.shares_features:
            images = images[np.arange(len(keypoints)) % len(images)]
        if self.flip_test:
            heatmaps = self._averaged(images, keypoints, weights)
        else:
            heatmaps = self.decoder.probability(self.network(images, keypoints, weights))
        xp, device = array_api_compat.array_namespace(heatmaps), array_api_compat.device(heatmaps)
        evidence = self.decoder(heatmaps, xp.asarray(keypoints, device=device))
        return Evidence(*(_as_numpy(getattr(evidence, field.name)) for field in dataclasses.fields(evidence)))

    def _averaged(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Array:
        """Mean heatmaps of poses in the crops and in their mirror images."""
        flip_index = self.flip_index
        mirrored = flip_keypoints(keypoints.astype(np.float64), images.shape[2], flip_index)
        found = self.network(
            np.concatenate([images, flip_images(images)]),
            _in_turns(keypoints, mirrored.astype(np.float32), len(images)),
            _in_turns(weights, weights[:, flip_index], len(images)),
        )
        heatmaps = self.decoder.probability(found)
        xp, device = array_api_compat.array_namespace(heatmaps), array_api_compat.device(heatmaps)
        partners = xp.asarray(flip_index.copy(), device=device)
        pairs = xp.reshape(heatmaps, (-1, 2, len(images), *heatmaps.shape[1:]))
        back = xp.flip(xp.take(pairs[:, 1], partners, axis=2), axis=4)
        return xp.reshape((pairs[:, 0] + back) / 2, (-1, *heatmaps.shape[1:]))


def _in_turns(plain: Float32Array, mirrored: Float32Array, crops: int) -> Float32Array:
    """Values of poses in so many crops, then in the mirrored ones, and again so of further poses in the crops."""
    pairs = [part.reshape(-1, crops, *part.shape[1:]) for part in (plain, mirrored)]
    return np.stack(pairs, axis=1).reshape(-1, *plain.shape[1:])


def _as_numpy(array: Array) -> Float32Array:
    return np.asarray(array if isinstance(array, np.ndarray) else array.cpu().numpy(), dtype=np.float32)


def open_backend(
    model: Model,
    *,
    device: str = "auto",
    runtime: Runtime = "auto",
    threads: int | None = None,
    flip_test: bool = True,
) -> Backend:
    """Load a model's weights for a device.

    Args:
        model: A trained model.
        device: "auto" takes PyTorch on a CUDA GPU if both are there, else the CPU. Any other device is PyTorch's, or
            "cuda" of onnxruntime-gpu.
        runtime: What computes the network. "auto" takes the fastest that is there: on a CPU OpenVINO, then ONNX
            Runtime, or PyTorch for a model without a graph; on another device PyTorch, then ONNX Runtime.
        threads: Of the network on the CPU; None is one per core.
        flip_test: Average with the mirrored crop.

    Raises:
        InputError: No such device or runtime, or weights that do not fit the model's skeleton.
    """
    if runtime not in get_args(Runtime):
        raise InputError(f"runtime: expected {' or '.join(map(repr, get_args(Runtime)))}, got {runtime!r}")
    if device == "auto":
        device = chosen_device(model, runtime)
    if runtime == "auto":
        runtime = fastest_runtime(model, device)
    network = _open_network(model, device, runtime, threads)
    decoder = Decoder(model.skeleton, model.input_size_wh, model.decoder)
    return HeatmapBackend(
        network,
        decoder,
        model.skeleton.flip_index,
        flip_test=flip_test,
        shares_features=model.shares_features,
    )


def chosen_device(model: Model, runtime: Runtime = "auto") -> str:
    """What `device="auto"` is: a CUDA GPU if PyTorch sees one and may be used, else the CPU."""
    return "cuda" if _pytorch_has_gpu(model) and runtime in ("auto", "pytorch") else "cpu"


def fastest_runtime(model: Model, device: str) -> Runtime:
    """What computes a network fastest on a device, of what is there (`docs/performance.md`)."""
    has_graph = (model.folder / ONNX_FILE).is_file()
    if (device == "cpu" and has_graph) or not _pytorch_is_there():
        return "openvino" if device == "cpu" and openvino_is_there() else "onnxruntime"
    return "pytorch"


def _open_network(model: Model, device: str, runtime: Runtime, threads: int | None) -> Network:
    if runtime == "pytorch":
        if not _pytorch_is_there():
            raise InputError("runtime: 'pytorch' is not installed whole; pip install 'posefix[train]'")
        half = _computes_bfloat16(device)
        return TorchNetwork(_load_network(model), device=device, half=half, threads=threads)
    path = model.file(ONNX_FILE)
    network: OnnxNetwork | OpenVinoNetwork
    if runtime == "openvino":
        if device != "cpu":
            raise InputError(
                f"runtime: 'openvino' is for device 'cpu', not {device!r}; leave out one of them"
            )
        if importlib.util.find_spec("openvino") is None:
            raise InputError("runtime: 'openvino' is not installed; pip install openvino")
        network = OpenVinoNetwork(path, threads=threads)
    else:
        network = OnnxNetwork(path, threads=threads, device=device)
    _check_graph(model, path, network)
    return network


def _computes_bfloat16(device: str) -> bool:
    """Whether PyTorch is faster there in bfloat16 than in single precision.

    GPUs before NVIDIA's Ampere emulate it slowly. On a CPU bfloat16 is OpenVINO's: PyTorch's is no faster than single
    precision on many of them.
    """
    import torch

    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


def _check_graph(model: Model, path: Path, network: OnnxNetwork | OpenVinoNetwork) -> None:
    """Raise if a graph takes something else than the model's description says.

    Raises:
        InputError: Another number of keypoints, or crops of another size.
    """
    keypoints = network.shape("keypoints")[1]
    if keypoints not in (None, len(model.skeleton)):
        raise InputError(
            f"{path}: expected {plural(len(model.skeleton), 'keypoint')} for skeleton {model.skeleton.name!r}, got a "
            f"graph for {keypoints}; export the model again"
        )
    height, width = network.shape("image")[1:3]
    expected_width, expected_height = model.input_size_wh
    if width not in (None, expected_width) or height not in (None, expected_height):
        raise InputError(
            f"{path}: expected a graph for crops of {expected_width} x {expected_height}, the input_size_wh of "
            f"{DESCRIPTION_FILE}, got one for {width} x {height}; export the model again"
        )


def _load_network(model: Model) -> Any:
    from posefix.nn.checkpoint import load_network

    return load_network(model)


def _pytorch_is_there() -> bool:
    """Whether the network can be built."""
    return not missing_libraries()


def _pytorch_has_gpu(model: Model) -> bool:
    """Whether PyTorch can run the model on a CUDA GPU."""
    # Importing PyTorch takes seconds, so a machine without NVIDIA's driver is not asked.
    if not (model.folder / WEIGHTS_FILE).is_file() or not _pytorch_is_there():
        return False
    if shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()
