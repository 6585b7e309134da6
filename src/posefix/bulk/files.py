"""A file of poses as a unit: the same file again, of its own format, with refined poses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from posefix.bulk.inputs import Unit, local_name
from posefix.bulk.ledger import Fault
from posefix.bulk.people import Desk, People, Tally, refine_people
from posefix.bulk.places import is_remote
from posefix.errors import InputError, plural
from posefix.files import packed, without_collection
from posefix.interchange import read_pose_file
from posefix.interchange.pose_files import Hints
from posefix.interchange.validation import validate
from posefix.photos.pixels import read_size
from posefix.pose.poses import ImageId
from posefix.pose_files.people_alone import people_alone
from posefix.pose_files.pose_file import PhotoSize, PoseFile
from posefix.refine.suppression import oks_nms
from posefix.skeletons import why_foreign

MOST_FAULTS = 1000
"""Of one file; whoever has more reads the first."""


@dataclass(frozen=True)
class Kind:
    """What all files of a run have in common.

    Attributes:
        format: Name of their format.
        keypoints: Names of the keypoints of their layout.
    """

    format: str
    keypoints: tuple[str, ...]

    @classmethod
    def of(cls, file: PoseFile) -> Kind:
        """That of a file."""
        return cls(file.format, tuple(file.poses.skeleton.keypoint_names))

    def why_not(self, file: PoseFile) -> str:
        """Why a file is not of this kind; empty if it is."""
        if file.format != self.format:
            return f"expected the format of the other files, {self.format}, got {file.format}"
        if Kind.of(file) != self:
            return (
                f"expected the {plural(len(self.keypoints), 'keypoint')} of the other files, got another layout, "
                f"{file.poses.skeleton.name}"
            )
        return ""


@contextmanager
def at_hand(desk: Desk, unit: Unit, content: bytes) -> Iterator[Path]:
    """A unit's file on a disk: itself, or a copy of its name."""
    if not is_remote(unit.address):
        yield Path(unit.address)
        return
    folder = desk.folder / f"input-{abs(hash(unit.name))}"
    folder.mkdir(exist_ok=True)
    copy = folder / local_name(unit.address)
    copy.write_bytes(content)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def read(desk: Desk, path: Path) -> PoseFile:
    """The people of a file, and not its animals, as `posefix refine` reads it; by what the run was told.

    Raises:
        InputError: It is faulty.
    """
    settings = desk.settings
    with people_alone():
        return read_pose_file(
            path,
            settings.layout,
            format=settings.format,
            photo_size=photo_sizes(desk),
            category=settings.category,
            category_names=desk.category_names,
        )


def photo_sizes(desk: Desk) -> PhotoSize:
    """What tells the size of a photo, for coordinates that are shares of it."""

    def size_of(image_id: ImageId) -> tuple[int, int]:
        folder = desk.folder / "sizes"
        folder.mkdir(exist_ok=True)
        found, _ = desk.photos.files([image_id], desk.names, folder)
        try:
            return read_size(found[image_id], exif=desk.settings.exif)
        finally:
            if found[image_id].parent == folder:
                found[image_id].unlink(missing_ok=True)

    return size_of


def refine_file(desk: Desk, unit: Unit, content: bytes, kind: Kind, tally: Tally) -> bytes:
    """The bytes of the refined file; those of a faulty one as they are.

    Raises:
        OSError: A store does not answer.
    """
    with at_hand(desk, unit, content) as path:
        try:
            file = read(desk, path)
            if why := kind.why_not(file) or why_foreign(file.poses.skeleton, desk.refiner.skeleton):
                raise InputError(f"{path}: {why}")
            people = People(unit.address, file.poses, file.has_scores, file.boxes, file.file_names)
            poses = refine_people(desk, people, tally)
        except InputError as error:
            tally.counts.clear()
            tally.faults[:] = _faults(desk, unit, path, error)
            return content
        threshold = desk.settings.oks_nms
        keep = None if threshold is None else oks_nms(poses, threshold).tolist()
        with without_collection():
            contents = file.rewrite(poses, keep=keep, update_boxes=desk.settings.update_boxes)
    return packed(local_name(unit.name), contents[""])


def _faults(desk: Desk, unit: Unit, path: Path, error: InputError) -> list[Fault]:
    """All faults of a file, at least the one that was met."""
    settings = desk.settings
    hints = Hints(
        layout=settings.layout,
        format=settings.format,
        category=settings.category,
        category_names=desk.category_names,
    )
    with people_alone():
        found = validate(path, hints).faults or (error,)
    if str(error) not in map(str, found):
        found = (error,)  # not of the file alone, such as an id that fits two photos
    return [_fault(unit, path, one) for one in found[:MOST_FAULTS]]


def _fault(unit: Unit, path: Path, error: InputError) -> Fault:
    where = error.where
    reason = str(error).replace(str(path), unit.address)
    return Fault(unit.address, where.record if where else "", where.field if where else "", reason)
