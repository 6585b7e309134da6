"""Whether data are ready before the device wants them: people a second of each data path and of the network.

    python -m benchmarks.training_speed [--data DIR] [--device cuda] [--models small,resnet50,resnet152]

On the same people, with the recipe of each network:

* data alone: batches made by the worker processes and brought to the device as crops, nothing learnt; from photos,
  decoded and cropped with OpenCV for each batch (a plain DataLoader), and from shards (`posefix prepare`), with crops
  made by the workers and by the device;
* consumption: steps of the network on one batch that lies on the device already;
* both: `posefix train --profile`, and the share of a step that the device waits for data.

The time of the paper's schedule is projected: 140 epochs of 150,000 people. Ratios are of medians. The set is small, so
that all of it lies in the system's memory of files. Keeps
benchmarks/results/training_speed.json, or training_speed_cuda.json; a run with --trial keeps nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from benchmarks.environment import DATA, describe, keep, spread

from posefix import load_skeleton
from posefix.training.config import DataConfig, TrainConfig, load_recipe
from posefix.training.loop import Trainer, start_process
from posefix.training.packing import PackedBatch
from posefix.training.prepared import prepare
from posefix.training.run import new_trainer
from posefix.training.step_times import time_steps

RECIPES = {"small": "small", "resnet50": "coco-resnet50-256x192", "resnet152": "coco-resnet152-384x288"}
EPOCHS, PEOPLE = 140, 150_000
"""Of the paper's training (its section 6, COCO's train2017)."""
NOT_ENDING = 10_000
"""Epochs; a benchmark stops by itself."""


def config_of(model: str, arguments: argparse.Namespace, folder: Path) -> TrainConfig:
    """The recipe of a network, on people without estimates, with random weights."""
    recipe = load_recipe(RECIPES[model])
    data = DataConfig(
        root=str(arguments.data),
        annotations=("coco/person_keypoints_train.json",),
        images=("coco/images",),
        repeats=(arguments.repeat,),
    )
    optimiser = dataclasses.replace(
        recipe.optimiser, batch_size=arguments.batch_size, epochs=NOT_ENDING, schedule="step"
    )
    half = "bfloat16" if arguments.device == "cuda" else recipe.precision
    config = dataclasses.replace(
        recipe,
        data=data,
        optimiser=optimiser,
        precision=half,
        backbone_weights="none",
        initial_weights="",
        workers=arguments.workers,
        compile=arguments.compile,
    )
    shards = folder / f"{config.skeleton}-{max(config.model.input_size_wh)}"
    prepare(config, shards)
    return dataclasses.replace(config, data=dataclasses.replace(data, shards=str(shards)))


def ways(config: TrainConfig) -> dict[str, TrainConfig]:
    """The data paths that are compared."""
    photos = dataclasses.replace(config.data, shards="")
    return {
        "photos": dataclasses.replace(config, data=photos),
        "shards, crops by workers": dataclasses.replace(config, crop_on="workers"),
        "shards, crops by the device": dataclasses.replace(config, crop_on="device"),
    }


def trainer_of(config: TrainConfig, device: str) -> Trainer:
    return new_trainer(config, load_skeleton(config.skeleton), Path(), start_process(device))


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def data_alone(trainer: Trainer, turns: int, steps: int) -> list[float]:
    """People a second that arrive on the device as crops, in each turn of so many steps."""
    device, size_wh = trainer.process.device, trainer.config.model.input_size_wh
    batches = trainer.batches()

    def take(count: int) -> None:
        for batch in islice(batches, count):
            moved = trainer.move(batch)
            if isinstance(moved, PackedBatch):
                moved.unpacked(size_wh)
        wait_for(device)

    # What the workers made ahead while nobody looked does not count.
    take(2 * trainer.config.workers + 2)
    rates = []
    for _ in range(turns):
        start = time.perf_counter()
        take(steps)
        rates.append(steps * trainer.config.optimiser.batch_size / (time.perf_counter() - start))
    return rates


def consumption(trainer: Trainer, turns: int, steps: int) -> list[float]:
    """People a second that the network learns from, of a batch that is there."""
    device = trainer.process.device
    batch = trainer.move(next(trainer.batches()))
    if isinstance(batch, PackedBatch):
        batch = batch.unpacked(trainer.config.model.input_size_wh)

    def learn(count: int) -> None:
        for _ in trainer.steps(batch for _ in range(count)):
            pass
        wait_for(device)

    learn(max(steps // 2, 2))
    rates = []
    for _ in range(turns):
        start = time.perf_counter()
        learn(steps)
        rates.append(steps * trainer.config.optimiser.batch_size / (time.perf_counter() - start))
    return rates


def measure(config: TrainConfig, arguments: argparse.Namespace) -> dict[str, Any]:
    """All numbers of one network."""
    turns, steps, device = arguments.turns, arguments.steps, arguments.device
    consumed = spread(consumption(trainer_of(ways(config)["photos"], device), turns, steps))
    measured: dict[str, Any] = {"consumption_people_per_second": consumed, "ways": {}}
    for name, way in ways(config).items():
        fed = spread(data_alone(trainer_of(way, device), turns, steps))
        times = time_steps(trainer_of(way, device), warm_up=max(steps // 2, 3), steps=turns * steps)
        measured["ways"][name] = {
            "data_people_per_second": fed,
            "data_over_consumption": fed["median"] / consumed["median"],
            "people_per_second": times.people_per_second,
            "shares": {phase: times.share(phase) for phase in times.seconds},
            "projected_hours": EPOCHS * PEOPLE / times.people_per_second / 3600,
        }
    return measured


def as_text(model: str, measured: dict[str, Any]) -> str:
    rate = measured["consumption_people_per_second"]["median"]
    lines = [f"{model}: the network alone {rate:.0f} people/s"]
    for name, way in measured["ways"].items():
        lines.append(
            f"  {name:28} data alone {way['data_people_per_second']['median']:.0f} people/s "
            f"({way['data_over_consumption']:.2f} x), both {way['people_per_second']:.0f} people/s, "
            f"waiting {way['shares']['waiting for data']:.1%}"
        )
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--models", help="of small, resnet50, resnet152; by default those that suit the device"
    )
    parser.add_argument(
        "--workers", type=int, help="worker processes; by default the cores, less one on a CPU"
    )
    parser.add_argument("--batch-size", type=int, help="by default 128 on a GPU and 16 on a CPU")
    parser.add_argument("--turns", type=int, default=3, help="measurements of each number")
    parser.add_argument("--steps", type=int, help="steps of each; by default 40 on a GPU and 6 on a CPU")
    parser.add_argument("--compile", action="store_true", help="compile the networks")
    parser.add_argument("--trial", action="store_true", help="keep nothing")
    options = parser.parse_args(arguments)
    gpu = options.device == "cuda"
    cores = torch.multiprocessing.cpu_count()
    options.models = (options.models or ("resnet50,resnet152" if gpu else "small")).split(",")
    options.workers = (
        options.workers if options.workers is not None else (cores if gpu else max(cores - 1, 1))
    )
    options.batch_size = options.batch_size or (128 if gpu else 16)
    options.steps = options.steps or (40 if gpu else 6)
    options.repeat = max(1, options.batch_size // 16)  # the set is small; more rows make whole batches
    return options


def main() -> None:
    options = parse()
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            measured[model] = measure(config_of(model, options, Path(folder)), options)
            print(as_text(model, measured[model]), flush=True)
    environment = describe(["opencv-python-headless", "pillow", "timm", "torch"])
    setting = {
        name: getattr(options, name) for name in ("workers", "batch_size", "turns", "steps", "compile")
    }
    if options.device == "cuda":
        environment["gpu"] = torch.cuda.get_device_name()
    if options.trial:
        print(json.dumps(measured, indent=1))
        return
    name = "training_speed" if options.device == "cpu" else f"training_speed_{options.device}"
    print(f"kept: {keep(name, environment, {'settings': setting, 'models': measured})}")


if __name__ == "__main__":
    main()
