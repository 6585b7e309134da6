"""How help is printed: texts fill the lines of the terminal, wherever the source breaks them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


class FilledHelp:
    """cyclopts' own look, for texts that it takes from docstrings with the breaks and indents of the source."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: Any) -> None:
        """Print a panel of commands or options."""
        from cyclopts.help import DefaultFormatter

        for entry in panel.entries:
            _fill(entry.description)
        DefaultFormatter()(console, options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print how a command is called."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what a command is for."""
        from cyclopts.help import DefaultFormatter

        _fill(description)
        DefaultFormatter().render_description(console, options, description)


def filled(text: str) -> str:
    """A text whose paragraphs, between empty lines, are one line each."""
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _fill(described: Any) -> None:
    """Fill a text of plain help, in place; what is none stays."""
    from rich.text import Text

    text = getattr(described, "primary_renderable", None)
    if isinstance(text, Text):
        described.primary_renderable = Text(filled(text.plain), end=text.end)
