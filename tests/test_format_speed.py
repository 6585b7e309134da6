"""The benchmark of reading and writing, on a small file."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.format_speed import OTHERS, make_file, measure, measure_other, read_and_write


def test_every_number_is_written_anew(tmp_path: Path) -> None:
    make_file(tmp_path / "poses.json", 5, np.random.default_rng(0))
    read_and_write(tmp_path / "poses.json", tmp_path / "out.json")
    before, after = (json.loads((tmp_path / name).read_text()) for name in ("poses.json", "out.json"))
    assert [row["image_id"] for row in after] == [0, 0, 0, 1, 1]
    assert after[0]["keypoints"][0] == round(before[0]["keypoints"][0] + 1.2345, 3)
    assert after[0]["bbox"] == before[0]["bbox"]


def test_times_and_memory_are_measured(tmp_path: Path) -> None:
    measured = measure(tmp_path, 50, 1)
    assert (measured["people"], measured["times_json"] > 0) == (50, True)
    assert measured["posefix_seconds"]["median"] > 0


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_are_measured(tmp_path: Path, name: str) -> None:
    measured = measure_other(tmp_path, name, 9, 1)
    assert measured["times_parser"] > 0
    assert len(list(tmp_path.iterdir())) == 3  # the file, what its parser printed, what posefix wrote
