"""Ray: started here, or found; and what of it each worker gets."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from posefix.bulk.places import reason_of
from posefix.errors import InputError

STORE_BYTES = 128 * 2**20
"""Of a local Ray's memory for objects: units and entries are small, photos and poses never go through it."""
SHARE = 4
"""Cores of a worker on the CPU, unless somebody says otherwise or machines have fewer: a network uses them well, and so
many workers decode photos for themselves."""
ANSWER_SECONDS = 5.0
ROOM_SECONDS, ROOM_PAUSE = 600.0, 5.0
"""How long a cluster may take to get a machine with room: of one that was just asked for, only the head is there."""
PATIENCE = {"RAY_raylet_start_wait_time_s": "60", "RAY_agent_register_timeout_ms": "180000"}
"""Of Ray with its own parts, which on a busy machine take longer to begin than it waits by default."""
STARTS = 3
"""Tries to start a Ray: it gives some of its parts 15 s, which no setting changes."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The workers that somebody asks for.

    Attributes:
        address: None for a Ray of its own on this machine, "auto" or HOST:PORT for a cluster's.
        workers: How many; None for as many as there is room for.
        cpus_per_worker: Cores of each; None for its share.
        gpus_per_worker: GPUs of each, such as .5; None for one where there are GPUs, else none.
    """

    address: str | None = None
    workers: int | None = None
    cpus_per_worker: float | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers: expected 1 or more, got {self.workers}")
        for name, value in (
            ("--cpus-per-worker", self.cpus_per_worker),
            ("--gpus-per-worker", self.gpus_per_worker),
        ):
            if value is not None and not 0 <= value < 1e6:
                raise InputError(f"{name}: expected a number that is not negative, got {value}")


@dataclass(frozen=True)
class Share:
    """What each worker gets.

    Attributes:
        workers: How many there are.
        cpus: Cores of each.
        gpus: GPUs of each.
        threads: Of the network, None where a GPU runs it.
    """

    workers: int
    cpus: float
    gpus: float
    threads: int | None


def require_ray() -> None:
    """Refuse to go on without what the extra brings.

    Raises:
        InputError: Something is not installed.
    """
    lacking = [name for name in ("ray", "pyarrow", "fsspec") if importlib.util.find_spec(name) is None]
    if lacking:
        raise InputError(
            f"bulk needs {', '.join(lacking)}, not installed here; run: pip install 'posefix[bulk]'"
        )


@contextmanager
def connected(fleet: Fleet) -> Iterator[Any]:
    """Ray, for as long as the context lasts; one that was running before goes on.

    Raises:
        InputError: Nobody answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use over the network otherwise
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield ray
        return
    if fleet.address is None:
        _begin(ray)
    else:
        _check_answers(fleet.address)
        try:
            ray.init(address=fleet.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(
                f"--address {fleet.address}: no Ray answers there ({reason_of(error)}); start one with `ray start`"
            ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _begin(ray: Any) -> None:
    """Start a Ray of its own.

    Raises:
        InputError: Its parts were late each time.
    """
    for start in range(STARTS):
        try:
            # "local", else a Ray that somebody started on this machine would be taken for this one.
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return
        except Exception as error:
            # Ray has no class of its own for parts that were late.
            if type(error) not in (Exception, ray.exceptions.RaySystemError):
                raise
            if start == STARTS - 1:
                raise InputError(
                    f"Ray could not be started on this machine ({reason_of(error)}): it may be too busy; start one "
                    "with `ray start --head` and name it with --address auto"
                ) from error


def _check_answers(address: str) -> None:
    """Ask at a port before Ray does, which is patient for minutes.

    Raises:
        InputError: It is no address, or nobody answers.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--address: expected auto or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--address {address}: nobody answers there ({reason_of(error)}); start Ray with `ray start --head`"
        ) from error


def share_out(ray: Any, fleet: Fleet, device: str = "auto") -> Share:
    """What each worker gets of the machines that are there; of a cluster, once there is a machine with room.

    Args:
        ray: Connected.
        fleet: What was asked for.
        device: Of the network; "cpu" leaves GPUs alone.

    Raises:
        InputError: No machine has room for one worker, of a cluster for `ROOM_SECONDS`.
    """
    until = time.monotonic() + (0.0 if fleet.address is None else ROOM_SECONDS)
    while True:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = fleet.gpus_per_worker
        if gpus is None:
            gpus = 1.0 if device != "cpu" and any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
        cpus = fleet.cpus_per_worker or _cpus(nodes, fleet, gpus)
        room = [_room(node, cpus, gpus) for node in nodes]
        if any(room):
            return Share(fleet.workers or sum(room), cpus, gpus, None if gpus else max(1, int(cpus)))
        if time.monotonic() >= until:
            raise _no_room(nodes, cpus, gpus)
        time.sleep(ROOM_PAUSE)


def _no_room(nodes: list[dict[str, float]], cpus: float, gpus: float) -> InputError:
    most = max((node.get("CPU", 0) for node in nodes), default=0)
    graphics = max((node.get("GPU", 0) for node in nodes), default=0)
    return InputError(
        f"--cpus-per-worker, --gpus-per-worker: no machine has room for a worker of {cpus:g} cores and {gpus:g} GPUs; "
        f"the largest have {most:g} cores and {graphics:g} GPUs"
    )


def _cpus(nodes: list[dict[str, float]], fleet: Fleet, gpus: float) -> float:
    """Cores of a worker: its share of what is there, or the usual."""
    known = [node.get("CPU", 0) for node in nodes if node.get("CPU", 0) and node.get("GPU", 0) >= gpus]
    smallest, total = min(known, default=1), sum(known)
    if fleet.workers is not None:
        share = total / fleet.workers
        return min(smallest, float(int(share)) if share >= 1 else share)
    return min(SHARE, smallest)


def _room(node: dict[str, float], cpus: float, gpus: float) -> int:
    """Workers that a machine has room for."""
    rooms = [node.get("CPU", 0) / cpus] if cpus else []
    rooms += [node.get("GPU", 0) / gpus] if gpus else []
    return int(min(rooms, default=0.0) + 1e-9)
