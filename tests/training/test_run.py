"""Training end to end on made data: it learns, resumes bit for bit, and refuses what does not fit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn  # noqa: E402

from posefix.errors import InputError  # noqa: E402
from posefix.evaluation.coco import evaluate_coco  # noqa: E402
from posefix.formats.coco_annotations import read_annotations  # noqa: E402
from posefix.interchange import read_pose_file  # noqa: E402
from posefix.network.models import DESCRIPTION_FILE, WEIGHTS_FILE, load_model, model_names  # noqa: E402
from posefix.pose_errors.profile import load_error_profile  # noqa: E402
from posefix.refine.refiner import Refiner  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training import run  # noqa: E402
from posefix.training.averaging import MovingAverage, decay_after  # noqa: E402
from posefix.training.checkpoint import Standing, load_checkpoint, save_checkpoint  # noqa: E402
from posefix.training.config import OptimiserConfig, TrainConfig, load_recipe  # noqa: E402
from posefix.training.datasets import InputSource, WrongPoseDataset  # noqa: E402
from posefix.training.loop import Process, learning_rate, start_process  # noqa: E402
from posefix.training.recipe_people import load_records  # noqa: E402
from posefix.training.run import initial_network, new_trainer, train  # noqa: E402
from posefix.training.sampling import BatchSampler  # noqa: E402


def test_training_writes_a_model_that_refines(recipe: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    train(load_recipe(recipe), tmp_path / "run", device="cpu", on_epoch=lines.append)
    assert [line["epoch"] for line in lines] == [1, 2]
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert logged == lines
    refiner = Refiner.from_pretrained(tmp_path / "run", device="cpu")
    image = np.zeros((60, 80, 3), np.uint8)
    refined = refiner(image, np.random.default_rng(0).uniform(10, 50, (1, 5, 2)), skeleton=refiner.skeleton)
    assert np.isfinite(refined.keypoints).all()


def test_resuming_equals_never_stopping(recipe: Path, tmp_path: Path) -> None:
    train(load_recipe(recipe), tmp_path / "whole", device="cpu")
    config = load_recipe(recipe, {"optimiser.epochs": "1", "optimiser.schedule": "step"})
    train(config, tmp_path / "parts", device="cpu")
    train(load_recipe(recipe), tmp_path / "parts", device="cpu", resume=True)
    whole, parts = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        assert torch.equal(value, parts[key]), key


def test_resuming_needs_no_weights_to_start_from(recipe: Path, tmp_path: Path) -> None:
    train(load_recipe(recipe, {"optimiser.epochs": "1"}), tmp_path / "run", device="cpu")
    config = load_recipe(recipe, {"initial_weights": str(tmp_path / "gone"), "optimiser.schedule": "step"})
    assert train(config, tmp_path / "run", device="cpu", resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous is for Linux and macOS")
def test_two_processes_train_one_model(recipe: Path, tmp_path: Path) -> None:
    """`torchrun` shares each batch out; both processes end with the averaged gradients' weights."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "posefix",
    ]
    arguments = [
        "train",
        str(recipe),
        "-o",
        str(tmp_path / "run"),
        "--device",
        "cpu",
        "--set",
        "optimiser.epochs=1",
    ]
    done = subprocess.run([*command, *arguments], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model:") == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_validation_refines_a_results_file_and_logs_its_ap(recipe: Path, tmp_path: Path) -> None:
    config = load_recipe(recipe, {"optimiser.epochs": "1"})
    data = replace(
        config.data,
        validation_annotations="train.json",
        validation_images="images",
        validation_results=("results.json",),
        validation_layouts=(config.skeleton,),
    )
    lines: list[dict[str, float]] = []
    train(replace(config, data=data), tmp_path / "run", device="cpu", on_epoch=lines.append)
    assert 0 <= lines[0]["ap_results"] <= 1
    truth, guess = (Path(config.data.root) / name for name in ("train.json", "results.json"))
    before = evaluate_coco(
        read_pose_file(guess, load_skeleton(config.skeleton)).poses, read_annotations(truth)
    ).ap
    assert lines[0]["ap_results"] - lines[0]["ap_gain_results"] == pytest.approx(before, abs=1e-5)


def test_a_checkpoint_of_another_run_is_refused(recipe: Path, tmp_path: Path) -> None:
    train(load_recipe(recipe, {"optimiser.epochs": "1"}), tmp_path / "run", device="cpu")
    with pytest.raises(InputError, match=r"optimiser.batch_size = 4, this run has 2"):
        train(load_recipe(recipe, {"optimiser.batch_size": "2"}), tmp_path / "run", device="cpu", resume=True)


def test_a_batch_depends_on_seed_epoch_and_number_alone(recipe: Path) -> None:
    config = load_recipe(recipe)
    skeleton = load_skeleton(config.skeleton)
    records = load_records(config, skeleton)

    def dataset(seed: int) -> WrongPoseDataset:
        return WrongPoseDataset(
            records, skeleton, InputSource(load_error_profile(), config.synthesis), config.augmentation,
            input_size_wh=(48, 64), seed=seed,
        )  # fmt: skip

    first, again, other_epoch, other_seed = (
        dataset(seed)[(epoch, 0, 3, 1, 7)] for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.keypoints, again.keypoints)
    for other in (other_epoch, other_seed):
        assert not torch.equal(first.keypoints, other.keypoints)


def test_targets_lie_on_the_painted_squares(recipe: Path) -> None:
    """Crop, rotation, flip and exchange of left and right keep photo and keypoints together."""
    config = load_recipe(recipe)
    skeleton = load_skeleton(config.skeleton)
    records = load_records(config, skeleton)
    dataset = WrongPoseDataset(
        records,
        skeleton,
        InputSource(load_error_profile(), config.synthesis),
        config.augmentation,
        input_size_wh=(96, 128),
        seed=0,
    )
    batch = dataset[(0, 0, *range(12))]
    order = [skeleton.index(name) for name in ("nose", "left_eye", "right_eye", "left_hip", "right_hip")]
    checked = 0
    for row in range(12):
        # A flip exchanges the two sides' names but not the painted colours: compare as sets of the pair.
        for keypoint, name in enumerate(order):
            x, y = (round(float(value)) for value in batch.targets[row, name])
            if 2 <= x < 94 and 2 <= y < 126 and batch.labelled[row, name]:
                pixel = batch.images[row, y, x].numpy().astype(int)
                # The other person's square may cover this one, so only the brightness is certain.
                assert pixel.max() > 120, (row, keypoint, pixel)
                checked += 1
    assert checked > 30


def test_each_epoch_shows_everybody_once_whatever_the_processes() -> None:
    alone = BatchSampler(64, 8, seed=0)
    together = [BatchSampler(64, 4, seed=0, rank=rank, world_size=2) for rank in (0, 1)]
    rows = [row for _, _, *batch in alone.keys(0) for row in batch]
    assert sorted(rows) == list(range(64))
    assert sorted(row for sampler in together for _, _, *batch in sampler.keys(0) for row in batch) == list(
        range(64)
    )


def test_a_trainer_goes_from_epoch_to_epoch_and_goes_on_where_it_stopped(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_recipe(recipe, {"optimiser.epochs": "3", "workers": "0"})
    trainer = new_trainer(config, load_skeleton(config.skeleton), tmp_path, Process(torch.device("cpu")))
    monkeypatch.setattr(type(trainer.dataset), "__getitem__", lambda _, key: key)
    sampler = BatchSampler(12, 4, seed=config.seed)
    first, second, third = ([*map(list, sampler.keys(epoch))] for epoch in range(3))
    assert first != second
    keys: list[object] = [*trainer.batches()]
    assert keys == [*first, *second, *third]
    trainer.standing = Standing(epoch=1, step=3)
    keys = [*trainer.batches()]
    assert keys == [*second, *third]


def test_the_moving_average_is_pytorch_s() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    reference = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.15), use_buffers=True)
    average = MovingAverage(network, 0.15)  # which is below what the first steps allow
    for _ in range(4):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(5, 3))
        reference.update_parameters(network)
        average.update_parameters(network)
    found, expected = average.state_dict(), reference.state_dict()
    assert found.keys() == expected.keys()
    counts = [key for key, value in expected.items() if not value.is_floating_point()]
    for key in expected.keys() - set(counts):
        assert torch.equal(found[key], expected[key]), key
    assert [int(found[key]) for key in counts] == [4, 4]  # batches are counted, not averaged


def test_the_average_of_a_short_training_holds_little_of_its_beginning() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    average = MovingAverage(network, 0.995)
    values = []
    for step in range(100):
        with torch.no_grad():
            network.weight.fill_(step)
        average.update_parameters(network)
        values.append(next(average.parameters()).item())
    assert values[:3] == pytest.approx([0, 1 * 9 / 11, (2 * 9 + 3 * 9 / 11) / 12], rel=1e-6)
    assert values[-1] == pytest.approx(99, abs=12)  # with .995 from the start it would be 20
    assert decay_after(10**6) > 0.9999


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "expected auto, cpu, cuda or cuda:1, got 'gpu'"),
        ("meta", "expected auto, cpu, cuda or cuda:1, got 'meta'"),
        ("cpu:0", "expected auto, cpu, cuda or cuda:1, got 'cpu:0'"),
        ("cuda:1", "'cuda:1' was asked for, but PyTorch sees 1 GPU; use --device auto"),
        ("cuda:x", "expected auto, cpu, cuda or cuda:1, got 'cuda:x'"),
    ],
)
def test_a_device_that_is_not_there_is_told(
    device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(InputError, match=message):
        start_process(device)


def test_the_paper_s_schedule() -> None:
    rates = [learning_rate(OptimiserConfig(), epoch * 10, 10) for epoch in (0, 89, 90, 119, 120, 139)]
    np.testing.assert_allclose(rates, [5e-4, 5e-4, 5e-5, 5e-5, 5e-6, 5e-6])


def test_cosine_starts_after_the_warm_up_and_ends_at_zero() -> None:
    config = OptimiserConfig(schedule="cosine", warmup_steps=10, epochs=10, learning_rate=1.0)
    assert learning_rate(config, 0, 10) == pytest.approx(0.1)
    assert learning_rate(config, 10, 10) == pytest.approx(1.0)
    assert learning_rate(config, 99, 10) < 0.01


def test_a_run_is_not_overwritten(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").touch()
    with pytest.raises(InputError, match="--resume"):
        train(load_recipe(recipe), tmp_path, device="cpu")


def test_neither_is_a_model(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").touch()
    with pytest.raises(InputError, match="holds a model already"):
        train(load_recipe(recipe), tmp_path, device="cpu")


def test_a_complete_run_keeps_its_model_and_a_continued_one_has_no_graph_of_old_weights(
    recipe: Path, tmp_path: Path
) -> None:
    train(load_recipe(recipe, {"optimiser.epochs": "1"}), tmp_path, device="cpu")
    (tmp_path / "model.onnx").touch()
    with pytest.raises(InputError, match=r"complete: set more optimiser\.epochs"):
        train(load_recipe(recipe, {"optimiser.epochs": "1"}), tmp_path, device="cpu", resume=True)
    assert (tmp_path / "model.onnx").exists()
    train(load_recipe(recipe, {"optimiser.schedule": "step"}), tmp_path, device="cpu", resume=True)
    assert not (tmp_path / "model.onnx").exists()


def test_a_continued_run_that_is_interrupted_after_its_last_epoch_is_finished(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of its first end is there, and is not the one that it was to make."""
    train(load_recipe(recipe, {"optimiser.epochs": "1"}), tmp_path, device="cpu")
    description = tmp_path / DESCRIPTION_FILE
    description.write_text(json.dumps({**json.loads(description.read_text()), "calibration": {}}))
    first = load_file(tmp_path / WEIGHTS_FILE)
    config = load_recipe(recipe, {"optimiser.schedule": "step"})

    def interrupt(_: object) -> dict[str, float]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "load_validation", lambda *_: interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path, device="cpu", resume=True)
    assert json.loads((tmp_path / "last.json").read_text())["progress"]["epoch"] == 2
    assert train(config, tmp_path, device="cpu", resume=True)
    written = json.loads(description.read_text())
    assert written["training"]["optimiser"]["epochs"] == 2 and "calibration" not in written
    second = load_file(tmp_path / WEIGHTS_FILE)
    assert any(not torch.equal(weight, second[key]) for key, weight in first.items())
    with pytest.raises(InputError, match=r"complete: set more optimiser\.epochs"):
        train(config, tmp_path, device="cpu", resume=True)


def test_a_run_is_not_resumed_with_more_or_fewer_people(
    recipe: Path, made_data: Path, tmp_path: Path
) -> None:
    """A file of the same name may hold others, and rates and batches follow from how many there are."""
    data = tmp_path / "data"
    shutil.copytree(made_data, data)
    recipe.write_text(recipe.read_text().replace(made_data.as_posix(), data.as_posix()))
    train(load_recipe(recipe, {"optimiser.epochs": "1"}), tmp_path / "run", device="cpu")
    document = json.loads((data / "train.json").read_text())
    document["annotations"] = document["annotations"][:8]
    (data / "train.json").write_text(json.dumps(document))
    config = load_recipe(recipe, {"optimiser.schedule": "step"})
    with pytest.raises(
        InputError,
        match=r"last\.safetensors: the checkpoint was trained on 12 people, this run has 8; resume",
    ):
        train(config, tmp_path / "run", device="cpu", resume=True)


def test_checkpoints_that_do_not_say_how_many_people_there_were_are_resumed(tmp_path: Path) -> None:
    """Those of earlier versions do not."""
    path, model, config = tmp_path / "a.safetensors", torch.nn.Linear(2, 2), TrainConfig("a")
    optimiser = torch.optim.Adam(model.parameters())
    save_checkpoint(path, model, None, optimiser, Standing(1, 2), config, 12)
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["posefix"])
    assert document.pop("people") == 12
    save_file(load_file(path), path, {"posefix": json.dumps(document)})
    assert load_checkpoint(path, model, None, optimiser, config, 13) == Standing(1, 2)


def test_an_epoch_is_not_lost_with_a_photo_that_validation_cannot_read(recipe: Path, tmp_path: Path) -> None:
    trainer = new_trainer(
        load_recipe(recipe, {"data.validate_every": "1"}),
        load_skeleton("coco17"),
        tmp_path,
        Process(torch.device("cpu")),
    )

    def fail(_: object) -> dict[str, float]:
        raise InputError("photo 7.jpg")

    trainer.validate = fail
    with pytest.raises(InputError, match=r"photo 7\.jpg"):
        trainer.run()
    trainer.resume()
    assert trainer.standing.epoch == 1


def test_a_packaged_model_is_started_from_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "small" not in model_names():
        pytest.skip("the packaged models are not in this checkout")
    monkeypatch.chdir(tmp_path)
    config = load_recipe("small", {"backbone_weights": "none", "initial_weights": "small"})
    network = initial_network(config, load_skeleton(config.skeleton))
    packaged = load_file(load_model("small").file(WEIGHTS_FILE))
    own = network.state_dict()
    assert packaged.keys() <= own.keys()
    assert all(torch.equal(own[key], weight.to(own[key].dtype)) for key, weight in packaged.items())
    Path("small").mkdir()
    with pytest.raises(InputError, match="small"):  # a folder of one's own goes before
        initial_network(config, load_skeleton(config.skeleton))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"optimiser.batch_size": "64"}, "above the 12 people"),
        ({"data.annotations": '["none.json"]'}, "none.json"),
        ({"initial_weights": "nowhere"}, "nowhere: no such file of weights"),
        ({"data.error_profile": "nothing"}, "nothing"),
    ],
)
def test_faults_are_found_before_training(
    recipe: Path, tmp_path: Path, overrides: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(load_recipe(recipe, overrides), tmp_path / "run", device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_absent_is_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sees no GPU"):
        train(load_recipe(recipe), tmp_path / "run", device="cuda")
