"""What a skeleton is: an ordered set of named keypoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural, quoted

Pair = tuple[str, str]
SMALLEST_SIGMA = 1e-6
LARGEST_SIGMA = 1e6
"""Shares of a person's size; what lies beyond has no square that floats can hold or be divided by."""


@dataclass(frozen=True)
class Keypoint:
    """One named point of a body.

    Attributes:
        name: Canonical name, such as ``left_eye``; left and right are the person's own.
        sigma: The keypoint's constant in COCO's similarity, None where nobody has measured it.
        definition: Where the point is, in one line.
        aliases: Other names; case, spaces, hyphens and underscores never matter.
        sigma_source: Where the sigma comes from.
        parents: Keypoints that carry this one along where it is not refined itself; their layout need not have them.
    """

    name: str
    sigma: float | None
    definition: str
    aliases: tuple[str, ...] = ()
    sigma_source: str = ""
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of named keypoints.

    Example:
        >>> from posefix.skeletons import load_skeleton
        >>> skeleton = load_skeleton("coco17")
        >>> len(skeleton), skeleton.index("Left Eye"), int(skeleton.flip_index[1])
        (17, 1, 2)

    Attributes:
        name: Name of the layout.
        keypoints: In the order of the layout's arrays.
        flip_pairs: Names of keypoints that change places in a mirror.
        limbs: Names of keypoints that a drawing joins.
        unscored: Names that have a place in the arrays but are never annotated.
        description: One line for people.

    Raises:
        InputError: Two keypoints share a name or alias; a flip pair, limb or unscored name is unknown; a
            keypoint is in two flip pairs; a sigma is not positive, or beyond all sense.
    """

    name: str
    keypoints: tuple[Keypoint, ...]
    flip_pairs: tuple[Pair, ...]
    limbs: tuple[Pair, ...]
    unscored: tuple[str, ...] = ()
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        where = f"skeleton {self.name!r}"
        if not self.keypoints:
            raise InputError(f"{where}: expected at least one keypoint, got none.")
        names = set(self.keypoint_names)
        for keypoint in self.keypoints:
            if keypoint.sigma is not None and not SMALLEST_SIGMA <= keypoint.sigma <= LARGEST_SIGMA:
                raise InputError(
                    f"{where}, keypoint {keypoint.name!r}: expected a sigma from {SMALLEST_SIGMA:g} to "
                    f"{LARGEST_SIGMA:g}, got {quoted(keypoint.sigma)}."
                )
        for what, pairs in (("flip pair", self.flip_pairs), ("limb", self.limbs)):
            for pair in pairs:
                if pair[0] == pair[1] or not names.issuperset(pair):
                    raise InputError(
                        f"{where}, {what} {list(pair)}: expected two different keypoints out of "
                        f"{', '.join(self.keypoint_names)}."
                    )
        paired = [name for pair in self.flip_pairs for name in pair]
        if twice := [name for name in paired if paired.count(name) > 1]:
            raise InputError(f"{where}: keypoint {twice[0]!r} is in two flip pairs; expected one at most.")
        if unknown := [name for name in self.unscored if name not in names]:
            raise InputError(f"{where}, unscored: there is no keypoint {unknown[0]!r}.")
        _ = self._positions

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """Canonical names, in order."""
        return tuple(keypoint.name for keypoint in self.keypoints)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return spellings(self.keypoints, f"skeleton {self.name!r}")

    def find(self, name: str) -> int | None:
        """Position of a keypoint by its name or an alias, None when there is no such keypoint."""
        return self._positions.get(normalise(name))

    def index(self, name: str) -> int:
        """Position of a keypoint by its name or an alias.

        Raises:
            InputError: There is no such keypoint.
        """
        position = self.find(name)
        if position is None:
            names = ", ".join(self.keypoint_names)
            raise InputError(f"skeleton {self.name!r} has no keypoint {name!r}; expected one of {names}.")
        return position

    @cached_property
    def flip_index(self) -> npt.NDArray[np.int64]:
        """(K,): index of each keypoint's mirror partner, its own when it has none."""
        partner = {name: other for a, b in self.flip_pairs for name, other in ((a, b), (b, a))}
        names = self.keypoint_names
        return read_only(np.array([names.index(partner.get(name, name)) for name in names], dtype=np.int64))

    @cached_property
    def limb_index(self) -> npt.NDArray[np.int64]:
        """(number of limbs, 2): the two keypoint indices of each limb."""
        names = self.keypoint_names
        ends = [(names.index(a), names.index(b)) for a, b in self.limbs]
        return read_only(np.array(ends, dtype=np.int64).reshape(-1, 2))

    @property
    def sigmas(self) -> npt.NDArray[np.float64]:
        """(K,): the similarity constant of each keypoint.

        Raises:
            InputError: A keypoint has none.
        """
        if unknown := [keypoint.name for keypoint in self.keypoints if keypoint.sigma is None]:
            raise InputError(
                f"skeleton {self.name!r}: no sigma is known for {', '.join(unknown)}; "
                "leave these keypoints out, or give them a sigma in a skeleton file, which "
                "`posefix skeleton ANNOTATIONS --output FILE` writes."
            )
        return np.array([keypoint.sigma for keypoint in self.keypoints], dtype=np.float64)

    def subset(self, names: Sequence[str]) -> Skeleton:
        """The skeleton of these keypoints, in this order; pairs and limbs that lose an end are dropped."""
        keypoints = tuple(self.keypoints[self.index(name)] for name in names)
        kept = {keypoint.name for keypoint in keypoints}
        return Skeleton(
            f"{self.name} ({len(keypoints)} of {plural(len(self), 'keypoint')})",
            keypoints,
            tuple(pair for pair in self.flip_pairs if kept.issuperset(pair)),
            tuple(limb for limb in self.limbs if kept.issuperset(limb)),
            tuple(name for name in self.unscored if name in kept),
        )


def normalise(name: str) -> str:
    """The form in which names and aliases are compared: ``Left Eye``, ``left-eye`` -> ``lefteye``."""
    return re.sub(r"[\s_-]", "", name).lower()


def spellings(keypoints: Sequence[Keypoint], where: str) -> dict[str, int]:
    """Normalised names and aliases -> index.

    Raises:
        InputError: Two keypoints share one; `where` says whose they are.
    """
    positions: dict[str, int] = {}
    for index, keypoint in enumerate(keypoints):
        for written in (keypoint.name, *keypoint.aliases):
            other = positions.setdefault(normalise(written), index)
            if other != index:
                raise InputError(
                    f"{where}: keypoints {other} ({keypoints[other].name!r}) and {index} ({keypoint.name!r}) "
                    f"are both called {written!r}; expected each name and alias once."
                )
    return positions


def read_only(array: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same array, locked: skeletons are shared, so nobody may change what they hand out."""
    array.flags.writeable = False
    return array
