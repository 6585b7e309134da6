"""All faults of a pose file at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from posefix.errors import InputError, plural
from posefix.formats import coco_annotation_poses
from posefix.formats.coco_annotations import check_places, nobody_annotated, parse_annotations
from posefix.interchange.detection import detect_format, find_format, read_source
from posefix.interchange.pose_files import NO_HINTS, Hints, check_pixels, load_layout
from posefix.photos.finding import MissingPhotosError
from posefix.pose.poses import ImageId
from posefix.pose_files.number_lists import TRIPLE, list_lengths
from posefix.pose_files.pose_file import FormatError, PoseFile, Source
from posefix.pose_files.records import NO_ID, is_plain, noted_faults

TRUTH_HEADING = (
    "as the truth that poses are measured by or trained on (posefix evaluate, analyze, compare, train):"
)


@dataclass(frozen=True, eq=False)
class Validation:
    """What is wrong with a pose file.

    Attributes:
        file: As it was read; None where it has faults.
        faults: What is wrong, record by record as far as the file can be read, and then with its photos.
        truth_faults: Of annotations what is wrong besides, for who measures poses against them or trains on them.
    """

    file: PoseFile | None
    faults: tuple[InputError, ...]
    truth_faults: tuple[InputError, ...] = ()

    def __str__(self) -> str:
        lines = _told(self.faults)
        if self.truth_faults:
            lines += [TRUTH_HEADING, *_told(self.truth_faults)]
        count = len(self.faults) + len(self.truth_faults)
        return "\n".join([*lines, plural(count, "fault") if count else "no faults"])


def _told(faults: Sequence[InputError]) -> list[str]:
    """Faults a line each; what mends several in a row is said once, behind the last of them."""
    lines = []
    for mend, group in groupby(faults, _mend):
        told = [str(fault) for fault in group]
        whose = f"The last {len(told)}: " if len(told) > 1 else ""
        lines += [*told, *([f"    {whose}{mend}"] if mend else [])]
    return lines


def validate(path: str | Path, hints: Hints = NO_HINTS) -> Validation:
    """Look for everything that is wrong with a pose file.

    A fault that hides what is behind it, such as a bracket that is missing, is the last one to be listed. A layout that
    fits nobody is one fault.

    Args:
        path: The file, or the folder of a format that is one.
        hints: What the file may not say itself.

    Raises:
        InputError: There is no such layout or format.
    """
    reading, file, last = hints.reading, None, []
    if hints.format is not None:
        find_format(hints.format)
    source = None
    with noted_faults() as faults:
        try:
            source = Source(path)
            file = read_source(detect_format(source, hints.format).format, source, reading)
            if not faults:
                check_pixels(file)
            # The reader looked for the photos itself where it needs their sizes.
            if not any(isinstance(fault, MissingPhotosError) for fault in faults):
                hints.photo_names(file, [known for known in file.poses.image_ids if _is_readable(known)])
        except InputError as error:
            last = [error]
    # What was noted may have been raised as well, where nothing was left to read.
    found = tuple(dict.fromkeys((*sorted(faults, key=partial(_place, Path(path))), *last)))
    known = set(map(str, found))
    truth = [
        fault
        for fault in ([] if source is None else _truth_faults(source, file, hints))
        if str(fault) not in known
    ]
    return Validation(None if found else file, found, tuple(truth))


def _truth_faults(source: Source, file: PoseFile | None, hints: Hints) -> list[InputError]:
    """What stops those who take annotations for the truth."""
    if file is None or file.format != coco_annotation_poses.NAME:
        return []
    with noted_faults() as faults:
        try:
            content, layout = source.document.root, load_layout(hints.layout)
            # COCO-WholeBody's poses have a layout with feet, face and hands, and as the truth the file is its body.
            overrule = layout is not None and TRIPLE * len(layout) in _lengths(content)
            annotations = parse_annotations(content, source.path, layout, hints.category, overrule=overrule)
            if not faults:
                check_places(annotations)
            if not faults and not len(annotations.people):
                faults.append(nobody_annotated(annotations))
            _ = annotations.skeleton.sigmas
        except InputError as error:
            faults.append(error)
    return sorted(dict.fromkeys(faults), key=partial(_place, source.path))


def _lengths(content: Any) -> list[int]:
    """How many numbers the keypoints of annotated people have."""
    rows = content.get("annotations") if isinstance(content, dict) else None
    people = rows if isinstance(rows, list) else []
    return list_lengths(row.get("keypoints") for row in people if isinstance(row, dict))


def _place(path: Path, fault: InputError) -> tuple[bool, str, list[int]]:
    """Where a fault is: beside the source, in a file of its folder, in a record by numbers."""
    where = fault.where
    if where is None:
        return not str(fault).startswith(str(path)), "", []
    beside = where.file != path and path not in where.file.parents
    return beside, str(where.file), [int(number) for number in re.findall(r"\d+", where.record)]


def _is_readable(image_id: ImageId) -> bool:
    return image_id != NO_ID and is_plain(str(image_id))


def _mend(fault: InputError) -> str:
    return fault.mend if isinstance(fault, FormatError) else ""
