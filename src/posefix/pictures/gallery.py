"""Photos in rows: image, input pose and refined pose beside each other (paper figures 12 to 14)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.photos.finding import Exif, ImageId, decode_image
from posefix.pictures.drawing import BAR_HEIGHT, Image, View, caption, side_by_side
from posefix.pictures.people import draw_people
from posefix.pose import geometry
from posefix.pose.poses import Poses, Rows, rows_by_image

PANEL_WH = (480, 360)
CROWD_PANEL_WH = (960, 720)
"""Of photos with more than `CROWD` people, among which small ones would not be seen."""
CROWD = 6
PERSON_CONTEXT = 1.8
"""How much larger than the box around a person's poses a close-up is."""
SMALLEST_TO_SHOW = 80.0
"""Pixels: on smaller people nothing can be seen."""


def draw_photos(
    photos: Mapping[ImageId, Path],
    image_ids: Sequence[ImageId],
    before: Poses,
    after: Poses | None,
    *,
    exif: Exif = "apply",
) -> Image:
    """One row for each photo, which it shows whole.

    Args:
        photos: File of each image id.
        image_ids: Which photos, from top to bottom.
        before: The poses as an estimator found them.
        after: The same people refined; None leaves out the third column.
        exif: As in `decode_image`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows_of = _rows_of_photos(before, after)
    is_crowded = any(len(rows_of.get(image_id, ())) > CROWD for image_id in image_ids)
    size_wh = CROWD_PANEL_WH if is_crowded else PANEL_WH
    pictures = []
    for image_id in image_ids:
        image = decode_image(photos[image_id], exif=exif)
        view = View(geometry.crop_matrices(geometry.photo_box(image.shape)[None], size_wh)[0], size_wh)
        people = rows_of.get(image_id, np.empty(0, dtype=np.int64))
        pictures.append(_panels(image, view, people, before, after))
    return _stack(pictures, [f"image {image_id}" for image_id in image_ids])


def draw_close_ups(
    photos: Mapping[ImageId, Path],
    rows: Sequence[int],
    before: Poses,
    after: Poses | None,
    *,
    exif: Exif = "apply",
) -> Image:
    """One row for each person, who fills the picture; others in the photo are drawn too.

    Args:
        photos: File of each image id.
        rows: Which poses, from top to bottom.
        before: The poses as an estimator found them.
        after: The same people refined; None leaves out the third column.
        exif: As in `decode_image`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows_of = _rows_of_photos(before, after)
    pictures, lines = [], []
    for row in rows:
        image_id = before.image_ids[row]
        both = [before] if after is None else [before, after]
        keypoints = np.concatenate([poses.keypoints[row] for poses in both])[None]
        valid = np.concatenate([poses.valid[row] for poses in both])[None]
        box = geometry.box_from_keypoints(keypoints, valid)
        image = decode_image(photos[image_id], exif=exif)
        people = rows_of[image_id]
        pictures.append(_panels(image, _view(_with_context(box, image), image), people, before, after))
        lines.append(f"image {image_id}, row {row}" + _number(row, people))
    return _stack(pictures, lines)


def _rows_of_photos(before: Poses, after: Poses | None) -> dict[ImageId, Rows]:
    """Rows of the people of each photo, after it is known that the two are the same people."""
    check_same_people(before, after)
    return rows_by_image(before.image_ids)


def most_changed(before: Poses, after: Poses, count: int) -> list[int]:
    """Rows of the people who changed most, the most changed one of a photo only, in falling order.

    A change is the mean distance that a person's keypoints moved, in units of the person's size. People too small to
    look at come last.

    Raises:
        InputError: The two are not the same people.
    """
    check_same_people(before, after)
    change = movement(before, after)
    change[_sizes(after) < SMALLEST_TO_SHOW] -= change.max(initial=0) + 1
    return _first_of_each_photo(before, change, count)


def movement(before: Poses, after: Poses) -> npt.NDArray[np.float64]:
    """(N,): mean distance that each person's keypoints moved, in units of the larger of the person's sizes."""
    both = before.valid & after.valid
    distance = np.where(both, np.linalg.norm(after.keypoints - before.keypoints, axis=-1), 0).sum(axis=1)
    return np.asarray(distance / np.maximum(both.sum(axis=1), 1) / np.maximum(_sizes(before), _sizes(after)))


def _sizes(poses: Poses) -> npt.NDArray[np.float64]:
    """(N,): the longer side of each person's box in pixels."""
    boxes = geometry.box_from_keypoints(poses.keypoints, poses.valid)
    return np.asarray(np.maximum(boxes[:, 2:].max(axis=1, initial=0), geometry.MINIMAL_BOX_SIDE))


def most_certain(poses: Poses, count: int) -> list[int]:
    """Rows of the people with the highest scores, one of a photo, in falling order."""
    return _first_of_each_photo(poses, poses.pose_scores, count)


def check_same_people(
    before: Poses, after: Poses | None, titles: tuple[str | Path, str | Path] = ("before", "after")
) -> None:
    """Refuse to show people beside others.

    Args:
        before: The poses as an estimator found them.
        after: Their refinement, if there is one.
        titles: What messages call the two; their files.

    Raises:
        InputError: The two are not the same people in the same order and layout.
    """
    if after is None or before.same_people_as(after):
        return
    first, second = titles
    if before.skeleton != after.skeleton:
        raise InputError(
            f"{second}: expected the layout of {first}, {before.skeleton.name}, got {after.skeleton.name}; give a "
            "refinement of these very poses."
        )
    if len(before) != len(after):
        raise InputError(
            f"{second}: expected the {plural(len(before), 'person')} of {first}, got {len(after)}; give a "
            "refinement of these "
            "very poses, made without --oks-nms."
        )
    pairs = enumerate(zip(before.image_ids, after.image_ids, strict=True))
    row, (old, new) = next((row, pair) for row, pair in pairs if pair[0] != pair[1])
    moved = Counter(before.image_ids) == Counter(after.image_ids)
    raise InputError(
        f"{second}, person {row}: expected image id {old!r} as in {first}, got {new!r}; "
        f"{'they are in another order, ' if moved else ''}give a refinement of these very poses."
    )


def _first_of_each_photo(poses: Poses, values: npt.NDArray[np.float64], count: int) -> list[int]:
    best: dict[ImageId, int] = {}
    for row in np.argsort(-values, kind="stable").tolist():
        best.setdefault(poses.image_ids[row], row)
    return list(best.values())[:count]


def _number(row: int, people: Rows) -> str:
    """What tells a person from the others in the picture; they are numbered where there are several."""
    return f": number {people.tolist().index(row) + 1}" if len(people) > 1 else ""


def _with_context(box: npt.NDArray[np.float64], image: Image) -> npt.NDArray[np.float64]:
    """A person's box (1, 4) enlarged by what is around the person in the photo: (4,)."""
    photo, enlarged = geometry.photo_box(image.shape)[None], geometry.enlarge(box, PERSON_CONTEXT)
    low = np.maximum(enlarged[:, :2], photo[:, :2])
    high = np.minimum(enlarged[:, :2] + enlarged[:, 2:], photo[:, :2] + photo[:, 2:])
    return np.asarray(geometry.union(box, np.concatenate([low, high - low], axis=1))[0])


def _view(box: npt.NDArray[np.float64], image: Image) -> View:
    """A box grown to the panel's aspect, then moved into the photo as far as the photo has room."""
    grown = np.maximum(
        box[2:], box[3:1:-1] * np.array([PANEL_WH[0] / PANEL_WH[1], PANEL_WH[1] / PANEL_WH[0]])
    )
    low = box[:2] + box[2:] / 2 - grown / 2
    frame = geometry.photo_box(image.shape)
    room = frame[2:] - grown
    low = np.where(room >= 0, np.clip(low, frame[:2], frame[:2] + np.maximum(room, 0)), frame[:2] + room / 2)
    return View(geometry.crop_matrices(np.concatenate([low, grown])[None], PANEL_WH)[0], PANEL_WH)


def _panels(
    image: Image, view: View, rows: Rows, before: Poses, after: Poses | None
) -> list[tuple[str, Image]]:
    """Titles and panels of a row."""
    photo = view.show(image)
    panels = [("image", photo)]
    for title, poses in (("input pose", before), ("refined pose", after)):
        if poses is not None:
            places = view.place(poses.keypoints[rows])
            panels.append((title, draw_people(photo, places, poses.valid[rows], poses.skeleton)))
    return panels


def _stack(pictures: Sequence[Sequence[tuple[str, Image]]], lines: Sequence[str]) -> Image:
    """Rows below each other, each over a line of text; titles stand once, above the first."""
    stacked: list[Image] = []
    for number, (panels, line) in enumerate(zip(pictures, lines, strict=True)):
        titles = [title for title, _ in panels]
        row = side_by_side([panel for _, panel in panels], titles)
        stacked += [row if number == 0 else row[BAR_HEIGHT:], caption(line, row.shape[1])]
    return np.concatenate(stacked)
