"""What the benchmarks of networks that differ in one setting share."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks import variants


def test_what_was_measured_is_kept_for_the_same_photos_and_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def measure(model: Path, data: Path, images: int, looks: int) -> variants.Gains:
        asked.append((images, looks))
        return {"lspet_val": {"movenet": images / 1000}}

    monkeypatch.setattr(variants, "measure", measure)
    found = [variants.measure_once(tmp_path, Path("data"), images, 1) for images in (60, 60, 30)]
    assert found == [{"lspet_val": {"movenet": ap}} for ap in (0.06, 0.06, 0.03)]
    assert asked == [(60, 1), (30, 1)]
