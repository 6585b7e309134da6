"""Trunks: networks that see a photo and nothing else, and whose features serve every question about the pose in it.

A trunk stays as it is while what stands on it is trained. Then it needs no gradient, and OpenVINO, where it is
installed, runs it several times faster on a CPU than PyTorch does.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn

from posefix.errors import InputError
from posefix.network.openvino_core import openvino_core, openvino_is_there
from posefix.nn.backbones import Backbone, load_backbone_weights, read_weights
from posefix.nn.model import IMAGENET_MEAN, IMAGENET_STD
from posefix.nn.movenet import WIDTHS, MoveNetTrunk

TRUNK_STRIDES = (4, 8, 16)
"""Of the features that a trunk gives."""


class TimmTrunk(nn.Module):
    """Features of strides 4, 8 and 16 of a timm network.

    Args:
        name: timm model name.
        pretrained: Fetch timm's weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, *, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = Backbone(name, stride=TRUNK_STRIDES[-1], pose_channels=0, pretrained=pretrained)
        self.channels = {stride: self.backbone.channels[stride] for stride in TRUNK_STRIDES}
        settings = timm.get_pretrained_cfg(name)
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if settings is None else (settings.mean, settings.std)
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Features by stride of photos (B, H, W, 3), RGB in 0..255."""
        features = self.backbone((image.permute(0, 3, 1, 2).float() - self.mean) / self.std)
        return {stride: features[stride] for stride in TRUNK_STRIDES}


Trunk = MoveNetTrunk | TimmTrunk


def build_trunk(name: str, *, pretrained: bool = False) -> Trunk:
    """The trunk of a name: MoveNet's, or any of timm's with features of strides 4, 8 and 16."""
    return MoveNetTrunk(name) if name in WIDTHS else TimmTrunk(name, pretrained=pretrained)


def load_trunk_weights(trunk: Trunk, path: Path) -> None:
    """Fill a trunk with the weights of a safetensors file, which may hold more than the trunk takes.

    Raises:
        InputError: The file lacks a weight, or one has another shape.
    """
    if isinstance(trunk, TimmTrunk):
        load_backbone_weights(trunk.backbone, path)
        return
    weights = read_weights(path)
    own = trunk.state_dict()
    for key, value in own.items():
        if key not in weights or weights[key].shape != value.shape:
            raise InputError(f"{path}: {key} is missing or of another shape; the file is not of this trunk")
    trunk.load_state_dict({key: weights[key].float() for key in own})


class FrozenTrunk(nn.Module):
    """A trunk that is not trained; in training on a CPU it is run by OpenVINO, where that is installed.

    Args:
        trunk: Whose weights are final once it has been run.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk.requires_grad_(False)
        self.channels = trunk.channels
        self._compiled: dict[tuple[int, ...], Any] = {}

    def train(self, mode: bool = True) -> FrozenTrunk:
        """Stays in evaluation mode: its statistics are final."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Features by stride of photos (B, H, W, 3), RGB in 0..255; without gradient."""
        if self.training and image.device.type == "cpu" and openvino_is_there():
            return self._by_openvino(image)
        kind = image.device.type
        single = (
            torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
        )
        with single:
            features: dict[int, Tensor] = self.trunk(image)
        return features

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrunk:
        """The copy compiles its own graph when it is first run."""
        return FrozenTrunk(copy.deepcopy(self.trunk, memo)).train(self.training)

    def _by_openvino(self, image: Tensor) -> dict[int, Tensor]:
        shape = tuple(image.shape[1:])
        if shape not in self._compiled:
            self._compiled[shape] = _compile(self.trunk, shape)
        results = self._compiled[shape](np.ascontiguousarray(image.numpy(), dtype=np.float32))
        # The results' memory is OpenVINO's, which writes the next batch's there.
        return {stride: torch.from_numpy(results[place].copy()) for place, stride in enumerate(TRUNK_STRIDES)}


class _InOrder(nn.Module):
    """A trunk whose features are a tuple, in the order of `TRUNK_STRIDES`."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.trunk(image)
        return tuple(features[stride] for stride in TRUNK_STRIDES)


def _compile(trunk: Trunk, shape: tuple[int, ...]) -> Any:
    """A trunk for photos (any, *shape) in OpenVINO, called with a NumPy array.

    In single precision, as the exported graph runs: in bfloat16 a twentieth of MoveNet's features would be noise.
    """
    import openvino

    example = torch.zeros(2, *shape)
    batch = torch.export.Dim("batch", min=1)
    # OpenVINO decomposes the program, in which PyTorch would otherwise cast as it does around the training step.
    with torch.no_grad(), torch.autocast("cpu", enabled=False), warnings.catch_warnings():
        # Decomposing copies the program, of which PyTorch 2.10 warns itself.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(
            _InOrder(trunk).eval(), (example,), dynamic_shapes=({0: batch},), strict=False
        )
        model = openvino.convert_model(program)
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return openvino_core().compile_model(model, "CPU", options)
