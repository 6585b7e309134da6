"""Ray on a machine that has much else to do: it gives its own parts 15 s to begin, which no option changes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

STARTS = 6
LIGHT = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
"""Of a first node: without the parts that no test needs."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def be_patient() -> None:
    """Tell Ray before it is imported."""
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        RAY_raylet_start_wait_time_s="45",
        RAY_agent_register_timeout_ms="180000",
        RAY_health_check_timeout_ms="60000",  # who is busy answers late, and is not lost
        RAY_worker_niceness="0",
    )


def begun(start: Callable[[], Any]) -> Any:
    """What a start of Ray gives, tried again where its parts were late."""
    for _ in range(STARTS - 1):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error) and "connect to GCS" not in str(error):
                raise
    return start()
