"""Averaging the weights of models."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("onnx")

from tools.average_models import average  # noqa: E402

from posefix.errors import InputError  # noqa: E402


def test_the_mean_keeps_precision_and_counters() -> None:
    first = {"weight": torch.tensor([1.0, 2.0], dtype=torch.float16), "steps": torch.tensor(7)}
    second = {"weight": torch.tensor([2.0, 4.0], dtype=torch.float16), "steps": torch.tensor(9)}
    found = average([first, second])
    assert found["weight"].dtype == torch.float16
    assert found["weight"].tolist() == [1.5, 3.0]
    assert found["steps"].item() == 7


def test_networks_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="expected networks of one shape"):
        average([{"weight": torch.zeros(2)}, {"weight": torch.zeros(3)}])
