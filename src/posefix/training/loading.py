"""From a dataset in worker processes to batches on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from posefix.errors import InputError

_PREFIX = f"{InputError.__module__}.{InputError.__qualname__}: "

AnyBatch = TypeVar("AnyBatch", bound="TensorBatch")


@dataclass(frozen=True)
class TensorBatch:
    """A batch whose fields are all tensors."""

    def tensors(self) -> list[Tensor]:
        """The tensors, in the order of the fields."""
        return [getattr(self, field.name) for field in dataclasses.fields(self)]

    def to(self: AnyBatch, device: torch.device) -> AnyBatch:
        """The same on another device; from page-locked memory the copy goes on in the background."""
        return type(self)(*(part.to(device, non_blocking=True) for part in self.tensors()))

    def pin_memory(self: AnyBatch) -> AnyBatch:
        """The same in page-locked memory (called by the data loader)."""
        return type(self)(*(part.pin_memory() for part in self.tensors()))


def load_batches(
    dataset: Dataset[AnyBatch], keys: Iterable[tuple[int, ...]], workers: int, device: torch.device
) -> Iterator[AnyBatch]:
    """The batches of some keys, in their order, in page-locked memory where they go to a GPU.

    Workers are at most two batches each ahead, which bounds memory.

    Raises:
        InputError: A picture cannot be read.
    """
    loader: DataLoader[AnyBatch] = DataLoader(
        dataset, batch_size=None, sampler=keys, num_workers=workers, pin_memory=device.type == "cuda"
    )
    try:
        yield from loader
    except InputError as error:
        # A worker's error carries the worker's traceback; its last line is what it says.
        raise InputError(str(error).strip().splitlines()[-1].removeprefix(_PREFIX)) from error


class Mover:
    """Brings batches to a device; to a GPU in a stream of their own, behind the step before.

    Args:
        device: Where to.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        """The batch there, ready for work that is given to the device from now on."""
        if self.stream is None:
            return batch.to(self.device)
        with torch.cuda.stream(self.stream):
            moved = batch.to(self.device)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        for part in moved.tensors():
            # Its memory belongs to the other stream, which must not take it back before this one has read it.
            part.record_stream(current)
        return moved
