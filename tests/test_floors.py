"""Floors: the counts of a graph, the floor that follows, and the tables that say it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from benchmarks import performance_report
from benchmarks.documents import insert
from benchmarks.floors import Step, measure, photo_steps
from benchmarks.graph_cost import GraphCost, graph_cost
from benchmarks.performance_report import DOCUMENT, TABLES

from posefix.network.models import ONNX_FILE, load_model

Numbers = dict[str, Any]


@pytest.fixture
def floors() -> Numbers:
    step = {
        "name": "crop, 128 x 176", "unit": "person", "multiply_adds": 270336, "bytes": 135168, "floor_seconds": 9e-6,
        "seconds": {"median": 160e-6}, "times_floor": 17.8, "bound": "memory", "reason": "one thread",
    }  # fmt: skip
    near = {
        **step,
        "name": "network",
        "multiply_adds": 8e8,
        "times_floor": 1.2,
        "reason": "none",
        "floor_seconds": 0.02,
    }
    return {
        "environment": {"cores": 2, "device": "a processor", "commit": "abc"},
        "ceilings": {
            "copy_bytes_per_second": {"median": 1.25e10},
            "float32_multiply_adds_per_second": {"median": 4e10},
        },
        "steps": [step, near],
    }


def test_a_graph_is_counted_by_hand(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT

    def weight(name: str, *shape: int) -> Any:
        return helper.make_tensor(name, kind, shape, [0.0] * math.prod(shape))

    nodes = [
        helper.make_node("Conv", ["in", "a"], ["x"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("ConvTranspose", ["y", "b"], ["z"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MatMul", ["z", "c"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("in", kind, ["batch", 3, 8, 6])],
        [helper.make_tensor_value_info("out", kind, None)],
        [weight("a", 4, 3, 3, 3), weight("b", 4, 5, 2, 2), weight("c", 6, 7)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "made.onnx")
    # Conv: 4 x 4 x 3 outputs of 27; transposed: 48 inputs to 5 x 2 x 2 each; product: 5 x 8 x 7 outputs of 6.
    adds = 48 * 27 + 48 * 20 + 280 * 6
    elements = (144 + 48) + (48 + 240) + (240 + 280)
    assert graph_cost(tmp_path / "made.onnx") == GraphCost(adds, 4 * elements, 4 * (108 + 80 + 42))


def test_the_packaged_network_is_counted_as_its_card_says() -> None:
    pytest.importorskip("onnx")
    model = load_model("small")
    cost = graph_cost(model.file(ONNX_FILE))
    card = (model.folder / "README.md").read_text(encoding="utf-8")
    assert f"{cost.multiply_adds / 1e9:.2f}".lstrip("0") + " G multiply-adds" in card
    assert cost.weight_bytes == pytest.approx(2 * model.file(ONNX_FILE).stat().st_size, rel=0.05)


def test_the_floor_is_the_larger_of_two_times() -> None:
    step = Step("work", "person", multiply_adds=1e6, bytes=1e3, count=4, work=lambda: None, reason="why")
    row = measure(step, copy=1e9, ceilings={"float32": 1e10}, repeats=2)
    assert (row["floor_seconds"], row["bound"]) == (1e-4, "arithmetic")
    assert row["times_floor"] == pytest.approx(row["seconds"]["median"] / 1e-4)
    assert "work" not in row
    half = dataclasses.replace(step, precision="bfloat16")
    assert measure(half, 1e9, {"float32": 1e10, "bfloat16": 4e10}, 2)["floor_seconds"] == 2.5e-5
    slow = measure(step, copy=1e6, ceilings={"float32": 1e10}, repeats=2)
    assert (slow["floor_seconds"], slow["bound"]) == (1e-3, "memory")


def test_photos_and_crops_are_measured() -> None:
    steps = {step.name: step for step in photo_steps()}
    whole, part = steps["decode, 4000 x 3000"], steps["decode, 4000 x 3000 at 1/4"]
    assert whole.multiply_adds == 16 * part.multiply_adds
    assert steps["crop, 160 x 224"].count == len(steps["crop, 160 x 224"].work())  # type: ignore[arg-type]


def test_the_tables_say_what_was_measured(floors: Numbers) -> None:
    assert performance_report.ceilings(floors).splitlines() == [
        "2 cores of a processor, commit abc.",
        "",
        "| ceiling | measured |",
        "| --- | --- |",
        "| a large copy, read and written | 12.5 GB/s |",
        "| a large matrix product, float32 | 40 G multiply-adds/s |",
    ]
    lines = performance_report.floors(floors).splitlines()
    assert lines[2] == "| crop, 128 x 176 | person | 270 k | 135 k | 9 (memory) | 160 | 18 | one thread |"
    assert lines[3] == "| network | person | 800 M | 135 k | 20,000 (memory) | 160 | 1.2 |  |"


def test_training_is_told() -> None:
    way = {
        "data_people_per_second": {"median": 180.0}, "data_over_consumption": 3.75, "people_per_second": 44.6,
        "shares": {"waiting for data": 0.0117}, "projected_hours": 130.5,
    }  # fmt: skip
    network = {"consumption_people_per_second": {"median": 48.0}, "ways": {"photos": way}}
    environment = {"cores": 2, "device": "a processor", "commit": "abc"}
    text = performance_report.training({"environment": environment, "models": {"small": network}})
    assert text.splitlines()[-1] == "| small | photos | 48 | 180 (3.8 x) | 45 | 1.2% | 130 h |"


def test_refinement_is_told() -> None:
    speed = {"people": 60, "looks": 90, "end_to_end_seconds": {"median": 2.0}, "ratio": {"median": 1.1}}
    environment = {"cores": 2, "device": "a processor", "commit": "abc"}
    measured = {"speed": speed, "peak_memory_mib_by_copies": {"1": 300.0}, "environment": environment}
    assert "60 people, 90 looks at them, from file to file: 2.0 s" in performance_report.refinement(measured)
    del speed["looks"]  # older results counted these as people
    assert "60 looks at people, from file to file: 2.0 s" in performance_report.refinement(measured)


def test_growth_and_evaluators_are_told() -> None:
    points = [{"x": 1e3, "seconds": 0.2, "memory_mib": 100}, {"x": 1e6, "seconds": 210.0, "memory_mib": 4000}]
    curve = {"title": "refine", "unit": "people", "points": points, "exponent": 1.004, "last_exponent": 0.99}
    environment = {"cores": 2, "device": "a processor", "commit": "abc"}
    text = performance_report.growth({"environment": environment, "curves": {"people": curve}})
    assert "| refine | 1,000 to 1e+06 people | 1.00 | 0.99 | 210.0 s | 100 -> 4,000 MiB |" in text
    speed = {"pycocotools": {"median": 9.0}, "posefix": {"median": 0.9}}
    numbers = {
        "largest_difference_from_pycocotools": {"pycocotools": {"a": 0.0}, "posefix": {"a": 0.0, "b": 3e-17}},
        "speed": {"images": 4920, "people": 13980, "results": 55920, "seconds": speed},
    }
    lines = performance_report.evaluators(numbers).splitlines()
    assert lines[0] == "4,920 photos, 13,980 people, 55,920 poses."
    assert lines[-1] == "| posefix | 0.90 s | 10.0 | 3e-17 |"


def test_the_document_has_a_place_for_every_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for mark in TABLES:
        changed = insert(text, mark, "new\n")
        assert f"<!-- {mark} -->\nnew\n<!-- /{mark} -->\n" in changed
        assert insert(changed, mark, "") == insert(text, mark, "")
