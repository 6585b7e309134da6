"""`posefix bulk` once, as somebody runs it; all else of it is tested in tests/bulk where the extra is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

THERE = all(map(find_spec, ("ray", "pyarrow", "fsspec")))


def bulk(folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["bulk", folder / "poses", "--images", folder / "photos", "-o", folder / "out"]
    options = ["--layout", "coco17", "--model", "identity", "--workers", "1"]
    command = [sys.executable, "-m", "posefix", *map(str, words), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of a person each."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "poses").mkdir()
    generator = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(
            tmp_path / f"photos/{number}.jpg"
        )
        keypoints = np.column_stack([generator.uniform(5, 55, (17, 2)).round(1), np.ones(17)])
        person = {"image_id": number, "category_id": 1, "keypoints": keypoints.ravel().tolist(), "score": 0.9}
        (tmp_path / f"poses/{number}.json").write_text(json.dumps([person], indent=1))
    return tmp_path


@pytest.mark.skipif(not THERE, reason="Ray is not installed: pip install 'posefix[bulk]'")
def test_two_files_on_a_ray_of_their_own(folder: Path) -> None:
    done = bulk(folder)
    assert done.returncode == 0, done.stderr
    assert "2 people of 2 photos in 2 units" in done.stdout
    for path in (folder / "poses").iterdir():  # the identity moves nobody
        assert (folder / "out/poses" / path.name).read_bytes() == path.read_bytes()
    again = bulk(folder)
    assert "2 of them done before" in again.stdout


@pytest.mark.skipif(THERE, reason="Ray is installed")
def test_without_ray_one_is_told_what_to_install(folder: Path) -> None:
    done = bulk(folder)
    assert done.returncode == 2
    assert done.stderr.endswith("not installed here; run: pip install 'posefix[bulk]'\n")
    assert not (folder / "out").exists()
