"""The people of a unit, refined photo by photo as one estimator's whose company is known."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from posefix.bulk.ledger import Fault
from posefix.bulk.photos import Found, Lost, Photos
from posefix.bulk.settings import Settings
from posefix.pose.poses import FloatArray, ImageId, Poses, Rows, rows_by_image
from posefix.refine.boxes import WholeBoxes
from posefix.refine.carrying import carry_along
from posefix.refine.crops import crop_people
from posefix.refine.cutting import FailedPhoto
from posefix.refine.refiner import Refiner
from posefix.refine.results import Refinement
from posefix.refine.scores import as_labels

UNSEEN = "there are no two keypoints in different places that the model knows"


@dataclass
class Tally:
    """What became of the people of a unit.

    Attributes:
        counts: By `posefix.bulk.ledger.COUNTS`, but for faults.
        faults: What was passed on as it was.
        seconds: Spent computing.
        waiting: Seconds spent on fetching photos.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    waiting: float = 0.0


@dataclass
class Desk:
    """What a worker has at hand.

    Attributes:
        settings: Of the run.
        refiner: Knows the estimator.
        photos: Finds photos.
        names: Name of the photo of each image id, from an annotation file; None by default.
        folder: For what is fetched.
        category_names: Of categories by their ids, from the same file.
        turn: Held by who computes, while another fetches.
    """

    settings: Settings
    refiner: Refiner
    photos: Photos
    names: Mapping[ImageId, str] | None
    folder: Path
    category_names: Mapping[ImageId, str] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class People:
    """The people of a unit, as they were read.

    Attributes:
        file: Address of their file, for faults.
        poses: Themselves.
        has_scores: As of `PoseFile`.
        boxes: As of `PoseFile`.
        names: Name of the photo of each image id; None where the ids say it.
        in_rows: Whether image ids are numbers of a table's rows.
    """

    file: str
    poses: Poses
    has_scores: bool = True
    boxes: FloatArray | None = None
    names: Mapping[ImageId, str] | None = None
    in_rows: bool = False

    def name(self, image_id: ImageId) -> str:
        """What the file calls a photo."""
        return str((self.names or {}).get(image_id, image_id))

    def photo_names(self, annotated: Mapping[ImageId, str] | None) -> Mapping[ImageId, str] | None:
        """Names by which photos are found: annotations know them better than the file, but not rows by their numbers.

        Args:
            annotated: Of each image id, from an annotation file.
        """
        return self.names if self.in_rows else annotated or self.names

    def photo(self, image_id: ImageId) -> str:
        """What faults call a photo."""
        return (
            f"row {image_id}, photo {self.name(image_id)}" if self.in_rows else f"photo {self.name(image_id)}"
        )

    def person(self, row: int) -> str:
        """What faults call a person."""
        if not self.in_rows:
            return f"person {row}"
        ids = self.poses.image_ids
        return f"row {ids[row]}, person {row - ids.index(ids[row])}"


def refine_people(desk: Desk, people: People, tally: Tally) -> Poses:
    """The same people, refined; what cannot be is as it was, and among the faults.

    Raises:
        InputError: An image id fits two photos.
        OSError: A store does not answer.
    """
    poses = people.poses
    keypoints, scores = poses.keypoints.copy(), poses.scores.copy()
    valid, pose_scores = poses.valid.copy(), poses.pose_scores.copy()
    for rows, found, lost in _chunks(desk, people, tally):
        with desk.turn:
            start = time.perf_counter()
            refined = _refine(desk, people, rows, found, tally, lost)
            tally.seconds += time.perf_counter() - start
        keypoints[rows], scores[rows] = refined.keypoints, refined.scores
        valid[rows], pose_scores[rows] = refined.valid, refined.pose_scores
    tally.counts["people"] += len(poses)
    tally.counts["photos"] += len(set(poses.image_ids))
    refined = Poses(keypoints, scores, valid, poses.image_ids, pose_scores, poses.skeleton)
    if desk.settings.carry_along:
        return carry_along(poses, refined, desk.refiner.skeleton)
    return refined


def _chunks(desk: Desk, people: People, tally: Tally) -> Iterator[tuple[Rows, Found, dict[str, Lost]]]:
    """Rows of people and the files of their photos, so many photos at a time as may be there at once."""
    by_photo = rows_by_image(people.poses.image_ids)
    ids = list(by_photo)
    size = desk.photos.chunk or max(len(ids), 1)
    for first in range(0, len(ids), size):
        some = ids[first : first + size]
        folder = desk.folder / f"{threading.get_ident()}-{first}"
        folder.mkdir()
        try:
            start = time.perf_counter()
            found, lost = desk.photos.files(some, people.photo_names(desk.names), folder)
            tally.waiting += time.perf_counter() - start
            yield (
                np.sort(np.concatenate([by_photo[one] for one in some])),
                found,
                {str(one.path): one for one in lost},
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _refine(
    desk: Desk, people: People, rows: Rows, found: Found, tally: Tally, lost: Mapping[str, Lost]
) -> Poses:
    poses, boxes = people.poses[rows], people.boxes
    refinement = desk.refiner.refine(
        poses,
        found,
        boxes=None if boxes is None else WholeBoxes(boxes[rows]),
        missing=desk.settings.missing,
        on_error="keep",
        exif=desk.settings.exif,
    )
    if not people.has_scores:
        refinement = as_labels(refinement)
    _count(tally, refinement)
    told: dict[str, list[ImageId]] = {}
    for image_id in dict.fromkeys(poses.image_ids):
        told.setdefault(str(found[image_id]), []).append(image_id)
    for photo in refinement.report.failed:
        tally.faults.append(_photo_fault(people, photo, told[str(photo.path)].pop(0), lost))
    if not refinement.report.unchanged:
        return refinement.poses
    usable = crop_people(poses, desk.refiner.skeleton, desk.refiner.input_size_wh).usable
    tally.faults += [
        Fault(people.file, people.person(row), "keypoints", UNSEEN) for row in rows[~usable].tolist()
    ]
    return refinement.poses


def _count(tally: Tally, refinement: Refinement) -> None:
    report = refinement.report
    tally.counts["failed_photos"] += len(report.failed)
    for name in ("refined", "moved_keypoints", "filled_keypoints", "unchanged", "outside"):
        tally.counts[name] += getattr(report, name)


def _photo_fault(people: People, photo: FailedPhoto, image_id: ImageId, lost: Mapping[str, Lost]) -> Fault:
    """A photo that could not be read, under the name that the file has for it rather than that of a copy."""
    path = str(photo.path)
    reason = lost[path].reason if path in lost else photo.reason.replace(path, people.name(image_id))
    return Fault(people.file, people.photo(image_id), "", reason)
