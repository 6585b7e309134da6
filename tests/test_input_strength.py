"""The benchmark of fainter input poses: what it changes of a network, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.input_strength import found_by_experiment, table, with_height


def test_a_copy_differs_in_the_height_alone(tmp_path: Path) -> None:
    description = {"name": "c2f", "network": {"input_height": 4.4, "sigma": 3.5}}
    for name in ("network", "copy"):
        (tmp_path / name).mkdir()
    (tmp_path / "network" / "model.json").write_text(json.dumps(description), encoding="utf-8")
    (tmp_path / "network" / "model.safetensors").write_bytes(b"weights")
    copy = with_height(tmp_path / "network", 0.25, tmp_path / "copy")
    assert (copy / "model.safetensors").read_bytes() == b"weights"
    found = json.loads((copy / "model.json").read_text(encoding="utf-8"))
    assert found["network"].pop("input_height") == pytest.approx(1.1)
    assert found == {"name": "c2f", "network": {"sigma": 3.5}}


def test_the_table_has_a_row_for_each_way_to_show_a_pose() -> None:
    rows = {"C2F": found_by_experiment("C2F"), "F2F": found_by_experiment("F2F")}
    _, _, first, second = table(rows).splitlines()
    movenet_on_sports = 100 * rows["C2F"]["lspet_val movenet"]
    assert first.startswith(f"| C2F | {movenet_on_sports:+.1f} | ")
    assert second.startswith("| F2F | ") and second.count("|") == 6
