"""All faults of a pose file at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from posefix.errors import InputError
from posefix.interchange.detection import detect_format, find_format
from posefix.interchange.pose_files import NO_HINTS, Hints, check_pixels
from posefix.photos.finding import MissingPhotosError
from posefix.pose.poses import ImageId
from posefix.pose_files.pose_file import FormatError, PoseFile, Source
from posefix.pose_files.records import NO_ID, is_plain, noted_faults


@dataclass(frozen=True, eq=False)
class Validation:
    """What is wrong with a pose file.

    Attributes:
        file: As it was read; None where it has faults.
        faults: What is wrong, record by record as far as the file can be read, and then with its photos.
    """

    file: PoseFile | None
    faults: tuple[InputError, ...]

    def __str__(self) -> str:
        lines = []
        # What mends several faults in a row is said once, behind the last of them.
        for mend, group in groupby(self.faults, _mend):
            faults = [str(fault) for fault in group]
            whose = f"The last {len(faults)}: " if len(faults) > 1 else ""
            lines += [*faults, *([f"    {whose}{mend}"] if mend else [])]
        count = len(self.faults)
        return "\n".join([*lines, "1 fault" if count == 1 else f"{count or 'no'} faults"])


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
    with noted_faults() as faults:
        try:
            source = Source(path)
            file = detect_format(source, hints.format).format.read(source, reading)
            if not faults:
                check_pixels(file)
            # The reader looked for the photos itself where it needs their sizes.
            if not any(isinstance(fault, MissingPhotosError) for fault in faults):
                hints.photo_names(file, [known for known in file.poses.image_ids if _is_readable(known)])
        except InputError as error:
            last = [error]
    # What was noted may have been raised as well, where nothing was left to read.
    found = tuple(dict.fromkeys((*sorted(faults, key=partial(_place, str(Path(path)))), *last)))
    return Validation(None if found else file, found)


def _place(path: str, fault: InputError) -> tuple[bool, str, list[int]]:
    """Where a fault is, as its message begins: beside the source, in a file of its folder, in a record by numbers."""
    message = str(fault)
    file, _, record = message.removeprefix(path).split(": ")[0].split(", field ")[0].partition(", ")
    return not message.startswith(path), file, [int(number) for number in re.findall(r" (\d+)", record)]


def _is_readable(image_id: ImageId) -> bool:
    return image_id != NO_ID and is_plain(str(image_id))


def _mend(fault: InputError) -> str:
    return fault.mend if isinstance(fault, FormatError) else ""
