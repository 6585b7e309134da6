"""Fixtures of several test files."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real photos, annotations and results, which are not part of this repository."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("POSEFIX_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}; set POSEFIX_DATA to their folder")
    return folder
