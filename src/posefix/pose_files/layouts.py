"""The layout of a file that says no more of its keypoints than how many they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from posefix.errors import plural, quoted
from posefix.pose_files.pose_file import FormatError
from posefix.skeletons import Keypoint, Skeleton, layouts_of_count, load_skeleton
from posefix.skeletons.library import is_of_people

LACKING = 2
"""Keypoints of a person that a layout does not have, though a file names them: it is another layout."""
TRIPLE = 3
"""Numbers of a keypoint in most formats: x, y, score."""


class LayoutError(FormatError):
    """The layout of a file is not named, or it is another than was named.

    Args:
        message: One sentence.
        counts: How many keypoints a person of the file has, the likeliest number first; nothing where nobody knows.
    """

    def __init__(self, message: str, counts: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.counts = tuple(counts)


def layout_of_lengths(
    path: Path, lengths: Sequence[int], given: Skeleton | None, defined: Mapping[int, str], whose: str
) -> tuple[Skeleton, tuple[str, ...]]:
    """The layout that was named, or the one that an estimator defines for a number of keypoints, with a note.

    Args:
        path: The file, for messages.
        lengths: Of each person's list of x, y, score.
        given: The layout that was named.
        defined: Number of keypoints -> packaged layout.
        whose: Who defines them.

    Raises:
        FormatError: Nobody fits the layout that was named, or there is none of that number.
    """
    if given is not None:
        check_layout(path, given, lengths, "person")
        return given, ()
    if not lengths:
        return load_skeleton(next(iter(defined.values()))), ("nobody has keypoints",)
    # A person of another length is a fault of that person, told when the lists are read.
    known = [length for length in lengths if length in [TRIPLE * count for count in defined]]
    count = count_of_lengths(path, known or lengths)
    if count not in defined:
        raise unnamed_layout(path, [count])
    name = defined[count]
    return load_skeleton(name), (f"layout {name}: what {whose} writes with {plural(count, 'keypoint')}",)


def count_of_lengths(path: Path, lengths: Iterable[int], each: int = TRIPLE) -> int:
    """Keypoints of a person by the length that most of the lists have, of which there is at least one.

    Args:
        path: The file, for the message.
        lengths: Of each person's list.
        each: Numbers of a keypoint.

    Raises:
        FormatError: It is no multiple of that number.
    """
    length = Counter(lengths).most_common(1)[0][0]
    if length % each:
        raise FormatError(
            f"{path}: expected {each} numbers for each keypoint of a person, got lists of {length} numbers, which is "
            f"not a multiple of {each}; look whether some are missing."
        )
    return length // each


def unnamed_layout(path: Path, counts: Sequence[int]) -> LayoutError:
    """The error that asks for a layout; no count where the number of keypoints is unknown."""
    never = f"{path}: expected the name of its layout (--layout), which is never guessed"
    return LayoutError(f"{never}{fitting_layouts(counts)}.", counts)


def check_layout(
    path: Path, skeleton: Skeleton, lengths: Sequence[int], noun: str, each: int = TRIPLE
) -> None:
    """Refuse a layout that fits nobody in a file, with one fault for the file instead of one for each person.

    Where people differ, or a few numbers are missing, the layout may be right: then it is for each person to fit.

    Args:
        path: The file.
        skeleton: The layout that was named.
        lengths: Of each person's list.
        noun: What messages call a person.
        each: Numbers of a keypoint in the list.

    Raises:
        FormatError: All people have the same other number of keypoints.
    """
    if len(set(lengths)) != 1 or lengths[0] == each * len(skeleton):
        return
    if not lengths[0] or (lengths[0] % each and len(lengths) == 1):
        return
    count = count_of_lengths(path, lengths, each)
    raise LayoutError(
        f"{path}: expected {plural(len(skeleton), 'keypoint')} in each {noun}, as {skeleton.name} has (--layout), got "
        f"{count}{fitting_layouts([count])}.",
        [count],
    )


def check_names(path: Path, skeleton: Skeleton, names: Sequence[str], noun: str) -> None:
    """Refuse a layout whose keypoints are not those that a file names, in its order.

    Args:
        path: The file.
        skeleton: The layout that was named.
        names: Of the file's keypoints.
        noun: What messages call these.

    Raises:
        LayoutError: They are others.
    """
    if [skeleton.find(name) for name in names] != list(range(len(skeleton))):
        raise LayoutError(
            f"{path}: its {noun} {', '.join(names)} are not those of layout {skeleton.name!r}, "
            f"{', '.join(skeleton.keypoint_names)}; leave --layout out, or give a skeleton file with these aliases."
        )


def check_order(where: str, skeleton: Skeleton, names: Sequence[str]) -> None:
    """Refuse a layout where a file names its keypoints, and some are a person's that the layout has elsewhere or not.

    Other names are no matter: whoever named the layout says what they mean. One keypoint of a person that it does not
    have is none either: "neck" is another in OpenPose's layout.

    Args:
        where: The file and field, for the message.
        skeleton: The layout that was named, with as many keypoints.
        names: Of the file's keypoints.

    Raises:
        LayoutError: The names are of another layout.
    """
    known = [(place, name, skeleton.find(name)) for place, name in enumerate(names)]
    elsewhere = [(place, name) for place, name, found in known if found not in (None, place)]
    lacking = [(place, name) for place, name, found in known if found is None and is_of_people(name)]
    if elsewhere or len(lacking) >= LACKING:
        place, name = (elsewhere or lacking)[0]
        own = skeleton.keypoint_names[place] if place < len(skeleton) else "none"
        raise LayoutError(
            f"{where}: keypoint {place} is {quoted(name)}, and {own} in layout {skeleton.name!r}; leave the layout "
            "out, since the file names its keypoints.",
            [len(names)],
        )


def misfit(each: int, length: int) -> str:
    """What the length of one person's list says; begins with a comma or a semicolon.

    Args:
        each: Numbers of a keypoint.
        length: Of the list.
    """
    count, rest = divmod(length, each)
    if rest:
        return f", which is not a multiple of {each}"
    names = layouts_of_count(count)
    return f"{', as of ' if names else ''}{' or '.join(names)}; a file has people of one layout"


def fitting_layouts(counts: Sequence[int]) -> str:
    """Which packaged layouts have so many keypoints, or one of several numbers; begins with a semicolon."""
    if not counts:
        return ""
    number = " or ".join([*map(str, counts[:-1]), plural(counts[-1], "keypoint")])
    if names := [name for count in counts for name in layouts_of_count(count)]:
        return f"; with {number} it may be {' or '.join(names)}"
    return f"; no packaged layout has {number}, give a skeleton file of your own"


def anonymous_layout(count: int) -> Skeleton:
    """Stands in for a layout that nobody named: so many keypoints without names that mean anything."""
    keypoints = tuple(Keypoint(f"keypoint {number}", None, "") for number in range(count))
    return Skeleton(name="unknown", keypoints=keypoints, flip_pairs=(), limbs=())


def is_anonymous(skeleton: Skeleton) -> bool:
    """Whether it is the stand-in for a layout that nobody named."""
    return skeleton == anonymous_layout(len(skeleton))
