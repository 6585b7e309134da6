"""Fixtures of several test files."""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from posefix.cli.app import main

# A busy machine is no fault of the code.
hypothesis.settings.register_profile("posefix", deadline=None)
hypothesis.settings.load_profile("posefix")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; returns exit code, standard output and standard error."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real photos, annotations and results, which are not part of this repository."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("POSEFIX_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}; set POSEFIX_DATA to their folder")
    return folder
