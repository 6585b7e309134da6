"""docs/training.md does what it says: its recipe loads, its options are off by default, its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.cli.app import main
from posefix.training.augmentation import AugmentationConfig
from posefix.training.config import DataConfig, load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
OWN_DOMAIN = "## Your own domain, without a label\n"
"""Its blocks are run by `test_own_domain.py`."""
PAGE = PAGE.split(OWN_DOMAIN)[0] + PAGE.split(OWN_DOMAIN)[1].split("\n## ")[1]
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
RECIPES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
OPTIONS = re.findall(r"^\| `(data|augmentation)\.(\w+)`.*?\| `(.*?)` \|", PAGE, re.MULTILINE)


def test_the_recipe_of_the_page_turns_every_option_on(tmp_path: Path) -> None:
    text, _ = RECIPES
    path = tmp_path / "mine.toml"
    path.write_text(text)
    config = load_recipe(path)
    assert len(OPTIONS) == 8
    for table, option, _ in OPTIONS:
        assert getattr(getattr(config, table), option), option


def test_the_trunk_of_the_page_is_that_of_the_packaged_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\n{RECIPES[1]}')
    assert load_recipe(path).model == load_recipe("base").model


@pytest.mark.parametrize(("table", "option", "off"), OPTIONS)
def test_options_are_off_by_default(table: str, option: str, off: str) -> None:
    default = getattr(DataConfig() if table == "data" else AugmentationConfig(), option)
    shown = str(list(default) if isinstance(default, tuple) else default).lower()
    assert shown == off


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, name, *arguments = shlex.split(command)
    assert program == "posefix"
    main([name, "--help"])
    known = capsys.readouterr().out.split()
    assert all(argument in known for argument in arguments if argument.startswith("-"))
    settings = dict(re.findall(r"--set (\S+?)=(\S+)", command))
    recipe = arguments[arguments.index("--recipe") + 1] if "--recipe" in arguments else arguments[0]
    if name != "export":
        load_recipe(recipe, settings)
