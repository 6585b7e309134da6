"""Which people make up which batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class BatchSampler(Sampler[tuple[int, ...]]):
    """Keys of an epoch's batches in a random order that depends on (seed, epoch) alone.

    Args:
        count: Number of people.
        batch_size: People in each process's batch; the last, smaller batch of an epoch is left out.
        seed: Of the shuffling.
        rank: Which of `world_size` processes this is; the processes share each epoch out between them.
        world_size: Number of processes.
    """

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.count // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        for step in range(len(self)):
            number = step * self.world_size + self.rank
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield (self.epoch, number, *(int(row) for row in rows))


class FollowingEpochs(Sampler[tuple[int, ...]]):
    """Keys of one epoch after the other, so that loading goes on while an epoch ends.

    Args:
        sampler: Of single epochs.
        first: The first epoch.
        end: The epoch after the last.
    """

    def __init__(self, sampler: BatchSampler, first: int, end: int) -> None:
        self.sampler = sampler
        self.first = first
        self.end = end

    def __len__(self) -> int:
        return len(self.sampler) * (self.end - self.first)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        for epoch in range(self.first, self.end):
            self.sampler.epoch = epoch
            yield from self.sampler
