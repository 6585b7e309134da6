"""Which keypoints of two skeletons are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.skeletons.library import is_of_people, load_skeleton, skeleton_from_names
from posefix.skeletons.skeleton import Skeleton, read_only

TRUNK = frozenset(f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "hip"))
MOST_OF_MODEL = 2 / 3
MOST_OF_LAYOUT = 0.9
"""Shares of keypoints; see `why_foreign`."""
NAMES_SHOWN = 6
PEOPLE = "posefix19"
"""What the packaged models know of people."""


@dataclass(frozen=True, eq=False)
class KeypointMapping:
    """Which keypoints of two skeletons are the same.

    Attributes:
        source: The layout that is given.
        target: The layout that is wanted.
        source_index: (S,) positions of the shared keypoints in the source, in its order.
        target_index: (S,) positions of the same keypoints in the target.
    """

    source: Skeleton
    target: Skeleton
    source_index: npt.NDArray[np.int64]
    target_index: npt.NDArray[np.int64]

    @property
    def shared(self) -> tuple[str, ...]:
        """Names that both skeletons have, in the source's order."""
        names = self.source.keypoint_names
        return tuple(names[index] for index in self.source_index)

    @property
    def passes_through(self) -> tuple[str, ...]:
        """Names that only the source has."""
        return tuple(name for name in self.source.keypoint_names if name not in self.shared)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names that only the target has."""
        return tuple(name for name in self.target.keypoint_names if name not in self.shared)

    def report(self) -> str:
        """Four lines for people.

        Example:
            >>> from posefix.skeletons import load_skeleton
            >>> arm = load_skeleton("openpose18").subset(["neck", "right_shoulder", "right_elbow"])
            >>> print(match_keypoints(arm, load_skeleton("lsp14").subset(["right_elbow", "neck"])).report())
            openpose18 (3 of 18 keypoints) -> lsp14 (2 of 14 keypoints)
              shared (1): right_elbow
              pass through, not in the target (2): shoulder_midpoint, right_shoulder
              missing in the source (1): neck
        """
        lines = (
            ("shared", self.shared),
            ("pass through, not in the target", self.passes_through),
            ("missing in the source", self.missing),
        )
        listed = (f"  {what} ({len(names)}): {', '.join(names) or 'none'}" for what, names in lines)
        return "\n".join((f"{self.source.name} -> {self.target.name}", *listed))


def match_keypoints(source: Skeleton, target: Skeleton) -> KeypointMapping:
    """Match two skeletons by canonical keypoint name.

    Aliases play no part here: they are resolved when a skeleton is made, each in its own layout's sense
    (OpenPose's neck is the middle of the shoulders, LSP's is not).

    Raises:
        InputError: They share no keypoint.
    """
    positions = {name: index for index, name in enumerate(target.keypoint_names)}
    pairs = [
        (index, positions[name]) for index, name in enumerate(source.keypoint_names) if name in positions
    ]
    if not pairs:
        raise InputError(
            f"skeletons {source.name!r} ({', '.join(source.keypoint_names)}) and {target.name!r} "
            f"({', '.join(target.keypoint_names)}) share no keypoint name; rename them in a skeleton file "
            "(--layout; of annotations --annotations-layout)."
        )
    source_index, target_index = read_only(np.array(pairs, dtype=np.int64).T)
    return KeypointMapping(source, target, source_index, target_index)


def why_foreign(layout: Skeleton, vocabulary: Skeleton) -> str | None:
    """Why a model was not trained for poses of a layout, though it may know some keypoints by name; None if it was.

    Animals have noses, ears and necks, too. A layout is of those whom the model knows if it has at least one of the
    shoulders and hips that the model knows, and either two thirds of all that the model knows, as every packaged layout
    of people has, or hardly a keypoint that people do not have: nine tenths, as hands, feet and arms alone have.

    Args:
        layout: Of the poses.
        vocabulary: The keypoints that the model knows.
    """
    shared = tuple(name for name in layout.keypoint_names if name in vocabulary.keypoint_names)
    if not shared:
        names = ", ".join(layout.keypoint_names[:NAMES_SHOWN]) + (", ..." * (len(layout) > NAMES_SHOWN))
        return f"the model knows none of its {plural(len(layout), 'keypoint')} by name ({names})"
    trunk = TRUNK & set(vocabulary.keypoint_names)
    familiar = [
        name for name in layout.keypoint_names if name in vocabulary.keypoint_names or is_of_people(name)
    ]
    most = len(shared) >= MOST_OF_MODEL * len(vocabulary)
    if (not trunk or trunk & set(shared)) and (most or len(familiar) >= MOST_OF_LAYOUT * len(layout)):
        return None
    lacking = ", no shoulder and no hip among them" if trunk and not trunk & set(shared) else ""
    names = ", ".join(shared)
    return (
        f"the model knows {len(shared)} of its {plural(len(layout), 'keypoint')} by name ({names}{lacking}) and was "
        "not trained for the others"
    )


def are_of_people(names: Sequence[str]) -> bool:
    """Whether keypoints of these names are a person's, as `why_foreign` tells; not where they make no layout."""
    try:
        layout = skeleton_from_names(names, "names")
    except InputError:
        return False
    return why_foreign(layout, load_skeleton(PEOPLE)) is None
