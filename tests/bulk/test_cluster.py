"""What is asked of Ray before the work: starts that are late, machines that come later, shares of what is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray.exceptions

from posefix.bulk import cluster
from posefix.bulk.cluster import Fleet, Share, share_out
from posefix.errors import InputError


class Starting:
    """A Ray whose start fails some times."""

    exceptions = ray.exceptions

    def __init__(self, failures: list[Exception]) -> None:
        self.failures = failures
        self.starts = 0

    def init(self, **_: object) -> None:
        self.starts += 1
        if self.failures:
            raise self.failures.pop(0)


ERRORS: Any = ray.exceptions  # without types
LATE = Exception("The current node timed out during startup.")
LOST = ERRORS.RaySystemError("Failed to connect to GCS.")


def test_a_ray_whose_parts_were_late_is_started_again() -> None:
    starting = Starting([LATE, LOST])
    cluster._begin(starting)
    assert starting.starts == 3
    with pytest.raises(
        InputError, match=r"Ray could not be started on this machine .*timed out during startup"
    ):
        cluster._begin(Starting([LOST, LATE, LATE]))
    with pytest.raises(PermissionError):
        cluster._begin(Starting([PermissionError("/tmp/ray")]))


def machines(*resources: dict[str, float]) -> list[dict[str, Any]]:
    return [{"Alive": True, "Resources": one} for one in resources]


HEAD, CORES, GPU = {"CPU": 0.0}, {"CPU": 8.0}, {"CPU": 8.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("nodes", "fleet", "share"),
    [
        ([CORES, CORES], Fleet(), Share(4, 4, 0.0, 4)),
        ([CORES], Fleet(workers=16), Share(16, 0.5, 0.0, 1)),
        ([CORES, HEAD], Fleet(cpus_per_worker=3), Share(2, 3, 0.0, 3)),
        ([HEAD, GPU], Fleet(), Share(2, 4, 1.0, None)),
        ([GPU], Fleet(gpus_per_worker=0.5, cpus_per_worker=2), Share(4, 2, 0.5, None)),
        ([GPU], Fleet(gpus_per_worker=0), Share(2, 4, 0, 4)),
    ],
    ids=str,
)
def test_shares_of_what_is_there(nodes: list[dict[str, float]], fleet: Fleet, share: Share) -> None:
    assert share_out(SimpleNamespace(nodes=lambda: machines(*nodes)), fleet) == share


def test_a_cluster_is_waited_for_and_a_machine_alone_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ROOM_PAUSE", 0.001)
    seen = iter([machines(HEAD), machines(HEAD), machines(HEAD, GPU)])
    assert share_out(SimpleNamespace(nodes=lambda: next(seen)), Fleet(address="auto")).gpus == 1.0
    few = SimpleNamespace(nodes=lambda: machines(HEAD))
    with pytest.raises(InputError, match="no machine has room for a worker"):
        share_out(few, Fleet(cpus_per_worker=1))
    monkeypatch.setattr(cluster, "ROOM_SECONDS", 0.01)
    with pytest.raises(InputError, match="no machine has room for a worker"):
        share_out(few, Fleet(address="auto", cpus_per_worker=1))
