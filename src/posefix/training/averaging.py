"""The moving average of a network's weights."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    """PyTorch's moving average, batch statistics included, without its copy to the GPU at every step.

    That copy is of a counter which no formula here reads, and to copy is to wait until the GPU has done all its work.

    At first the average follows faster, as TensorFlow's does by the number of its updates: of a training of a few
    hundred steps, a slow average would be the network of the beginning for a good part.

    Args:
        network: Whose weights, on its device.
        decay: Share of the average that stays at each step, once many were taken.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        # Batch statistics are averaged too: they belong to the averaged weights.
        super().__init__(network, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Go a step towards a network's weights, the first time all of the way."""
        first = bool(self.n_averaged == 0)  # this counter stays on the CPU
        own, new = _tensors(self.module), _tensors(model)
        moving = [not first and tensor.is_floating_point() for tensor in own]
        if not first:
            follow = get_ema_multi_avg_fn(min(self.decay, decay_after(int(self.n_averaged))))
            follow(_chosen(own, moving), _chosen(new, moving), self.n_averaged)
        for average, value, moved in zip(own, new, moving, strict=True):
            if not moved:
                average.copy_(value)
        self.n_averaged += 1


def decay_after(steps: int) -> float:
    """The largest share of the average that stays, when so many steps were averaged: 2/11, 3/12, 4/13, ..."""
    return (1 + steps) / (10 + steps)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(module.parameters(), module.buffers())]


def _chosen(tensors: list[Tensor], which: list[bool]) -> list[Tensor]:
    return [tensor for tensor, chosen in zip(tensors, which, strict=True) if chosen]
