"""DeepLabCut's tables: columns of scorer, individual, body part and coordinate; a row for each frame or photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.pose.poses import BoolArray, FloatArray, ImageId
from posefix.pose_files.pose_file import FormatError

COORDINATES = ("x", "y", "likelihood")
DEPTH = "z"
"""Of poses in three dimensions, whose other two are no pixels."""

Writer = Callable[[FloatArray, BoolArray], bytes]
"""The file with other numbers: all values (R, C), and which of them changed."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of DeepLabCut, whichever way it is stored.

    Attributes:
        path: The file.
        columns: Labels of each column: scorer, individual (only in tables of several animals), body part, coordinate.
        rows: Frame number or photo of each row.
        values: (R, C) float64; NaN where a cell is empty.
        write: Makes the file again.
    """

    path: Path
    columns: tuple[tuple[str, ...], ...]
    rows: tuple[ImageId, ...]
    values: FloatArray
    write: Writer

    def __post_init__(self) -> None:
        if not self.columns or {len(column) for column in self.columns} - {3, 4}:
            raise FormatError(
                f"{self.path}: expected columns with 3 labels (scorer, body part, coordinate) or 4 (individual, too), "
                f"got {len(self.columns[0]) if self.columns else 'no columns'}."
            )
        if not (used := [column for column in self.columns if column[-1] in COORDINATES]):
            raise FormatError(
                f"{self.path}: expected columns x, y and maybe likelihood of body parts, got none."
            )
        if deep := [column for column in self.columns if column[-1] == DEPTH]:
            raise FormatError(
                f"{self.path}, column {'/'.join(deep[0])}: expected x and y in pixels of a photo, got a third "
                "coordinate; give the poses of one camera."
            )
        if len(scorers := {column[0] for column in used}) > 1:
            listed = ", ".join(sorted(scorers))
            raise FormatError(f"{self.path}: expected one scorer, got {listed}; keep one scorer's columns.")
        if len(set(used)) < len(used):
            twice = next(column for column, times in Counter(used).items() if times > 1)
            raise FormatError(f"{self.path}: column {'/'.join(twice)} is there twice; expected each once.")

    @cached_property
    def animals(self) -> dict[str, npt.NDArray[np.int64]]:
        """Individual -> (K, 3) columns of x, y and likelihood of its body parts, -1 for a likelihood that is not there.

        Body parts of their own, such as the corners of a maze, belong to an individual of their own; it is left out.

        Raises:
            FormatError: A body part has no x or no y.
        """
        parts = self._parts
        common = Counter(tuple(found) for found in parts.values()).most_common(1)[0][0]
        return {
            name: np.array([self._coordinates(name, part, found[part]) for part in common], dtype=np.int64)
            for name, found in parts.items()
            if tuple(found) == common
        }

    @property
    def left_out(self) -> tuple[str, ...]:
        """Individuals whose body parts are not those of the animals."""
        return tuple(name for name in self._parts if name not in self.animals)

    @property
    def others(self) -> tuple[str, ...]:
        """What columns beside coordinates and likelihoods hold, such as a smoother's variances; they pass through."""
        return tuple(
            dict.fromkeys(column[-1] or column[0] for column in self.columns if column[-1] not in COORDINATES)
        )

    @property
    def body_parts(self) -> tuple[str, ...]:
        """Of the animals."""
        return tuple(self._parts[next(iter(self.animals))])

    @cached_property
    def _parts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Individual (empty for a table of one animal) -> body part -> coordinate -> column."""
        parts: dict[str, dict[str, dict[str, int]]] = {}
        for number, (_, *individual, part, coordinate) in enumerate(self.columns):
            if coordinate in COORDINATES:
                parts.setdefault("".join(individual), {}).setdefault(part, {})[coordinate] = number
        return parts

    def _coordinates(self, name: str, part: str, found: dict[str, int]) -> tuple[int, int, int]:
        for coordinate in ("x", "y"):
            if coordinate not in found:
                whose = f"{name}, {part}" if name else part
                raise FormatError(f"{self.path}, {whose}: expected a column {coordinate}, got none.")
        return found["x"], found["y"], found.get("likelihood", -1)
