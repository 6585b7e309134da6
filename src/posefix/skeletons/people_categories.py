"""Which categories of a COCO file are read where they name different keypoints, as people's and animals' do."""

from __future__ import annotations

from collections.abc import Sequence

from posefix.errors import InputError
from posefix.skeletons.categories import Category, keypoint_categories
from posefix.skeletons.matching import are_of_people
from posefix.skeletons.skeleton import Skeleton


def agreeing_categories(
    categories: Sequence[Category],
    where: str,
    layout: Skeleton | None = None,
    *,
    people_alone: bool = False,
) -> list[Category]:
    """The categories that name keypoints, all the same ones, where nobody chose one by its name.

    Of categories with different keypoints those are taken that have the keypoints of the layout that was named, in its
    order; where there are none, and only people are asked for, those whose keypoints are a person's.

    Args:
        categories: Of a file, those that somebody is of.
        where: The file's name, for messages.
        layout: The layout that somebody named.
        people_alone: Whether only people are asked for.

    Raises:
        InputError: There is a choice to be made; the advice is a category of people, if there is one.
    """
    of_people = [one for one in categories if _is_of_people(one)]
    others = [one for one in categories if not any(one is known for known in of_people)]
    try:
        return keypoint_categories([*of_people, *others], where)
    except InputError:
        in_order = [] if layout is None else [one for one in categories if _has_order(one, layout)]
        if not in_order and not (people_alone and of_people):
            raise
    # Names of one layout may be spelled in several ways.
    return in_order or keypoint_categories(of_people, where)


def _is_of_people(category: Category) -> bool:
    names = _names(category)
    return bool(names) and are_of_people(names)


def _has_order(category: Category, layout: Skeleton) -> bool:
    """Whether a category names the keypoints of a layout, in its order."""
    return [layout.find(name) for name in _names(category)] == list(range(len(layout)))


def _names(category: Category) -> list[str]:
    """Of the keypoints; none where they are no texts."""
    names = category.get("keypoints")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
