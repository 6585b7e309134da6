"""Which keypoints change places in a mirror, told by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from posefix.skeletons.skeleton import Pair

MIRROR = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORD = re.compile(r"[A-Z](?![a-z])|[A-Z]?[a-z]+|[^\W_a-zA-Z]+")
_SIDE = re.compile("left|right", re.IGNORECASE)


def mirror_pairs(names: Sequence[str]) -> tuple[Pair, ...]:
    """Pairs of names that differ by side alone, the left one first, in the order of the left ones.

    Sides are looked for where people write them, the surest place first: words of their own (``left_eye``, ``Eye L``,
    ``LPaw``), left and right within a word (``leftear``), l and r at a word's beginning or end (``lfpaw``, ``hipr``).
    Both names of a pair must be there.

    Example:
        >>> mirror_pairs(["snout", "leftear", "rightear", "LPaw", "RPaw", "hipr", "hipl", "rump"])
        (('leftear', 'rightear'), ('LPaw', 'RPaw'), ('hipl', 'hipr'))
    """
    by_words = {_words(name): name for name in names}
    partners: dict[str, str] = {}
    for mirrors in (_by_word, _within_a_word, _by_letter):
        for name in names:
            found = (by_words[words] for words in mirrors(name) if words in by_words)
            partner = next(
                (other for other in found if other != name and other not in partners.values()), None
            )
            if name not in partners and name not in partners.values() and partner is not None:
                partners[name] = partner
    return tuple((name, partners[name]) for name in names if name in partners)


def without_partner(names: Sequence[str]) -> tuple[str, ...]:
    """Names that say left or right as a word, and have no partner in `mirror_pairs`."""
    paired = {name for pair in mirror_pairs(names) for name in pair}
    return tuple(
        name for name in names if name not in paired and not {"left", "right"}.isdisjoint(_words(name))
    )


def mirrored_name(name: str) -> str:
    """What the partner of a name that says a side would be called.

    Example:
        >>> mirrored_name("Left Eye")
        'right_eye'
    """
    return "_".join(MIRROR.get(word, word) for word in _words(name))


def _words(name: str) -> tuple[str, ...]:
    """``LPaw``, ``left_paw1`` -> ``l paw``, ``left paw 1``."""
    return tuple(word.lower() for word in _WORD.findall(name))


def _by_word(name: str) -> Iterator[tuple[str, ...]]:
    words = _words(name)
    if not {"left", "l"}.isdisjoint(words):
        yield tuple(MIRROR.get(word, word) for word in words)


def _within_a_word(name: str) -> Iterator[tuple[str, ...]]:
    words = _words(name)
    for place, word in enumerate(words):
        if "left" in word:
            mirrored = _SIDE.sub(lambda side: MIRROR[side.group().lower()], word)
            yield (*words[:place], mirrored, *words[place + 1 :])


def _by_letter(name: str) -> Iterator[tuple[str, ...]]:
    words = _words(name)
    for place, word in enumerate(words):
        before, after = words[:place], words[place + 1 :]
        if word.startswith("l"):
            yield (*before, f"r{word[1:]}", *after)
        if word.endswith("l"):
            yield (*before, f"{word[:-1]}r", *after)
