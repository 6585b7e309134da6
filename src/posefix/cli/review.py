"""`posefix review`."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from posefix.cli.options import Flag, OptionalOutput
from posefix.cli.source_options import SourceOptions
from posefix.errors import InputError, plural

if TYPE_CHECKING:
    from posefix.review.output import OutputWriter, ReviewedFile
    from posefix.review.session import Review


@Parameter(name="*", group="Page")
@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """How the page is served."""

    port: int = 0
    """Port of the page on this machine; a free one by default."""
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True
    """Show the page in the browser."""


def review(
    results: Path,
    refined: Path,
    /,
    *,
    source: SourceOptions,
    output: OptionalOutput = None,
    update_boxes: Flag = False,
    page: PageOptions | None = None,
) -> None:
    """Look at refined poses in a browser and decide: accept, reject, or correct them by hand.

    Serves a page on this machine until Ctrl-C. Every step is kept at once; start it again to go on.

    Args:
        results: Poses before: a file of any format of docs/formats.md, or a folder of one.
        refined: The same people refined, as `posefix refine` writes them.
        source: How poses and photos are read.
        output: The file to write, in the format of REFINED; by default, the name of REFINED with `.reviewed` in it.
        update_boxes: Rewrite the boxes of people whose coordinates changed, to fit their keypoints.
        page: How the page is served.
    """
    _require_server()
    from posefix.files import file_stem
    from posefix.interchange import ensure_ending
    from posefix.review.key import opening_page, read_key
    from posefix.review.output import OutputWriter, ReviewedFile
    from posefix.review.scenes import Scenes
    from posefix.review.server import listen, page_address, serve, sigterm_as_interrupt
    from posefix.review.session import Review, check_people

    options = page or PageOptions()
    results, refined = _named(results), _named(refined)
    own_name = f"{file_stem(refined)}.reviewed{refined.name.removeprefix(file_stem(refined))}"
    output = _named(output or refined.with_name(own_name))
    journal = _check_output(output, results, refined, source.annotations, source.layout)
    before, after = source.read(results), source.read(refined)
    ensure_ending(output, after)
    check_people(results, before.poses, refined, after.poses)
    photos = source.find(after, after.poses.image_ids)
    key = read_key(output.with_name(f"{output.name}.review.key"))
    file = ReviewedFile(output, after, update_boxes=update_boxes)
    with (
        closing(Review(before.poses, after.poses, journal, (results.name, refined.name))) as session,
        listen(options.port) as listening,
        closing(OutputWriter(partial(_write, session, file))) as writer,
        sigterm_as_interrupt(),
    ):
        titles = (results.name, refined.name, output.name)
        scenes = Scenes(session, photos, source.exif, titles)
        try:
            writer.request()
            address = page_address(listening, key)
            print(f"{_progress(session)}\nreview: {address}\nCtrl-C ends it", flush=True)
            page_file = output.with_name(f"{output.name}.review.html")
            with opening_page(page_file, address) if options.browser else nullcontext() as opening:
                serve(scenes, writer, listening, key, opening)
        except KeyboardInterrupt:
            pass  # the usual end
        finally:
            writer.close()
        print(_ending(session, writer, output))


def _write(session: Review, file: ReviewedFile) -> int:
    """Bring the output up to date; returns how many steps it holds."""
    steps, poses = session.snapshot()
    file.write(poses)
    return steps


def _require_server() -> None:
    """Refuse where the libraries of the page are not installed."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"review: the page needs {' and '.join(missing)}, not installed here; run: pip install 'posefix[review]'"
        )


def _named(path: Path) -> Path:
    """The path with the name of its own that `.` and `..` do not show."""
    named = path if path.name not in ("", "..") else path.resolve()
    if not named.name:
        raise InputError(f"review: expected files or folders that have a name, got {path}")
    return named


def _check_output(output: Path, *inputs: Path | str | None) -> Path:
    """Refuse an output that would overwrite something else; returns the place of the journal."""
    from posefix.files import ensure_not_input, ensure_writable

    ensure_not_input(output, inputs)
    journal = output.with_name(f"{output.name}.review.jsonl")
    if output.exists() and not journal.exists():
        raise InputError(
            f"--output: {output} is there already, but not the decisions that it holds, {journal.name}; give another "
            "name, or move the file away"
        )
    ensure_writable(journal)
    return journal


def _progress(session: Review) -> str:
    standings = session.standings()
    counts = {name: standings.count(name) for name in ("accepted", "rejected", "corrected", "undecided")}
    return f"{plural(len(standings), 'person')}: " + ", ".join(
        f"{count} {name}" for name, count in counts.items()
    )


def _ending(session: Review, writer: OutputWriter, output: Path) -> str:
    problem = writer.problem
    if not problem and writer.steps < session.version:
        problem = f"it holds {writer.steps} of {plural(session.version, 'step')}; start the command again to write it"
    if problem:
        raise InputError(f"every decision is kept, but the output is behind: {problem}")
    return f"{_progress(session)}\nwritten to {output}"
