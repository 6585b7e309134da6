"""What `posefix` prints by itself: what to type, task by task; and what was meant where something else was typed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

GUIDE = """\
Better 2D human poses from any estimator. What would you like to do?

see that it works           posefix demo
look into a file of poses   posefix inspect poses.json --layout coco17
refine it                   posefix refine poses.json --layout coco17 --images photos/ -o refined.json
  poses of a video          posefix refine poses.json --layout coco17 --video clip.mp4 -o refined.json
accept, reject, correct     posefix review poses.json refined.json --images photos/
measure what it gained      posefix evaluate refined.json --layout coco17 --annotations truth.json --against poses.json
see what goes wrong         posefix analyze poses.json --layout coco17 --annotations truth.json
change format or layout     posefix convert poses.json new.json --layout coco17 --to coco-annotations
use a skeleton of my own    posefix skeleton annotations.json -o mine.json
train a model of my own     posefix train recipe.toml -o my-model/

posefix --help               every command
posefix refine --help        every option of one
posefix --version --verbose  what runs here, for reports of faults"""

CLOSE = 0.6
"""How alike two names are, from 0 to 1, of which one is taken for a slip of the other."""


def unknown_command(word: str, commands: Sequence[str], group: Sequence[str] = ()) -> str:
    """One sentence on a word that is no command: the command, or the way to use the file, that was meant.

    Args:
        word: What was typed.
        commands: That there are.
        group: Words before it, of a command that has commands of its own.
    """
    if Path(word).exists():
        return f"expected a command, got {word!r}; to see what it holds, `posefix inspect {word}`"
    if word == "help":
        return f"expected a command, got 'help'; did you mean `{' '.join(['posefix', *group, '--help'])}`?"
    close = difflib.get_close_matches(word, commands, n=1, cutoff=CLOSE)
    meant = (
        f"did you mean `{' '.join(['posefix', *group, close[0]])}`?"
        if close
        else "`posefix` alone says what there is"
    )
    return f"expected a command, got {word!r}; {meant}"


def missing_argument(command: Sequence[str], name: str, given: str | None = None) -> str:
    """One sentence on what a command was not given.

    Args:
        command: Its words, without `posefix`.
        name: Of the argument or option, as the help shows it.
        given: The option, as typed, where only its value is missing.
    """
    words = " ".join(command)
    lacking = f"a value after {given}" if given else name
    return f"{words}: expected {lacking}, got nothing; `posefix {words} --help` shows what it takes"


def unused_words(command: Sequence[str], left_over: Sequence[str]) -> str:
    """One sentence on what a command was given beyond what it takes.

    Args:
        command: Its words, without `posefix`.
        left_over: What was typed.
    """
    words = " ".join(command)
    got = " ".join(map(repr, left_over))
    return f"{words}: got {got}, which it does not take; `posefix {words} --help` shows what it takes"
