"""`posefix estimate` and `posefix experiment` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.cli.app import main
from posefix.training.config import DataConfig, load_recipe
from posefix.training.run import train

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must fail in one sentence, and returns it."""

    def run(*arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        return message

    return run


def test_a_pose_network_s_estimates_can_be_evaluated(recipe: Path, made_data: Path, tmp_path: Path) -> None:
    settings = {
        "optimiser.epochs": "1",
        "model.pose_input": "false",
        "model.loss": "gaussian_mse",
        "model.decoder": "gaussian_peak",
        "data.crop_around": "truth",
    }
    train(load_recipe(recipe, settings), tmp_path / "run", device="cpu")
    truth, output = made_data / "train.json", tmp_path / "found.json"
    where = ["--annotations", str(truth), "--images", str(made_data / "images")]
    assert main(["estimate", str(tmp_path / "run"), *where, "-o", str(output), "--device", "cpu"]) == 0
    rows = json.loads(output.read_text())
    assert len(rows) == 12 and all(len(row["keypoints"]) == 15 for row in rows)
    assert all(0 < row["score"] <= 1 for row in rows)
    skeleton = str(made_data / "skeleton.json")
    assert main(["evaluate", str(output), "--annotations", str(truth), "--layout", skeleton]) == 0


def test_a_refiner_estimates_nothing(refused: Refused, made_data: Path, tmp_path: Path) -> None:
    truth, images = made_data / "train.json", made_data / "images"
    message = refused(
        "estimate", "small", "--annotations", truth, "--images", images, "-o", tmp_path / "x.json"
    )
    assert "'small' refines poses and finds none by itself; give it some with `posefix refine`" in message


def test_estimates_are_called_as_they_are_read(refused: Refused, made_data: Path, tmp_path: Path) -> None:
    where = ("--annotations", made_data / "train.json", "--images", made_data / "images")
    message = refused("estimate", "small", *where, "-o", tmp_path / "x.csv")
    assert "x.csv: expected a name that ends in .json" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--annotations", "a.json"], "--annotations and --images belong together"),
        (["--results", "a.json"], "give a layout for each results file"),
        (["--set", "model.input_fom=gaussian"], "unknown key 'input_fom'; did you mean 'input_form'?"),
        (
            ["--set", "model.architecture=refine_net"],
            "'refine_net' takes no input pose; set pose_input = false",
        ),
        (["--set", "data.root=nowhere"], "nowhere"),
        (["--seeds", "0"], "seeds: expected 1 or more, got 0"),
        (["--recipe", "coco-simple-resnet50-256x192"], "needs the recipe of a refiner"),
    ],
)
def test_experiments_that_cannot_be_are_refused_before_training(
    arguments: list[str], message: str, refused: Refused, tmp_path: Path
) -> None:
    assert message in refused("experiment", "pipelines", "-o", tmp_path / "run", *arguments)


def test_data_of_one_s_own_take_the_place_of_the_recipe_s(
    recipe: Path, made_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from posefix.training import experiments

    seen: list[DataConfig] = []

    def note(self: experiments.Experiment) -> str:
        seen.append(self.recipe.data)
        return "table"

    monkeypatch.setattr(experiments.Experiment, "run", note)
    truth, images = str(made_data / "train.json"), str(made_data / "images")
    where = ["--annotations", truth, "--images", images, "--validation-annotations", truth]
    results = ["--results", str(made_data / "results.json"), "--layouts", str(made_data / "skeleton.json")]
    arguments = ["experiment", "pipelines", "--recipe", str(recipe), "-o", str(tmp_path), *where, *results]
    assert main(arguments) == 0
    (data,) = seen
    assert data.annotations == (truth,) and data.images == (images,)
    assert data.validation_annotations == truth
    assert data.validation_results == (str(made_data / "results.json"),)
