"""What runs the network: a plain callable, crops and poses in, refined places and their evidence out."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from posefix.decoding import Decoder, Evidence
from posefix.errors import InputError
from posefix.geometry import flip_keypoints
from posefix.models import INPUTS, ONNX_FILE, OUTPUT, WEIGHTS_FILE, Model
from posefix.similarity import Array

Float32Array = npt.NDArray[np.float32]
Network = Callable[[npt.NDArray[np.uint8], Float32Array, Float32Array], Array]
"""Called with crops (B, H, W, 3) uint8 RGB, keypoints (B, K, 2) in crop pixels and their weights (B, K) from
0, absent, to 1; returns heatmaps (B, K, h, w), logits as a rule, a NumPy array or a torch tensor. B varies between
calls."""
Backend = Callable[[npt.NDArray[np.uint8], Float32Array, Float32Array], Evidence]
"""Called as a `Network`; returns what it says of the people, as NumPy arrays."""

# What ONNX Runtime raises on a damaged or foreign graph; its errors share no base class of their own.
_LOADING_ERRORS = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)


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
    """

    network: Network
    decoder: Decoder
    flip_index: npt.NDArray[np.int64]
    flip_test: bool = True

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Evidence:
        """Refine a batch, see `Backend`."""
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
        """Mean heatmaps of the crops and of their mirror images."""
        flip_index = self.flip_index
        mirrored = flip_keypoints(keypoints.astype(np.float64), images.shape[2], flip_index)
        found = self.network(
            np.concatenate([images, images[:, :, ::-1]]),
            np.concatenate([keypoints, mirrored.astype(np.float32)]),
            np.concatenate([weights, weights[:, flip_index]]),
        )
        heatmaps = self.decoder.probability(found)
        xp, device = array_api_compat.array_namespace(heatmaps), array_api_compat.device(heatmaps)
        partners = xp.asarray(flip_index.copy(), device=device)
        back = xp.flip(xp.take(heatmaps[len(images) :], partners, axis=1), axis=3)
        return (heatmaps[: len(images)] + back) / 2


def _as_numpy(array: Array) -> Float32Array:
    return np.asarray(array if isinstance(array, np.ndarray) else array.cpu().numpy(), dtype=np.float32)


class OnnxNetwork:
    """A network in an ONNX graph, run by ONNX Runtime.

    Args:
        path: Graph with the inputs "image", "keypoints", "weights" and the output "heatmaps".
        threads: Of the network; None leaves the choice to ONNX Runtime (one per core).
        device: "cpu", or "cuda" if the GPU build of ONNX Runtime is installed.

    Raises:
        InputError: Not such a graph, or no such device.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, device: str = "cpu") -> None:
        provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise InputError(
                f"device: {device!r} needs PyTorch with CUDA, or onnxruntime-gpu; use device 'cpu', or install "
                "PyTorch and what the network needs: pip install 'posefix[train]'"
            )
        if threads is not None and threads < 1:
            raise InputError(f"threads: expected 1 or more, got {threads}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except _LOADING_ERRORS as error:
            raise InputError(
                f"{path}: cannot be loaded as an ONNX graph ({error}); export the model again"
            ) from error
        if provider not in self._session.get_providers():
            raise InputError(f"device: ONNX Runtime found no usable {device!r}; use device 'cpu'")
        self._check_names(path)

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Array:
        """Heatmap logits of a batch, see `Network`."""
        feed = dict(zip(INPUTS, (images, keypoints, weights), strict=True))
        return np.asarray(self._session.run([OUTPUT], feed)[0])

    def num_keypoints(self) -> int | None:
        """K of the graph; None if the graph leaves it open."""
        shape = self._session.get_inputs()[INPUTS.index("keypoints")].shape
        return shape[1] if isinstance(shape[1], int) else None

    def _check_names(self, path: str | Path) -> None:
        inputs = tuple(node.name for node in self._session.get_inputs())
        outputs = [node.name for node in self._session.get_outputs()]
        if inputs != INPUTS or OUTPUT not in outputs:
            raise InputError(
                f"{path}: expected a graph with inputs {INPUTS} and output {OUTPUT!r}, got inputs {inputs} "
                f"and outputs {tuple(outputs)}; export it with `posefix export`"
            )


class TorchNetwork:
    """A network run by PyTorch.

    Args:
        network: A module that takes image (B, H, W, 3) uint8, keypoints (B, K, 2) and weights (B, K) and returns
            heatmap logits (B, K, h, w).
        device: A device of PyTorch, such as "cpu", "cuda", "cuda:1", "mps".

    Raises:
        InputError: No such device.
    """

    def __init__(self, network: Any, *, device: str = "cpu") -> None:
        import torch

        try:
            self._device = torch.device(device)
            self._network = network.to(self._device).eval()
        except (RuntimeError, AssertionError) as error:  # PyTorch built without CUDA asserts
            raise InputError(f"device: {device!r} is not usable here ({error}); use device 'cpu'") from error

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Array:
        """Heatmap logits of a batch, see `Network`."""
        import torch

        with torch.inference_mode():
            feed = (torch.from_numpy(np.ascontiguousarray(array)) for array in (images, keypoints, weights))
            logits = self._network(*(tensor.to(self._device, non_blocking=True) for tensor in feed))
            return logits.float()


def open_backend(
    model: Model, *, device: str = "auto", threads: int | None = None, flip_test: bool = True
) -> Backend:
    """Load a model's weights for a device.

    Args:
        model: A trained model.
        device: "auto" takes PyTorch on a CUDA GPU if both are there, else ONNX Runtime on the CPU. "cpu"
            takes ONNX Runtime, or PyTorch for a model without a graph. Any other device is PyTorch's, or
            "cuda" of onnxruntime-gpu.
        threads: Of ONNX Runtime on the CPU.
        flip_test: Average with the mirrored crop.

    Raises:
        InputError: No such device, or weights that do not fit the model's skeleton.
    """
    network = _open_network(model, device=device, threads=threads)
    decoder = Decoder(model.skeleton, model.input_size_wh, model.decoder)
    return HeatmapBackend(network, decoder, model.skeleton.flip_index, flip_test=flip_test)


def _open_network(model: Model, *, device: str, threads: int | None) -> Network:
    if device == "auto":
        device = "cuda" if (model.folder / WEIGHTS_FILE).is_file() and _cuda_is_there() else "cpu"
    has_graph = (model.folder / ONNX_FILE).is_file()
    if (device == "cpu" and has_graph) or not _pytorch_is_there():
        return _open_onnx(model, device=device, threads=threads)
    return TorchNetwork(_load_network(model), device=device)


def _open_onnx(model: Model, *, device: str, threads: int | None) -> OnnxNetwork:
    path = model.file(ONNX_FILE)
    network = OnnxNetwork(path, threads=threads, device=device)
    expected, found = len(model.skeleton), network.num_keypoints()
    if found not in (None, expected):
        raise InputError(
            f"{path}: expected {expected} keypoints for skeleton {model.skeleton.name!r}, got a graph for "
            f"{found}; export the model again"
        )
    return network


def _load_network(model: Model) -> Any:
    from posefix.nn.checkpoint import load_network

    return load_network(model)


def _pytorch_is_there() -> bool:
    """Whether the network can be built: PyTorch alone, which many have, is not enough."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "timm", "safetensors"))


def _cuda_is_there() -> bool:
    # Importing PyTorch takes seconds, so a machine without NVIDIA's driver is not asked.
    if not _pytorch_is_there() or shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()
