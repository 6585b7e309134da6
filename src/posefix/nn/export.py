"""ONNX export: the same network for machines without PyTorch, compared with it before it is kept."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from posefix.files import ensure_writable, make_folder, read_json, write_bytes_atomic
from posefix.network.models import DESCRIPTION_FILE, INPUTS, ONNX_FILE, OUTPUT, WEIGHTS_FILE, load_model
from posefix.nn.checkpoint import load_network
from posefix.nn.model import PoseNetwork

TOLERANCE = 0.001
"""Largest difference in heatmap logits between PyTorch and the graph in single precision: the order of sums."""
HALVED_TOLERANCE = 0.03
"""The same once the weights are in half precision. Batch normalisation is folded into them before, so that they are
rounded anew, by .0002 of each weight: about .01 of logits of +-10 at the worst pixel. A logit off by .03 is a
probability off by .0075."""
HALF_PRECISION_FROM = 1024
"""Smaller weight arrays stay in single precision: they weigh nothing."""


def export_model(folder: Path, output: Path) -> float:
    """Export a model folder's network to `output`/model.onnx; `output` becomes a complete model folder.

    Returns:
        The largest difference of a heatmap logit to PyTorch.

    Raises:
        InputError: `folder` holds no model with weights for PyTorch, or `output` cannot be written.
        ArithmeticError: The graph differs from PyTorch by more than `TOLERANCE`, or with its weights in half precision
            by more than `HALVED_TOLERANCE`; nothing is written.
    """
    model = load_model(folder)
    make_folder(output)
    ensure_writable(output / ONNX_FILE)
    network = load_network(model)
    exact = to_onnx(network)
    _check_difference("the exported graph", network, exact.SerializeToString(), TOLERANCE)
    graph = halve_weights(exact).SerializeToString()
    difference = _check_difference("the exported graph in half precision", network, graph, HALVED_TOLERANCE)
    if output.resolve() != folder.resolve():
        (output / ONNX_FILE).unlink(missing_ok=True)
        _copy_description(folder, output)
    write_bytes_atomic(output / ONNX_FILE, graph)
    return difference


def _check_difference(what: str, network: PoseNetwork, graph: bytes, tolerance: float) -> float:
    difference = largest_difference(network, graph)
    if not difference <= tolerance:  # NaN is no agreement either
        raise ArithmeticError(f"{what} differs from PyTorch by {difference:.4f} logits; it was not kept")
    return difference


def _copy_description(folder: Path, output: Path) -> None:
    """The other files of a model folder, with its own skeleton file if it has one."""
    skeleton = read_json(folder / DESCRIPTION_FILE)["skeleton"]
    for name in (WEIGHTS_FILE, skeleton, DESCRIPTION_FILE):
        if (folder / name).is_file():
            write_bytes_atomic(output / name, (folder / name).read_bytes())


def to_onnx(network: PoseNetwork) -> onnx.ModelProto:
    """The network as an ONNX graph with a dynamic batch.

    Inputs: ``image`` (B, H, W, 3) uint8 RGB, ``keypoints`` (B, K, 2) float32 crop pixels, ``weights`` (B, K) float32.
    Output: ``heatmaps`` (B, K, h, w) float32, mostly logits. A network that shares features between poses takes N of
    them, N a multiple of B: B poses, one a photo, then B others, and so on; and gives N heatmaps.
    """
    batch = torch.export.Dim("batch", min=1)
    poses = torch.export.Dim("poses", min=1) if network.config.shares_features else batch
    with warnings.catch_warnings():
        # The exporter warns of its own deprecated calls and of the batch dimension the inputs share on purpose.
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            network.eval(),
            example_inputs(network, batch=2, questions=3 if network.config.shares_features else 1),
            input_names=INPUTS,
            output_names=(OUTPUT,),
            dynamic_shapes=({0: batch}, {0: poses}, {0: poses}),
            dynamo=True,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    _forget_sources(model)
    return model


def _forget_sources(model: onnx.ModelProto) -> None:
    """Take out what the exporter notes of each node: stack traces, with the paths of the machine that exported."""
    noted = (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output)
    for part in (*noted, *model.functions):
        del part.metadata_props[:]


def example_inputs(
    network: PoseNetwork, batch: int, seed: int = 0, questions: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Random images, and so many poses in each of them.

    Some keypoints lie outside the crop, some are absent.
    """
    width, height = network.config.input_size_wh
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (batch, height, width, 3), generator=generator, dtype=torch.uint8)
    unit = torch.rand((questions * batch, network.num_keypoints, 2), generator=generator)
    weights = (torch.rand((questions * batch, network.num_keypoints), generator=generator) > 0.2).float()
    return image, (unit * 1.2 - 0.1) * torch.tensor([width, height]), weights


def largest_difference(network: PoseNetwork, graph: bytes) -> float:
    """Largest difference of a heatmap logit between PyTorch and a graph, on batches of one and three; NaN if one is.

    Of a network that shares features between poses, two poses in each photo.
    """
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    differences = []
    for batch in (1, 3):
        questions = 2 if network.config.shares_features else 1
        inputs = example_inputs(network, batch, seed=batch, questions=questions)
        with torch.no_grad():
            expected = network(*inputs).numpy()
        feeds = {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)}
        differences.append(np.abs(session.run([OUTPUT], feeds)[0] - expected).max())
    return float(np.max(differences))


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large weights in half precision, each cast to single before its use (once, when the graph is loaded)."""
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    graph = halved.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < HALF_PRECISION_FROM:
            continue
        name = weight.name
        values = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(values, name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return halved
