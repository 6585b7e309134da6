"""A skeleton that is not human, from annotations to better poses, with the commands of docs/skeletons.md."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from tests.training.quadrupeds import NAMES, write_set

from posefix.evaluation.coco import evaluate_coco
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file
from posefix.skeletons import load_skeleton
from posefix.training.config import load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "skeletons.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
(RECIPE,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
Run = Callable[..., tuple[int, str, str]]

TINY = {
    "backbone_weights": "none",
    "workers": "0",
    "model.input_size_wh": "[64, 48]",
    "model.sigma": "2.0",
    "model.deconvolution_channels": "[32, 32]",
    "optimiser.learning_rate": "1e-3",
    "optimiser.batch_size": "16",
    "optimiser.epochs": "10",
    "optimiser.warmup_steps": "10",
    "optimiser.average": "0.0",
}


@pytest.mark.slow
def test_the_commands_of_the_page_make_poses_of_quadrupeds_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    write_set(tmp_path, "train", 240, seed=0)
    write_set(tmp_path, "test", 60, seed=1)
    (tmp_path / "mine.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    for command in COMMANDS:
        arguments = shlex.split(command)[1:]
        more = {"train": [*settings, "--device", "cpu"], "calibrate": [*settings, "--device", "cpu"]}
        code, _, errors = run(*arguments, *more.get(arguments[0], []))
        assert code == 0, errors
    skeleton = load_skeleton("mine.json")
    assert skeleton.keypoint_names == tuple(NAMES) and len(skeleton.flip_pairs) == 4
    truth = read_annotations("test.json")
    before, after = (
        evaluate_coco(read_pose_file(name, skeleton).poses, truth).ap
        for name in ("test-results.json", "refined.json")
    )
    assert after > before + 0.1, (before, after)


def test_the_recipe_of_the_page_is_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    assert load_recipe(path, TINY).skeleton == "mine.json"


def test_the_skeleton_is_shown_and_written(tmp_path: Path, run: Run) -> None:
    write_set(tmp_path, "train", 12, seed=0)
    code, shown, _ = run("skeleton", tmp_path / "train.json", "-o", tmp_path / "mine.json")
    assert code == 0
    assert "mirrored (as the names say): left_fore_knee / right_fore_knee, " in shown
    assert "limbs: muzzle - withers, withers - croup, " in shown
    assert "sigmas, guessed from 12 annotations of train.json: muzzle, " in shown
    assert f"skeleton: {tmp_path / 'mine.json'}" in shown and "note: " not in shown
    written = json.loads((tmp_path / "mine.json").read_text())
    assert written["keypoints"][0] == {
        "name": "muzzle", "sigma": 0.08, "sigma_source": "guessed from 12 annotations of train.json"
    }  # fmt: skip
    _, again, _ = run("skeleton", tmp_path / "mine.json")
    assert again.splitlines()[1:] == shown.splitlines()[1:-1]
