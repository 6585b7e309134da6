"""What computes a network's heatmaps: OpenVINO, ONNX Runtime or PyTorch behind one call."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network.models import INPUTS, OUTPUT
from posefix.network.openvino_core import openvino_core
from posefix.pose.similarity import Array

Float32Array = npt.NDArray[np.float32]
Network = Callable[[npt.NDArray[np.uint8], Float32Array, Float32Array], Array]
"""Called with crops (B, H, W, 3) uint8 RGB, keypoints (B, K, 2) in crop pixels and their weights (B, K) from
0, absent, to 1; returns heatmaps (B, K, h, w), logits as a rule, a NumPy array or a torch tensor. B varies between
calls. A network that shares features between poses (`posefix.nn.fusion`) takes more poses than crops: one in each
crop, then another in each, and so on."""


class OnnxNetwork:
    """A network in an ONNX graph, run by ONNX Runtime.

    Args:
        path: Graph with the inputs "image", "keypoints", "weights" and the output "heatmaps".
        threads: Of the network; None leaves the choice to ONNX Runtime (one per core).
        device: "cpu", or "cuda" or "cuda:NUMBER" if the GPU build of ONNX Runtime is installed.

    Raises:
        InputError: Not such a graph, no such device, or ONNX Runtime is not installed.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, device: str = "cpu") -> None:
        provider, settings = _provider(device)
        onnxruntime = _onnxruntime(device)
        if provider not in onnxruntime.get_available_providers():
            raise InputError(
                f"device: {device!r} needs PyTorch with CUDA, or onnxruntime-gpu; use device 'cpu', or install "
                "PyTorch and what the network needs: pip install 'posefix[train]'"
            )
        _check_threads(threads)
        self._path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[(provider, settings)])
        except _loading_errors() as error:
            raise InputError(
                f"{path}: cannot be loaded as an ONNX graph ({error}); export the model again"
            ) from error
        if provider not in self._session.get_providers():
            raise InputError(f"device: ONNX Runtime found no usable {device!r}; use device 'cpu'")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        _check_names(path, tuple(node.name for node in inputs), tuple(node.name for node in outputs))

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Array:
        """Heatmap logits of a batch, see `Network`."""
        feed = dict(zip(INPUTS, (images, keypoints, weights), strict=True))
        try:
            return np.asarray(self._session.run([OUTPUT], feed)[0])
        except _loading_errors() as error:
            raise _uncomputable(self._path, error) from error

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Of an input of the graph; None for what the graph leaves open."""
        shape = self._session.get_inputs()[INPUTS.index(name)].shape
        return tuple(length if isinstance(length, int) else None for length in shape)


def _onnxruntime(device: str) -> Any:
    """The library, which a plain installation has where there is no OpenVINO for the machine.

    Raises:
        InputError: It is not installed.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        if device == "cpu":
            raise InputError(
                "runtime: 'onnxruntime' is not installed; run: pip install 'posefix[onnxruntime]'"
            )
        raise InputError(
            f"device: {device!r} needs PyTorch with CUDA, run: pip install 'posefix[train]'; or onnxruntime-gpu"
        )
    import onnxruntime

    return onnxruntime


def _loading_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises on a damaged or foreign graph; its errors share no base class of their own.

    Where its message quotes bytes of the graph that are no text, that is what is raised instead.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    return (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NotImplemented,
        errors.RuntimeException,
        UnicodeDecodeError,
    )


def _provider(device: str) -> tuple[str, dict[str, str]]:
    """ONNX Runtime's name and settings for a device."""
    if device == "cpu":
        return "CPUExecutionProvider", {}
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isdecimal() or device == "cuda"):
        raise InputError(
            f"device: expected 'cpu', 'cuda' or 'cuda:NUMBER' for ONNX Runtime, got {device!r}; other devices need "
            "PyTorch: pip install 'posefix[train]'"
        )
    return "CUDAExecutionProvider", {"device_id": number or "0"}


class OpenVinoNetwork:
    """A network in an ONNX graph, run by OpenVINO on the CPU.

    Args:
        path: As of `OnnxNetwork`.
        threads: Of the network; None leaves the choice to OpenVINO (one per core).
        half: Compute in bfloat16 where the CPU does so natively; elsewhere in single precision.

    Raises:
        InputError: Not such a graph.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, half: bool = True) -> None:
        _check_threads(threads)
        self._path = path
        core = openvino_core()
        half = half and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        # One batch at a time: the hint for throughput would share the cores out between several.
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if half else "f32"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            graph = core.read_model(str(path))
            self._compiled = core.compile_model(graph, "CPU", settings)
        except (RuntimeError, UnicodeDecodeError) as error:  # the latter where its message quotes the graph
            raise InputError(
                f"{path}: cannot be loaded as an ONNX graph ({error}); export the model again"
            ) from error
        inputs, outputs = self._compiled.inputs, self._compiled.outputs
        _check_names(path, tuple(node.any_name for node in inputs), tuple(node.any_name for node in outputs))

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Array:
        """Heatmap logits of a batch, see `Network`."""
        try:
            return np.asarray(self._compiled([images, keypoints, weights])[OUTPUT])
        except RuntimeError as error:
            raise _uncomputable(self._path, error) from error

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Of an input of the graph; None for what the graph leaves open."""
        shape = self._compiled.input(name).partial_shape
        return tuple(int(length.get_length()) if length.is_static else None for length in shape)


class TorchNetwork:
    """A network run by PyTorch.

    A batch that does not fit into the device's memory is computed in two halves, and theirs in turn, with a warning.

    Args:
        network: A module that takes image (B, H, W, 3) uint8, keypoints (B, K, 2) and weights (B, K) and returns
            heatmap logits (B, K, h, w); or more poses than photos, see `Network`.
        device: A device of PyTorch, such as "cpu", "cuda", "cuda:1", "mps".
        half: Compute in bfloat16 what bears it, with channels last.
        threads: Of the network on a CPU, while it is called; None leaves the choice to PyTorch (one per core).

    Raises:
        InputError: No such device.
    """

    def __init__(
        self, network: Any, *, device: str = "cpu", half: bool = False, threads: int | None = None
    ) -> None:
        import torch

        _check_threads(threads)
        self._half = half
        self._threads = threads
        self._warned = False
        try:
            self._device = torch.device(device)
            self._network = network.to(self._device).eval()
        except (RuntimeError, AssertionError) as error:  # PyTorch built without CUDA asserts
            raise InputError(f"device: {device!r} is not usable here ({error}); use device 'cpu'") from error
        if half:
            self._network.to(memory_format=torch.channels_last)

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Array:
        """Heatmap logits of a batch, see `Network`."""
        import torch

        try:
            with _torch_threads(self._threads):
                return self._logits(images, keypoints, weights)
        except torch.OutOfMemoryError:
            if len(images) < 2:
                raise
        self._warn(len(images))
        first = np.arange(len(images)) < len(images) // 2
        # Of several poses in each crop, those in the first half of the crops.
        poses = first[np.arange(len(keypoints)) % len(images)]
        halves = [
            self(images[crops], keypoints[rows], weights[rows])
            for crops, rows in ((first, poses), (~first, ~poses))
        ]
        order = np.argsort(np.argsort(~poses, kind="stable"), kind="stable")
        return torch.cat(halves)[torch.from_numpy(order).to(halves[0].device)]

    def _logits(self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array) -> Array:
        import torch

        half = torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)
        with torch.inference_mode(), half:
            feed = (torch.from_numpy(np.ascontiguousarray(array)) for array in (images, keypoints, weights))
            logits = self._network(*(tensor.to(self._device, non_blocking=True) for tensor in feed))
            return logits.float()

    def _warn(self, count: int) -> None:
        if not self._warned:
            warnings.warn(
                f"{count} crops at once do not fit into the memory of {self._device}; going on with halves. A "
                "smaller batch size spares the attempt",
                RuntimeWarning,
                stacklevel=2,
            )
        self._warned = True


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """So many threads of PyTorch within it: their number holds for the whole process, which is not the network's."""
    import torch

    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_threads(threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise InputError(f"threads: expected 1 or more, got {threads}")


def _uncomputable(path: str | Path, error: Exception) -> InputError:
    """What to tell of a graph that was loaded and does not take the inputs that its model's description says."""
    return InputError(f"{path}: the graph cannot be computed ({error}); export the model again")


def _check_names(path: str | Path, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    if inputs != INPUTS or OUTPUT not in outputs:
        raise InputError(
            f"{path}: expected a graph with inputs {INPUTS} and output {OUTPUT!r}, got inputs {inputs} "
            f"and outputs {outputs}; export it with `posefix export`"
        )
