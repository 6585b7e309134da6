"""Which people make up which batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BatchSampler:
    """Draws an epoch's batches in a random order that depends on (seed, epoch) alone.

    Attributes:
        count: Number of people.
        batch_size: People in each process's batch; the last, smaller batch of an epoch is left out.
        seed: Of the shuffling.
        rank: Which of `world_size` processes this is; the processes share each epoch out between them.
        world_size: Number of processes.
    """

    count: int
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.count // (self.batch_size * self.world_size)

    def keys(self, epoch: int) -> Iterator[tuple[int, ...]]:
        """The (epoch, number of the batch, row, row, ...) of each batch of an epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        for step in range(len(self)):
            number = step * self.world_size + self.rank
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield (epoch, number, *(int(row) for row in rows))
