"""Which annotations of a COCO file are people with keypoints, and in which layout: what its categories say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from posefix.errors import InputError, Where, listed_counts, plural, quoted
from posefix.pose.poses import FloatArray, ImageId
from posefix.pose_files.gaps import check_gaps
from posefix.pose_files.layouts import (
    TRIPLE,
    LayoutError,
    check_layout,
    check_order,
    fitting_layouts,
    misfit,
    unnamed_layout,
)
from posefix.pose_files.people_alone import are_people_alone
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import Records, id_or_none, ids_as_known, report_fault
from posefix.skeletons import (
    Category,
    Skeleton,
    agreeing_categories,
    called,
    categories_of,
    keypoint_categories,
    limbs_of,
    skeleton_from_coco,
)
from posefix.skeletons.skeleton import normalise

IDS_SHOWN = 5
ANY, UNKNOWN = -1, -2
"""Instead of the place of an annotation's category: it may be any, or is none of the file's."""


@dataclass(frozen=True)
class AnnotatedCategories:
    """The categories of an annotation file by their ids; none where it does not say them.

    Attributes:
        names: What those are called that are people here, or of which there are annotations.
        people: Ids of those that are people here.
    """

    names: Mapping[ImageId, str] = field(default_factory=dict)
    people: frozenset[ImageId] = frozenset()

    @classmethod
    def of(
        cls, categories: Sequence[Category], people: Collection[int], used: Collection[int]
    ) -> AnnotatedCategories:
        """Those of a file, given the places of categories that are people and of those that annotations are of."""
        ids = {place: id_or_none(one.get("id")) for place, one in enumerate(categories)}
        known = {place: one for place, one in ids.items() if one is not None}
        return cls(
            {one: called(categories[place]) for place, one in known.items() if place in {*people, *used}},
            frozenset(one for place, one in known.items() if place in people),
        )


NO_CATEGORIES = AnnotatedCategories()


@dataclass(frozen=True, eq=False)
class LabelledRecords:
    """The annotations of people with keypoints.

    Attributes:
        records: The annotations, those without any keypoint too.
        skeleton: Layout of their keypoints.
        notes: What a user should know of the limbs and of categories that are taken together.
        left_out: A line on annotations of other categories, which are nobody here.
        categories: Those of the file.
    """

    records: Records
    skeleton: Skeleton
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    categories: AnnotatedCategories = NO_CATEGORIES

    def triples(self) -> FloatArray:
        """(N, K, 3): x, y and visibility of each keypoint; NaN where a number is not there, 0 for who has no keypoints.

        Raises:
            FormatError: A list has another length or holds something that is not a finite number.
        """
        return keypoint_triples(self.records, self.skeleton)


def labelled_records(
    content: Mapping[str, Any],
    path: Path,
    layout: Skeleton | None = None,
    category: str | None = None,
    *,
    overrule: bool = False,
    lengths_of: Callable[[Records], list[int]] | None = None,
) -> LabelledRecords:
    """The annotations of the categories that name keypoints, or of the one that was asked for.

    Several categories that name the same keypoints are taken together; where they name different ones, see
    `posefix.skeletons.agreeing_categories`. Where none names any, or more or fewer than the annotations have, the
    layout decides that was named.

    Args:
        content: The parsed file.
        path: The file.
        layout: The layout that somebody named.
        category: Name of the category that is meant; None where there is no choice.
        overrule: Whether the layout that was named is taken before the one that the category names.
        lengths_of: How many numbers people have, where these stand in other fields than ``keypoints`` as well.

    Raises:
        InputError: The file has no list of annotations, an annotation is of a category that is not there, the layout is
            not known, or there is a choice to be made.
    """
    records = listed_records(content, path, "annotations", "annotation")
    categories = categories_of(content, str(path))
    of_each = _categories_of(records, categories)
    chosen = _chosen(categories, of_each, records, path, category, layout)
    people = records.choose([place == ANY or place in chosen for place in of_each])
    lengths = people.lengths("keypoints") if lengths_of is None else lengths_of(people)
    skeleton, notes = _layout(
        path, [categories[place] for place in chosen], lengths, layout, overrule=overrule
    )
    others = [place for place in of_each if place not in (ANY, UNKNOWN) and place not in chosen]
    together = _together([categories[place] for place in chosen])
    return LabelledRecords(
        people,
        skeleton,
        (*notes, *together),
        _left_out([categories[place] for place in others]),
        AnnotatedCategories.of(categories, chosen, set(of_each)),
    )


def keypoint_triples(records: Records, skeleton: Skeleton) -> FloatArray:
    """(N, K, 3): x, y and visibility of each keypoint; NaN where a number is not there, 0 for who has no keypoints.

    Raises:
        FormatError: A list has another length or holds something that is not a finite number.
    """
    names = [f"{what} of {name}" for name in skeleton.keypoint_names for what in ("x", "y", "visibility")]
    may_lack = bool(records.lengths("keypoints"))
    numbers = records.keypoint_lists("keypoints", names, partial(misfit, TRIPLE), may_lack=may_lack)
    triples = numbers.reshape(-1, len(skeleton), TRIPLE)
    check_gaps(triples, records, ("keypoints",) * TRIPLE, skeleton.keypoint_names)
    return triples


def listed_records(content: Mapping[str, Any], path: Path, field: str, noun: str) -> Records:
    """The records of one of a file's lists.

    Raises:
        InputError: There is no such list, or it holds something else than objects.
    """
    rows = content.get(field)
    if not isinstance(rows, list):
        problem = f"expected a list, got {quoted(rows)}."
        report_fault(FormatError.at(Where(path, field=field), problem, "Write a list, be it empty."))
        rows = []
    return Records(path, noun, rows)


def _categories_of(records: Records, categories: Sequence[Category]) -> list[int]:
    """Place of each annotation's category in the list; `ANY` where annotation or file do not say it.

    Raises:
        FormatError: An annotation is of a category that is not there.
    """
    ids = _places_of_ids(records.path, categories)
    places: list[int] = []
    for number, row in enumerate(records.rows):
        given = row.get("category_id")
        if given is None or not ids:
            places.append(ANY)
            continue
        known = id_or_none(given)
        if known is not None and known not in ids:
            known = ids_as_known([known], ids)[0]
        if known not in ids:
            shown = ", ".join(map(repr, list(ids)[:IDS_SHOWN])) + (", ..." if len(ids) > IDS_SHOWN else "")
            report_fault(records.fault(number, "category_id", f"the id of a category ({shown})"))
        places.append(UNKNOWN if known is None else ids.get(known, UNKNOWN))
    return places


def _places_of_ids(path: Path, categories: Sequence[Category]) -> dict[ImageId, int]:
    """The place of each category's id in the list.

    Raises:
        FormatError: Categories with different keypoints have one id, so nobody can tell whose an annotation is.
    """
    places: dict[ImageId, int] = {}
    for place, one in enumerate(categories):
        known = id_or_none(one.get("id"))
        first = place if known is None else places.setdefault(known, place)
        if first != place and one.get("keypoints") != categories[first].get("keypoints"):
            where = Where(path, f"category {place}", "id")
            problem = f"expected another id than that of category {first}, got {known!r}."
            report_fault(FormatError.at(where, problem, "Give each category an id of its own."))
    return places


def _chosen(
    categories: Sequence[Category],
    of_each: Sequence[int],
    records: Records,
    path: Path,
    name: str | None,
    layout: Skeleton | None,
) -> set[int]:
    """Places of the categories that are people: those that name keypoints, else those whose annotations have some."""
    used = set(of_each)
    try:
        named = keypoint_categories(categories, str(path), name)
    except InputError:
        if name is not None:
            raise
        # Of categories with other keypoints, those that nobody is of are no choice to be made.
        in_use = [one for place, one in enumerate(categories) if place in used]
        alone = are_people_alone()
        named = agreeing_categories(in_use or categories, str(path), layout, people_alone=alone)
    if named:
        return {place for place, one in enumerate(categories) if any(one is chosen for chosen in named)}
    return {place for place, row in zip(of_each, records.rows, strict=True) if row.get("keypoints")} - {
        ANY,
        UNKNOWN,
    }


def _layout(
    path: Path, chosen: Sequence[Category], lengths: Sequence[int], layout: Skeleton | None, *, overrule: bool
) -> tuple[Skeleton, tuple[str, ...]]:
    """The layout of the people, and what to note of its limbs.

    Raises:
        FormatError: It is not known.
    """
    names = chosen[0].get("keypoints") if chosen else None
    if not names:
        if layout is None:
            raise unnamed_layout(path, _counts(lengths))
        check_layout(path, layout, lengths, "annotation")
        return layout, ()
    says_little = _misfits(names, lengths) or not _are_words(names)
    if layout is not None and (overrule or (says_little and TRIPLE * len(layout) in lengths)):
        check_layout(path, layout, lengths, "annotation")
        if not says_little:
            check_order(f"{path}, field 'categories'", layout, names)
        return layout, ()
    if not _tell_apart(names):
        raise LayoutError(
            f"{path}, field 'categories': expected a list 'keypoints' that names each keypoint once, got "
            f"{quoted(names)}; correct it, or name their layout (--layout){fitting_layouts(_counts(lengths))}.",
            _counts(lengths),
        )
    if _misfits(names, lengths) and (counts := _counts(lengths)):
        raise LayoutError(
            f"{path}, field 'categories': names {plural(len(names), 'keypoint')}, and the annotations have "
            f"{plural(counts[0], 'keypoint')}; name their layout (--layout){fitting_layouts(counts)}.",
            counts,
        )
    skeleton = skeleton_from_coco(chosen[0], path.name, str(path))
    _, notes = limbs_of(chosen[0], names)
    return skeleton, notes if skeleton.name == path.name else ()


def _misfits(names: Any, lengths: Sequence[int]) -> bool:
    """Whether nobody has as many keypoints as a category names."""
    return isinstance(names, list) and bool(lengths) and TRIPLE * len(names) not in lengths


def _tell_apart(names: Any) -> bool:
    """Whether what a category has for ``keypoints`` is a list of names, each there once."""
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        return False
    return len(set(map(normalise, names))) == len(names)


def _are_words(names: Any) -> bool:
    """Whether a category's names say which keypoints they are, as "1", "2" and so on do not."""
    return _tell_apart(names) and any(character.isalpha() for name in names for character in name)


def _counts(lengths: Sequence[int]) -> list[int]:
    """How many keypoints people have, if all have as many."""
    different = set(lengths)
    return [length // TRIPLE for length in different if length % TRIPLE == 0] if len(different) == 1 else []


def _together(chosen: Sequence[Category]) -> tuple[str, ...]:
    names = list(map(called, chosen))
    return (f"categories with the same keypoints, together: {', '.join(names)}",) if len(names) > 1 else ()


def _left_out(others: Sequence[Category]) -> tuple[str, ...]:
    if not others:
        return ()
    listed = listed_counts(Counter(map(called, others)))
    return (f"annotations of other categories, left as they are: {len(others):,} ({listed})",)
