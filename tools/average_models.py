"""Average the weights of trained models of one shape, one of which was trained on from another.

    python tools/average_models.py MODEL MODEL ... -o OUTPUT

Between the two ends of such a run the mean of the weights often serves what either end is good at. OUTPUT becomes
a model folder with the first model's description, without its calibration, and an ONNX graph.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from posefix.errors import InputError
from posefix.files import make_folder, read_json, write_bytes_atomic, write_text_atomic
from posefix.models import DESCRIPTION_FILE, WEIGHTS_FILE, load_model
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    weights = average([load_file(load_model(folder).file(WEIGHTS_FILE)) for folder in arguments.models])
    make_folder(arguments.output)
    write_bytes_atomic(arguments.output / WEIGHTS_FILE, save(weights))
    description = read_json(arguments.models[0] / DESCRIPTION_FILE)
    description.pop("calibration", None)
    write_text_atomic(arguments.output / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")
    print(
        f"model: {arguments.output}, {export_model(arguments.output, arguments.output):.4f} logits from PyTorch's"
    )


if __name__ == "__main__":
    main()
