"""`posefix skeleton`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import OptionalOutput
from posefix.errors import InputError, plural

if TYPE_CHECKING:
    from posefix.skeletons import Skeleton

NAMES_LISTED = 33
"""The list of all skeletons shows so many names of each; more would fill the screen."""


def skeleton(
    name: str | None = None,
    /,
    *,
    to: Annotated[str | None, Parameter(name="--to")] = None,
    output: OptionalOutput = None,
    sigmas: Literal["missing", "all"] | None = None,
) -> None:
    """List the packaged skeletons, show and check one, or report how one maps to another.

    Args:
        name: A name, or a skeleton or annotation file of your own; all names are listed when left out.
        to: Another skeleton: prints which keypoints are shared by name, which pass through and which are missing.
        output: Write it as a skeleton file, ready for a recipe's key skeleton and for --layout.
        sigmas: Of an annotation file, guess the sigmas that are not known of people (the default: missing), or all:
            for animals and hands.
    """
    from posefix.skeletons import load_skeleton, match_keypoints

    _check_options(name, to, output, sigmas)
    if name is None:
        _list()
    elif to is not None:
        print(match_keypoints(load_skeleton(name), load_skeleton(to)).report())
    else:
        known = _load(name, everything=sigmas == "all")
        _show(known)
        if output is not None:
            _write(known, output)


def _check_options(name: str | None, to: str | None, output: Path | None, sigmas: str | None) -> None:
    """Refuse options that would have no effect, and an output that cannot be written."""
    from posefix.files import ensure_not_input, ensure_writable

    if name is None and (to, output, sigmas) != (None, None, None):
        raise InputError(
            "--to, --output, --sigmas: expected a skeleton to start from, got none; write `posefix skeleton NAME --to "
            "OTHER`"
        )
    if to is not None and (output, sigmas) != (None, None):
        raise InputError(
            "--output, --sigmas: have no meaning beside --to, which compares two skeletons and makes none; leave one "
            "of them out"
        )
    if output is not None:
        ensure_not_input(output, [name])
        ensure_writable(output)


def _load(name: str, *, everything: bool) -> Skeleton:
    """A skeleton, with sigmas guessed where it comes from an annotation file with people."""
    from posefix.interchange.own_skeleton import load_own_skeleton
    from posefix.skeletons import load_skeleton, skeleton_names

    if name not in skeleton_names() and Path(name).is_file():
        return load_own_skeleton(name, replace_known=everything)
    known = load_skeleton(name)
    if everything:
        raise InputError(
            f"--sigmas all: expected an annotation file, from whose people sigmas are guessed, got {name!r}"
        )
    return known


def _write(known: Skeleton, output: Path) -> None:
    from dataclasses import replace

    from posefix.files import write_text_atomic
    from posefix.skeletons import skeleton_text

    write_text_atomic(output, skeleton_text(replace(known, name=output.stem)))
    print(f"skeleton: {output}")


def _list() -> None:
    from posefix.skeletons import load_skeleton, skeleton_names

    for name in skeleton_names():
        known = load_skeleton(name)
        names = known.keypoint_names
        more = f" and {len(names) - NAMES_LISTED} more" if len(names) > NAMES_LISTED else ""
        print(f"{name:<16} {len(known):>3} keypoints  {', '.join(names[:NAMES_LISTED])}{more}")


def _show(known: Skeleton) -> None:
    from posefix.skeletons import concerns, mirror_pairs

    print(
        f"{known.name}: {plural(len(known), 'keypoint')}, {plural(len(known.limbs), 'limb')}; "
        "number, name, sigma, definition, aliases"
    )
    width = max(map(len, known.keypoint_names))
    for index, keypoint in enumerate(known.keypoints):
        sigma = "  ?  " if keypoint.sigma is None else f"{keypoint.sigma:.3f}"
        aliases = f" ({', '.join(keypoint.aliases)})" if keypoint.aliases else ""
        print(f"{index:>3}  {keypoint.name:<{width}}  {sigma}  {keypoint.definition}{aliases}".rstrip())
    told = " (as the names say)" if known.flip_pairs == mirror_pairs(known.keypoint_names) else ""
    print(
        f"mirrored{told}: {', '.join(f'{first} / {second}' for first, second in known.flip_pairs) or 'none'}"
    )
    print(f"limbs: {', '.join(f'{first} - {second}' for first, second in known.limbs) or 'none'}")
    if known.unscored:
        print(f"not scored: {', '.join(known.unscored)}")
    sources = dict.fromkeys(keypoint.sigma_source or "unknown" for keypoint in known.keypoints)
    for source in sources:
        names = [
            keypoint.name for keypoint in known.keypoints if (keypoint.sigma_source or "unknown") == source
        ]
        print(f"sigmas, {source}: {', '.join(names)}")
    for concern in concerns(known):
        print(f"note: {concern}")
