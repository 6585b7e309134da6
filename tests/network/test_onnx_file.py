"""Graphs whose weights lie in other files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from posefix.errors import InputError
from posefix.network.models import PACKAGED_MODELS
from posefix.network.onnx_file import check_graph_file

onnx = pytest.importorskip("onnx")


def tensor(location: str | None) -> Any:
    made = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], bytes(8), raw=True)
    if location is not None:
        onnx.external_data_helper.set_external_data(made, location)
        made.ClearField("raw_data")
    return made


def graph(weights: Any, *nodes: Any) -> Any:
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    return onnx.helper.make_graph(list(nodes), "g", [], [output], weights)


def save(path: Path, weights: Any, *nodes: Any) -> Path:
    path.write_bytes(onnx.helper.make_model(graph(weights, *nodes)).SerializeToString())
    return path


def in_a_branch(location: str) -> Any:
    """A node with a graph in it, in which is a constant."""
    constant = onnx.helper.make_node("Constant", [], ["y"], value=tensor(location))
    return onnx.helper.make_node("If", ["c"], ["y"], then_branch=graph([], constant))


@pytest.mark.parametrize(
    "location", ["../outside.bin", "/etc/hostname", "in/../../outside.bin", "link", "a\0b"]
)
@pytest.mark.parametrize("where", ["weights", "branch"])
def test_weights_outside_of_the_folder_are_refused(tmp_path: Path, location: str, where: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(8))
    (folder / "link").symlink_to(tmp_path / "outside.bin")
    path = folder / "model.onnx"
    if where == "weights":
        save(path, [tensor(location)])
    else:
        save(path, [], in_a_branch(location))
    with pytest.raises(InputError) as caught:
        check_graph_file(path)
    assert str(caught.value) == (
        f"{path}: expected weights in the graph or beside it, got some in {location!r}; export the model again"
    )


def test_weights_in_the_graph_or_beside_it_pass(tmp_path: Path) -> None:
    check_graph_file(save(tmp_path / "a.onnx", [tensor(None)]))
    check_graph_file(save(tmp_path / "b.onnx", [tensor("b.bin"), tensor("in/c.bin")], in_a_branch("d.bin")))


@pytest.mark.parametrize(
    "path", sorted(PACKAGED_MODELS.glob("*/model.onnx")), ids=lambda path: path.parent.name
)
def test_packaged_graphs_pass(path: Path) -> None:
    check_graph_file(path)


def test_damaged_graphs_are_told(tmp_path: Path) -> None:
    good = save(tmp_path / "a.onnx", [tensor("../outside.bin")], in_a_branch("d.bin")).read_bytes()
    chance = random.Random(0)
    for _ in range(500):
        damaged = bytearray(good)
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / "b.onnx").write_bytes(damaged[: chance.randrange(len(damaged))])
        try:
            check_graph_file(tmp_path / "b.onnx")
        except InputError as error:
            assert str(error).startswith(str(tmp_path / "b.onnx"))
    (tmp_path / "c.onnx").write_bytes(b"\x3a\xff")
    with pytest.raises(InputError, match=r"c\.onnx: cannot be read as an ONNX graph"):
        check_graph_file(tmp_path / "c.onnx")
