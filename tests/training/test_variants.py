"""Networks that differ in one setting, on made data: trained once, measured once, kept together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from benchmarks import environment, variants
from benchmarks.variants import Comparison, Measured, met_estimators, options, summary

from posefix.interchange import read_pose_file
from posefix.training import once
from posefix.training.config import TrainConfig, load_recipe
from posefix.training.run import train


def gains_of(results: Mapping[str, Measured], met: set[str]) -> str:
    return "".join(f"{name}: {', '.join(summary(found.gains, met))}\n" for name, found in results.items())


@pytest.fixture
def made(recipe: Path, made_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    """Two networks of the made recipe, their data, and a document and a folder of results to write into."""
    data = tmp_path / "data"
    (data / "predictions" / "everyday_dev").mkdir(parents=True)
    for name in ("train.json", "images"):
        (data / name).symlink_to(made_data / name)
    (data / "predictions" / "everyday_dev" / "made.layout.json").symlink_to(made_data / "results.json")
    skeleton = made_data / "skeleton.json"
    monkeypatch.setattr(variants, "SETS", {"everyday_dev": ("train.json", "images")})
    monkeypatch.setattr(variants, "read_poses", lambda path, _: read_pose_file(path, skeleton).poses)
    monkeypatch.setattr(variants, "DOCUMENT", tmp_path / "page.md")
    monkeypatch.setattr(environment, "RESULTS", tmp_path / "results")
    (tmp_path / "page.md").write_text("before\n<!-- made -->\nold\n<!-- /made -->\nafter\n")
    changes: dict[str, dict[str, str]] = {"plain": {}, "another seed": {"seed": "3"}}
    return Comparison("made", recipe, changes, gains_of, lambda config, _: {"seed": config.seed})


def run(comparison: Comparison, folder: Path, *more: str) -> dict[str, Measured]:
    fixed = ["--data", str(folder / "data"), "--output", str(folder / "runs")]
    parser = options(None, comparison, epochs=1, images=6)
    return comparison.run(parser.parse_args([*fixed, *more]))


def test_nothing_is_trained_or_measured_twice(
    made: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def count(config: TrainConfig, folder: Path, **keywords: Any) -> bool:
        trained.append(folder.name)
        return train(config, folder, **keywords)

    monkeypatch.setattr(once, "train", count)
    part = run(made, tmp_path, "--only", "plain")
    assert trained == ["plain"] and list(part) == ["plain"]
    assert "another seed" not in (tmp_path / "page.md").read_text()
    asked: list[str] = []
    measure = variants.measure

    def ask(model: Path, *how: Any) -> variants.Gains:
        asked.append(model.name)
        return measure(model, *how)

    monkeypatch.setattr(variants, "measure", ask)
    whole = run(made, tmp_path)
    assert trained == ["plain", "another-seed"] and asked == ["another-seed"]
    assert whole["plain"] == part["plain"]
    weights = {
        (tmp_path / "runs" / name / "model.safetensors").read_bytes() for name in ("plain", "another-seed")
    }
    assert len(weights) == 2
    kept = json.loads((tmp_path / "results" / "made.json").read_text())
    assert kept["networks"] == {
        name: {"gains": whole[name].gains, "others": {"seed": seed}}
        for name, seed in (("plain", 0), ("another seed", 3))
    }
    assert (kept["epochs"], kept["images"], kept["looks"], kept["met"]) == (1, 6, 2, [])
    page = (tmp_path / "page.md").read_text()
    assert page == f"before\n<!-- made -->\n{gains_of(whole, set())}<!-- /made -->\nafter\n"


def test_a_part_is_kept_beside_what_was_measured_in_the_same_way(made: Comparison, tmp_path: Path) -> None:
    run(made, tmp_path)
    results = tmp_path / "results" / "made.json"
    whole = json.loads(results.read_text())["networks"]
    run(made, tmp_path, "--only", "plain")
    assert json.loads(results.read_text())["networks"] == whole
    run(made, tmp_path, "--only", "plain", "--images", "7")
    assert list(json.loads(results.read_text())["networks"]) == ["plain"]


def test_a_try_with_few_people_keeps_nothing(made: Comparison, tmp_path: Path) -> None:
    run(made, tmp_path, "--people", "8")
    assert not (tmp_path / "results").exists() and "old" in (tmp_path / "page.md").read_text()
    config = json.loads((tmp_path / "runs" / "plain" / "model.json").read_text())["training"]
    assert config["data"]["limit"] == 8


def test_estimators_of_the_training_are_told_from_strangers() -> None:
    recipe = Path(variants.__file__).parent / "ablation.toml"
    met = met_estimators(load_recipe(recipe))
    assert met == {"movenet", "tinypose128", "efficientpose-rt", "hourglass"}
    gains = {"lspet_val": {"movenet": 0.3, "tinypose128": 0.1, "tfpose": -0.2}}
    assert summary(gains, met) == {
        "LSP-Extended, met": pytest.approx(0.2),
        "LSP-Extended, not met": pytest.approx(-0.2),
    }
