"""Recipes as commands take them: a name or file with changes by `--set`, and PyTorch, which every recipe needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.training.config import TrainConfig


def read_recipe(
    recipe: str, settings: Sequence[str] | None, changes: Mapping[str, str] | None = None
) -> TrainConfig:
    """A recipe with the changes of `--set`, and with those of other options over them.

    Args:
        recipe: A packaged recipe's name, or a recipe file (TOML).
        settings: Each as key=value.
        changes: Key -> value, as in TOML.

    Raises:
        InputError: There is no such recipe, or it or a change is wrong.
    """
    from posefix.training.config import load_recipe

    return load_recipe(recipe, {**dict(map(_pair, settings or [])), **(changes or {})})


def _pair(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise InputError(f"--set: expected key=value such as optimiser.epochs=20, got {setting!r}")
    return key, value


def require_pytorch(command: str) -> None:
    """Raise if what training needs is not installed.

    Raises:
        InputError: Names what is missing and how to install it.
    """
    from posefix.network.models import missing_libraries

    if missing := missing_libraries():
        raise InputError(
            f"posefix {command} needs {', '.join(missing)}, not installed here; run: pip install 'posefix[train]'"
        )
