"""Average the weights of trained models of one shape, one of which was trained on from another.

    python tools/average_models.py MODEL MODEL ... -o OUTPUT

Between the two ends of such a run the mean of the weights often serves what either end is good at. OUTPUT becomes
a model folder with the first model's description, without its calibration, and an ONNX graph.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from posefix.errors import InputError
from posefix.files import make_folder, read_json
from posefix.network.models import DESCRIPTION_FILE, WEIGHTS_FILE, load_model, skeleton_source
from posefix.nn.checkpoint import load_network, save_network
from posefix.nn.export import export_model

Weights = dict[str, torch.Tensor]


def average(parts: list[Weights]) -> Weights:
    """Mean of each tensor, in its own precision.

    Raises:
        InputError: The parts differ in names or shapes.
    """
    shapes = [{name: values.shape for name, values in part.items()} for part in parts]
    if any(other != shapes[0] for other in shapes):
        raise InputError(
            "models: expected networks of one shape; these differ in their weights' names or sizes"
        )
    return {name: mean([part[name] for part in parts]) for name in parts[0]}


def mean(values: list[torch.Tensor]) -> torch.Tensor:
    """Mean in double precision; counters, which are whole numbers, as in the first."""
    if not values[0].is_floating_point():
        return values[0]
    return torch.stack([value.double() for value in values]).mean(dim=0).to(values[0].dtype)


def average_models(folders: Sequence[Path], output: Path) -> float:
    """Write a model folder of the mean weights, with the first model's description and skeleton.

    Returns:
        The largest difference of the ONNX graph to PyTorch, in logits.

    Raises:
        InputError: A folder holds no model with weights, or the models are not of one shape.
    """
    models = [load_model(folder) for folder in folders]
    weights = average([load_file(model.file(WEIGHTS_FILE)) for model in models])
    description = read_json(models[0].folder / DESCRIPTION_FILE)
    skeleton = str(skeleton_source(models[0].folder, description["skeleton"]))
    network = load_network(models[0])
    network.load_state_dict(weights)
    make_folder(output)
    save_network(network, skeleton, output, description["name"], description["training"])
    return export_model(output, output)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    difference = average_models(arguments.models, arguments.output)
    print(f"model: {arguments.output}, {difference:.4f} logits from PyTorch's")


if __name__ == "__main__":
    main()
