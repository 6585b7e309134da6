"""All faults of a pose file at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from posefix.errors import InputError
from posefix.interchange.detection import detect_format, find_format
from posefix.interchange.pose_files import NO_HINTS, Hints, check_pixels
from posefix.pose_file import FormatError, PoseFile, Source
from posefix.records import noted_faults


@dataclass(frozen=True, eq=False)
class Validation:
    """What is wrong with a pose file.

    Attributes:
        file: As it was read; None where it has faults.
        faults: What is wrong, field by field as far as the file can be read.
    """

    file: PoseFile | None
    faults: tuple[InputError, ...]

    def __str__(self) -> str:
        lines = []
        # What mends several faults in a row is said once, behind the last of them.
        for mend, faults in groupby(self.faults, _mend):
            lines += [*map(str, faults), *([f"    {mend}"] if mend else [])]
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
                hints.photo_names(file)
        except InputError as error:
            last = [error]
    # What was noted may have been raised as well, where nothing was left to read.
    found = tuple(dict.fromkeys((*faults, *last)))
    return Validation(None if found else file, found)


def _mend(fault: InputError) -> str:
    return fault.mend if isinstance(fault, FormatError) else ""
