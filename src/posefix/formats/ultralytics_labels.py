"""Ultralytics label files: a text file for each photo, a line for each person, all coordinates shares of the photo.

Columns as ``Results.save_txt`` (ultralytics/engine/results.py, https://github.com/ultralytics/ultralytics) writes them:
class, the box's centre, width and height, then x, y and maybe a score (in annotations the visibility 0, 1 or 2) of each
keypoint, then the confidence (``save_conf``) and the track, each only if asked for. Pixels are x W, without a half.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posefix.errors import plural, quoted
from posefix.formats.ultralytics_label_lines import (
    BOX_END,
    CLASS_NAMES,
    Labels,
    Line,
    first_words,
    gaps_as_zeros,
    line_with,
    read_labels,
)
from posefix.photos.names import photo_stems
from posefix.pose.poses import LARGEST_NUMBER, FloatArray, Poses, rows_by_image
from posefix.pose_files.layouts import LayoutError, fitting_layouts, unnamed_layout
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
    boxes_to_write,
    check_same_poses,
    needs_new_box,
    visibility_of,
)
from posefix.pose_files.records import report_fault
from posefix.pose_files.units import (
    LARGEST_SHARE,
    SHARE_DECIMALS,
    Unit,
    check_reach,
    new_boxes,
    new_triples,
    shares,
    sizes_of_photos,
    triples_in_unit,
)
from posefix.skeletons import layouts_of_count

NAME = "ultralytics-labels"
SMALLEST_SHARE = 10.0**-SHARE_DECIMALS
"""Smaller numbers are written as 0."""
VISIBILITIES = (0, 1, 2)
"""Of a keypoint in annotations: not labelled, hidden, visible."""
FEWEST = 8
"""Columns of a line with the fewest keypoints that are looked for when a file is recognised."""

_CLASS = re.compile(r"[0-9]+(\.0*)?")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class _Columns:
    """What the columns hold.

    Attributes:
        per_keypoint: Two or three numbers.
        confidence: Where it stands; None where there is none.
        track: As `confidence`.
        annotated: Whether a keypoint's third number is its visibility, and no score.
    """

    per_keypoint: int
    confidence: int | None
    track: int | None
    annotated: bool = False

    @property
    def scored(self) -> bool:
        """Whether there are scores, of keypoints or poses."""
        return self.confidence is not None or (self.per_keypoint == 3 and not self.annotated)


def recognise(source: Source) -> str | None:
    """Why a source is made of label files."""
    words = first_words(source)
    return "lines of class, box and keypoints as shares of the photo" if _is_label(words) else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read a folder of label files, or one, each called as its photo.

    Raises:
        FormatError: No layout is given (the files do not say it), a line is faulty, or the photos are not given.
    """
    labels = read_labels(source)
    if reading.skeleton is None:
        raise unnamed_layout(source.path, _fitting_counts(labels))
    skeleton = reading.skeleton
    numbers = _numbers(labels)
    columns = _columns(source.path, labels, numbers, len(skeleton))
    points_end = BOX_END + columns.per_keypoint * len(skeleton)
    values = numbers[:, BOX_END:points_end].reshape(-1, len(skeleton), columns.per_keypoint)
    _check_shares(labels, np.hstack([numbers[:, 1:BOX_END], values[..., 0], values[..., 1]]))
    ids = tuple(labels.files[line.file][1].stem for line in labels.lines)
    sizes = sizes_of_photos(source.path, reading.photo_size, ids)
    unit = shares(sizes)
    thirds = values[..., 2] if columns.per_keypoint == 3 else np.ones(values.shape[:2])
    scores = (thirds > 0).astype(np.float64) if columns.annotated else thirds
    poses = Poses(
        keypoints=unit.to_pixels(values[..., :2]),
        scores=scores,
        valid=(scores != 0) & (values[..., :2] != 0).any(axis=-1),
        image_ids=ids,
        pose_scores=np.ones(len(ids)) if columns.confidence is None else numbers[:, columns.confidence],
        skeleton=skeleton,
    )
    triples = np.concatenate([values[..., :2], thirds[..., None]], axis=-1)
    return PoseFile(
        source.path,
        NAME,
        poses,
        _Rewrite(source.path, labels, columns, poses, triples, unit),
        tracks=None if columns.track is None else tuple(int(track) for track in numbers[:, columns.track]),
        boxes=_boxes(numbers[:, 1:BOX_END], sizes) if len(numbers) else None,
        notes=_notes(source, columns),
        has_scores=columns.scored,
        visibility=thirds if columns.annotated else None,
        left_out=(f"boxes without keypoints, left as they are: {labels.boxes}",) if labels.boxes else (),
    )


def write(new: NewFile) -> Contents:
    """A folder with a file for each photo, with confidences and tracks as far as a reader can tell them apart.

    Raises:
        FormatError: No photos are given, two have one name, some tracks are missing, or it would not be read as it is.
    """
    stems = photo_stems(new, "label files")
    sizes = sizes_of_photos(Path("label files"), new.photo_size, new.poses.image_ids)
    triples = new_triples(new.poses, shares(sizes))
    # Rounded to 0, the score of a keypoint that is there would be that of a missing one.
    triples[new.poses.valid & (np.abs(triples[..., 2]) < SMALLEST_SHARE), 2] = SMALLEST_SHARE
    if new.visibility is not None:
        triples[..., 2] = np.where(new.poses.valid, new.visibility, VISIBILITIES[0])
    boxes = new_boxes(new)
    low, size = boxes[:, :2] / sizes, boxes[:, 2:] / sizes
    check_reach(triples[..., :2], np.stack([low + size / 2, size], axis=1))
    lines = []
    for row, last in enumerate(_last_columns(new, triples[..., 2])):
        values = [*(low[row] + size[row] / 2), *size[row], *triples[row].ravel()]
        lines.append(" ".join(["0", *map(_written, values), *last]) + "\n")
    return {
        f"{stems[image_id]}.txt": "".join(lines[row] for row in rows).encode()
        for image_id, rows in rows_by_image(new.poses.image_ids).items()
    }


def _last_columns(new: NewFile, scores: FloatArray) -> list[tuple[str, ...]]:
    """Confidence and track of each person as texts, those left out that `_columns` would take for something else.

    Labels with visibilities have neither: who trains on them refuses lines with more columns.

    Args:
        new: The people.
        scores: (N, K) of their keypoints, as they are written.

    Raises:
        FormatError: What must not be left out would be taken for something else.
    """
    if new.visibility is not None:
        return [()] * len(new.poses)
    confidences = [_written(score) for score in new.poses.pose_scores.tolist()]
    tracks = new.track_numbers()
    if any(track is not None for track in tracks):
        return list(zip(confidences, _all_tracks(tracks), strict=True))
    if not all(float(confidence).is_integer() for confidence in confidences):
        return [(confidence,) for confidence in confidences]
    for row, confidence in enumerate(confidences):
        if confidence != "1":  # which is what a file without the column says
            raise FormatError(
                f"label files cannot tell confidences that are all whole numbers from tracks, and person {row} has "
                f"{confidence}; give the people tracks, or choose another format."
            )
    written = np.round(scores, SHARE_DECIMALS)
    if (written == VISIBILITIES[-1]).any() and np.isin(written, VISIBILITIES).all():
        raise FormatError(
            "label files cannot tell keypoint scores that are all 0, 1 or 2 from visibilities; choose another format."
        )
    return [()] * len(confidences)


def _all_tracks(tracks: Sequence[int | None]) -> Iterator[str]:
    """The tracks as texts; a format of columns has one for everybody.

    Raises:
        FormatError: Somebody has none.
    """
    for row, track in enumerate(tracks):
        if track is None:
            raise FormatError(
                f"label files need a track for all people or for none; person {row} has none; "
                "give all one, or choose another format."
            )
        yield str(track)


FORMAT = Format(
    NAME, "Ultralytics: label text files, shares of the photo", recognise, read, write, endings=(".txt",)
)


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The same files with other poses; see `posefix.pose_files.pose_file.Rewrite`."""

    path: Path
    labels: Labels
    columns: _Columns
    poses: Poses
    triples: FloatArray
    unit: Unit

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        kept = range(len(poses)) if keep is None else set(keep)
        triples = self._triples(poses)
        boxed = needs_new_box(poses, triples, self.triples)
        boxes = self._boxes(poses) if update_boxes else None
        pieces: list[list[str]] = [[] for _ in self.labels.files]
        done = [0] * len(self.labels.files)
        for row, line in enumerate(self.labels.lines):
            text = self.labels.files[line.file][2]
            pieces[line.file].append(text[done[line.file] : line.start])
            if row in kept:
                box = None if boxes is None or not boxed[row] else boxes[row]
                changes = dict(self._changes(row, poses, triples[row], box))
                pieces[line.file].append(line_with(text, line, changes))
            done[line.file] = line.end
        return {
            name: "".join([*pieces[file], text[done[file] :]]).encode()
            for file, (name, _, text) in enumerate(self.labels.files)
        }

    def _triples(self, poses: Poses) -> FloatArray:
        """(N, K, 3) what the file gets of all keypoints."""
        triples = triples_in_unit(poses, self.poses, self.triples, self.unit)
        if self.columns.annotated:
            triples[..., 2] = self.triples[..., 2]
            filled = poses.valid & ~self.poses.valid
            triples[filled, 2] = visibility_of(poses.scores[filled])
            triples[self.poses.valid & ~poses.valid, 2] = VISIBILITIES[0]
        return triples

    def _boxes(self, poses: Poses) -> FloatArray:
        """(N, 4) centre, width and height of new boxes."""
        boxes, scale = boxes_to_write(poses), self.unit.scale[:, 0]
        return np.concatenate([(boxes[:, :2] + boxes[:, 2:] / 2) / scale, boxes[:, 2:] / scale], axis=1)

    def _changes(
        self, row: int, poses: Poses, triples: FloatArray, box: FloatArray | None
    ) -> Iterator[tuple[int, str]]:
        """Column and new text of what changed of a person."""
        before, per_keypoint = self.triples[row], self.columns.per_keypoint
        for keypoint, value in np.argwhere(triples != before).tolist():
            if value < per_keypoint:
                yield BOX_END + per_keypoint * keypoint + value, _written(triples[keypoint, value])
        if box is not None:
            yield from ((1 + side, _written(value)) for side, value in enumerate(box))
        rescored = poses.pose_scores[row] != self.poses.pose_scores[row]
        if rescored and self.columns.confidence is not None:
            yield self.columns.confidence, _written(poses.pose_scores[row])


def _is_label(words: Sequence[str]) -> bool:
    """Whether the words of a line may be class, box and keypoints."""
    if len(words) < FEWEST or not _CLASS.fullmatch(words[0]) or not all(map(_NUMBER.fullmatch, words)):
        return False
    return all(0 <= float(word) <= LARGEST_SHARE for word in words[1:BOX_END])


def _numbers(labels: Labels) -> FloatArray:
    """(N, columns): all numbers of all lines."""
    numbers = np.zeros((len(labels.lines), len(labels.lines[0].words) if labels.lines else 0))
    for row, line in enumerate(labels.lines):
        words = gaps_as_zeros(labels.texts(line))
        if (fault := _fault(labels, line, words)) is not None:
            report_fault(fault)
        else:
            numbers[row] = list(map(float, words))
    return numbers


def _fault(labels: Labels, line: Line, words: Sequence[str]) -> FormatError | None:
    """What is wrong with the words of a line; None if they are as many numbers as in the first one."""
    if len(words) != len(labels.lines[0].words):
        return FormatError.at(
            labels.where(line),
            f"expected {len(labels.lines[0].words)} columns as in {labels.where(labels.lines[0])}, got {len(words)}; "
            "keep labels of one kind together.",
        )
    for column, word in enumerate(words):
        known = _NUMBER.fullmatch(word) and abs(float(word)) < LARGEST_NUMBER
        if not known or (column == 0 and not _CLASS.fullmatch(word)):
            wanted = "the number of a class" if column == 0 else "a number"
            problem = f"expected {wanted}, got {quoted(word)}."
            return FormatError.at(labels.where(line, column), problem, "Correct it, or take the line out.")
    return None


def _columns(path: Path, labels: Labels, numbers: FloatArray, count: int) -> _Columns:
    """What the columns hold, by how many they are."""
    if not len(numbers):
        return _Columns(3, None, None)
    width = numbers.shape[1]
    fitting = {
        each: width - BOX_END - each * count for each in (3, 2) if 0 <= width - BOX_END - each * count <= 2
    }
    if not fitting:
        counts = _fitting_counts(labels)
        raise LayoutError(
            f"{labels.where(labels.lines[0])}: expected class, box and {plural(count, 'keypoint')} of 2 or 3 numbers, "
            f"{BOX_END + 2 * count} or {BOX_END + 3 * count} columns (--layout) and maybe confidence and track, got "
            f"{width}{fitting_layouts(counts)}.",
            counts,
        )
    each = min(fitting, key=lambda each: fitting[each])
    last = numbers[:, -1]
    tracked = fitting[each] == 2 or (fitting[each] == 1 and bool((last == np.round(last)).all()))
    for row in np.flatnonzero(last != np.round(last)) if tracked else ():
        problem = f"expected a whole number, the track, got {last[row]:g}."
        mend = "Correct the number, or leave the column out of all lines."
        report_fault(FormatError.at(labels.where(labels.lines[row], width - 1), problem, mend))
    confidence = BOX_END + each * count if fitting[each] - tracked == 1 else None
    thirds = numbers[:, BOX_END + 2 : BOX_END + each * count : each]
    annotated = each == 3 and confidence is None and bool(np.isin(thirds, VISIBILITIES).all())
    return _Columns(each, confidence, width - 1 if tracked else None, annotated)


def _fitting_counts(labels: Labels) -> list[int]:
    """How many keypoints the columns of the first line may be, three numbers each being likelier than two.

    Numbers that no packaged layout has are left out where others are possible.
    """
    width = len(labels.lines[0].words) if labels.lines else 0
    spare = [(each, width - BOX_END - extra) for each in (3, 2) for extra in (0, 1, 2)]
    fitting = (numbers // each for each, numbers in spare if numbers > 0 and numbers % each == 0)
    counts = list(dict.fromkeys(fitting))
    return [count for count in counts if layouts_of_count(count)] or counts


def _check_shares(labels: Labels, numbers: FloatArray) -> None:
    """Refuse lines with pixels, each for its first one."""
    bad = np.abs(numbers) > LARGEST_SHARE
    for row in np.flatnonzero(bad.any(axis=1)):
        got = numbers[row, bad[row].argmax()]
        report_fault(
            FormatError.at(
                labels.where(labels.lines[row]),
                f"expected shares of the photo's width and height, from 0 to 1, got {got:g}; divide pixels by them.",
            )
        )


def _boxes(centred: FloatArray, sizes: FloatArray) -> FloatArray:
    """bbox_xywh (N, 4) in pixels of boxes with centre, width and height as shares."""
    return np.concatenate([(centred[:, :2] - centred[:, 2:] / 2) * sizes, centred[:, 2:] * sizes], axis=1)


def _notes(source: Source, columns: _Columns) -> tuple[str, ...]:
    extra = [name for name, there in (("confidence", columns.confidence), ("track", columns.track)) if there]
    known = f"{columns.per_keypoint} numbers for each keypoint" + "".join(f", {name}" for name in extra)
    notes = [known]
    if columns.annotated:
        notes.append("the third numbers are visibilities 0, 1 or 2, as in annotations: no scores are written")
    if any(path.name.lower() == CLASS_NAMES for path in source.files):
        notes.append(f"{CLASS_NAMES} holds no labels and is left out")
    return tuple(notes)


def _written(number: float) -> str:
    """A number without exponent and without zeros at its end."""
    return f"{number:.{SHARE_DECIMALS}f}".rstrip("0").rstrip(".")
