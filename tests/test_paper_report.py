"""What the comparisons found, as it is written into docs/paper.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.documents import insert
from benchmarks.paper_report import DOCUMENT, FOLDER, TABLES, chosen, order, section, table

from posefix.training.experiment_table import Measured, as_document
from posefix.training.systems import EXPERIMENTS


def lines(**seeds: list[float]) -> list[dict[str, Any]]:
    """Of systems with these APs, all of them changes of the first."""
    first = next(iter(seeds))
    return as_document(
        [
            Measured(
                label,
                "" if label == first else first,
                [dict.fromkeys(("AP", "AP50", "AP75", "AP-M", "AP-L"), value) for value in values],
            )
            for label, values in seeds.items()
        ]
    )


def test_the_table_has_means_and_spreads() -> None:
    assert table(lines(a=[0.2, 0.3], b=[0.3, 0.3])).splitlines()[2:] == [
        "| a | 25.0 ± 7.1 |  | 25.0 | 25.0 |",
        "| b | 30.0 ± 0.0 | +5.0 ± 7.1 | 30.0 | 30.0 |",
    ]
    assert table(lines(a=[0.2])).splitlines()[-1] == "| a | 20.0 |  | 20.0 | 20.0 |"


def test_an_order_holds_where_every_seed_has_it() -> None:
    assert ": b > a ? c." in order(lines(a=[0.3, 0.1], b=[0.6, 0.2], c=[0.1, 0.11]))
    assert order(lines(a=[0.3], b=[0.2])) == ""
    assert ": b > a." in order([*lines(a=[0.3, 0.1], b=[0.6, 0.2]), *lines(c=[0.4])])


def test_lines_are_chosen_by_label() -> None:
    some = lines(**{"Simple": [0.1], "Simple + C2F": [0.2], "SimpleNet": [0.3]})
    assert [line["label"] for line in chosen(some, ("Simple", "Simple + *"))] == ["Simple", "Simple + C2F"]
    assert chosen(some, ("*",)) == some


def test_a_section_has_a_table_for_each_set(tmp_path: Path) -> None:
    for which, value in (("lspet_val", 0.2), ("everyday_dev", 0.3)):
        (tmp_path / which).mkdir()
        document = {"lines": lines(a=[value], b=[value + 0.1])}
        (tmp_path / which / "x.json").write_text(json.dumps(document))
    text = section("x", ("b",), tmp_path)
    assert [line for line in text.splitlines() if line.endswith(":") or line.startswith("| b")] == [
        "LSP-Extended:",
        "| b | 30.0 | +10.0 | 30.0 | 30.0 |",
        "Everyday people (COCO val2017):",
        "| b | 40.0 | +10.0 | 40.0 | 40.0 |",
    ]
    assert section("y", ("b",), tmp_path) == section("x", ("c",), tmp_path) == ""


def test_every_table_of_the_document_has_its_experiment_and_says_what_was_found() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for mark, (name, patterns) in TABLES.items():
        assert name in EXPERIMENTS
        found = section(name, patterns, FOLDER)
        assert insert(text, mark, found) == text if found else insert(text, mark, "")
