"""What releases and reports of faults rest on: workflows and forms say what the package says."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
yaml = pytest.importorskip("yaml")


def read(name: str) -> Any:
    return yaml.safe_load((GITHUB / name).read_text(encoding="utf-8"))


def test_every_python_of_the_package_is_tested_on_every_system() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    matrix = read("workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)", project)
    assert [name.split("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_a_release_is_tested_and_published_without_a_token() -> None:
    jobs = read("workflows/release.yml")["jobs"]
    assert {"run": "tools/check_release"} in jobs["build"]["steps"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_reports_of_faults_ask_what_runs_there() -> None:
    fields = read("ISSUE_TEMPLATE/fault.yml")["body"]
    asked = {field["attributes"]["label"]: field.get("validations", {}) for field in fields}
    assert asked["posefix --version --verbose"] == {"required": True}
