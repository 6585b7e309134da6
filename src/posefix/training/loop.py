"""The training loop: plain torch, one process a device (`torchrun` starts several)."""

from __future__ import annotations

import datetime
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from posefix.errors import InputError, plural
from posefix.nn.model import PoseNetwork
from posefix.training.augmentation import change_colours
from posefix.training.averaging import MovingAverage
from posefix.training.checkpoint import Standing, load_checkpoint, save_checkpoint
from posefix.training.config import OptimiserConfig, TrainConfig
from posefix.training.datasets import Batch, WrongPoseDataset
from posefix.training.gradients import Gradients
from posefix.training.loading import Mover, load_batches
from posefix.training.packing import PackedBatch, PackedDataset
from posefix.training.sampling import BatchSampler

LOG_FILE = "log.jsonl"
CHECKPOINT_FILE = "last.safetensors"
PATIENCE = datetime.timedelta(hours=2)
"""How long the other processes wait while the first one validates."""
READ_EVERY = {"cuda": 20}
"""Steps between two looks at the loss, by device, 1 elsewhere: to look is to wait until a GPU has done all its work."""

Validate = Callable[[PoseNetwork], dict[str, float]]
"""Called with the network in evaluation mode; returns numbers for the log."""
OnStep = Callable[[int, int, int, float], None]
"""Called with the epoch (from 1), steps done and steps in all of the epoch, and the loss that was read last."""
OnEpoch = Callable[[dict[str, float]], None]
"""Called with an epoch's log line."""
Mark = Callable[[str], None]
"""Called after each part of a step with its name (`posefix.training.step_times`)."""


@dataclass(frozen=True)
class Process:
    """Which of how many training processes this is, and its device."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def leave(self) -> None:
        """Wait for the others and leave their group."""
        if self.world_size > 1:
            distributed.barrier()
            distributed.destroy_process_group()


def start_process(device: str = "auto") -> Process:
    """Join the group that `torchrun` started, or be alone.

    Args:
        device: "auto" takes a GPU if there is one, else "cpu", "cuda", "cuda:1" ...

    Raises:
        InputError: A GPU is asked for and absent.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1 and name.startswith("cuda"):
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    chosen = _existing_device(name)
    if chosen.index is not None:
        # Also what works on "the" GPU, as the loader's thread that locks pages does, must mean this one.
        torch.cuda.set_device(chosen)
    if world_size == 1:
        return Process(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    return Process(chosen, distributed.get_rank(), world_size)


def _existing_device(name: str) -> torch.device:
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (kind == "cuda" and number.isdecimal())):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:1, got {name!r}")
    there = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= there:
        raise InputError(
            f"device {name!r} was asked for, but PyTorch sees {plural(there, 'GPU') if there else 'no GPU'}; "
            "use --device auto"
        )
    return torch.device(name)


class LossModule(nn.Module):
    """A network's losses as a module's output: several processes share their gradients by wrapping a module.

    Args:
        network: Whose losses.
    """

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, image: Tensor, keypoints: Tensor, weights: Tensor, targets: Tensor, labelled: Tensor
    ) -> dict[str, Tensor]:
        """See `PoseNetwork.losses`."""
        return self.network.losses(image, keypoints, weights, targets, labelled)


def learning_rate(config: OptimiserConfig, step: int, steps_per_epoch: int) -> float:
    """Rate at a step (from 0): linear warm-up, then the schedule."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "step":
        drops = sum(step // steps_per_epoch >= drop for drop in config.drops)
        return config.learning_rate * config.drop_factor**drops
    done = (step - config.warmup_steps) / max(config.epochs * steps_per_epoch - config.warmup_steps, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass
class Trainer:
    """One run: network, optimiser, data and where they stand.

    Attributes:
        config: Settings of the run.
        network: The network being trained, on the process's device.
        dataset: Source of batches.
        output: Folder of checkpoints and log.
        process: Rank and device.
        validate: Called with the (averaged) network every `config.data.validate_every` epochs; its numbers are logged.
        on_step: Called after each step of the first process.
        on_epoch: Called after each epoch of the first process.
        mark: Called after each part of a step.
        standing: Epochs and steps done.
    """

    config: TrainConfig
    network: PoseNetwork
    dataset: WrongPoseDataset | PackedDataset
    output: Path
    process: Process
    validate: Validate | None = None
    on_step: OnStep | None = None
    on_epoch: OnEpoch | None = None
    mark: Mark | None = None
    standing: Standing = field(default_factory=lambda: Standing(0, 0))

    def __post_init__(self) -> None:
        settings, process = self.config.optimiser, self.process
        if settings.batch_size % process.world_size:
            raise InputError(
                f"batch_size {settings.batch_size} must be a multiple of the {process.world_size} processes"
            )
        self.sampler = BatchSampler(
            self._people,
            settings.batch_size // process.world_size,
            self.config.seed,
            process.rank,
            process.world_size,
        )
        if len(self.sampler) == 0:
            raise InputError(
                f"batch_size {settings.batch_size} is above the {plural(self._people, 'person')} to train on"
            )
        self.network.to(process.device).to(memory_format=torch.channels_last)
        self.model: nn.Module = LossModule(self.network)
        if process.world_size > 1:
            self.model = nn.parallel.DistributedDataParallel(self.model)
        self.average = MovingAverage(self.network, settings.average) if settings.average > 0 else None
        if self.config.compile:
            self.model.compile()
        self.move = Mover(process.device)
        self.gradients = Gradients(
            self.model,
            self._marked,
            device=process.device,
            half=self.config.precision == "bfloat16",
            splits=process.world_size == 1,
            average=self.config.model.loss_average,
        )
        self.optimiser = torch.optim.Adam(
            [weight for weight in self.network.parameters() if weight.requires_grad],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=process.device.type == "cuda",
        )

    @property
    def checkpoint_path(self) -> Path:
        """The newest checkpoint."""
        return self.output / CHECKPOINT_FILE

    @property
    def _people(self) -> int:
        """To train on, as often as an epoch shows them."""
        return len(self.dataset.records)

    def resume(self) -> None:
        """Continue from the newest checkpoint of the output folder."""
        self.standing = load_checkpoint(
            self.checkpoint_path, self.network, self.average, self.optimiser, self.config, self._people
        )

    def best_network(self) -> PoseNetwork:
        """The network to use: of averaged weights if they are kept."""
        if self.average is None:
            return self.network
        network = self.average.module
        assert isinstance(network, PoseNetwork)
        return network

    def run(self) -> None:
        """Train to the last epoch; a checkpoint and a log line after each.

        Raises:
            InputError: The device's memory is full, a picture cannot be read, or the loss is not finite.
        """
        batches, count = self.batches(), len(self.sampler)
        writer = _tensorboard(self.output) if self.process.is_first else None
        for epoch in range(self.standing.epoch, self.config.optimiser.epochs):
            started = time.perf_counter()
            numbers = self._epoch(islice(batches, count), epoch)
            people = count * self.config.optimiser.batch_size
            numbers["people_per_second"] = people / (time.perf_counter() - started)
            self.standing = Standing(epoch + 1, self.standing.step)
            if self.process.is_first:
                self._finish_epoch(epoch, numbers, writer)

    def batches(self) -> Iterator[Batch | PackedBatch]:
        """The batches of all epochs that are left; workers go on to the next epoch while one ends."""
        epochs = range(self.standing.epoch, self.config.optimiser.epochs)
        keys = chain.from_iterable(map(self.sampler.keys, epochs))
        return load_batches(self.dataset, keys, self.config.workers, self.process.device)

    def _finish_epoch(self, epoch: int, numbers: dict[str, float], writer: Any) -> None:
        last = epoch + 1 == self.config.optimiser.epochs
        # First of all, so that an epoch is not lost with a photo that validation can't read.
        save_checkpoint(
            self.checkpoint_path,
            self.network,
            self.average,
            self.optimiser,
            self.standing,
            self.config,
            self._people,
        )
        if self.validate is not None and (last or (epoch + 1) % self.config.data.validate_every == 0):
            numbers |= self.validate(self.best_network().eval())
        line = {"epoch": epoch + 1, **{key: round(value, 6) for key, value in numbers.items()}}
        with (self.output / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if writer is not None:
            for key, value in numbers.items():
                writer.add_scalar(key, value, epoch + 1)
            writer.flush()
        if self.on_epoch is not None:
            self.on_epoch(line)

    def _epoch(self, batches: Iterator[Batch | PackedBatch], epoch: int) -> dict[str, float]:
        """One pass; the mean of each loss."""
        sums: dict[str, Tensor] = {}
        count, loss = len(self.sampler), math.nan
        every = READ_EVERY.get(self.process.device.type, 1)
        for number, losses in enumerate(self.steps(batches), start=1):
            for key, value in losses.items():
                sums[key] = sums[key] + value if key in sums else value
            if (number - 1) % every == 0 or number == count:
                self._check(sums)
                loss = losses["total"].item()
            if self.on_step is not None and self.process.is_first:
                self.on_step(epoch + 1, number, count, loss)
        return {f"loss_{key}": float(value) / count for key, value in sums.items()}

    def _check(self, sums: dict[str, Tensor]) -> None:
        """Raise if a loss was not finite, which its sum remembers."""
        if not torch.isfinite(sums["total"]):
            values = ", ".join(f"{key} {float(value)}" for key, value in sums.items())
            raise InputError(
                f"the loss is not finite before step {self.standing.step} ({values}); set a smaller "
                "optimiser.learning_rate, or more optimiser.warmup_steps"
            )

    def steps(self, batches: Iterator[Batch | PackedBatch]) -> Iterator[dict[str, Tensor]]:
        """Learn from each batch; yields its losses, on the device.

        Raises:
            InputError: The device's memory is full, and smaller parts of a batch do not help (see `Gradients`).
        """
        self.model.train()
        try:
            for batch in batches:
                self._marked("waiting for data")
                yield self._step(batch)
        except torch.OutOfMemoryError as error:
            size = self.config.optimiser.batch_size
            advice = f"set optimiser.batch_size to {max(size // 2, 1)}"
            if self.config.precision != "bfloat16":
                advice += ", or precision to bfloat16"
            raise InputError(
                f"the memory of {self.process.device} is full at batch_size {size}; {advice}"
            ) from error

    def _marked(self, phase: str) -> None:
        if self.mark is not None:
            self.mark(phase)

    def _step(self, batch: Batch | PackedBatch) -> dict[str, Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config.optimiser, self.standing.step, len(self.sampler))
        batch = self.move(batch)
        self._marked("copy")
        if isinstance(batch, PackedBatch):
            batch = batch.unpacked(self.config.model.input_size_wh)
        images = self._augmented(batch.images)
        self._marked("augmentation")
        losses = self.gradients(batch, images)
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self._marked("optimiser")
        self.standing = Standing(self.standing.epoch, self.standing.step + 1)
        return losses

    def _augmented(self, images: Tensor) -> Tensor:
        """Colour changes that depend on (seed, rank, step) alone, so that a resumed run repeats them."""
        strength = self.config.augmentation.colour
        if strength == 0:
            return images
        seed = np.random.SeedSequence([self.config.seed, self.process.rank, self.standing.step])
        generator = torch.Generator(self.process.device).manual_seed(int(seed.generate_state(1)[0]))
        return change_colours(images, strength, generator)


def _tensorboard(folder: Path) -> Any:
    """A TensorBoard writer if TensorBoard is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
