"""The command `posefix`: its table of commands, and faults of the user told in one sentence."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cyclopts import (
    App,
    CycloptsError,
    Group,
    MissingArgumentError,
    UnknownCommandError,
    UnusedCliTokensError,
)

from posefix import __version__
from posefix.cli.analyze import analyze
from posefix.cli.bulk import bulk
from posefix.cli.company import company
from posefix.cli.compare import compare
from posefix.cli.demo import demo
from posefix.cli.estimate import estimate
from posefix.cli.evaluate import evaluate
from posefix.cli.experiment import experiment
from posefix.cli.guide import GUIDE, missing_argument, unknown_command, unused_words
from posefix.cli.help_text import FilledHelp
from posefix.cli.interchange import convert, inspect, validate
from posefix.cli.pictures import draw, look, synthesize
from posefix.cli.posetrack import merge_annotations, write_results
from posefix.cli.prepare import prepare
from posefix.cli.profile import profile
from posefix.cli.pseudo_label import pseudo_label
from posefix.cli.push import push
from posefix.cli.refine import refine
from posefix.cli.review import review
from posefix.cli.skeleton import skeleton
from posefix.cli.table import table
from posefix.cli.training import calibrate, export, train
from posefix.errors import InputError

EXIT_INPUT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
"""What a shell reports of a program that was stopped by SIGPIPE."""
OUTPUT_FAULTS = ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EBADF", "EAGAIN")
"""Why standard output cannot be written: no room left, or nothing there."""

app = App(
    name="posefix",
    help="Better 2D human poses from any estimator: photos and coordinates in, better coordinates out.",
    version=__version__,
    help_format="plaintext",
    help_formatter=FilledHelp(),
    suppress_keyboard_interrupt=False,
)
COMMANDS = {
    "Refine": (demo, refine, bulk, company, review, draw),
    "Files": (inspect, validate, convert, skeleton),
    "Measure": (evaluate, table, analyze, compare, profile),
    "Train": (prepare, train, calibrate, export, push, pseudo_label, synthesize, look),
    "Research": (estimate, experiment),
}
GROUPS = {task: Group.create_ordered(task) for task in COMMANDS}
for task, commands in COMMANDS.items():
    for command in commands:
        app.command(command, group=GROUPS[task])
posetrack = App(
    name="posetrack",
    help="What needs PoseTrack 2018's annotations: to merge them, and to write results for its evaluation.",
    group=GROUPS["Research"],
)
for conversion in (merge_annotations, write_results):
    posetrack.command(conversion)
app.command(posetrack)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Of the command line; those of the process when None.

    Returns:
        The exit code: 0, 2 for a fault in the input, 3 where photos are missing or unreadable and `--on-error keep` was
        given, 130 when interrupted, 141 when the reader of the output has gone.
    """
    if arguments is None:
        _replace_closed_streams()
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    # Pillow's warning of large photos: they are the user's own. Here, as filters hold for the whole process, and photos
    # are decoded in threads.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit", category=RuntimeWarning)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names in files may hold halves of surrogate pairs, and letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _answer(tokens)
        sys.stdout.flush()
    except (CycloptsError, InputError) as error:
        print(f"posefix: {_told(error)}", file=sys.stderr)
        return EXIT_INPUT_ERROR
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough; at exit Python would flush, and fail, again.
        _forget_output()
        return EXIT_PIPE_CLOSED
    except OSError as error:
        if (told := _system_fault(error)) is None:
            raise
        print(f"posefix: {told}", file=sys.stderr)
        return EXIT_INPUT_ERROR
    except KeyboardInterrupt:
        print("posefix: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _answer(tokens: list[str]) -> object:
    """Run a command, or say what there is where none is given, or what runs here."""
    if not tokens:
        print(GUIDE)
        return 0
    if set(tokens) == {"--version", "--verbose"}:
        from posefix.cli.versions import versions

        print(versions())
        return 0
    return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")


def _names(group: App) -> list[str]:
    """Names of commands."""
    return [name for name in group if not name.startswith("-")]


def _replace_closed_streams() -> None:
    """Have streams that a shell closed (`>&-`) lead nowhere.

    Else the next file that is opened would take the number of one, and get what libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end


def _system_fault(error: OSError) -> str | None:
    """What the system refused, in one sentence; None for a fault that is not the user's.

    A name of a file that is too long, or lies where nobody may look, comes up wherever it is first asked for.
    """
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, bytes | str) else error.filename
        return f"{name}: cannot be used ({error.strerror})"
    if errno.errorcode.get(error.errno or 0) not in OUTPUT_FAULTS:
        return None
    _forget_output()
    return f"standard output: cannot be written ({error.strerror})"


def _forget_output() -> None:
    """Have what is still to be printed go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: CycloptsError | InputError) -> str:
    """A fault of the user, in one sentence."""
    if isinstance(error, UnknownCommandError):
        word = error.unused_tokens[0] if error.unused_tokens else ""
        return unknown_command(word, _names(error.app or app), error.command_chain or ())
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return missing_argument(error.command_chain or (), error.argument.name, error.keyword)
    if isinstance(error, UnusedCliTokensError):
        return unused_words(error.command_chain or (), error.unused_tokens or ())
    return " ".join(str(error).split()).removesuffix(".")
