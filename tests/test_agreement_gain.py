"""The benchmark of training with labels by agreement: what is trained on what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks.agreement_gain import SPORT_EPOCHS, networks, table
from benchmarks.shapes import RECIPE
from benchmarks.variants import Measured

from posefix.training.config import load_recipe


def test_networks_differ_in_everyday_peoples_labels_alone(tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    sport, agreed, drawn = (load_recipe(RECIPE, settings) for settings in networks(labels).values())
    assert drawn == load_recipe(RECIPE)
    assert agreed.data.annotations == (drawn.data.annotations[0], str(labels))
    assert dataclasses.replace(agreed.data, annotations=drawn.data.annotations) == drawn.data
    assert dataclasses.replace(agreed, data=drawn.data) == drawn
    assert sport.data.annotations == drawn.data.annotations[:1]
    assert sport.data.estimates == tuple(file for file in drawn.data.estimates if "lspet" in file)
    assert sport.optimiser.epochs == SPORT_EPOCHS


def test_the_table_holds_gains_of_met_estimators_and_of_others() -> None:
    gains = {"lspet_val": {"a": 0.1, "b": 0.3}, "everyday_dev": {"a": 0.2, "b": 0.0}}
    text = table({"people's labels": Measured(gains, {})}, {"a"})
    assert "| people's labels | +10.0 | +30.0 | +20.0 | +0.0 |" in text
