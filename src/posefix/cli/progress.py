"""A progress bar on standard error."""

from __future__ import annotations

import os
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

KERNEL = "JPY_PARENT_PID"
"""Set in the kernel of a notebook, and so for the commands that its cells start."""


class ProgressBar:
    """Shows how much is done; silent where standard error is not a terminal, and in notebooks.

    A notebook says that a command's output is a terminal, and keeps every step of the bar for ever.

    Call it with what is done and what there is in all; use it as a context, which restores the terminal.

    Args:
        label: What is being done.
    """

    def __init__(self, label: str) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal or KERNEL in os.environ,
            transient=True,
        )
        self._task = self._progress.add_task(label, total=None)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int, label: str | None = None) -> None:
        """Show `done` of `total`, under another label if one is given."""
        self._progress.update(self._task, completed=done, total=total, description=label)
