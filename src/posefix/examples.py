"""Pictures of synthesised poses (paper figures 3 and 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from posefix import geometry
from posefix.drawing import Colour, Image, draw_poses, side_by_side
from posefix.error_profile import ErrorProfile, load_error_profile
from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.images import decode_image
from posefix.people import PersonRecords, build_records, find_photos
from posefix.skeletons import Skeleton
from posefix.synthesis import WrongPoses, synthesize
from posefix.taxonomy import ERRORS, Status

PANEL_WH = (270, 360)
CONTEXT = 1.6
"""How much larger than the person's box a panel is, so that swaps and misses stay in it."""
LABELLED_TO_SHOW = 10
TRIES = 200

# Okabe and Ito's colours and a letter each: told apart by everyone, and without colour.
MARKS: dict[Status, tuple[str, Colour]] = {
    Status.JITTER: ("J", (0, 158, 115)),
    Status.INVERSION: ("I", (204, 121, 167)),
    Status.SWAP: ("S", (213, 94, 0)),
    Status.MISS: ("M", (0, 114, 178)),
}


def draw_examples(annotations: Path, images: Path, profile: str, *, people: int = 6, seed: int = 0) -> Image:
    """One panel per kind of error (figure 3) above truth beside synthesised pose (figure 4).

    Args:
        annotations: A COCO keypoint annotation file.
        images: Folder of its photos.
        profile: A packaged error profile's name, or a profile file.
        people: How many people the lower part shows.
        seed: Another number draws other people and errors.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: A faulty file, a photo that is missing, or nobody with enough labelled keypoints.
    """
    if people < 1:
        raise InputError(f"people: expected 1 or more, got {people}")
    truth = read_annotations(annotations)
    generator = np.random.default_rng(seed)
    panels = _Panels(truth, images, load_error_profile(profile), generator)
    rows = [panels.of_errors()]
    shown = panels.choose(people)
    per_row = max(1, (len(ERRORS) + 1) // 2)
    for start in range(0, len(shown), per_row):
        rows.append(panels.of_people(shown[start : start + per_row]))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 8), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)


class _Panels:
    """Draws wrong poses of an annotation file's people."""

    def __init__(
        self, truth: Annotations, images: Path, profile: ErrorProfile, generator: np.random.Generator
    ) -> None:
        self.skeleton: Skeleton = truth.skeleton
        self.profile = profile
        self.generator = generator
        self.records: PersonRecords = build_records(truth, find_photos(truth, images), self.skeleton)

    def choose(self, count: int) -> npt.NDArray[np.int64]:
        """Random people with enough labelled keypoints to look at."""
        rich = np.flatnonzero(self.records.labelled.sum(axis=1) >= min(LABELLED_TO_SHOW, len(self.skeleton)))
        if len(rich) == 0:
            raise InputError(f"no person has {LABELLED_TO_SHOW} labelled keypoints to show")
        return self.generator.choice(rich, size=count, replace=count > len(rich))

    def of_errors(self) -> Image:
        """One panel for each kind of error: the pose is true but for one keypoint, which is boxed."""
        panels, titles = [], []
        for error in ERRORS:
            found = self._find(error)
            if found is not None:
                row, wrong, keypoint = found
                keypoints = self.records.keypoints[row].copy()
                keypoints[keypoint] = wrong.keypoints[0, keypoint]
                marks = np.full(len(self.skeleton), int(Status.GOOD))
                marks[keypoint] = int(error)
                panels.append(self._panel(row, keypoints, self.records.labelled[row], marks))
                titles.append(f"{MARKS[error][0]}  {error.name.lower()}")
        return side_by_side(panels, titles)

    def of_people(self, rows: npt.NDArray[np.int64]) -> Image:
        """Truth beside the synthesised pose of each person."""
        panels, titles = [], []
        for row in rows:
            wrong = synthesize(self.records.people(row[None]), self.skeleton, self.profile, self.generator)
            good = np.zeros(len(self.skeleton), dtype=int)
            panels.append(self._panel(row, self.records.keypoints[row], self.records.labelled[row], good))
            panels.append(self._panel(row, wrong.keypoints[0], wrong.present[0], wrong.status[0]))
            titles += ["truth", "synthesised: J I S M"]
        return side_by_side(panels, titles)

    def _find(self, error: Status) -> tuple[int, WrongPoses, int] | None:
        """A person, a wrong pose and a keypoint that has this error; None if no person here can have it."""
        for row in self.choose(TRIES):
            wrong = synthesize(self.records.people(row[None]), self.skeleton, self.profile, self.generator)
            hits = np.flatnonzero(wrong.status[0] == int(error))
            if len(hits):
                return int(row), wrong, int(hits[-1])
        return None

    def _panel(
        self,
        row: int,
        keypoints: npt.NDArray[np.floating[Any]],
        present: npt.NDArray[np.bool_],
        status: npt.NDArray[np.integer[Any]],
    ) -> Image:
        box = geometry.box_from_keypoints(
            self.records.keypoints[row][None].astype(np.float64), self.records.labelled[row][None]
        )
        matrix = geometry.crop_matrices(geometry.enlarge(box, CONTEXT), PANEL_WH)
        photo = geometry.warp(decode_image(self.records.images[row]), matrix[0], PANEL_WH)
        places = geometry.transform(matrix, keypoints[None].astype(np.float64))
        canvas = draw_poses(photo, places, present[None], self.skeleton)
        for place, kind in zip(places[0], status, strict=True):
            if Status(kind) in MARKS:
                _mark(canvas, place, *MARKS[Status(kind)])
        return canvas


def _mark(canvas: Image, place: npt.NDArray[np.float64], letter: str, colour: Colour) -> None:
    """Box a keypoint, with the letter of its error beside the box; a place outside is moved to the border."""
    x, y = (int(value) for value in np.clip(place, 8, np.array(PANEL_WH) - 9))
    cv2.rectangle(canvas, (x - 7, y - 7), (x + 7, y + 7), (20, 20, 20), 3, cv2.LINE_AA)
    cv2.rectangle(canvas, (x - 7, y - 7), (x + 7, y + 7), colour, 2, cv2.LINE_AA)
    left, top = min(x + 9, PANEL_WH[0] - 18), max(y - 18, 0)
    cv2.rectangle(canvas, (left, top), (left + 17, top + 17), colour, -1)
    cv2.putText(
        canvas, letter, (left + 3, top + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 2, cv2.LINE_AA
    )
