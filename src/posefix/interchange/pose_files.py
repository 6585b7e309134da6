"""Reading a pose file of any format, and writing it back in its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from posefix.errors import InputError, quoted
from posefix.files import (
    ensure_new_folder,
    ensure_writable,
    file_ending,
    without_collection,
    write_bytes_atomic,
    write_folder_atomic,
    write_pieces_atomic,
)
from posefix.interchange.catalogue import FORMATS
from posefix.interchange.detection import detect_format, find_format, read_source
from posefix.photos.finding import Absent, find_images, photo_sizes
from posefix.photos.video import Video, find_frames
from posefix.pose.poses import FloatArray, ImageId, Poses
from posefix.pose_files import units
from posefix.pose_files.corners import check_sides
from posefix.pose_files.pose_file import (
    JSON_ENDINGS,
    Contents,
    Format,
    FormatError,
    NewFile,
    PhotoSize,
    PieceByPiece,
    PoseFile,
    Reading,
    Source,
)
from posefix.pose_files.records import PLAIN_TEXT, is_plain
from posefix.pose_files.units import sizes_of_photos
from posefix.skeletons import Skeleton, load_skeleton

Layout = Skeleton | str | Path
"""A skeleton, or the name or file of one."""

FILE_ENDINGS = frozenset(chain(JSON_ENDINGS, *(known.endings for known in FORMATS)))
"""No folder of poses is called so: who asks for one of such a name wants a file."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What somebody knows of a pose file that it may not say itself.

    Attributes:
        layout: Skeleton of the poses.
        format: Name of the format; recognised by the content when None.
        images: Folder of the photos, for coordinates that are shares of them.
        file_names: Name of the photo of each image id; by default ids are matched to names.
        video: Instead of photos: image ids are numbers of its frames.
        first_frame: The number of its first frame, 0 or 1, as the ids count.
        category: As of `Reading`.
        category_names: The same.
    """

    layout: Layout | None = None
    format: str | None = None
    images: Path | None = None
    file_names: Mapping[ImageId, str] | None = None
    video: Video | None = None
    first_frame: int = 0
    category: str | None = None
    category_names: Mapping[ImageId, str] = field(default_factory=dict)

    @property
    def reading(self) -> Reading:
        """What the readers of formats ask for.

        Raises:
            InputError: There is no such layout.
        """
        sizes = self.photo_size(self.file_names)
        return Reading(load_layout(self.layout), sizes, self.category, self.category_names)

    def read(self, path: str | Path) -> PoseFile:
        """A pose file, as `read_pose_file` reads it.

        Raises:
            InputError: As there.
        """
        file = read_unchecked(path, self.reading, self.format)
        check_pixels(file)
        return file

    def photo_names(
        self, file: PoseFile, image_ids: Collection[ImageId] | None = None, absent: Absent = "stop"
    ) -> Mapping[ImageId, str] | None:
        """Name of the photo of each image id of a file; photos or frames are looked for where they are known.

        Args:
            file: As it was read.
            image_ids: Those to look for; None for all of the file.
            absent: As in `posefix.photos.finding.find_images`.

        Raises:
            InputError: Some are not there, or an id fits two.
        """
        names = self.file_names or file.file_names
        wanted = file.poses.image_ids if image_ids is None else image_ids
        if self.video is not None:
            find_frames(wanted, self.video, self.first_frame, names)
        if self.images is None:
            return names
        found = find_images(wanted, self.images, names, absent=absent)
        return names or {image_id: _name_within(path, self.images) for image_id, path in found.items()}

    def sizes_wh(self, file: PoseFile) -> FloatArray | None:
        """(N, 2) width and height in pixels of the photo or frame of each pose of a file; None where nobody knows them.

        Raises:
            InputError: Some are not there or cannot be read, or an id fits two.
        """
        size_of = self.photo_size(self.photo_names(file))
        return None if size_of is None else sizes_of_photos(file.path, size_of, file.poses.image_ids)

    def photo_size(self, names: Mapping[ImageId, str] | None) -> PhotoSize | None:
        """What tells the size of the photo of an image id; None where nobody knows the photos.

        Args:
            names: Name of the photo of each id, such as those of `photo_names`; None where ids are matched to names.
        """
        if self.video is not None:
            size_wh = self.video.size_wh()
            return lambda _: size_wh
        return None if self.images is None else photo_sizes(self.images, names)


def _name_within(path: Path, folder: Path) -> str:
    """A photo's name, with the subfolders of the folder of photos that it lies in."""
    return path.relative_to(folder).as_posix()


NO_HINTS = Hints()


def read_pose_file(
    path: str | Path,
    layout: Layout | None = None,
    *,
    format: str | None = None,
    photo_size: PhotoSize | None = None,
    category: str | None = None,
    category_names: Mapping[ImageId, str] | None = None,
) -> PoseFile:
    """Read the poses in an estimator's file.

    Example:
        >>> file = read_pose_file("poses.json", "coco17")  # doctest: +SKIP
        >>> write_pose_file("refined.json", file, refined)  # doctest: +SKIP

    Args:
        path: The file, or the folder of a format that is one.
        layout: Skeleton of the poses; None where the file says it.
        format: Name of the format (docs/formats.md); recognised by the content when None.
        photo_size: Width and height of the photo of an image id, for coordinates that are shares of the photo.
        category: Of what poses are read: name or id of a category in COCO's annotations, id in its results, label of
            skeletons or boxes in other labels. Everybody else in the file is left as they are.
        category_names: Name of each category id, by which results' categories can be chosen, too.

    Raises:
        FormatError: There is no such file, its format is unknown or has no categories, it is faulty, or it does not
            say its layout; names file, record and field.
    """
    reading = Reading(load_layout(layout), photo_size, category, category_names or {})
    file = read_unchecked(path, reading, format)
    check_pixels(file)
    return file


def read_unchecked(path: str | Path, reading: Reading, format: str | None = None) -> PoseFile:
    """What `read_pose_file` reads, before it asks `check_pixels` whether the numbers can be what they should.

    Raises:
        FormatError: As of `read_pose_file`.
    """
    source = Source(path)
    with without_collection():
        return read_source(detect_format(source, format).format, source, reading)


def check_pixels(file: PoseFile) -> None:
    """Refuse poses whose coordinates must be shares of the photo, in a format that has pixels, or boxes corners.

    Raises:
        FormatError: All coordinates, or nearly all, lie in -2 to 2; or the boxes can be nothing but corners.
    """
    if file.boxes is not None:
        check_sides(file.path, file.boxes, file.poses.keypoints, file.poses.valid)
    units.check_pixels(file.path, file.poses.keypoints, file.poses.valid)


def load_layout(layout: Layout | None) -> Skeleton | None:
    """The skeleton that somebody named, or gave.

    Raises:
        InputError: There is none of this name, or its file is faulty.
    """
    return layout if layout is None or isinstance(layout, Skeleton) else load_skeleton(layout)


def write_pose_file(
    path: str | Path,
    file: PoseFile,
    poses: Poses | None = None,
    *,
    keep: Sequence[int] | None = None,
    update_boxes: bool = False,
) -> None:
    """Write a pose file again in its own format, with other poses and everything else as it was.

    A file appears whole or not at all; so does a folder, which must be new or empty.

    Args:
        path: The file or folder to write.
        file: As it was read.
        poses: As many as were read, in their order and layout; None for those that were read.
        keep: Rows to keep, others are taken out; None keeps all.
        update_boxes: Whether the box of a person whose coordinates changed becomes the one around the keypoints.

    Raises:
        FormatError: The poses are not those of the file.
        InputError: It cannot be written, or not be read back under this name.
    """
    with without_collection():
        contents = file.rewrite(file.poses if poses is None else poses, keep=keep, update_boxes=update_boxes)
        if _is_one_file(contents):
            _check_ending(path, file.format, _endings(file))
        write_contents(path, contents)


def write_new_pose_file(path: str | Path, new: NewFile | Poses, format: str = "coco-results") -> None:
    """Write poses as a new file.

    Args:
        path: The file or folder to write.
        new: The poses, or as `NewFile` what else is known of them, too.
        format: Name of the format (docs/formats.md).

    Raises:
        FormatError: The format cannot be written anew, or has no place for such poses.
        InputError: It cannot be written, or not be read back under this name.
    """
    write_contents(path, new_contents(path, new, format))


def new_contents(path: str | Path, new: NewFile | Poses, format: str) -> Contents:
    """What `write_new_pose_file` writes.

    Raises:
        FormatError: The format cannot be written anew, or has no place for such poses.
        InputError: It cannot be read back under this name.
    """
    known, write = _written_anew(format)
    new = new if isinstance(new, NewFile) else NewFile(new)
    _check_names(new)
    contents = write(new)
    if _is_one_file(contents):
        _check_ending(path, known.name, known.endings[:1])
    return contents


def _written_anew(format: str) -> tuple[Format, Callable[[NewFile], Contents]]:
    """A format by its name, and what writes it.

    Raises:
        FormatError: There is none, or it cannot be written anew.
    """
    known = find_format(format, "--to")
    if known.write is None:
        raise FormatError(
            f"--to: files of format {known.name} can be refined in place, not written anew: {known.needs}"
        )
    return known, known.write


def _check_names(new: NewFile) -> None:
    """Refuse names of photos that no file can hold, wherever they come from.

    Raises:
        FormatError: There is such a name, or an image id that stands for it.
    """
    for image_id in dict.fromkeys(new.poses.image_ids):
        name = str(new.file_names.get(image_id, image_id))
        if not is_plain(name):
            raise FormatError(
                f"image id {image_id!r}: expected as name of its photo {PLAIN_TEXT}, got {quoted(name)}; rename it."
            )


def write_contents(path: str | Path, contents: Contents) -> None:
    """Write one file, or a folder of them.

    Raises:
        InputError: It cannot be written, or there is nothing to write.
    """
    if not contents:
        raise InputError(
            f"{path}: there is nobody, and these poses would be a file for each photo, so that there is no file to "
            "write; choose a format that is one file."
        )
    if isinstance(contents, PieceByPiece):
        write_pieces_atomic(path, contents.pieces())
    elif _is_one_file(contents):
        write_bytes_atomic(path, contents[""])
    else:
        _check_folder_name(path)
        write_folder_atomic(path, contents)


def _is_one_file(contents: Contents) -> bool:
    return set(contents) == {""}


def ensure_output(path: str | Path, source: str | Path) -> None:
    """Find out before the work whether a file or folder can be written again under a name.

    Raises:
        InputError: It cannot.
    """
    if Path(source).is_dir():
        _check_folder_name(path, f"these poses are a file for each photo, in {source}")
        ensure_new_folder(path)
    else:
        ensure_writable(path)


def ensure_new_output(path: str | Path, format: str) -> None:
    """Find out before the work whether poses can be written anew under a name.

    Args:
        path: The file or folder.
        format: Name of the format.

    Raises:
        FormatError: There is no such format, or it cannot be written anew.
        InputError: The file could not be read back.
    """
    known, _ = _written_anew(format)
    if known.one_file:
        _check_ending(path, known.name, known.endings[:1])


def ensure_ending(path: str | Path, file: PoseFile) -> None:
    """Find out before the work whether a file that is written again could be read back under a name.

    Raises:
        InputError: It could not.
    """
    if not file.path.is_dir():
        _check_ending(path, file.format, _endings(file))


def _endings(file: PoseFile) -> tuple[str, ...]:
    """How the name of a file that is written again may end: as its own, which tells formats of two kinds apart."""
    own, known = file_ending(file.path), find_format(file.format).endings
    return (own,) if own in known else known


def _check_ending(path: str | Path, format: str, endings: Sequence[str]) -> None:
    """Refuse the name of a file under which it would be read as something else, or not at all.

    Raises:
        InputError: It ends otherwise.
    """
    ending = file_ending(path)
    if ending not in endings and not (ending in JSON_ENDINGS and JSON_ENDINGS[0] in endings):
        raise InputError(
            f"{path}: expected a name that ends in {' or '.join(endings)}, under which what is written ({format}) "
            f"can be read back, got {ending or 'no ending'}; choose such a name."
        )


def _check_folder_name(path: str | Path, reason: str = "these poses are a file for each photo") -> None:
    """Refuse the name of a file for what will be a folder, for a reason that the message gives.

    Raises:
        InputError: It ends as a file's, and there is no folder of this name.
    """
    path = Path(path)
    if file_ending(path) in FILE_ENDINGS and not path.is_dir():
        raise InputError(
            f"{path}: expected the name of a folder, since {reason}; leave out "
            f"{file_ending(path)}, or choose a format that is one file."
        )
