"""A refiner for photos that nobody labelled, with the commands of docs/training.md."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from tests.training.quadrupeds import estimated, write_set

from posefix.evaluation.coco import evaluate_coco
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file
from posefix.training.config import load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Your own domain, without a label\n")[1].split("\n## ")[0]
# The page speaks of people; drawn animals have fewer keypoints and are learnt sooner.
(RECIPE,) = re.findall(r"```toml\n(.*?)```", SECTION.replace("coco17", "animal.json"), re.DOTALL)
(BLOCK,) = re.findall(r"```bash\n(.*?)```", SECTION.replace("coco17", "animal.json"), re.DOTALL)
COMMANDS = BLOCK.splitlines()
Run = Callable[..., tuple[int, str, str]]

TINY = {
    "backbone_weights": "none",
    "workers": "0",
    "model.backbone": "resnet18",
    "model.backbone_stride": "16",
    "model.input_size_wh": "[64, 48]",
    "model.sigma": "2.0",
    "model.deconvolution_channels": "[32, 32]",
    "optimiser.learning_rate": "1e-3",
    "optimiser.batch_size": "16",
    "optimiser.epochs": "10",
    "optimiser.warmup_steps": "10",
    "optimiser.average": "0.0",
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """Photos with three estimators' poses, a few labelled ones with theirs, and new ones; the truth of the first."""
    monkeypatch.chdir(tmp_path)
    for seed, (name, count) in enumerate((("photos", 200), ("labelled", 40), ("new", 60))):
        write_set(tmp_path, name, count, seed)
    truth = Path("photos.json").rename("hidden.json")
    for seed, name in enumerate("abc"):
        write_estimates(Path(f"{name}.json"), truth, 100 + seed)
        write_estimates(Path(f"labelled-{name}.json"), Path("labelled.json"), 200 + seed)
    assert run("skeleton", "labelled.json", "-o", "animal.json")[0] == 0
    Path("mine.toml").write_text(RECIPE)
    return truth


def write_estimates(output: Path, truth: Path, seed: int) -> None:
    """What an estimator finds of a file's animals."""
    people, generator = read_annotations(truth).people, np.random.default_rng(seed)
    rows = []
    for image_id, points in zip(people.image_ids, people.keypoints, strict=True):
        guess, scores = estimated(generator, points)
        keypoints = np.column_stack([guess, scores]).ravel().tolist()
        rows.append({"image_id": image_id, "category_id": 1, "keypoints": keypoints, "score": 1.0})
    output.write_text(json.dumps(rows))


def right(labels: Path, truth: Path) -> tuple[float, float]:
    """Of the labels of a file, the share within 6 pixels of the truth; of the truth's keypoints, the share labelled."""
    found, people = read_annotations(labels).people, read_annotations(truth).people
    row_of = {image_id: row for row, image_id in enumerate(people.image_ids)}
    rows = [row_of[image_id] for image_id in found.image_ids]
    labelled = found.visibility > 0
    apart = np.linalg.norm(found.keypoints - people.keypoints[rows], axis=2)
    return float((apart[labelled] < 6).mean()), float(labelled.sum() / people.visibility.astype(bool).sum())


def test_labels_are_nearer_to_the_truth_than_any_estimator(desk: Path, run: Run) -> None:
    assert run(*shlex.split(COMMANDS[0])[1:])[0] == 0
    precision, kept = right(Path("labels.json"), desk)
    people = read_annotations(desk).people
    for name in "abc":
        poses = read_pose_file(f"{name}.json", "animal.json").poses
        apart = np.linalg.norm(poses.keypoints - people.keypoints, axis=2)
        assert (apart < 6).mean() < precision - 0.1
    assert kept > 0.3


def test_the_page_has_the_whole_way() -> None:
    assert [command.split()[1] for command in COMMANDS] == ["pseudo-label", "train", "calibrate", "refine"]


@pytest.mark.slow
@pytest.mark.usefixtures("desk")
def test_the_commands_of_the_page_make_poses_better_without_a_label(run: Run) -> None:
    assert load_recipe("mine.toml", TINY).data.held_out == (0.0, 0.2)
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    for command in COMMANDS:
        arguments = shlex.split(command)[1:]
        more = {"train": [*settings, "--device", "cpu"], "calibrate": [*settings, "--device", "cpu"]}
        code, _, errors = run(*arguments, *more.get(arguments[0], []))
        assert code == 0, errors
    truth = read_annotations("new.json")
    before, after = (
        evaluate_coco(read_pose_file(name, "animal.json").poses, truth).ap
        for name in ("new-results.json", "refined.json")
    )
    assert after > before + 0.05, (before, after)
