"""The categories of COCO files: which of them name keypoints, and the limbs that they draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from posefix.errors import InputError, plural, quoted
from posefix.skeletons.skeleton import Pair, normalise

Category = Mapping[str, Any]


def categories_of(content: Mapping[str, Any], where: str) -> list[Category]:
    """The categories of a COCO file; none where it has no such list.

    Args:
        content: The parsed file.
        where: The file's name, for messages.

    Raises:
        InputError: They are one object instead of a list.
    """
    categories = content.get("categories")
    if isinstance(categories, Mapping):
        raise InputError(
            f"{where}, field 'categories': expected a list of objects, got one object; put it in brackets, [{{...}}]."
        )
    entries = categories if isinstance(categories, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def keypoint_categories(
    categories: Sequence[Category], where: str, name: str | None = None
) -> list[Category]:
    """The categories that name keypoints, all the same ones; none where no category does.

    Args:
        categories: Of a file.
        where: The file's name, for messages.
        name: Of the one that is meant, whether it names keypoints or not, or its id; None where there is no choice.

    Raises:
        InputError: There is none of that name, or categories name different keypoints.
    """
    if name is None:
        chosen = [category for category in categories if category.get("keypoints")]
    else:
        chosen = [category for category in categories if category.get("name") == name]
        chosen = chosen or [category for category in categories if str(category.get("id")) == name]
        if not chosen:
            names = ", ".join(map(called, categories)) or "none"
            raise InputError(f"{where}: there is no category {name!r} (--category); expected one of {names}.")
    if len({_keypoints_key(category) for category in chosen}) > 1:
        first = chosen[0]
        # Where several have one name, only the id tells them apart.
        names_one = [category.get("name") for category in chosen].count(first.get("name")) == 1
        choice = called(first) if names_one else str(first.get("id"))
        raise InputError(
            f"{where}, field 'categories': expected keypoints of one layout, got "
            f"{', '.join(map(_described, chosen))}; choose a category (--category {quoted(choice)})."
        )
    return chosen


def called(category: Category) -> str:
    """The name of a category, for messages; its id where it has none."""
    return str(category.get("name") or category.get("id"))


def limbs_of(category: Category, names: Sequence[str]) -> tuple[list[Pair], tuple[str, ...]]:
    """The limbs that a category's field ``skeleton`` draws, and notes where they are not as COCO has them.

    COCO counts keypoints from 1. Where a 0 is among the numbers and none is too large for that, they are counted from
    0; names of keypoints are taken as well. Limbs are for drawings alone, so no fault of them stops anybody.

    Args:
        category: Of a COCO file.
        names: Of its keypoints.
    """
    written = category.get("skeleton") or []
    limbs = written if isinstance(written, list) else [written]
    numbers = [end for limb in limbs if isinstance(limb, list) for end in limb if _is_whole(end)]
    first = 0 if 0 in numbers and max(numbers) < len(names) else 1
    ends: dict[Any, str] = {
        **{number + first: name for number, name in enumerate(names)},
        **{name: name for name in names},
    }
    known, odd = [], []
    for limb in limbs:
        if _is_limb(limb, ends):
            known.append((ends[limb[0]], ends[limb[1]]))
        else:
            odd.append(limb)
    notes = ["limbs counted from 0: COCO counts keypoints from 1"] if first == 0 else []
    notes += [f"limbs left out, which name no two keypoints: {quoted(odd)}"] if odd else []
    return known, tuple(notes)


def _keypoints_key(category: Category) -> tuple[str, ...]:
    names = category.get("keypoints")
    return tuple(normalise(str(name)) for name in names) if isinstance(names, list) else (str(names),)


def _described(category: Category) -> str:
    names = category.get("keypoints")
    count = f" ({plural(len(names), 'keypoint')})" if isinstance(names, list) else ""
    return f"{called(category)}{count}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1


def _is_limb(limb: Any, ends: Mapping[Any, str]) -> bool:
    """Whether it is a pair of two keypoints, by numbers or names."""
    pair = limb if isinstance(limb, list) and len(limb) == 2 else [None, None]
    known = all(isinstance(end, str) or _is_whole(end) for end in pair) and all(end in ends for end in pair)
    return known and ends[pair[0]] != ends[pair[1]]
