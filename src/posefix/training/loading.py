"""From a dataset in worker processes to batches on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from posefix.errors import InputError


def load_batches(
    dataset: Dataset[Any], keys: Sampler[tuple[int, ...]], workers: int, device: torch.device
) -> Iterator[Any]:
    """The batches of some keys, in their order, in page-locked memory where they go to a GPU.

    Workers are at most two batches each ahead, which bounds memory.

    Raises:
        InputError: A picture cannot be read.
    """
    loader: DataLoader[Any] = DataLoader(
        dataset, batch_size=None, sampler=keys, num_workers=workers, pin_memory=device.type == "cuda"
    )
    try:
        yield from loader
    except InputError as error:
        # A worker's error carries the worker's traceback; its last line is what it says.
        raise InputError(str(error).strip().splitlines()[-1].removeprefix(_PREFIX)) from error


_PREFIX = f"{InputError.__module__}.{InputError.__qualname__}: "


class Mover:
    """Brings batches to a device; to a GPU in a stream of their own, behind the step before.

    Args:
        device: Where to.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: Any) -> Any:
        """The batch there, ready for work that is given to the device from now on."""
        if self.stream is None:
            return batch.to(self.device)
        with torch.cuda.stream(self.stream):
            moved = batch.to(self.device)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        for part in vars(moved).values():
            # Its memory belongs to the other stream, which must not take it back before this one has read it.
            part.record_stream(current)
        return moved
