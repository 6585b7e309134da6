"""Help fills the lines of the terminal, wherever docstrings break theirs."""

import re
from collections.abc import Callable

import pytest

from posefix.cli.app import COMMANDS
from posefix.cli.help_text import filled

Run = Callable[..., tuple[int, str, str]]


def test_paragraphs_are_kept_and_their_breaks_are_not() -> None:
    assert filled("One\n    two\nthree.\n  \n    Four\nfive.\n") == "One two three.\n\nFour five."


@pytest.mark.parametrize("command", [command for task in COMMANDS.values() for command in task])
def test_no_line_of_help_begins_with_an_indent_of_the_source(
    command: Callable[..., object], run: Run
) -> None:
    code, out, _ = run(command.__name__.replace("_", "-"), "--help")
    assert code == 0
    # A table's rows: name, then the text in a column of its own, in which no line stands farther in than the first.
    for panel in re.findall(r"╭.*?╰", out, flags=re.DOTALL):
        column = None
        for line in re.findall(r"│(.*)│", panel):
            if re.match(r" (\*|-| {0,4}[A-Z-])", line):
                column = None
            starts = [match.end() for match in re.finditer(r" {2,}(?=\S)", line)]
            if column is None:
                column = starts[-1] if starts else None
            elif starts:
                assert starts[0] <= column, line
