"""What a pose file holds, for people: format, layout, people, photos, scores, and what is odd about them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.interchange.detection import Detection, detect_format, read_source
from posefix.interchange.pose_files import NO_HINTS, Hints, Layout, check_pixels
from posefix.pose.poses import FloatArray, Poses
from posefix.pose_files.layouts import LayoutError, anonymous_layout, is_anonymous
from posefix.pose_files.pose_file import Format, PoseFile, Reading, Source
from posefix.pose_files.units import UnknownSizesError
from posefix.skeletons import (
    Skeleton,
    layouts_of_count,
    load_skeleton,
    match_keypoints,
    why_foreign,
)

FEWEST_KEYPOINTS = 2
"""Of the model's keypoints a person must have so many to be found in the photo."""
STOPS = "nobody: `posefix refine` stops at the problem below"
NAMES_SHOWN = 6
"""A layout's first keypoints are told, by which its order can be known."""
OWN_LAYOUT = "mine.json"
"""What a skeleton file of one's own may be called."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a pose file holds.

    Attributes:
        path: The file or folder.
        detection: Its format, and why.
        file: As it was read, with stand-ins for a layout or photos that nobody named; None where it cannot be.
        faults: Why it cannot be read, or not without being told more.
        oddities: What else is wrong or odd, a sentence each.
        vocabulary: The keypoints that a model refines.
        hints: What was known of the file.
        photos_found: Whether everybody's photo was looked for, and is there.
        not_refined: What a refinement does where it cannot go on: photos that are not there, coordinates that are no
            pixels; empty where it can, or nobody looked.
    """

    path: Path
    detection: Detection
    file: PoseFile | None
    faults: tuple[InputError, ...]
    oddities: tuple[str, ...]
    vocabulary: Skeleton
    hints: Hints
    photos_found: bool
    not_refined: str

    @property
    def layout_fault(self) -> LayoutError | None:
        """What is wrong with the layout that was named, or that none was."""
        return next((fault for fault in self.faults if isinstance(fault, LayoutError)), None)

    def lines(self) -> list[tuple[str, str]]:
        """Name and value of each line of the report."""
        kind, reason = self.detection
        lines = [
            ("file", str(self.path)),
            ("format", f"{kind.name}, {kind.title}"),
            ("recognised by", reason),
        ]
        if self.file is not None:
            lines += [self._layout_line(self.file.poses.skeleton), *self._file_lines(self.file)]
            notes = (*self.file.notes, *self.file.left_out)
            lines += [("note", note) for note in notes] if self._counts_known else []
        told = (*map(str, self.faults), *self.oddities)
        problems = [problem.removeprefix(f"{self.path}: ") for problem in told] or ["none found"]
        return lines + [("problem", problem) for problem in problems] + self._advice()

    def __str__(self) -> str:
        lines = self.lines()
        width = max(len(name) for name, _ in lines)
        before = [None, *(name for name, _ in lines)]
        shown = ("" if name == last else name for (name, _), last in zip(lines, before, strict=False))
        return "\n".join(f"{name:<{width}}  {value}" for name, (_, value) in zip(shown, lines, strict=True))

    @property
    def _says_its_layout(self) -> bool:
        """Whether the file was read without being told the layout, or with the one that was named."""
        return self.file is not None and not is_anonymous(self.file.poses.skeleton)

    def _layout_line(self, skeleton: Skeleton) -> tuple[str, str]:
        if self.layout_fault is None or self._says_its_layout:
            return "layout", f"{skeleton.name}, {plural(len(skeleton), 'keypoint')}"
        counts = " or ".join(map(str, self.layout_fault.counts))
        named = "not known" if self.hints.layout is None else "another than was named"
        noun = "keypoint" if counts == "1" else "keypoints"
        return "layout", f"{named}, {counts} {noun}" if counts else named

    @property
    def _counts_known(self) -> bool:
        """Whether the numbers are what they are taken for: not where they may be of several numbers of keypoints."""
        return self.layout_fault is None or self._says_its_layout or len(self.layout_fault.counts) <= 1

    def _file_lines(self, file: PoseFile) -> list[tuple[str, str]]:
        poses, photos = file.poses, len(set(file.poses.image_ids))
        seen = "frame" if self.hints.video is not None else "photo"
        seen += "" if photos == 1 else "s"
        seen += "" if self.hints.video is None else f", of {len(self.hints.video):,} in the video"
        found = f", all found in {self.hints.images}" if self.photos_found else ""
        lines = [("people", f"{len(poses):,} in {photos:,} {seen}{found}")]
        if self._counts_known and poses.valid.any():
            share = poses.valid.mean()
            lines += [
                ("keypoints", f"{int(poses.valid.sum()):,} there, {1 - share:.1%} missing"),
                ("keypoint scores", _range(poses.scores[poses.valid])),
                ("pose scores", _range(poses.pose_scores)),
            ]
        if self._counts_known and file.tracks is not None:
            lines.append(("tracks", f"{len({track for track in file.tracks if track is not None}):,}"))
        if file.boxes is not None:
            lines.append(("boxes", f"{int(np.isfinite(file.boxes).all(axis=1).sum()):,}"))
        if not self._says_its_layout:
            return lines
        refined, *others = _refinement_lines(poses, self.vocabulary)
        return [*lines, ("refined", self.not_refined) if self.not_refined else refined, *others]

    def _advice(self) -> list[tuple[str, str]]:
        """Which layouts fit, and what to type to be told the rest."""
        fault = self.layout_fault
        if fault is not None and self._says_its_layout:
            return [("what to type", self._command(None, lacks_photos=False))]
        lacks_photos = any(isinstance(one, UnknownSizesError) for one in self.faults)
        if fault is None and not lacks_photos:
            return []
        fitting = [name for count in fault.counts for name in layouts_of_count(count)] if fault else []
        layouts = fitting or [OWN_LAYOUT] if fault else [self.hints.layout]
        return [
            *(("layouts that fit", f"{name}: {_beginning(name)}") for name in fitting),
            *(("what to type", self._command(layout, lacks_photos=lacks_photos)) for layout in layouts),
        ]

    def _command(self, layout: Layout | None, *, lacks_photos: bool) -> str:
        """What to type to inspect the file with a layout and what else was given, or is needed."""
        hints, words = self.hints, ["posefix", "inspect", str(self.path)]
        words += ["--format", hints.format] if hints.format else []
        words += [] if layout is None or isinstance(layout, Skeleton) else ["--layout", str(layout)]
        words += ["--category", hints.category] if hints.category else []
        images = "PHOTOS" if lacks_photos else hints.images
        words += [] if images is None else ["--images", str(images)]
        return shlex.join(words)


def inspect_file(path: str | Path, vocabulary: Skeleton, hints: Hints = NO_HINTS) -> Inspection:
    """Say what a pose file holds, as far as it can be read.

    Args:
        path: The file, or the folder of a format that is one.
        vocabulary: The keypoints that a model refines.
        hints: What the file may not say itself.

    Raises:
        InputError: There is no such file or layout, or the file's format is unknown.
    """
    source, reading = Source(path), hints.reading
    detection = detect_format(source, hints.format)
    file, faults = _read(detection.format, source, reading)
    oddities: list[str] = []
    photos_found, not_refined = False, ""
    if file is not None:
        oddities += _oddities(file.poses)
        if not faults and (no_pixels := _refused(check_pixels, file)):
            faults, not_refined = no_pixels, STOPS
        try:
            sizes_wh = hints.sizes_wh(file)
        except InputError as error:
            oddities.append(str(error))
            not_refined = _lacking(hints, file)
        else:
            photos_found = hints.images is not None and bool(len(file.poses))
            oddities += [] if faults or sizes_wh is None else _oddities_in_photos(file.poses, sizes_wh)
    return Inspection(
        source.path, detection, file, faults, tuple(oddities), vocabulary, hints, photos_found, not_refined
    )


def _lacking(hints: Hints, file: PoseFile) -> str:
    """What a refinement does where not everybody's photo or frame is found."""
    if hints.video is not None or _refused(partial(hints.photo_names, absent="keep"), file):
        return STOPS
    return f"{STOPS}, or keeps the people of missing photos as they are (--on-error keep)"


def _refused(check: Callable[[PoseFile], object], file: PoseFile) -> tuple[InputError, ...]:
    """What a check says of a file, if anything."""
    try:
        check(file)
    except InputError as error:
        return (error,)
    return ()


def _read(kind: Format, source: Source, reading: Reading) -> tuple[PoseFile | None, tuple[InputError, ...]]:
    """A file, with stand-ins for what only somebody who knows it can tell; and what was missing, or is wrong.

    A layout that was named and does not fit is left out first, since the file may say its own.
    """
    faults: list[InputError] = []
    while True:
        try:
            return read_source(kind, source, reading), tuple(faults)
        except InputError as error:
            first = not any(isinstance(fault, LayoutError) for fault in faults)
            # That a layout is needed goes without saying where the one that was named does not fit.
            if first or not isinstance(error, LayoutError):
                faults.append(error)
            again = _with_stand_in(reading, error)
            if again is None:
                return None, tuple(faults)
            reading = again


def _with_stand_in(reading: Reading, error: InputError) -> Reading | None:
    """How a file can be read in spite of an error; None if it cannot, or that was tried."""
    if isinstance(error, LayoutError) and not (reading.skeleton and is_anonymous(reading.skeleton)):
        stand_in = None if reading.skeleton else anonymous_layout((error.counts or (1,))[0])
        return replace(reading, skeleton=stand_in)
    if isinstance(error, UnknownSizesError) and reading.photo_size is None:
        return replace(reading, photo_size=lambda _: (1, 1))
    return None


def _refinement_lines(poses: Poses, vocabulary: Skeleton) -> list[tuple[str, str]]:
    """Which keypoints, and whose, a refinement would move."""
    try:
        mapping = match_keypoints(poses.skeleton, vocabulary)
    except InputError:
        return [("refined", "nothing: the model knows none of these keypoints by name")]
    if why := why_foreign(poses.skeleton, vocabulary):
        return [("refined", f"nothing: {why}")]
    enough = poses.valid[:, mapping.source_index].sum(axis=1) >= FEWEST_KEYPOINTS
    which = f"all {plural(len(mapping.shared), 'keypoint')}"
    if mapping.passes_through:
        which = f"{plural(len(mapping.shared), 'keypoint')}, {', '.join(mapping.shared)}"
    lines = [("refined", f"{_people(enough)}: {which}")]
    if mapping.passes_through:
        lines.append(("passes through", ", ".join(mapping.passes_through)))
    if len(poses) and not enough.all():
        lines.append(("passes through", f"{_people(np.asarray(~enough))} with too few keypoints to be found"))
    return lines


def _oddities(poses: Poses) -> Iterator[str]:
    """What can be read and is not as it should be."""
    if not len(poses):
        yield "there is nobody in the file"
        return
    empty = np.asarray(~poses.valid.any(axis=1))
    if empty.any():
        yield f"{_people(empty)} without any keypoint"
    first = poses.keypoints[np.arange(len(poses)), poses.valid.argmax(axis=1)]
    apart = (poses.keypoints != first[:, None]).any(axis=-1) & poses.valid
    collapsed = np.asarray((poses.valid.sum(axis=1) > 1) & ~apart.any(axis=1))
    if collapsed.any():
        yield f"{_people(collapsed)} with all keypoints on one point"
    if poses.valid.any() and not 0 <= poses.scores[poses.valid].min() <= poses.scores[poses.valid].max() <= 1:
        yield "keypoint scores are not all in 0 to 1"
    rows = {
        (image_id, places.tobytes())
        for image_id, places in zip(
            poses.image_ids, np.where(poses.valid[..., None], poses.keypoints, 0), strict=True
        )
    }
    if twice := len(poses) - len(rows):
        yield f"people who are there again, same photo and same keypoints: {twice:,}"


def _oddities_in_photos(poses: Poses, sizes_wh: FloatArray) -> Iterator[str]:
    """What is not where the photos are, width and height (N, 2) of each pose's."""
    points, sizes = poses.keypoints, sizes_wh[:, None]
    # Half a pixel beyond the edge is inside where an estimator counts from a pixel's corner.
    outside = ((points < -1) | (points > sizes)).any(axis=-1) & poses.valid
    lost = np.asarray(poses.valid.any(axis=1) & (outside == poses.valid).all(axis=1))
    if lost.any():
        yield f"{_people(lost)} with all keypoints outside the photo"
    if outside.any():
        share = f"{int(outside.sum()):,} of {int(poses.valid.sum()):,}"
        yield f"keypoints outside their photo: {share}; some estimators guess those that the photo cuts off"


def _beginning(layout: str) -> str:
    """The first keypoints of a packaged layout."""
    names = load_skeleton(layout).keypoint_names
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def _people(chosen: npt.NDArray[np.bool_]) -> str:
    count = int(chosen.sum())
    return plural(count, "person")


def _range(values: npt.NDArray[np.float64]) -> str:
    return f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"
