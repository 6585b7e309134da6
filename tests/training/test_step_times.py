"""Where a step's time goes: parts that sum to the whole, and a loss that is not finite."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training.config import load_recipe  # noqa: E402
from posefix.training.loop import Process, Trainer  # noqa: E402
from posefix.training.run import new_trainer, profile_steps, train  # noqa: E402
from posefix.training.step_times import PHASES, StepTimer, StepTimes, time_steps  # noqa: E402


def trainer_of(recipe: Path, output: Path, **settings: str) -> Trainer:
    config = load_recipe(recipe, settings)
    return new_trainer(config, load_skeleton(config.skeleton), output, Process(torch.device("cpu")))


def test_a_slow_data_set_is_seen_to_be_waited_for(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(recipe, tmp_path)
    read = trainer.dataset.__getitem__

    def slowly(_: object, key: tuple[int, ...]) -> object:
        time.sleep(0.2)
        return read(key)

    monkeypatch.setattr(type(trainer.dataset), "__getitem__", slowly)
    times = time_steps(trainer, warm_up=1, steps=4)
    assert len(times.steps) == 4
    assert min(times.seconds["waiting for data"]) > 0.2
    assert sum(times.share(phase) for phase in PHASES) == pytest.approx(1)
    assert times.people_per_second < 4 / 0.2


def test_a_profile_of_a_short_recipe_has_fewer_steps_and_writes_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    seen: list[tuple[int, int]] = []
    times = profile_steps(
        load_recipe(recipe),
        device="cpu",
        warm_up=2,
        steps=100,
        on_step=lambda done, total: seen.append((done, total)),
    )
    assert times is not None and len(times.steps) == 2 * 3 - 2
    assert seen == [(done, 6) for done in range(1, 7)]
    assert sorted(tmp_path.iterdir()) == before


def test_the_table_says_what_was_measured() -> None:
    seconds = {phase: [0.001 * (place + 1)] * 3 for place, phase in enumerate(PHASES)}
    text = StepTimes(seconds, 8, "cpu").as_text()
    assert "forward              4.00 ms        4.00 to 4.00 ms   19.0%" in text
    assert text.endswith("3 steps of 8 people on cpu: 381 people a second")


def test_moments_are_taken_down_in_order() -> None:
    timer = StepTimer(torch.device("cpu"))
    timer("start")
    for _ in range(2):
        for phase in PHASES:
            timer(phase)
    seconds = timer.seconds(skip=1)
    assert list(seconds) == list(PHASES)
    assert all(len(values) == 1 and values[0] >= 0 for values in seconds.values())


def test_a_loss_that_is_not_finite_stops_the_run(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is not finite before step \d \(.*; set a smaller"):
        train(load_recipe(recipe, {"optimiser.learning_rate": "1e30"}), tmp_path, device="cpu")


def test_a_step_in_parts_is_one_step() -> None:
    timer = StepTimer(torch.device("cpu"))
    for phase in ("start", *PHASES[:5], "forward", "backward", "optimiser", *PHASES):
        timer(phase)
    moments = timer.moments
    timer.moments = [(phase, float(2**number)) for number, (phase, _) in enumerate(moments)]
    seconds = timer.seconds(skip=0)
    assert [len(values) for values in seconds.values()] == [2] * len(PHASES)
    assert seconds["forward"][0] == 2**3 + 2**5 and seconds["backward"][0] == 2**4 + 2**6


def test_losses_are_read_now_and_then_on_a_gpu(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read one is to wait for the GPU; the bar shows the one that was read last, the log the mean of all."""
    seen: dict[int, list[float]] = {1: [], 2: []}
    logged = {}

    def training(every: int) -> list[float]:
        def step(epoch: int, done: int, steps: int, loss: float) -> None:
            seen[every].append(loss)

        lines: list[dict[str, float]] = []
        train(load_recipe(recipe), tmp_path / str(every), device="cpu", on_step=step, on_epoch=lines.append)
        return [line["loss_total"] for line in lines]

    for every in (1, 2):
        monkeypatch.setattr("posefix.training.loop.READ_EVERY", {"cpu": every})
        logged[every] = training(every)
    assert logged[1] == logged[2]
    assert seen[2][0] == seen[1][0] and seen[2][1] == seen[1][0] and seen[2][2] == seen[1][2]
    assert all(math.isfinite(loss) for loss in seen[2])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs g++")
def test_a_compiled_network_learns_what_an_eager_one_learns(recipe: Path, tmp_path: Path) -> None:
    """In processes of their own: compiled code brings thread pools that the tests' process should not keep."""
    losses = {}
    for compiled in ("false", "true"):
        folder = tmp_path / compiled
        command = ["train", str(recipe), "-o", str(folder), "--set", f"compile={compiled}", "--device", "cpu"]
        subprocess.run([sys.executable, "-m", "posefix", *command], check=True, capture_output=True)
        lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        losses[compiled] = [json.loads(line)["loss_total"] for line in lines]
    assert losses["true"] == pytest.approx(losses["false"], rel=1e-3)
