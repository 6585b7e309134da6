"""First step: from poses in any layout to people in the model's keypoints, and the crop to see each of them in."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from posefix.network.decoding import PERSON_SHARE
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Poses, Rows
from posefix.pose.similarity import falloff
from posefix.refine.boxes import WholeBoxes
from posefix.refine.proportions import Proportions
from posefix.skeletons import KeypointMapping, Skeleton, match_keypoints


@dataclass(frozen=True)
class CroppedPeople:
    """N people in the model's K keypoints, each with a crop.

    Attributes:
        mapping: Which keypoints of the poses are which of the model.
        size_wh: Width and height of the crops, pixels.
        rows: (N,) which of the poses they are.
        usable: (N,) whose size is known, so that they can be cut out.
        keypoints: (N, K, 2) in original-image pixels; 0 where not valid.
        valid: (N, K).
        matrices: (N, 2, 3), original-image pixels -> crop pixels.
        area: (N,) square pixels of the original image that a person has who fills the usual share of the crop.
    """

    mapping: KeypointMapping
    size_wh: tuple[int, int]
    rows: Rows
    usable: BoolArray
    keypoints: FloatArray
    valid: BoolArray
    matrices: FloatArray
    area: FloatArray

    @property
    def falloff(self) -> FloatArray:
        """(N, K) distance at which keypoint similarity (KS) is 1/e for such a person, original-image pixels."""
        return self._falloff(slice(None))

    def _falloff(self, rows: slice) -> FloatArray:
        return np.asarray(falloff(self.area[rows, None], self.mapping.target.sigmas))

    def of(self, places: Rows | slice) -> CroppedPeople:
        """Some of the people, by their places among these."""
        return CroppedPeople(
            self.mapping,
            self.size_wh,
            self.rows[places],
            self.usable[places],
            self.keypoints[places],
            self.valid[places],
            self.matrices[places],
            self.area[places],
        )

    def offset(self, keypoints: FloatArray) -> FloatArray:
        """How far places (N, K, 2) are from those of the poses, in units of `falloff`: (N, K)."""
        return self._offset(keypoints, slice(None))

    def agreement(self, keypoints: FloatArray) -> FloatArray:
        """Mean KS (N,) between places (N, K, 2) and those of the poses, over the keypoints that these have."""
        means = np.empty(len(keypoints))
        for rows in geometry.parts(len(means)):
            means[rows] = _mean(np.exp(-(self._offset(keypoints, rows) ** 2)), self.valid[rows])
        return means

    def agreement_among(self, keypoints: FloatArray) -> FloatArray:
        """As `agreement`, of these people's places (N, K, 2) among those of all poses of the call."""
        means = np.empty(len(self.rows))
        for places in geometry.parts(len(means)):
            means[places] = self.of(places).agreement(keypoints[self.rows[places]])
        return means

    def _offset(self, keypoints: FloatArray, rows: slice) -> FloatArray:
        return np.asarray(geometry.lengths(keypoints[rows] - self.keypoints[rows]) / self._falloff(rows))

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean (N,) of values (N, K) over the keypoints that the poses have; 0 where they have none."""
        return _mean(values, self.valid)

    def at(self, keypoints: FloatArray) -> CroppedPeople:
        """The same people in the same crops with other places (N, K, 2)."""
        return dataclasses.replace(self, keypoints=keypoints)


def _mean(values: FloatArray, valid: BoolArray) -> FloatArray:
    count = np.maximum(valid.sum(axis=1), 1)
    return np.asarray(np.where(valid, values, 0.0).sum(axis=1) / count)


def crop_people(
    poses: Poses,
    skeleton: Skeleton,
    size_wh: tuple[int, int],
    boxes: FloatArray | WholeBoxes | None = None,
) -> CroppedPeople:
    """Map poses to a model's keypoints and choose each person's crop.

    The box of a person is that of the keypoints which the model knows, so it is the same in every layout. Where some of
    these are missing, it grows to hold them: to the box of the whole person, if that is known and holds those that are
    there, else to where the proportions of people say that they are.

    Without two keypoints in different places, or such a box, nothing tells the person's size; such people are not
    `usable`.

    Args:
        poses: In original-image pixels.
        skeleton: Of the model.
        size_wh: Crop width and height, pixels.
        boxes: bbox_xywh (N, 4) of the people, instead of boxes made from the keypoints; or `WholeBoxes`, beside them.

    Raises:
        InputError: The layouts share no keypoint.
    """
    mapping = match_keypoints(poses.skeleton, skeleton)
    keypoints, valid = _in_layout(poses, mapping)
    usable = np.asarray(valid.any(axis=1))
    if boxes is None or isinstance(boxes, WholeBoxes):
        wanted = np.zeros(len(skeleton), dtype=bool)
        wanted[mapping.target_index] = True
        boxes = _boxes_of_people(keypoints, valid, wanted, skeleton, boxes)
        usable &= boxes[:, 2:].max(axis=1, initial=0.0) > 0
    crops = _crops(boxes, size_wh)
    return CroppedPeople(mapping, size_wh, np.arange(len(poses)), usable, keypoints, valid, *crops)


def _in_layout(poses: Poses, mapping: KeypointMapping) -> tuple[FloatArray, BoolArray]:
    """`keypoints` and `valid` of `CroppedPeople`; those of the poses themselves where they would be the same."""
    source, target = mapping.source_index, mapping.target_index
    if poses.skeleton == mapping.target and not poses.keypoints[~poses.valid].any():
        return poses.keypoints, poses.valid
    valid = np.zeros((len(poses), len(mapping.target)), dtype=bool)
    keypoints = np.zeros((*valid.shape, 2))
    for rows in geometry.parts(len(poses)):
        there = poses.valid[rows][:, source]
        valid[rows, target] = there
        keypoints[rows, target] = np.where(there[..., None], poses.keypoints[rows][:, source], 0.0)
    return keypoints, valid


def _boxes_of_people(
    keypoints: FloatArray,
    valid: BoolArray,
    wanted: BoolArray,
    skeleton: Skeleton,
    given: WholeBoxes | None,
) -> FloatArray:
    """bbox_xywh (N, 4) that hold the keypoints (N, K, 2) of people, those that are missing and wanted (K,) as well."""
    tight = geometry.box_from_keypoints(keypoints, valid)
    boxes = geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR)
    partial = (wanted & ~valid).any(axis=1) & valid.any(axis=1)
    if not partial.any():
        return boxes
    whole = np.full(boxes.shape, np.nan) if given is None else given.bbox_xywh
    holds = partial & geometry.holds(geometry.enlarge(whole, geometry.KEYPOINT_BOX_FACTOR), tight)
    boxes[holds] = geometry.union(boxes, whole)[holds]
    guessed = np.flatnonzero(partial & ~holds)
    places, there = Proportions.of(skeleton).fill(keypoints[guessed], valid[guessed])
    around = geometry.box_from_keypoints(places, there & (valid[guessed] | wanted))
    boxes[guessed] = geometry.union(boxes[guessed], geometry.enlarge(around, geometry.KEYPOINT_BOX_FACTOR))
    return boxes


def recrop(people: CroppedPeople, keypoints: FloatArray) -> CroppedPeople:
    """The same people, all usable, with other places and the crops that these make.

    Args:
        people: As they were seen.
        keypoints: (N, K, 2) in original-image pixels; those of their layout are all there now.
    """
    valid = people.valid.copy()
    valid[:, people.mapping.target_index] = True
    boxes = geometry.enlarge(geometry.box_from_keypoints(keypoints, valid), geometry.KEYPOINT_BOX_FACTOR)
    matrices, area = _crops(boxes, people.size_wh)
    return dataclasses.replace(
        people,
        usable=np.ones(len(valid), dtype=bool),
        keypoints=np.where(valid[..., None], keypoints, 0.0),
        valid=valid,
        matrices=matrices,
        area=area,
    )


def _crops(boxes: FloatArray, size_wh: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """The crops around people's boxes (N, 4): `matrices` and `area` of `CroppedPeople`."""
    matrices = geometry.crop_matrices(geometry.enlarge(boxes, geometry.CROP_FACTOR), size_wh)
    return matrices, PERSON_SHARE * size_wh[0] * size_wh[1] / np.abs(np.linalg.det(matrices[:, :, :2]))
