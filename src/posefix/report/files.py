"""Figures as files of their own: SVG, PNG or PDF, by the ending of the name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal

from posefix.errors import InputError
from posefix.files import ensure_writable, write_bytes_atomic
from posefix.report.style import PAPER, Plot, draw

KINDS: dict[str, Literal["svg", "png", "pdf"]] = {".svg": "svg", ".png": "png", ".pdf": "pdf"}
PRINT = {
    "ink": "#1b1f24",
    "muted": "#6b7280",
    "grid": "#e3e6ea",
    "paper": "#ffffff",
    "good": "#cfd5dc",
    "before": "#9aa4b0",
    "after": "#0072b2",
}
"""The colours of a light page."""


def check_figure_path(path: Path) -> None:
    """Find out before the work whether `write_figure` will be able to write.

    Raises:
        InputError: The ending is not that of a figure, or the file cannot be written.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(f"--plot: expected a file name ending in {', '.join(KINDS)}, got {path}")
    ensure_writable(path)


def write_figure(path: Path, plot: Plot, *, size: tuple[float, float]) -> None:
    """Draw a plot on white; the same plot gives the same file.

    Args:
        path: The file; see `check_figure_path`.
        plot: Draws on an empty figure.
        size: Width and height in inches.

    Raises:
        InputError: See `check_figure_path`.
    """
    check_figure_path(path)
    kind = KINDS[path.suffix.lower()]
    stream: Any = io.StringIO() if kind == "svg" else io.BytesIO()
    draw(plot, stream, kind, PRINT, size=size, salt="posefix", background=PAPER)
    content = stream.getvalue()
    write_bytes_atomic(path, content.encode() if kind == "svg" else content)
