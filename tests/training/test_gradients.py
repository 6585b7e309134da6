"""A batch that does not fit into the memory is learnt in parts, to the same effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError  # noqa: E402
from posefix.nn.losses import LossAverage  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training.config import load_recipe  # noqa: E402
from posefix.training.datasets import Batch  # noqa: E402
from posefix.training.gradients import Gradients  # noqa: E402
from posefix.training.loop import Process, Trainer  # noqa: E402
from posefix.training.run import new_trainer  # noqa: E402

PEOPLE, KEYPOINTS = 7, 3


class Small(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Mean errors over labelled keypoints, or over all; the memory holds so many people."""

    def __init__(self, room: int, average: LossAverage) -> None:
        super().__init__()
        self.average = average
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, KEYPOINTS))
        self.room = room
        self.seen: list[int] = []

    def forward(
        self,
        images: Any,
        keypoints: Any,
        weights: Any,
        targets: Any,
        labelled: Any,
    ) -> dict[str, Any]:
        self.seen.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError
        error = ((keypoints * self.weight[:, None] - targets) ** 2).sum(-1) * labelled
        total = error.sum() / (labelled.numel() if self.average == "all" else labelled.sum().clamp(min=1))
        return {"total": total, "twice": 2 * total}


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    places = torch.rand((2, PEOPLE, KEYPOINTS, 2), generator=generator)
    labelled = torch.rand((PEOPLE, KEYPOINTS), generator=generator) > 0.4
    labelled[3] = False  # one who teaches nothing
    return Batch(torch.zeros(PEOPLE, 4, 4, 3), places[0], torch.ones(PEOPLE, KEYPOINTS), places[1], labelled)


def learn(
    room: int, *, splits: bool = True, average: LossAverage = "labelled"
) -> tuple[Small, Gradients, dict[str, Any]]:
    model = Small(room, average)
    gradients = Gradients(
        model, lambda phase: None, device=torch.device("cpu"), splits=splits, average=average
    )
    return model, gradients, gradients(batch(), batch().images)


@pytest.mark.parametrize("average", ["labelled", "all"])
@pytest.mark.parametrize(("room", "parts"), [(6, 2), (2, 4), (1, 7)])
def test_parts_have_the_gradient_and_the_losses_of_the_whole(
    room: int, parts: int, average: LossAverage
) -> None:
    whole, _, expected = learn(PEOPLE, average=average)
    with pytest.warns(RuntimeWarning) as warned:
        split, gradients, losses = learn(room, average=average)
    assert "does not hold 7 people at once; going on with 2 parts" in str(warned[0].message)
    assert gradients.parts == parts
    assert whole.weight.grad is not None
    torch.testing.assert_close(split.weight.grad, whole.weight.grad)
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name])
    assert not losses["total"].requires_grad


@pytest.mark.filterwarnings("ignore:the memory of cpu:RuntimeWarning")
def test_the_next_batch_is_split_at_once() -> None:
    model, gradients, _ = learn(2)
    before = len(model.seen)
    gradients(batch(), batch().images)
    assert model.seen[before:] == [2, 2, 2, 1]


def test_processes_that_share_gradients_do_not_split() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        learn(2, splits=False)


def trainer_of(recipe: Path, output: Path) -> Trainer:
    config = load_recipe(recipe)
    return new_trainer(config, load_skeleton(config.skeleton), output, Process(torch.device("cpu")))


@pytest.mark.filterwarnings("ignore:the memory of cpu:RuntimeWarning")
@pytest.mark.parametrize("room", [0, 2])
def test_training_goes_on_in_parts_or_says_what_to_do(
    room: int, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(recipe, tmp_path)
    losses = trainer.network.losses

    def full(images: Any, *others: Any) -> dict[str, Any]:
        if len(images) > room:
            raise torch.OutOfMemoryError
        return losses(images, *others)

    monkeypatch.setattr(trainer.network, "losses", full)
    if room:
        trainer.run()
        assert trainer.gradients.parts == 2
        assert len((tmp_path / "log.jsonl").read_text().splitlines()) == trainer.config.optimiser.epochs
        return
    told = r"memory of cpu is full at batch_size 4; set optimiser.batch_size to 2"
    with pytest.raises(InputError, match=told):
        trainer.run()
