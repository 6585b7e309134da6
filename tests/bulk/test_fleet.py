"""The fleet at work, with a Ray that is none: who is given what when workers and machines are lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from posefix.bulk.fleet import HOPELESS, Crew
from posefix.bulk.inputs import Unit

MOST_TICKS = 200


class RayError(Exception):
    """What Ray says of a task whose worker died."""


class RayTaskError(Exception):
    """What Ray says of a task that raised."""


class Hand:
    """A worker's handle; tasks of the dead end with `RayError`.

    Attributes:
        name: Of the worker.
        room: Whether any machine has room for it; without, not even its greeting ends.
    """

    def __init__(self, ray: Ray, name: str, *, room: bool = True) -> None:
        self.name, self.room, self.dead = name, room, False
        self.hello, self.refine = (_Remote(ray, self, what) for what in ("hello", "refine"))


class _Remote:
    def __init__(self, ray: Ray, hand: Hand, what: str) -> None:
        self._ray, self._hand, self._what = ray, hand, what

    def remote(self, given: Any) -> int:
        return self._ray.begin(self._hand, given if self._what == "refine" else None)


class Ray:
    """Knows tasks by numbers.

    Attributes:
        tasks: Who was given what; None is a greeting.
        takes: Ticks that a unit takes with a worker, 1 by default.
        ticks: How often it was waited.
    """

    exceptions: Any

    def __init__(self) -> None:
        self.tasks: list[tuple[Hand, Unit | None]] = []
        self.takes: dict[str, int] = {}
        self.ticks = 0
        self._begun: list[int] = []

    def begin(self, hand: Hand, unit: Unit | None) -> int:
        self.tasks.append((hand, unit))
        self._begun.append(self.ticks)
        return len(self.tasks) - 1

    def wait(self, tasks: Sequence[int], *, num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        if timeout:
            self.ticks += 1
            assert self.ticks < MOST_TICKS, "nobody is given what is left"
        ready = [task for task in tasks if self._has_ended(task)]
        return ready[:num_returns], [task for task in tasks if task not in ready]

    def _has_ended(self, task: int) -> bool:
        hand, unit = self.tasks[task]
        takes = 1 if unit is None else self.takes.get(hand.name, 1)
        return hand.dead or (hand.room and self.ticks >= self._begun[task] + takes)

    def get(self, task: int) -> dict[str, str]:
        hand, _ = self.tasks[task]
        if hand.dead:
            raise RayError(f"{hand.name} died")
        return {"worker": hand.name}

    def kill(self, hand: Hand) -> None:
        hand.dead = True

    def doers(self, units: Sequence[Unit]) -> list[str]:
        """Who was given each unit last."""
        last = {unit.name: hand.name for hand, unit in self.tasks if unit is not None}
        return [last[unit.name] for unit in units]


Ray.exceptions = type("exceptions", (), {"RayError": RayError, "RayTaskError": RayTaskError})


def units_of(count: int) -> list[Unit]:
    return [Unit(f"{number}.json", f"/poses/{number}.json", 1, 1) for number in range(count)]


def crew_of(ray: Ray, hired: list[Hand], tries: int) -> Crew:
    """Workers that are hired are those of a list, in its order; after them there is no room."""
    rest = iter(hired)
    return Crew(ray, lambda: next(rest, Hand(ray, "nobody", room=False)), {}, tries, lambda answer: None)


@pytest.mark.parametrize("gone", [0, 3, HOPELESS + 5], ids=lambda gone: f"{gone} idle ones lost, too")
def test_units_of_a_lost_machine_go_to_a_worker_that_was_out_of_work(gone: int) -> None:
    """Of two machines one is lost with the last two units, and for a worker in its place there is no room."""
    ray, units = Ray(), units_of(4 + 2 * gone)
    here, away = Hand(ray, "here"), Hand(ray, "away")
    others = [Hand(ray, f"beside {number}") for number in range(gone)]
    ray.takes["away"] = 50
    done: list[str] = []

    def lose(workers: int) -> None:
        if len(done) == len(units) - 2:
            for hand in (away, *others):
                hand.dead = True

    crew = crew_of(ray, [away, *others], tries=2)
    crew.run([here], 2 + gone, units, lambda unit, _: done.append(unit.name), lose)
    assert sorted(done) == sorted(unit.name for unit in units)
    assert crew.aside == []
    assert ray.doers(units).count("away") == 0
