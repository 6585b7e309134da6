"""The README does what it says: its commands and code run, its lists and numbers are those of the code."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from benchmarks import accuracy_report, headline
from benchmarks.documents import insert
from benchmarks.environment import kept

import posefix
from posefix.cli.app import COMMANDS as COMMANDS_BY_TASK
from posefix.cli.app import main
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import model_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFINING = (ROOT / "docs" / "refining.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```bash\n(.*?)```", README + REFINING, re.DOTALL)).splitlines()
PYTHON = "".join(re.findall(r"```python\n(.*?)```", README + REFINING, re.DOTALL))
COMMANDS = [line.split("#")[0].strip() for line in SHELL if line.startswith("posefix ")]
# Those that train for hours or need what was trained.
LONG = ("posefix prepare", "posefix train", "posefix calibrate", "posefix export", "--model")
PLAIN = """
import shlex
import sys

for name in (
    "fsspec", "h5py", "huggingface_hub", "matplotlib", "onnx", "pandas", "pyarrow", "ray", "safetensors", "scipy",
    "starlette", "timm", "torch", "uvicorn",
):
    sys.modules[name] = None  # as if it were not installed

from posefix.cli.app import main

for command in sys.stdin.read().splitlines():
    assert main(shlex.split(command)[1:]) == 0, command
"""
"""Runs commands without what only extras bring."""
needs_model = pytest.mark.skipif(
    DEFAULT_MODEL_NAME not in model_names(), reason="the packaged model is not in this checkout"
)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the README talks about."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    keypoints = generator.uniform(40, 200, (17, 2)).round(1)
    triples = np.concatenate([keypoints, np.ones((17, 1))], axis=1)
    row = {"image_id": 36, "category_id": 1, "keypoints": triples.ravel().tolist(), "score": 1.0}
    person = {**row, "id": 1, "num_keypoints": 17, "bbox": [40, 40, 160, 160], "area": 14000, "iscrowd": 0}
    truth = {
        "images": [{"id": 36, "file_name": "000000000036.jpg", "width": 240, "height": 240}],
        "annotations": [person],
        "categories": [{"id": 1, "keypoints": list(posefix.load_skeleton("coco17").keypoint_names)}],
    }
    (tmp_path / "photos").mkdir()
    photo = generator.integers(0, 256, (240, 240, 3), dtype=np.uint8)
    cv2.imwrite("photos/000000000036.jpg", photo)
    Path("poses.json").write_text(json.dumps([row]))
    Path("truth.json").write_text(json.dumps(truth))
    return tmp_path


def test_there_are_two_set_up_commands() -> None:
    set_up = [line for line in SHELL if line.startswith("pip ")]
    assert set_up == ["pip install . && posefix demo", "pip install -e '.[train,dev]' && pytest"]


def test_the_first_ten_lines_say_what_it_is() -> None:
    first = "\n".join(README.splitlines()[:10])
    assert all(
        words in first
        for words in ("Photos", "**any** estimator", "Coordinates in, coordinates out", "retraining")
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_the_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, name, *arguments = shlex.split(command)
    main([name, "--help"])
    known = capsys.readouterr().out.split()
    assert all(argument in known for argument in arguments if argument.startswith("-"))


@pytest.mark.usefixtures("desk")
@needs_model
def test_the_commands_run_in_their_order_in_a_plain_installation() -> None:
    commands = "\n".join(command for command in COMMANDS if not any(part in command for part in LONG))
    subprocess.run([sys.executable, "-c", PLAIN], input=commands, text=True, check=True)


@needs_model
def test_the_python_code_runs(desk: Path) -> None:
    photo = cv2.imread("photos/000000000036.jpg")
    assert photo is not None
    poses = posefix.read_pose_file("poses.json", posefix.load_skeleton("coco17")).poses
    names: dict[str, Any] = {"image": photo[..., ::-1], "keypoints": poses.keypoints, "scores": poses.scores}
    exec(compile(PYTHON, "README.md", "exec"), names)  # the README's own code, as a reader would type it
    assert names["refined"].keypoints.shape == (1, 17, 2)
    assert (desk / "refined.json").exists()


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 150


def test_every_command_has_a_task() -> None:
    page = (ROOT / "docs" / "which-command.md").read_text(encoding="utf-8")
    commands = [command for task in COMMANDS_BY_TASK.values() for command in task]
    named = " ".join(re.findall(r"`([^`]+)`", page)).replace("posefix ", "").split()
    assert {command.__name__.replace("_", "-") for command in commands} <= set(named)


@pytest.mark.repository
def test_the_numbers_are_what_was_measured() -> None:
    assert insert(README, headline.MARK, headline.current()) == README


def test_looks_at_people_are_not_told_as_people() -> None:
    """Who changed much is looked at twice; older results counted looks under the name of people."""
    where = {"cores": 2, "device": "a CPU"}
    counted: dict[str, Any] = {"people": 60, "end_to_end_seconds": {"median": 2.0}}
    lines = [
        headline.headline({"sets": {}}, {"speed": {**counted, **looks}, "environment": where}, 1_000_000)
        for looks in ({"looks": 90}, {})
    ]
    assert "| people a second, photos read and crops cut, on 2 cores of a CPU | 30 |" in lines[0]
    assert "| looks at people a second, photos read and crops cut, on 2 cores of a CPU | 30 |" in lines[1]


def test_all_skeletons_are_listed() -> None:
    section = README.split("## Skeletons")[1].split("\n## ")[0].split("```")[0]
    assert re.findall(r"`([a-z]+\d+)`", section) == list(posefix.skeleton_names())


def test_options_of_the_table_exist(capsys: pytest.CaptureFixture[str]) -> None:
    main(["refine", "--help"])
    known = capsys.readouterr().out.split()
    options = re.findall(r"--[a-z-]+", "\n".join(re.findall(r"^\| (`--.*?) \|", REFINING, re.MULTILINE)))
    assert len(options) >= 10
    assert all(option in known for option in options)


@pytest.mark.repository
def test_the_accuracy_tables_are_what_was_measured() -> None:
    for (path, mark), (result, tables) in accuracy_report.DOCUMENTS.items():
        text = path.read_text(encoding="utf-8")
        assert insert(text, mark, tables(kept(result))) == text, path


@pytest.mark.repository
@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []
