"""OpenVINO's core, which runs exported graphs and the trunks of networks in training."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def openvino_core() -> Any:
    """OpenVINO's core, one for the process, which is never given up.

    Its CPU plugin gives the thread a stack for signals of its own. Of two cores that are given up in the order in which
    they were made, the second puts the freed stack of the first back, and the next signal that Python handles, such as
    the end of a child process where PyTorch loads data, ends the process.
    """
    import openvino

    return openvino.Core()
