"""docs/paper.md does what it says: its commands, recipes and settings exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.cli.app import main
from posefix.training.config import TrainConfig, load_recipe, recipe_names
from posefix.training.systems import SYSTEMS

PAGE = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
SETTINGS = re.findall(r"^\| (?:F2F|C2\S+) \|.*", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, name, *arguments = shlex.split(command)
    assert program == "posefix"
    assert main([name, "--help"]) == 0
    known = capsys.readouterr().out.split()
    assert all(argument in known for argument in arguments if argument.startswith("-"))
    if name == "train":
        load_recipe(arguments[0])


def test_all_published_models_have_their_recipe() -> None:
    section = PAGE[PAGE.index("## Published models") : PAGE.index("## Where ours differs")]
    named = set(re.findall(r"`((?:coco|posetrack)-\S+?)`", section))
    assert named == {name for name in recipe_names() if name.startswith(("coco-", "posetrack-"))}


@pytest.mark.parametrize("row", SETTINGS)
def test_the_pipelines_are_settings_of_the_paper_s_recipe(row: str) -> None:
    settings = dict(re.findall(r"`(model\.\w+) = (\"\w+\")`", row))
    assert settings
    load_recipe("coco-resnet50-256x192", settings)


def test_the_settings_that_differ_are_at_our_defaults_and_tried() -> None:
    table = PAGE[PAGE.index("| setting | text | code | our default |") :]
    rows = re.findall(
        r"^\| `(data|synthesis|model)\.(\w+)` \|[^|]*\|[^|]*\| (`\"\w+\"`|\S+)", table, re.MULTILINE
    )
    default, code = TrainConfig(""), load_recipe("experiment")
    for part, name, value in rows:
        assert value.strip('`"') == str(getattr(getattr(default, part), name)).removesuffix(".0"), name
    tried = {
        (part, name, value)
        for label, system in SYSTEMS.items()
        if label.startswith("C2F, ")
        for part in ("data", "synthesis", "model")
        for name, value in getattr(system, part).items()
    }
    for part, name, value in tried:
        assert getattr(getattr(default, part), name) == value != getattr(getattr(code, part), name), name
    untried = {(part, name) for part, name, _ in rows} - {(part, name) for part, name, _ in tried}
    assert untried == {("synthesis", "confusion_radius")}
    assert "except `synthesis.confusion_radius`, at our default" in PAGE
