"""timm backbones that take a pose beside the photo, and their ImageNet weights."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import FeatureListNet
from torch import Tensor, nn

from posefix.errors import InputError, quoted
from posefix.nn.torchvision_names import as_timm, is_mobilenet_v2

POSE_ENTRY_STD = 0.01


class Backbone(nn.Module):
    """A timm network cut off at a stride, whose pose heatmaps enter at stride 1, 2 or 4.

    timm's own `in_chans` would repeat the RGB filters over the pose channels and scale the photo's filters by
    3 / (3 + K); here the RGB filters stay exactly as they are and the pose channels get small new ones. With empty
    heatmaps the features therefore equal the plain backbone's.

    Args:
        name: timm model name.
        stride: Stride of the deepest feature map.
        pose_channels: K; 0 for a pose network, which no pose enters.
        pose_stride: 1, 2 or 4; of no account without a pose.
        pretrained: Fetch timm's weights.
    """

    def __init__(
        self, name: str, *, stride: int, pose_channels: int, pose_stride: int = 1, pretrained: bool = False
    ) -> None:
        super().__init__()
        self.body = _create(name, stride, pretrained)
        self.pose_channels = pose_channels
        self.pose_stride = pose_stride
        info = self.body.feature_info
        self.strides: tuple[int, ...] = tuple(info.reduction())
        self.channels: dict[int, int] = dict(zip(self.strides, info.channels(), strict=True))
        if stride not in self.channels:
            raise InputError(
                f"backbone {name!r} has feature maps of strides {sorted(self.channels)}, not {stride}"
            )
        if pose_channels == 0:
            return
        if pose_stride == 1:
            self.first_convolution = _widen(self.body, name, pose_channels)
        else:
            self.entry_name, width = _find_entry(self.body, name, pose_stride)
            self.pose_entry = nn.Conv2d(pose_channels, width, 3, padding=1, bias=False)
            nn.init.normal_(self.pose_entry.weight, std=POSE_ENTRY_STD)

    def forward(self, image: Tensor, pose: Tensor | None = None) -> dict[int, Tensor]:
        """Feature maps by stride.

        Args:
            image: (B, 3, H, W), normalised.
            pose: (B, K, H / pose_stride, W / pose_stride); None without pose channels.
        """
        if pose is None:
            assert self.pose_channels == 0, "the network needs a pose"
            features = self.body(image)
        elif self.pose_stride == 1:
            features = self.body(torch.cat([image, pose.to(image.dtype)], dim=1))
        else:
            features = self._enter_late(image, pose)
        return dict(zip(self.strides, features, strict=True))

    @property
    def pose_weight(self) -> Tensor:
        """The filters by which the pose enters; the pose's channels are the last of axis 1."""
        entry = self.first_convolution if self.pose_stride == 1 else self.pose_entry
        return entry.weight

    def _enter_late(self, image: Tensor, pose: Tensor) -> list[Tensor]:
        features, out = [], image
        for name, layer in self.body.items():
            out = layer(out)
            if name == self.entry_name:
                out = out + self.pose_entry(pose)
            if name in self.body.return_layers:
                features.append(out)
        return features


def _create(name: str, stride: int, pretrained: bool) -> Any:
    """The timm network; Any, since timm's feature networks share no class that says what they have.

    Raises:
        InputError: timm has no such architecture of its own, or none with feature maps.
    """
    # timm itself would follow "hf-hub:..." to a server and "local-dir:..." to a folder, wherever a name comes from, and
    # takes whatever stands behind a full stop for a tag of weights, such as that in "resnet18.a1_in1k".
    if not re.fullmatch(r"\w+(\.\w+)?", str(name)) or not timm.is_model(str(name)):
        raise InputError(f"backbone: expected the name of one of timm's architectures, got {quoted(name)}")
    try:
        with torch.device("meta"):  # its shape alone: without memory, however large the network
            network: Any = timm.create_model(name, features_only=True, pretrained=False)
    except RuntimeError as error:
        raise InputError(f"backbone {name!r} is not a timm model with feature maps: {error}") from error
    levels = tuple(
        level for level, reduction in enumerate(network.feature_info.reduction()) if reduction <= stride
    )
    return timm.create_model(name, features_only=True, out_indices=levels, pretrained=pretrained)


def _widen(body: Any, name: str, pose_channels: int) -> nn.Conv2d:
    """Replace the first convolution by one that also sees the pose channels; RGB filters unchanged."""
    settings = timm.get_pretrained_cfg(name)
    path = str(settings.first_conv if settings else None).replace(".", "_")
    names = {module_name.replace(".", "_"): module_name for module_name, _ in body.named_modules()}
    if path not in names:
        raise InputError(
            f"backbone {name!r}: its first convolution {path!r} was not found, so no pose can enter it"
        )
    old = body.get_submodule(names[path])
    # A copy, since some networks' convolutions pad in a way of their own.
    new: nn.Conv2d = copy.deepcopy(old)
    new.in_channels = old.in_channels + pose_channels
    pose = POSE_ENTRY_STD * torch.randn(old.out_channels, pose_channels, *old.kernel_size)
    new.weight = nn.Parameter(torch.cat([old.weight.detach(), pose], dim=1))
    body.set_submodule(names[path], new)
    return new


def _find_entry(body: Any, name: str, pose_stride: int) -> tuple[str, int]:
    """The first layer whose output has the wanted stride, and its channels, found by a dry run."""
    if not isinstance(body, FeatureListNet):
        raise InputError(f"backbone {name!r} is not a plain sequence of stages: use pose_stride = 1")
    probe = torch.zeros(1, 3, 64, 64)
    was_training = body.training
    body.eval()
    with torch.no_grad():
        for layer_name, layer in body.items():
            probe = layer(probe)
            if probe.shape[-1] == 64 // pose_stride:
                body.train(was_training)
                return layer_name, int(probe.shape[1])
    raise InputError(f"backbone {name!r} has no layer of stride {pose_stride}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        InputError: The file cannot be read as safetensors.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cannot be read as safetensors ({error})") from error


def load_backbone_weights(backbone: Backbone, path: Path) -> None:
    """Load ImageNet weights from a safetensors file with torchvision's (or timm's) key names.

    Weights of stages that are cut off, and of the classifier, are left out; anything else missing is an error. The
    first convolution may be narrower than ours: its filters fill the photo's channels.

    Raises:
        InputError: The file lacks a weight or one has another shape.
    """
    weights = read_weights(path)
    if is_mobilenet_v2(weights):
        weights = as_timm(weights)
    own = backbone.body.state_dict()
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    if missing:
        raise InputError(f"{path}: backbone weights lack {missing[0]!r} and {len(missing) - 1} more")
    with torch.no_grad():
        for key, target in own.items():
            if key not in weights:
                continue
            source = weights[key].to(target.dtype)
            part = target[:, : source.shape[1]] if target.dim() == 4 else target
            if part.shape != source.shape:
                raise InputError(
                    f"{path}: {key} has shape {tuple(source.shape)}, expected {tuple(part.shape)}"
                )
            part.copy_(source)
