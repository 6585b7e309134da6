"""The benchmark of the network's shape: each network differs in what it says, costs are counted, the table is whole."""

from __future__ import annotations

import dataclasses
import math
from argparse import Namespace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks import shapes  # noqa: E402
from benchmarks.graph_cost import graph_cost  # noqa: E402
from benchmarks.shapes import COMPARISON, LARGEST, RECIPE, SHAPES, multiply_adds  # noqa: E402
from benchmarks.variants import DOCUMENT, Measured, options  # noqa: E402

from posefix.network.models import ONNX_FILE, load_model  # noqa: E402
from posefix.training.config import TrainConfig, load_recipe  # noqa: E402
from posefix.training.prepared import Prepared  # noqa: E402
from posefix.training.systems import folder_name  # noqa: E402


@pytest.mark.parametrize("name", list(SHAPES)[1:])
def test_every_setting_changes_the_recipe(name: str) -> None:
    whole = load_recipe(RECIPE)
    for setting, value in SHAPES[name].items():
        assert load_recipe(RECIPE, {setting: value}) != whole, setting


def test_each_network_has_a_folder_of_its_own() -> None:
    folders = {folder_name(name) for name in SHAPES}
    assert len(folders) == len(SHAPES)
    assert all(folder.replace("-", "").isalnum() for folder in folders)


def test_the_first_network_is_the_packaged_one() -> None:
    ours, packaged = load_recipe(RECIPE, SHAPES[COMPARISON.first]), load_recipe("small")
    for part in ("model", "augmentation", "synthesis", "backbone_weights", "skeleton", "precision"):
        assert getattr(ours, part) == getattr(packaged, part), part
    assert dataclasses.replace(ours.optimiser, epochs=packaged.optimiser.epochs) == packaged.optimiser
    labelled = dataclasses.replace(
        packaged.data,
        annotations=packaged.data.annotations[:2],
        images=packaged.data.images[:2],
        held_out=packaged.data.held_out[:2],
    )
    assert ours.data == labelled


def test_gaussians_grow_with_the_input() -> None:
    first = load_recipe(RECIPE).model
    for name, settings in SHAPES.items():
        model = load_recipe(RECIPE, settings).model
        wanted = first.sigma * math.sqrt(math.prod(model.input_size_wh) / math.prod(first.input_size_wh))
        assert model.sigma == pytest.approx(wanted, abs=0.06), name
        assert max(model.input_size_wh) <= max(load_recipe(RECIPE, LARGEST).model.input_size_wh)


def test_multiply_adds_are_those_of_the_exported_graph() -> None:
    pytest.importorskip("onnx")
    found = multiply_adds(load_recipe("base"))
    graph = graph_cost(load_model("base").file(ONNX_FILE))
    assert sum(found.values()) == graph.multiply_adds
    assert min(found.values()) > 0


@pytest.mark.parametrize(
    ("name", "part", "times"),
    [
        ("trunk ResNet-18", "trunk", 1.58),
        ("trunk MobileNetV2", "trunk", 0.31),
        ("input 256x352", "trunk", 2.51),
        ("half again as wide", "fusing", 2.2),
        ("twice the residual blocks", "fusing", 1.5),
        ("pose at strides 4, 8 and 16", "fusing", 1.0),
        ("no pose", "fusing", 0.99),
        ("heatmaps of stride 8", "fusing", 0.85),
    ],
)
def test_every_shape_is_a_network_and_costs_what_it_should(name: str, part: str, times: float) -> None:
    first, other = (multiply_adds(load_recipe(RECIPE, settings)) for settings in ({}, SHAPES[name]))
    key = f"{part}_multiply_adds"
    assert other[key] / first[key] == pytest.approx(times, rel=0.1)
    if not name.startswith(("trunk", "input")):
        assert other["trunk_multiply_adds"] == first["trunk_multiply_adds"]


def test_the_table_has_gains_and_costs() -> None:
    costs = {"trunk_multiply_adds": 6.35e8, "fusing_multiply_adds": 3.56e8}
    gains = {
        "lspet_val": {"movenet": 0.2, "tfpose": 0.1},
        "everyday_dev": {"movenet": -0.01, "tfpose": 0.05},
    }
    head, _, row = shapes.table({"one": Measured(gains, costs)}, {"movenet"}).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["one", "+20.0", "+10.0", "-1.0", "+5.0", "0.64", "0.36"]
    assert head.count("|") == len(cells) + 1


def test_shards_are_cut_once_in_the_size_of_the_largest_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prepared: list[tuple[TrainConfig, Path]] = []

    def prepare(config: TrainConfig, folder: Path) -> Prepared:
        prepared.append((config, folder))
        return Prepared(1, 1, 1)

    monkeypatch.setattr(shapes, "prepare", prepare)
    settings = shapes.where(Namespace(data=Path("data"), shards=None))
    assert not prepared and "data.shards" not in settings
    settings = shapes.where(Namespace(data=Path("data"), shards=tmp_path))
    ((config, folder),) = prepared
    assert folder == tmp_path and config.model.input_size_wh == (256, 352) and config.data.root == "data"
    arguments = options(None, COMPARISON, epochs=2, images=60).parse_args([])
    trained = COMPARISON.config("input 128x192", arguments, settings)
    assert trained.data.shards == str(tmp_path.resolve())
    assert trained.data.images == config.data.images and trained.model.input_size_wh == (128, 192)


def test_the_document_has_a_place_for_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in ("shapes", "ablation"):
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->\n") == 1
