"""Weights of torchvision's MobileNetV2 by timm's names of the same layers."""

from __future__ import annotations

from torch import Tensor

STEM, LAST = "features.0.", "features.18."
STAGES = (1, 2, 3, 4, 3, 3, 1)
"""Blocks of each stage (Sandler et al. 2018, table 2)."""
STEM_PARTS = {"0": "conv_stem", "1": "bn1"}
FIRST_PARTS = {"conv.0.0": "conv_dw", "conv.0.1": "bn1", "conv.1": "conv_pw", "conv.2": "bn2"}
PARTS = {
    "conv.0.0": "conv_pw",
    "conv.0.1": "bn1",
    "conv.1.0": "conv_dw",
    "conv.1.1": "bn2",
    "conv.2": "conv_pwl",
    "conv.3": "bn3",
}
"""The layers of a block; the first block does not widen, and has fewer."""


def is_mobilenet_v2(weights: dict[str, Tensor]) -> bool:
    """Whether weights have the names of torchvision's MobileNetV2."""
    return {f"{STEM}0.weight", f"{LAST}0.weight", "features.1.conv.0.0.weight"} <= weights.keys()


def as_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights by timm's names, without the last convolution and the classifier, which give no features."""
    layers = {f"{STEM}{theirs}": ours for theirs, ours in STEM_PARTS.items()}
    blocks = [(stage, block) for stage, count in enumerate(STAGES) for block in range(count)]
    for number, (stage, block) in enumerate(blocks, start=1):
        parts = FIRST_PARTS if number == 1 else PARTS
        layers |= {
            f"features.{number}.{theirs}": f"blocks.{stage}.{block}.{ours}" for theirs, ours in parts.items()
        }
    split = {key: key.rpartition(".") for key in weights}
    return {
        f"{layers[layer]}.{last}": weights[key] for key, (layer, _, last) in split.items() if layer in layers
    }
