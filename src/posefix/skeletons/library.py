"""Where skeletons come from: the packaged layouts, a user's skeleton file, the categories of a COCO file.

The packaged layouts share one vocabulary, ``data/skeletons/keypoints.json``; a layout is a list of its
names, in the form of a user's file (docs/formats.md).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.skeletons.categories import categories_of, keypoint_categories, limbs_of
from posefix.skeletons.mirroring import mirror_pairs, mirrored_name, without_partner
from posefix.skeletons.skeleton import Keypoint, Pair, Skeleton, normalise, spellings

FOLDER = Path(__file__).parent.parent / "data" / "skeletons"
PACKAGED = (
    "coco17",
    "lsp14",
    "mpii16",
    "aic14",
    "hourglass14",
    "efficientpose16",
    "crowdpose14",
    "posetrack18",
    "openpose18",
    "body25",
    "blazepose33",
    "halpe26",
    "halpe136",
    "wholebody133",
    "posefix19",
)
SKELETON_FIELDS = ("name", "description", "source", "keypoints", "limbs", "flip_pairs", "unscored")
KEYPOINT_FIELDS = ("name", "definition", "aliases", "sigma", "sigma_source", "parents")


def skeleton_names() -> tuple[str, ...]:
    """Names of the packaged skeletons."""
    return PACKAGED


def layouts_of_count(count: float) -> list[str]:
    """Names of the packaged skeletons with so many keypoints."""
    return [name for name in skeleton_names() if len(load_skeleton(name)) == count]


def load_skeleton(name_or_path: str | Path) -> Skeleton:
    """A packaged skeleton by its name, or a user's own from a JSON file.

    The file is a skeleton file (docs/formats.md), or a COCO annotation file whose category names the
    keypoints.

    Raises:
        InputError: There is neither such a name nor such a file, or the file is faulty.
    """
    if str(name_or_path) in PACKAGED:
        return _packaged(str(name_or_path))
    path = Path(name_or_path)
    if path.suffix != ".json" and not path.is_file():
        close = _nearest(str(name_or_path))
        hint = f"did you mean {close}?" if close else "a skeleton file of your own ends in .json."
        raise InputError(f"no skeleton {str(name_or_path)!r}; expected one of {', '.join(PACKAGED)}; {hint}")
    return parse_skeleton(read_json(path), path)


def parse_skeleton(content: Any, path: Path) -> Skeleton:
    """The skeleton that a parsed file holds; see `load_skeleton`.

    Args:
        content: The file's value.
        path: The file, for messages; its name is that of a skeleton that has no other.

    Raises:
        InputError: The file is faulty.
    """
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected an object with 'keypoints' or 'categories', got {quoted(content)}."
        )
    if "categories" in content:
        return skeleton_from_coco(keypoint_category(content, str(path)), path.name, str(path))
    return _from_description(content, path.name)


def _nearest(name: str) -> str:
    """The packaged names that somebody may have meant; empty if there are none."""
    spelling = normalise(name)
    begun = [packaged for packaged in PACKAGED if spelling and packaged.startswith(spelling)]
    return " or ".join(map(repr, begun or difflib.get_close_matches(spelling, PACKAGED, n=1)))


def keypoint_category(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The category of a COCO file that names keypoints; the first of several that name the same.

    Args:
        content: The parsed file.
        where: The file's name, for messages.

    Raises:
        InputError: There is none, or several name different keypoints.
    """
    found = keypoint_categories(categories_of(content, where), where)
    if not found:
        raise InputError(
            f"{where}, field 'categories': expected one category with a list of names 'keypoints', got 0; give it one."
        )
    return found[0]


def skeleton_from_coco(category: Mapping[str, Any], name: str, where: str | None = None) -> Skeleton:
    """The skeleton that a category of a COCO file describes.

    When the names are those of a packaged skeleton, aliases included and in its order, that one is
    returned, with its sigmas and flip pairs. Otherwise each name is looked up in the packaged vocabulary,
    and flip pairs follow from left and right in the names unless a field ``flip_pairs`` gives them.

    Args:
        category: Has ``keypoints``, a list of names, and maybe ``skeleton`` (`posefix.skeletons.limbs_of`).
        name: Of a skeleton that is not a packaged one: the file's.
        where: What messages call the file; its name by default.

    Raises:
        InputError: A field is faulty.
    """
    names = category.get("keypoints")
    place = f"{where or name}, categories"
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise InputError(f"{place}, field 'keypoints': expected a list of names, got {quoted(names)}.")
    for packaged in map(_packaged, PACKAGED):
        if [packaged.find(entry) for entry in names] == list(range(len(packaged))):
            return packaged
    limbs, _ = limbs_of(category, names)
    content = {"keypoints": names, "limbs": [list(limb) for limb in limbs]}
    if "flip_pairs" in category:
        content["flip_pairs"] = category["flip_pairs"]
    return _from_description(content, name)


def skeleton_from_names(
    names: Sequence[str], name: str, limbs: Sequence[Pair] = (), flip_pairs: Sequence[Pair] | None = None
) -> Skeleton:
    """The skeleton of keypoints of which a file says no more than the names, and maybe limbs.

    As `skeleton_from_coco`, but a keypoint of one side alone is no fault: what such a file holds can be refined, if not
    mirrored.

    Args:
        names: Of the keypoints, in order.
        name: Of the file, for messages and as the skeleton's.
        limbs: Pairs of names.
        flip_pairs: Pairs of names; None to tell them by the names.

    Raises:
        InputError: Two keypoints have one name, or there is none.
    """
    number = {keypoint: place + 1 for place, keypoint in enumerate(names)}
    category = {
        "keypoints": list(names),
        "skeleton": [[number[end] for end in limb] for limb in limbs if number.keys() >= set(limb)],
        "flip_pairs": [list(pair) for pair in (mirror_pairs(names) if flip_pairs is None else flip_pairs)],
    }
    return skeleton_from_coco(category, name)


def is_of_people(name: str) -> bool:
    """Whether people have a keypoint of this name, be it a canonical one or an alias."""
    return normalise(name) in _vocabulary()


def skeleton_text(skeleton: Skeleton) -> str:
    """A skeleton file that `load_skeleton` reads as this skeleton."""
    keypoints = []
    for keypoint in skeleton.keypoints:
        known = {
            "definition": keypoint.definition,
            "aliases": keypoint.aliases,
            "sigma_source": keypoint.sigma_source,
            "parents": _own_parents(keypoint),
        }
        filled = {field: value for field, value in known.items() if value}
        keypoints.append({"name": keypoint.name, "sigma": keypoint.sigma, **filled})
    lists = {"keypoints": keypoints, "limbs": skeleton.limbs, "flip_pairs": skeleton.flip_pairs}
    texts = [f'  "name": {json.dumps(skeleton.name)}']
    if skeleton.description:
        texts.append(f'  "description": {json.dumps(skeleton.description)}')
    for field, rows in {**lists, "unscored": skeleton.unscored}.items():
        lines = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in rows)
        texts.append(f'  "{field}": [\n{lines}\n  ]' if rows else f'  "{field}": []')
    return "{\n" + ",\n".join(texts) + "\n}\n"


def _own_parents(keypoint: Keypoint) -> tuple[str, ...]:
    """Parents that the vocabulary does not give the keypoint anyhow."""
    known = _vocabulary().get(normalise(keypoint.name))
    return () if known is not None and known.parents == keypoint.parents else keypoint.parents


@cache
def _packaged(name: str) -> Skeleton:
    return _from_description(read_json(FOLDER / f"{name}.json"), name)


@cache
def _vocabulary() -> dict[str, Keypoint]:
    """Normalised name or alias -> packaged keypoint."""
    keypoints = [
        Keypoint(
            name,
            **{**fields, "aliases": tuple(fields["aliases"]), "parents": tuple(fields.get("parents", ()))},
        )
        for name, fields in read_json(FOLDER / "keypoints.json").items()
    ]
    positions = spellings(keypoints, "keypoints.json")
    return {spelling: keypoints[index] for spelling, index in positions.items()}


def _from_description(content: Mapping[str, Any], where: str) -> Skeleton:
    """The skeleton that a skeleton file describes; `where` is the file's name."""
    _check_fields(content, SKELETON_FIELDS, where)
    entries = content.get("keypoints")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{where}, field 'keypoints': expected a list of keypoints, got {quoted(entries)}.")
    keypoints = tuple(_keypoint(entry, f"{where}, keypoint {number}") for number, entry in enumerate(entries))
    unscored = content.get("unscored", [])
    if not _are_names(unscored):
        raise InputError(f"{where}, field 'unscored': expected a list of names, got {quoted(unscored)}.")
    canonical = {spelling: keypoints[index].name for spelling, index in spellings(keypoints, where).items()}
    _check_parents(entries, canonical, where)
    explicit = "flip_pairs" in content
    try:
        return Skeleton(
            name=str(content.get("name", where)),
            keypoints=keypoints,
            flip_pairs=_pairs(content, "flip_pairs", canonical) if explicit else _pairs_by_name(keypoints),
            limbs=_pairs(content, "limbs", canonical),
            unscored=tuple(canonical.get(normalise(name), name) for name in unscored),
            description=str(content.get("description", "")),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _keypoint(entry: Any, where: str) -> Keypoint:
    """A keypoint as a skeleton file writes it; what is left out comes from the packaged vocabulary."""
    fields = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
        raise InputError(f"{where}: expected a name, or an object with a 'name', got {quoted(entry)}.")
    _check_fields(fields, KEYPOINT_FIELDS, where)
    aliases = fields.get("aliases", [])
    if not _are_names(aliases):
        raise InputError(f"{where}, field 'aliases': expected a list of names, got {quoted(aliases)}.")
    known = _vocabulary().get(normalise(fields["name"]), Keypoint(fields["name"], None, ""))
    definition = str(fields.get("definition", known.definition))
    parents = fields.get("parents", list(known.parents))
    if not _are_names(parents):
        raise InputError(f"{where}, field 'parents': expected a list of names, got {quoted(parents)}.")
    keypoint = replace(
        known,
        definition=definition,
        aliases=tuple(dict.fromkeys((*known.aliases, *aliases))),
        parents=tuple(parents),
    )
    if "sigma" not in fields:
        return keypoint
    sigma = fields["sigma"]
    if isinstance(sigma, bool) or not isinstance(sigma, int | float | None):
        raise InputError(f"{where}, field 'sigma': expected a number or null, got {quoted(sigma)}.")
    return replace(keypoint, sigma=sigma, sigma_source=str(fields.get("sigma_source", "")))


def _check_parents(entries: Sequence[Any], canonical: Mapping[str, str], where: str) -> None:
    """Refuse parents that the file names and does not have; those of the vocabulary may be in other layouts only."""
    for entry in entries:
        for parent in entry.get("parents", []) if isinstance(entry, Mapping) else []:
            if normalise(parent) not in canonical:
                raise InputError(
                    f"{where}, keypoint {entry['name']!r}, field 'parents': there is no keypoint {parent!r}; "
                    "name keypoints of this file."
                )


def _pairs(content: Mapping[str, Any], key: str, canonical: Mapping[str, str]) -> tuple[Pair, ...]:
    pairs = content.get(key, [])
    if not _are_pairs(pairs) or not all(map(_are_names, pairs)):
        raise InputError(f"field {key!r}: expected a list of pairs of keypoint names, got {quoted(pairs)}.")
    return tuple((canonical.get(normalise(a), a), canonical.get(normalise(b), b)) for a, b in pairs)


def _pairs_by_name(keypoints: Sequence[Keypoint]) -> tuple[Pair, ...]:
    """Flip pairs that follow from left and right, or l and r, in the names."""
    names = [keypoint.name for keypoint in keypoints]
    if lonely := without_partner(names):
        raise InputError(
            f"keypoint {lonely[0]!r} has no mirror partner {mirrored_name(lonely[0])!r}; "
            "add that keypoint, or a field 'flip_pairs' with all pairs."
        )
    return mirror_pairs(names)


def _check_fields(content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    if unknown := sorted(set(content) - set(known)):
        raise InputError(f"{where}: unknown field {unknown[0]!r}; expected some of {', '.join(known)}.")


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
