"""OpenVINO's core, which runs exported graphs and the trunks of networks in training."""

from __future__ import annotations

import importlib.util
import platform
from functools import cache
from typing import Any


def openvino_is_there() -> bool:
    """Whether OpenVINO is installed on a machine where it is the fastest: an x86-64 CPU."""
    return platform.machine().lower() in ("x86_64", "amd64") and (
        importlib.util.find_spec("openvino") is not None
    )


@cache
def openvino_core() -> Any:
    """OpenVINO's core, one for the process, which is never given up.

    Its CPU plugin gives the thread a stack for signals of its own. Of two cores that are given up in the order in which
    they were made, the second puts the freed stack of the first back, and the next signal that Python handles, such as
    the end of a child process where PyTorch loads data, ends the process.
    """
    import openvino

    return openvino.Core()
