"""Fixtures of several test files."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from posefix.cli.app import main

# A busy machine is no fault of the code.
hypothesis.settings.register_profile("posefix", deadline=None)
hypothesis.settings.load_profile("posefix")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=2, help="random moments at which the tests of bulk kill (slow)"
    )


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


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Debian's Chromium, driven by Selenium."""
    selenium = pytest.importorskip("selenium.webdriver")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("Chromium or its driver is not installed")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    # Without motion, so that a click finds its place and a toggle is done at once.
    motion, window = "--force-prefers-reduced-motion", "--window-size=1280,900"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", window, motion):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(chromedriver))
    yield driver
    driver.quit()
