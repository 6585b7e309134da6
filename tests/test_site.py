"""The documents build as a site, strictly."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tools.make_gallery import BROWSERS

import posefix

ROOT = Path(__file__).parent.parent
EXTRAS = {
    "site": ("sphinx", "myst_nb", "furo", "sphinx_copybutton"),
    "report": ("matplotlib",),
    "review": ("starlette", "uvicorn"),
    "train": ("torch", "timm", "safetensors", "onnx", "onnxscript", "onnxruntime"),
}
"""What the gallery and the notebooks run, beside what makes the pages."""


@pytest.mark.slow
@pytest.mark.repository
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for extra, names in EXTRAS.items():
        for name in names:
            pytest.importorskip(name, reason=f"{name} is not installed (pip install -e '.[{extra}]')")
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("no Chromium, which takes the gallery's pictures of pages")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [ROOT / "tools" / "build_site", tmp_path / "site"]
    done = subprocess.run(
        command, check=False, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "docs" / "api.html").read_text(encoding="utf-8")
    assert all(f'id="posefix.{name}"' in reference for name in posefix.__all__ if name != "__version__")
    assert (tmp_path / "site" / "searchindex.js").exists()
    assert "theme-toggle" in (tmp_path / "site" / "docs" / "index.html").read_text(encoding="utf-8")


def test_the_reference_names_what_is_public() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = [line.split(":: ")[1] for line in page.splitlines() if line.startswith(".. auto")]
    assert listed == [name for name in posefix.__all__ if name != "__version__"]


def test_the_navigation_reaches_every_page() -> None:
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    reached = {line.strip() for line in page.splitlines()}
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= reached
