"""What the page shows: a table of everybody, and a person with both poses, the photo and who else is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.photos.finding import Exif, ImageId
from posefix.pictures.drawing import RIM, TRAIL, Side, keypoint_sides
from posefix.pictures.gallery import movement
from posefix.pose.poses import BoolArray, FloatArray, Rows, rows_by_image
from posefix.review.photos import Part, close_up, decoded, jpeg
from posefix.review.session import Review

PLACE_DECIMALS = 3

Json = dict[str, Any]


@dataclass(frozen=True)
class Scenes:
    """A review with its photos.

    Attributes:
        review: The people and the decisions.
        photos: File of each image id.
        exif: Whether photos are turned as their EXIF orientation says.
        titles: Names of the results, the refined and the reviewed file, as the page shows them.
    """

    review: Review
    photos: Mapping[ImageId, Path]
    exif: Exif
    titles: tuple[str, str, str]

    def table(self) -> Json:
        """Everybody, column by column, and what is the same for all."""
        review = self.review
        skeleton = review.after.skeleton
        return {
            **review.state(()),
            "review": review.fingerprint,
            "titles": dict(zip(("results", "refined", "output"), self.titles, strict=True)),
            "keypoints": skeleton.keypoint_names,
            "sides": [side.name.lower() for side in keypoint_sides(skeleton)],
            "limbs": skeleton.limb_index.tolist(),
            "colours": {"rim": RIM, "trail": TRAIL} | {side.name.lower(): side.value for side in Side},
            "photo_names": [path.name for path in self.photos.values()],
            "photo": [self._numbers[image_id] for image_id in review.after.image_ids],
            "score": np.round(review.before.pose_scores, 4).tolist(),
            "movement": self._movement,
            "standing": review.standings(),
        }

    def person(self, person: int) -> Json:
        """One person; places are in pixels of the photo, None where missing.

        Raises:
            InputError: There is no such person.
        """
        review = self.review
        if not 0 <= person < len(review.after):
            raise InputError(f"person: expected a number below {len(review.after)}, got {person}.")
        others = [row for row in self._rows[review.after.image_ids[person]].tolist() if row != person]
        keypoints, valid = review.current(others)
        return {
            "person": person,
            "before": _places(review.before.keypoints[person], review.before.valid[person]),
            "after": _places(review.after.keypoints[person], review.after.valid[person]),
            "others": [
                {"person": row, "places": _places(*pose)}
                for row, *pose in zip(others, keypoints, valid, strict=True)
            ],
            **self._photo(person),
            **review.state([person]),
        }

    def whole_photo(self, number: int) -> bytes:
        """A photo as JPEG.

        Args:
            number: Its place among the photos.

        Raises:
            InputError: There is no such photo, or it cannot be read.
        """
        paths = list(self.photos.values())
        if not 0 <= number < len(paths):
            raise InputError(f"photo: expected a number below {len(paths)}, got {number}.")
        return jpeg(decoded(paths[number], self.exif))

    def close_up(self, person: int) -> bytes:
        """The part of a large photo around a person as JPEG.

        Raises:
            InputError: There is no such person or part, or the photo cannot be read.
        """
        part = self._part(person) if 0 <= person < len(self.review.after) else None
        if part is None:
            raise InputError(f"close-up: there is none of person {person}.")
        return jpeg(decoded(self._path(person), self.exif), part)

    @cached_property
    def _movement(self) -> list[float]:
        """How far the refinement moved each person's keypoints, percent of the person's size."""
        moved: list[float] = np.round(100 * movement(self.review.before, self.review.after), 2).tolist()
        return moved

    @cached_property
    def _numbers(self) -> dict[ImageId, int]:
        return {image_id: number for number, image_id in enumerate(self.photos)}

    @cached_property
    def _rows(self) -> dict[ImageId, Rows]:
        """People of each photo."""
        return rows_by_image(self.review.after.image_ids)

    def _path(self, person: int) -> Path:
        return self.photos[self.review.after.image_ids[person]]

    def _size_wh(self, person: int) -> tuple[int, int]:
        height, width = decoded(self._path(person), self.exif).shape[:2]
        return width, height

    def _part(self, person: int) -> Part | None:
        both = (self.review.before, self.review.after)
        keypoints = np.stack([poses.keypoints[person] for poses in both])
        return close_up(self._size_wh(person), keypoints, np.stack([poses.valid[person] for poses in both]))

    def _photo(self, person: int) -> Json:
        """Size of a person's photo and of its close-up, or why it cannot be shown."""
        try:
            size_wh, part = self._size_wh(person), self._part(person)
        except InputError as error:
            return {"size_wh": None, "close_up": None, "problem": str(error)}
        return {"size_wh": size_wh, "close_up": part and astuple(part), "problem": None}


def _places(keypoints: FloatArray, valid: BoolArray) -> list[list[float] | None]:
    rounded = np.round(keypoints, PLACE_DECIMALS).tolist()
    return [place if there else None for place, there in zip(rounded, valid, strict=True)]
