"""Gradients of a batch, made in parts where the device's memory does not hold it whole."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from posefix.nn.losses import LossAverage
from posefix.training.datasets import Batch


class Gradients:
    """Adds the gradients of a batch's losses to a network's parameters.

    A batch that the device's memory does not hold is learnt in halves, then in quarters and so on, with a warning, and
    so are those after it. Losses are means over keypoints, so each part counts by its share of the labelled ones, or
    of all: the sum is the whole batch's gradient, up to labels outside their crops, to batch normalisation, which
    sees only one part at a time, and to the baselines' losses that are means over something else.

    Args:
        model: Returns losses by name, "total" among them, of the five tensors of a batch.
        mark: Called with "forward" and "backward" when a pass has ended.
        device: That the model is on.
        half: Compute in bfloat16 what bears it.
        splits: Whether to split at all. Processes that share gradients must all do the same and don't.
        average: Over which keypoints the losses are means.

    Attributes:
        parts: In which the next batch is learnt.
    """

    def __init__(
        self,
        model: nn.Module,
        mark: Callable[[str], None],
        *,
        device: torch.device,
        half: bool = False,
        splits: bool = True,
        average: LossAverage = "labelled",
    ) -> None:
        self.parts = 1
        self._model, self._mark, self._splits = model, mark, splits
        self._device, self._half, self._average = device, half, average

    def __call__(self, batch: Batch, images: Tensor) -> dict[str, Tensor]:
        """The losses of a batch, detached, after their gradients have been made anew.

        Args:
            batch: On the device.
            images: Instead of the batch's.

        Raises:
            torch.OutOfMemoryError: The memory does not hold a single person, or splitting is not allowed.
        """
        while True:
            try:
                return self._accumulated(batch, images)
            except torch.OutOfMemoryError:
                if not self._splits or self.parts >= len(images):
                    raise
            # Outside the handler, whose exception keeps what the failed pass had stored.
            self._split(len(images))

    def _accumulated(self, batch: Batch, images: Tensor) -> dict[str, Tensor]:
        self._model.zero_grad(set_to_none=True)
        counted = batch.labelled if self._average == "labelled" else torch.ones_like(batch.labelled)
        tensors = (images, batch.keypoints, batch.weights, batch.targets, batch.labelled, counted)
        everything = counted.sum().clamp(min=1)
        sums: dict[str, Tensor] = {}
        for *part, counts in zip(
            *(torch.tensor_split(tensor, self.parts) for tensor in tensors), strict=True
        ):
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                losses: dict[str, Tensor] = self._model(*part)
            self._mark("forward")
            share = counts.sum() / everything if self.parts > 1 else 1.0
            (losses["total"] * share).backward()
            self._mark("backward")
            for key, value in losses.items():
                sums[key] = sums.get(key, 0) + value.detach() * share
        return sums

    def _split(self, count: int) -> None:
        self.parts = min(2 * self.parts, count)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            f"the memory of {self._device} does not hold {-(-2 * count // self.parts)} people at once; going on "
            f"with {self.parts} parts of each batch, one after the other. A smaller optimiser.batch_size spares that",
            RuntimeWarning,
            stacklevel=2,
        )
