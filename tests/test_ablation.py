"""The benchmark of the options of training: what it turns off is on in its recipe."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks.ablation import NOTHING, OFF, RECIPE

from posefix.training.config import load_recipe


@pytest.mark.parametrize("name", [name for name in OFF if name != NOTHING])
def test_what_is_turned_off_is_on_in_the_recipe(name: str) -> None:
    everything = load_recipe(RECIPE)
    for setting, value in OFF[name].items():
        assert load_recipe(RECIPE, {setting: value}) != everything, setting
