"""What the rows of COCO results are of: which of them are read where somebody chose a category.

Rows hold ids alone. A category is named by its id, or as annotations beside the file call that. Rows that do not say
what they are of may be of any, as in measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from posefix.errors import Where, listed_counts
from posefix.pose.poses import ImageId
from posefix.pose_files.json_text import JsonText
from posefix.pose_files.pose_file import FormatError, Reading
from posefix.pose_files.records import id_or_none

CATEGORY = "category_id"
UNTOLD = (0, 1)
"""Categories that programs write which know none: a class as they count it, or COCO's person."""


@dataclass(frozen=True)
class RowChoice:
    """The rows that are read.

    Attributes:
        ids: Categories of rows that are read; None where nobody chose any, and all are.
        notes: A line where the choice says nothing of the rows.
        left_out: A line on the others.
    """

    ids: frozenset[ImageId] | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: JsonText, reading: Reading) -> RowChoice:
        """The choice that was made among the rows of a file.

        Raises:
            FormatError: No row is of such a category.
            InputError: The file is not JSON.
        """
        if reading.category is None:
            return cls()
        counts = Counter(
            category_of(element.value)
            for element in chain.from_iterable(text.elements())
            if isinstance(element.value, dict)
        )
        return _choice(text.path, counts, reading.category, reading.category_names)

    def reads(self, row: Any) -> bool:
        """Whether a row is read; one that is faulty is, to be refused."""
        if self.ids is None or not isinstance(row, dict):
            return True
        known = category_of(row)
        return known is None or known in self.ids


def category_of(row: Mapping[str, Any]) -> ImageId | None:
    """What a row is of; what is no id says nothing, and is no fault."""
    return id_or_none(row.get(CATEGORY))


def several_categories(ids: Counter[ImageId | None], reading: Reading) -> tuple[str, ...]:
    """A line where nobody chose a category, and rows say that they are of several."""
    told = _told(ids)
    if reading.category is not None or len(told) < 2:
        return ()
    listed = _listed(told, reading.category_names)
    return (
        f"rows are of several categories, and all are read as of one layout ({listed}); --category reads one",
    )


def _choice(
    path: Path, counts: Counter[ImageId | None], category: str, names: Mapping[ImageId, str]
) -> RowChoice:
    told = _told(counts)
    so_called = {str(one) for one, name in names.items() if name == category}
    ids = frozenset(one for one in told if str(one) in (so_called or {category}))
    if ids or not told or None in counts:
        others = Counter({one: count for one, count in told.items() if one not in ids})
        line = f"rows of other categories, left as they are: {others.total():,} ({_listed(others, names)})"
        return RowChoice(ids, left_out=(line,) if others else ())
    only = next(iter(told))
    if so_called and len(counts) == 1 and only in UNTOLD and only not in names:
        line = f"category_id {only} in all rows, which is none of the annotations': taken for {category}"
        return RowChoice(frozenset({only}), notes=(line,))
    hint = "" if so_called or names else ", or what annotations call one of them (--annotations)"
    problem = f"there is no row of category {category!r} (--category); expected one of {_expected(told, names)}{hint}."
    raise FormatError.at(Where(path, field=CATEGORY), problem)


def _told(counts: Counter[ImageId | None]) -> Counter[ImageId]:
    """How many rows say that they are of each category."""
    return Counter({one: count for one, count in counts.items() if one is not None})


def _expected(told: Counter[ImageId], names: Mapping[ImageId, str]) -> str:
    """The categories that rows are of, as they can be chosen."""
    return ", ".join(names.get(one, str(one)) for one, _ in told.most_common())


def _listed(told: Counter[ImageId], names: Mapping[ImageId, str]) -> str:
    listed: Counter[str] = Counter()
    for one, count in told.items():
        listed[names.get(one, f"{CATEGORY} {one!r}")] += count
    return listed_counts(listed)
