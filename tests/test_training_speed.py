"""The benchmark of training: its data paths run, and give the same people."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks.training_speed import as_text, config_of, data_alone, parse, trainer_of, ways


def test_each_data_path_gives_people(shared_data: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(shared_data), "--batch-size", "4", "--workers", "0", "--steps", "1"]
    options = parse(arguments)
    config = config_of("small", options, tmp_path)
    assert len(ways(config)) == 3
    for way in ways(config).values():
        (rate,) = data_alone(trainer_of(way, "cpu"), turns=1, steps=1)
        assert rate > 0


def test_the_table_tells_rates_and_waiting() -> None:
    way = {
        "data_people_per_second": {"median": 300.0},
        "data_over_consumption": 3.0,
        "people_per_second": 90.0,
        "shares": {"waiting for data": 0.01},
    }
    text = as_text("small", {"consumption_people_per_second": {"median": 100.0}, "ways": {"photos": way}})
    assert text.startswith("small: the network alone 100 people/s\n  photos")
    assert text.endswith("data alone 300 people/s (3.00 x), both 90 people/s, waiting 1.0%")
