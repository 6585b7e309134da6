"""Person records: the labelled people of annotation files with their neighbours, in one skeleton's order."""

from __future__ import annotations

import dataclasses
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations
from posefix.photos.finding import find_images
from posefix.pose.geometry import box_iou
from posefix.pose.poses import ImageId, Poses, rows_by_image
from posefix.pose.similarity import best_pairs, keypoint_similarity, oks
from posefix.pose_errors.taxonomy import LabelledPeople
from posefix.skeletons import Skeleton, match_keypoints

Neighbours = Literal["all", "overlapping"]
OVERLAP_IOU = 0.1
"""People whose boxes overlap by more than this count as overlapping (Ronchi and Perona 2017, section 3)."""

CONSENSUS_OKS = 0.5
"""An estimator takes part in a consensus if its pose of the person is this right on the labelled keypoints."""
CONSENSUS_KS = 0.7
"""How near to their mean place all estimators must be for it to become a label."""


@dataclass(frozen=True)
class PersonRecords:
    """Labelled people of one or several sets, one row a person.

    Attributes:
        keypoints: (N, K, 2) in original-image pixels.
        labelled: (N, K) bool.
        area: (N,) square pixels.
        overlap: (N,) number of people in the photo whose boxes overlap this one's.
        neighbours: (N, M) rows of the other labelled people in the same photo, -1 where there are fewer.
        images: Photo of each person.
        estimates: (N, E, K, 2) poses that E estimators found of the person, original-image pixels.
        estimated: (N, E, K) bool, which of their keypoints are there.
        boxes: (N, 4) annotated bbox_xywh.
    """

    keypoints: npt.NDArray[np.float32]
    labelled: npt.NDArray[np.bool_]
    area: npt.NDArray[np.float32]
    overlap: npt.NDArray[np.int64]
    neighbours: npt.NDArray[np.int64]
    images: tuple[Path, ...]
    estimates: npt.NDArray[np.float32]
    estimated: npt.NDArray[np.bool_]
    boxes: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def people(self, rows: npt.NDArray[np.int64]) -> LabelledPeople:
        """True poses of some rows with their neighbours, padded to the largest number of neighbours among them."""
        index = self.neighbours[rows]
        index = index[:, : int((index >= 0).sum(axis=1).max(initial=0))]
        return LabelledPeople(
            keypoints=self.keypoints[rows],
            labelled=self.labelled[rows],
            area=self.area[rows],
            neighbour_keypoints=self.keypoints[index],
            neighbour_labelled=self.labelled[index] & (index >= 0)[..., None],
            neighbour_area=self.area[index],
            overlap=self.overlap[rows],
        )


def find_photos(
    annotations: Annotations, folder: Path, others: Collection[ImageId] = ()
) -> dict[ImageId, Path]:
    """The photo of each image id that has annotated people.

    Args:
        annotations: They name the photos.
        folder: Where the photos are.
        others: More image ids of the annotations, such as those of photos in which estimators alone see people.

    Raises:
        InputError: A photo is missing.
    """
    wanted = {*annotations.people.image_ids, *others}
    names = {image_id: annotations.images[image_id].file_name for image_id in wanted}
    return find_images(names, folder, names)


def labelled_boxes(annotations: Annotations) -> tuple[tuple[ImageId, ...], npt.NDArray[np.float64]]:
    """Photo and bbox_xywh (N, 4) of each person that a pose network can be judged by: no crowd, a keypoint labelled."""
    people = annotations.people
    usable = (
        (people.visibility > 0).any(axis=1) & ~people.is_crowd & (people.bbox_xywh[:, 2:] > 0).all(axis=1)
    )
    rows = np.flatnonzero(usable)
    return tuple(people.image_ids[row] for row in rows), people.bbox_xywh[rows]


def build_records(
    annotations: Annotations,
    photos: Mapping[ImageId, Path],
    skeleton: Skeleton,
    estimates: Sequence[Poses] = (),
    neighbours: Neighbours = "all",
) -> PersonRecords:
    """Usable people of an annotation file: not a crowd, at least one labelled keypoint of the skeleton.

    Args:
        annotations: Ground truth in its own layout; keypoints are matched by name.
        photos: File of each image id.
        skeleton: Vocabulary of the model.
        estimates: Results of E estimators on these photos; a person's is the one nearest in OKS, and
            nobody else's.
        neighbours: With whom a person may be mixed up: "all" in the photo, as the paper may be read, or those whose
            boxes are "overlapping" by `OVERLAP_IOU`, as its code does and as estimators do.

    Raises:
        InputError: No usable person, or nothing shared with the skeleton.
    """
    people = annotations.people
    mapping = match_keypoints(annotations.skeleton, skeleton)
    keypoints = np.zeros((len(people.ids), len(skeleton), 2), dtype=np.float32)
    labelled = np.zeros(keypoints.shape[:2], dtype=bool)
    keypoints[:, mapping.target_index] = people.keypoints[:, mapping.source_index]
    labelled[:, mapping.target_index] = people.visibility[:, mapping.source_index] > 0
    usable = np.flatnonzero(labelled.any(axis=1) & ~people.is_crowd & (people.area > 0))
    if len(usable) == 0:
        what = "an area above 0" if labelled.any() else f"a labelled keypoint of skeleton {skeleton.name!r}"
        raise InputError(f"{annotations.path}: expected people with {what}, got none")
    image_ids = [people.image_ids[row] for row in usable]
    near, overlap = _neighbours(image_ids, people.bbox_xywh[usable], neighbours)
    records = PersonRecords(
        keypoints[usable],
        labelled[usable],
        people.area[usable].astype(np.float32),
        overlap,
        near,
        tuple(photos[image_id] for image_id in image_ids),
        np.zeros((len(usable), len(estimates), len(skeleton), 2), dtype=np.float32),
        np.zeros((len(usable), len(estimates), len(skeleton)), dtype=bool),
        people.bbox_xywh[usable].astype(np.float32),
    )
    for number, poses in enumerate(estimates):
        _fill_estimates(records, number, image_ids, poses, skeleton)
    return records


def _fill_estimates(
    records: PersonRecords, number: int, image_ids: Sequence[ImageId], poses: Poses, skeleton: Skeleton
) -> None:
    """Give each person the pose of the same photo that is nearest to the truth in OKS; each pose is of one person."""
    mapping = match_keypoints(poses.skeleton, skeleton)
    target, source = mapping.target_index, mapping.source_index
    rows_of = rows_by_image(poses.image_ids)
    # What is missing is infinitely far from everything.
    found = np.where(poses.valid[..., None], poses.keypoints, np.inf)[:, source]
    for image_id, people in rows_by_image(image_ids).items():
        rows = rows_of.get(image_id, people[:0])
        table = oks(
            found[rows],
            records.keypoints[people][:, target].astype(np.float64),
            records.labelled[people][:, target],
            records.area[people].astype(np.float64),
            skeleton.sigmas[target],
        )
        for row, person in best_pairs(table):
            pose = rows[row]
            records.estimates[people[person], number, target] = poses.keypoints[pose, source]
            records.estimated[people[person], number, target] = poses.valid[pose, source]


def add_consensus_labels(records: PersonRecords, skeleton: Skeleton) -> PersonRecords:
    """Label keypoints that nobody labelled where estimators that are right about the person agree.

    Sets name different keypoints (Leeds Sports Pose has no face), and estimators that agree within `CONSENSUS_KS` are
    rarely wrong together. The label is their mean place.

    Args:
        records: People with estimates.
        skeleton: Names the keypoints.
    """
    area = records.area[:, None].astype(np.float64)
    squared = ((records.estimates - records.keypoints[:, None]) ** 2).sum(axis=-1)
    similarity = keypoint_similarity(squared.astype(np.float64), area[..., None], skeleton.sigmas)
    known = records.estimated & records.labelled[:, None]
    person = (similarity * known).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    use = records.estimated & (person >= CONSENSUS_OKS)[..., None]
    count = use.sum(axis=1)
    mean = (records.estimates * use[..., None]).sum(axis=1) / np.maximum(count, 1)[..., None]
    off = ((records.estimates - mean[:, None]) ** 2).sum(axis=-1)
    agree = keypoint_similarity(off.astype(np.float64), area[..., None], skeleton.sigmas) >= CONSENSUS_KS
    agreed = (count >= 2) & (agree | ~use).all(axis=1) & ~records.labelled
    keypoints = np.where(agreed[..., None], mean, records.keypoints).astype(np.float32)
    return dataclasses.replace(records, keypoints=keypoints, labelled=records.labelled | agreed)


def held_out_mask(records: PersonRecords, share: float) -> npt.NDArray[np.bool_]:
    """Which people (N,) the photos show that a share of all holds out."""
    return np.array([is_held_out(path, share) for path in records.images], dtype=bool)


def is_held_out(photo: Path, share: float) -> bool:
    """Whether a photo belongs to a share of all, by the checksum of its name alone."""
    return zlib.crc32(photo.name.encode()) / 2**32 < share


def select(records: PersonRecords, mask: npt.NDArray[np.bool_]) -> PersonRecords:
    """The people of a mask (N,), which must take whole photos."""
    rows = np.flatnonzero(mask)
    place = np.full(len(records) + 1, -1, dtype=np.int64)  # the last entry keeps the padding of -1
    place[rows] = np.arange(len(rows))
    values = {
        field.name: getattr(records, field.name)[rows]
        for field in dataclasses.fields(records)
        if field.name not in ("neighbours", "images")
    }
    images = tuple(records.images[row] for row in rows)
    return PersonRecords(**values, neighbours=place[records.neighbours[rows]], images=images)


def thin_out(records: PersonRecords, limit: int) -> PersonRecords:
    """At most `limit` people, those of photos drawn by the checksums of their names; all where there are fewer."""
    return select(records, thinned_mask(records, limit))


def thinned_mask(records: PersonRecords, limit: int) -> npt.NDArray[np.bool_]:
    """Which people (N,) `thin_out` takes."""
    people_in = Counter(records.images)
    drawn = sorted(people_in, key=lambda path: (zlib.crc32(path.name.encode()), path))
    total = np.cumsum([people_in[path] for path in drawn])
    taken = set(drawn[: max(int((total <= limit).sum()), 1)])
    return np.array([path in taken for path in records.images])


def join_records(parts: Sequence[PersonRecords]) -> PersonRecords:
    """Several sets as one."""
    width = max(part.neighbours.shape[1] for part in parts)
    estimators = max(part.estimates.shape[1] for part in parts)
    neighbours, start = [], 0
    for part in parts:
        shifted = np.where(part.neighbours >= 0, part.neighbours + start, -1)
        neighbours.append(np.pad(shifted, ((0, 0), (0, width - shifted.shape[1])), constant_values=-1))
        start += len(part)
    return PersonRecords(
        np.concatenate([part.keypoints for part in parts]),
        np.concatenate([part.labelled for part in parts]),
        np.concatenate([part.area for part in parts]),
        np.concatenate([part.overlap for part in parts]),
        np.concatenate(neighbours),
        tuple(path for part in parts for path in part.images),
        np.concatenate([_padded(part.estimates, estimators) for part in parts]),
        np.concatenate([_padded(part.estimated, estimators) for part in parts]),
        np.concatenate([part.boxes for part in parts]),
    )


def _padded(values: npt.NDArray[Any], estimators: int) -> npt.NDArray[Any]:
    """(N, E, ...) with zeros for the estimators that a set lacks."""
    missing = estimators - values.shape[1]
    return np.pad(values, ((0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)))


def _neighbours(
    image_ids: Sequence[ImageId], bbox_xywh: npt.NDArray[np.float64], which: Neighbours
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the neighbours in the same photo, padded with -1, and how many people there overlap."""
    by_image = rows_by_image(image_ids)
    width = max(len(rows) for rows in by_image.values()) - 1
    neighbours = np.full((len(image_ids), width), -1, dtype=np.int64)
    overlap = np.zeros(len(image_ids), dtype=np.int64)
    for rows in by_image.values():
        iou = box_iou(bbox_xywh[rows])
        near = iou > OVERLAP_IOU
        overlap[rows] = near.sum(axis=1) - 1
        for row, others in zip(rows, near, strict=True):
            chosen = rows[(rows != row) & (others | (which == "all"))]
            neighbours[row, : len(chosen)] = chosen
    return neighbours, overlap
