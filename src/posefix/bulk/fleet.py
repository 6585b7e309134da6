"""The fleet at work: units go to workers that are there, and back into the queue from those that die."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from posefix.bulk.cluster import Share
from posefix.bulk.inputs import Unit
from posefix.bulk.ledger import Fault
from posefix.bulk.places import reason_of
from posefix.bulk.settings import Settings
from posefix.errors import InputError

IN_FLIGHT = 2
"""Units of a worker at a time: one computes while the other's photos are fetched."""
TICK_SECONDS = 1.0
HOPELESS = 20
"""So many units put aside in a row are no faults of units."""
OnDone = Callable[[Unit, dict[str, Any]], None]
OnTick = Callable[[int], None]


@dataclass
class Crew:
    """Workers, and what each is at.

    Attributes:
        ray: Connected.
        make: Makes a worker's handle.
        greeting: What each is told before its first unit, see `Worker.hello`.
        tries: How often a unit is tried that fails, or whose worker dies.
        check: Looks at the answer of a worker's `hello`. Raises InputError.
        aside: Units given up, and why.
    """

    ray: Any
    make: Callable[[], Any]
    greeting: dict[str, Any]
    tries: int
    check: Callable[[dict[str, str]], None]
    aside: list[Fault] = field(default_factory=list)
    _tasks: dict[Any, tuple[Any, Unit | None]] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)
    _queue: deque[Unit] = field(default_factory=deque)
    _known: dict[int, Any] = field(default_factory=dict)
    _idle: list[Any] = field(default_factory=list)
    _in_a_row: int = 0
    _early_deaths: int = 0

    def run(
        self, there: Sequence[Any], workers: int, units: Sequence[Unit], on_done: OnDone, on_tick: OnTick
    ) -> None:
        """Have all units done, or given up.

        Args:
            there: Workers that are there.
            workers: How many are to be.
            units: What is to be done, in this order.
            on_done: Called with each unit's entry.
            on_tick: Called every second or so, with the number of workers that are at work.

        Raises:
            InputError: A unit has a fault and faults are to stop the run, a worker is of no use, or nothing succeeds.
        """
        self._queue.extend(units)
        for worker in there:
            self._greet(worker)
        for _ in range(min(workers, len(self._queue)) - len(there)):
            self._hire()
        # A worker for whom there is no room, since a machine was lost, is not waited for.
        while self._tasks and (self._queue or any(unit is not None for _, unit in self._tasks.values())):
            self.ray.wait(list(self._tasks), num_returns=1, timeout=TICK_SECONDS)
            # All that have ended: to ask for each alone would bound a large fleet.
            ready, _ = self.ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
            for task in ready:
                self._take(task, on_done)
            on_tick(len({id(worker) for worker, unit in self._tasks.values() if unit is not None}))

    def _hire(self) -> None:
        self._greet(self.make())

    def _greet(self, worker: Any) -> None:
        self._tasks[worker.hello.remote(self.greeting)] = (worker, None)

    def _take(self, task: Any, on_done: OnDone) -> None:
        """Deal with a task that has ended, one way or the other."""
        if task not in self._tasks:
            return  # of a worker that died with another
        worker, unit = self._tasks.pop(task)
        try:
            answer = self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            self._failed(worker, unit, error)
        except self.ray.exceptions.RayError as error:
            self._died(worker, unit, error)
        else:
            if unit is None:
                self._greeted(worker, answer)
            else:
                self._in_a_row = 0
                on_done(unit, answer)
                self._give(worker)

    def _greeted(self, worker: Any, answer: dict[str, str]) -> None:
        self.check(answer)
        self._early_deaths = 0
        self._known[id(worker)] = worker
        self._give(worker)

    def _give(self, worker: Any) -> None:
        """Give a worker what it has room for; a unit that failed before goes alone, so that no other dies with it.

        Whoever is left with nothing is remembered: a unit may come back when no other worker is at one.
        """
        while self._queue:
            at_work = [unit for owner, unit in self._tasks.values() if owner is worker and unit is not None]
            suspect = any(unit.name in self._failures for unit in (*at_work, self._queue[0]))
            if len(at_work) >= IN_FLIGHT or (at_work and suspect):
                return
            unit = self._queue.popleft()
            self._tasks[worker.refine.remote(unit)] = (worker, unit)
        if not any(owner is worker for owner, _ in self._tasks.values()):
            self._idle.append(worker)

    def _wake(self) -> None:
        """Call workers that had nothing left to do, for the units that came back.

        They are greeted once more, since nobody heard of those whose machine was lost meanwhile: that they die is no
        fault of a unit.
        """
        for _ in range(min(len(self._queue), len(self._idle))):
            self._greet(self._idle.pop())

    def _failed(self, worker: Any, unit: Unit | None, error: Any) -> None:
        """A worker lives and says that something is wrong."""
        cause = error.cause
        if isinstance(cause, InputError):
            raise InputError(str(cause)) from error
        if unit is None:
            raise InputError(f"a worker could not begin: {told(cause)}") from error
        self._again(unit, told(cause), tries=1 if isinstance(cause, OSError) else self.tries)
        self._give(worker)
        self._wake()

    def _died(self, worker: Any, unit: Unit | None, error: BaseException) -> None:
        """A worker is gone; a new one takes its place."""
        lost = [task for task, (owner, _) in self._tasks.items() if owner is worker]
        units = [own for own in (unit, *(self._tasks.pop(task)[1] for task in lost)) if own is not None]
        for own in units:
            self._again(own, f"its worker died ({told(error)})", self.tries)
        self.ray.kill(worker)
        is_new = self._known.pop(id(worker), None) is None
        if is_new:
            self._early_deaths += 1
            if self._early_deaths > HOPELESS:
                raise InputError(f"workers die before they begin: {told(error)}")
        self._wake()
        if is_new or (units and self._queue):
            self._hire()

    def _again(self, unit: Unit, reason: str, tries: int) -> None:
        """Put a unit back into the queue, or aside where it has been tried often enough."""
        failures = self._failures[unit.name] = self._failures.get(unit.name, 0) + 1
        if failures < tries:
            self._queue.append(unit)
            return
        self.aside.append(Fault(unit.address, "", "", f"put aside: {reason}; run the same command again"))
        self._in_a_row += 1
        if self._in_a_row >= HOPELESS:
            raise InputError(
                f"{self._in_a_row} units failed one after the other, the last: {unit.address}: {reason}; mend that and "
                "run the same command again, which goes on from here"
            )


def make_worker(ray: Any, settings: Settings, share: Share) -> Callable[[], Any]:
    """What makes a worker on some machine of the cluster."""
    from posefix.bulk.worker import Worker

    actor = ray.remote(Worker).options(
        num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0, max_concurrency=IN_FLIGHT
    )
    return lambda: actor.remote(settings)


def told(error: BaseException) -> str:
    """What an error is, and says, in a line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {reason_of(RuntimeError(lines[0]))}"
