"""What `posefix --version --verbose` prints: what runs here, for reports of faults."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from posefix import __version__

LIBRARIES = (
    "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "opencv-python-headless", "opencv-python", "pillow",
    "hotcoco", "cyclopts", "matplotlib", "h5py", "scipy", "starlette", "huggingface-hub", "torch", "timm",
)  # fmt: skip
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""Names that Linux gives to what networks gain by."""


def versions() -> str:
    """Versions, processor, and what would compute the default model, in a line each."""
    lines = [
        f"posefix {__version__}",
        f"Python {platform.python_version()} ({sys.executable})",
        f"system: {platform.platform()}",
        f"processor: {_processor()}; {os.cpu_count()} cores; {_features()}",
        f"network: {_runtime()}",
        f"libraries: {', '.join(_installed())}",
    ]
    return "\n".join(lines)


def _installed() -> list[str]:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_information() -> dict[str, str]:
    """The fields of the first processor, as Linux tells them; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    pairs = (line.partition(":") for line in text.split("\n\n", maxsplit=1)[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _processor() -> str:
    return _cpu_information().get("model name") or platform.processor() or platform.machine()


def _features() -> str:
    information = _cpu_information()
    flags = information.get("flags", information.get("Features", "")).split()
    if not flags:
        return "features unknown"
    return f"with {', '.join(name for name in FEATURES if name in flags) or 'none of ' + ', '.join(FEATURES)}"


def _runtime() -> str:
    """What `--device auto --runtime auto` takes for the default model."""
    from posefix.errors import InputError
    from posefix.network import DEFAULT_MODEL_NAME
    from posefix.network.models import load_model
    from posefix.refine.backends import chosen_device, fastest_runtime

    try:
        model = load_model(DEFAULT_MODEL_NAME)
        device = chosen_device(model)
        return f"model {model.name} by {fastest_runtime(model, device)} on {device}"
    except InputError as error:
        return f"model {DEFAULT_MODEL_NAME}: {error}"
