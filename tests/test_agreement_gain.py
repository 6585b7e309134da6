"""The benchmark of training with labels by agreement: what is trained on what, and for as many steps."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks.agreement_gain import COMPARISON, EPOCHS, NETWORKS, table
from benchmarks.shapes import RECIPE
from benchmarks.variants import Measured

from posefix.training.config import load_recipe


def test_networks_differ_in_labels_alone() -> None:
    first = load_recipe(RECIPE, {**NETWORKS[COMPARISON.first], "optimiser.epochs": str(EPOCHS)})
    packaged = load_recipe("small").data
    for name, labels in (
        ("and labels by agreement", "labels"),
        ("and labels of a second round", "labels-second"),
    ):
        more = load_recipe(RECIPE, NETWORKS[name])
        people = len(first.data.annotations)
        assert more.data.annotations[:people] == first.data.annotations
        assert more.data.annotations[people:] == tuple(
            file.replace("labels", labels) for file in packaged.annotations[people:]
        )
        assert len(more.data.images) == len(more.data.annotations)
        assert more.data.held_out == packaged.held_out
        assert more.optimiser.epochs * 2 == first.optimiser.epochs
        changed = {
            field.name
            for field in dataclasses.fields(more)
            if getattr(more, field.name) != getattr(first, field.name)
        }
        assert changed == {"data", "optimiser"}


def test_the_table_holds_gains_of_met_estimators_and_of_others() -> None:
    gains = {"lspet_val": {"a": 0.1, "b": 0.3}, "everyday_dev": {"a": 0.2, "b": 0.0}}
    text = table({"people's labels": Measured(gains, {})}, {"a"})
    assert "| people's labels | +10.0 | +30.0 | +20.0 | +0.0 |" in text
