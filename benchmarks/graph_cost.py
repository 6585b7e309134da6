"""What one pass of an ONNX graph costs: multiply-adds of its convolutions and products, and the bytes they touch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOAT_BYTES = 4
Shape = tuple[int, ...]


@dataclass(frozen=True)
class GraphCost:
    """For one crop.

    Attributes:
        multiply_adds: Of convolutions, their transposes and matrix products; all else is thousands of times less.
        activation_bytes: What these read and write, each tensor once, in single precision.
        weight_bytes: Read once a batch.
    """

    multiply_adds: int
    activation_bytes: int
    weight_bytes: int


def graph_cost(path: Path) -> GraphCost:
    """Count the cost of a graph of `posefix export`; needs the package onnx."""
    import onnx

    model = onnx.load(str(path))
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    shapes = {value.name: _shape(value) for value in values} | weights
    costs = [_node_cost(node, shapes) for node in inferred.node]
    read = {name for node in inferred.node for name in node.input}
    return GraphCost(
        multiply_adds=sum(adds for adds, _ in costs),
        activation_bytes=FLOAT_BYTES * sum(elements for _, elements in costs),
        weight_bytes=FLOAT_BYTES * sum(math.prod(shape) for name, shape in weights.items() if name in read),
    )


def _shape(value: Any) -> Shape:
    # The number of crops is 1; what depends on it and was not inferred has no other open side.
    return tuple(side.dim_value or 1 for side in value.type.tensor_type.shape.dim)


def _node_cost(node: Any, shapes: Mapping[str, Shape]) -> tuple[int, int]:
    """Multiply-adds of a node, and elements that it reads and writes besides weights."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0, 0
    source, weight, result = (math.prod(shapes[name]) for name in (*node.input[:2], node.output[0]))
    adds = result * shapes[node.input[0]][-1]
    if node.op_type == "Conv":
        # Weight (out, in / groups, h, w): each output sums over all but the first.
        adds = result * weight // shapes[node.input[1]][0]
    elif node.op_type == "ConvTranspose":
        # Weight (in, out / groups, h, w): each input goes to all but the first.
        adds = source * weight // shapes[node.input[1]][0]
    return adds, source + result
