"""Where the time of a training step goes.

On a CPU a moment is what the clock says. On a GPU, which works behind the program, a moment is an event in its stream
of work: what lies between two events is time of the GPU, including that in which it had nothing to do. So "waiting for
data" is the GPU's idle time before a batch came, not the program's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch

from posefix.training.loop import Trainer

WARM_UP_STEPS, MEASURED_STEPS = 10, 30
PHASES = ("waiting for data", "copy", "augmentation", "forward", "backward", "optimiser")
"""Parts of a step in their order. Crops that the device makes belong to the augmentation, rendering of the input pose
and of targets to the forward pass."""


class StepTimer:
    """Takes down when each part of each step ended.

    Args:
        device: That the steps run on.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.moments: list[tuple[str, Any]] = []

    def __call__(self, phase: str) -> None:
        """A part of a step, one of `PHASES`, has ended; or the first step begins, whatever that is called."""
        if self.device.type != "cuda":
            self.moments.append((phase, time.perf_counter()))
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        self.moments.append((phase, event))

    def seconds(self, skip: int) -> dict[str, list[float]]:
        """Durations of each part of each step.

        Args:
            skip: Steps to leave out at the start.
        """
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        steps = [dict.fromkeys(PHASES, 0.0)]
        for (_, start), (phase, end) in pairwise(self.moments):
            # A batch that is learnt in parts goes forward and backward more than once.
            steps[-1][phase] += start.elapsed_time(end) / 1000 if self.device.type == "cuda" else end - start
            if phase == PHASES[-1]:
                steps.append(dict.fromkeys(PHASES, 0.0))
        return {phase: [step[phase] for step in steps[skip:-1]] for phase in PHASES}


@dataclass(frozen=True)
class StepTimes:
    """What some steps took.

    Attributes:
        seconds: Duration of each part in each step, by `PHASES`.
        batch_size: People a step, over all processes.
        device: That this process's steps ran on.
    """

    seconds: dict[str, list[float]]
    batch_size: int
    device: str

    @property
    def steps(self) -> list[float]:
        """Seconds of each step."""
        return [sum(parts) for parts in zip(*(self.seconds[phase] for phase in PHASES), strict=True)]

    @property
    def people_per_second(self) -> float:
        """Over all steps."""
        return self.batch_size * len(self.steps) / sum(self.steps)

    def share(self, phase: str) -> float:
        """Of the time of all steps."""
        return sum(self.seconds[phase]) / sum(self.steps)

    def as_text(self) -> str:
        """A table: milliseconds of a step's parts, median and quartiles, and shares of the whole."""
        lines = [f"{'':18}{'median':>10}{'quartiles':>23}{'share':>8}"]
        rows = [(phase, self.seconds[phase], self.share(phase)) for phase in PHASES]
        for phase, values, share in [*rows, ("step", self.steps, 1.0)]:
            low, median, high = (1000 * value for value in np.quantile(values, [0.25, 0.5, 0.75]))
            quartiles = f"{low:.2f} to {high:.2f}"
            lines.append(f"{phase:18}{median:>7.2f} ms{quartiles:>20} ms{share:>8.1%}")
        lines.append(
            f"{len(self.steps)} steps of {self.batch_size} people on {self.device}: "
            f"{self.people_per_second:.0f} people a second"
        )
        return "\n".join(lines)


def time_steps(
    trainer: Trainer,
    *,
    warm_up: int = WARM_UP_STEPS,
    steps: int = MEASURED_STEPS,
    on_step: Callable[[int, int], None] | None = None,
) -> StepTimes:
    """Train for some steps and tell where their time went; nothing is written.

    Args:
        trainer: Has not run yet; its network has learnt a little afterwards.
        warm_up: Steps before those that are measured.
        steps: Steps that are measured, fewer where the recipe has fewer.
        on_step: Called after each step with the steps done and in all.
    """
    timer = StepTimer(trainer.process.device)
    trainer.mark = timer
    optimiser = trainer.config.optimiser
    count = min(warm_up + steps, optimiser.epochs * len(trainer.sampler))
    timer("start")
    for done, _ in enumerate(trainer.steps(islice(trainer.batches(), count)), start=1):
        if on_step is not None:
            on_step(done, count)
    seconds = timer.seconds(skip=min(warm_up, count - 1))
    return StepTimes(seconds, optimiser.batch_size, str(trainer.process.device))
