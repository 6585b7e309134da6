"""`posefix skeleton`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def skeleton(
    name: str | None = None,
    /,
    *,
    to: Annotated[str | None, Parameter(name="--to")] = None,
) -> None:
    """List the packaged skeletons, show one, or report how one maps to another.

    Args:
        name: A name, or a skeleton file of your own; all names are listed when left out.
        to: Another skeleton: prints which keypoints are shared by name, which pass through and which are missing.
    """
    from posefix.errors import InputError
    from posefix.skeletons import load_skeleton, match_keypoints

    if name is not None and to is not None:
        print(match_keypoints(load_skeleton(name), load_skeleton(to)).report())
    elif name is not None:
        _show(name)
    elif to is None:
        _list()
    else:
        raise InputError(
            "--to: expected a skeleton to start from, got none; write `posefix skeleton NAME --to OTHER`"
        )


def _list() -> None:
    from posefix.skeletons import load_skeleton, skeleton_names

    for name in skeleton_names():
        known = load_skeleton(name)
        print(f"{name:<16} {len(known):>2} keypoints  {', '.join(known.keypoint_names)}")


def _show(name: str) -> None:
    from posefix.skeletons import load_skeleton

    known = load_skeleton(name)
    print(
        f"{known.name}: {len(known)} keypoints, {len(known.limbs)} limbs; number, name, sigma, definition, aliases"
    )
    width = max(map(len, known.keypoint_names))
    for index, keypoint in enumerate(known.keypoints):
        sigma = "  ?  " if keypoint.sigma is None else f"{keypoint.sigma:.3f}"
        aliases = f" ({', '.join(keypoint.aliases)})" if keypoint.aliases else ""
        print(f"{index:>3}  {keypoint.name:<{width}}  {sigma}  {keypoint.definition}{aliases}")
    print(f"mirrored: {', '.join(f'{first} / {second}' for first, second in known.flip_pairs) or 'none'}")
    if known.unscored:
        print(f"not scored: {', '.join(known.unscored)}")
