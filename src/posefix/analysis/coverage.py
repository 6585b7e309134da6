"""What results and annotations share: photos, keypoints, people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from posefix.errors import InputError, plural
from posefix.evaluation.coco import share_keypoints
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import ImageId, Poses, Rows

NAMED = 5
"""How many photos a message names."""


@dataclass(frozen=True)
class Coverage:
    """What is in one file but not in the other.

    Attributes:
        images: photos with annotations, of people or not.
        unknown_images: photos that only the results know; their poses are left out.
        left_out: number of these poses.
        empty_images: photos with people labelled on what is compared, but without poses; these people are not found.
        keypoints: names that are compared.
        only_results: keypoints that only the results' layout names.
        only_annotations: keypoints that only the annotations' layout names, or that are not scored.
        area_is_estimated: the annotations have no areas, so that .53 x box area stands in for them.
    """

    images: int
    unknown_images: tuple[ImageId, ...]
    left_out: int
    empty_images: tuple[ImageId, ...]
    keypoints: tuple[str, ...]
    only_results: tuple[str, ...]
    only_annotations: tuple[str, ...]
    area_is_estimated: bool

    def as_dict(self) -> dict[str, object]:
        """All of it, ready for JSON."""
        return {
            "images": self.images,
            "unknown_images": list(self.unknown_images),
            "poses_left_out": self.left_out,
            "images_without_poses": list(self.empty_images),
            "keypoints": list(self.keypoints),
            "only_in_results": list(self.only_results),
            "only_in_annotations": list(self.only_annotations),
            "area_is_estimated": self.area_is_estimated,
        }

    def lines(self) -> list[str]:
        """What a reader of the numbers must know, a line each."""
        lines = [f"keypoints compared ({len(self.keypoints)}): {', '.join(self.keypoints)}"]
        if self.only_annotations:
            lines.append(f"annotated, but not in the results' layout: {', '.join(self.only_annotations)}")
        if self.only_results:
            lines.append(f"in the results' layout, but not annotated: {', '.join(self.only_results)}")
        if self.unknown_images:
            lines.append(left_out(self.left_out, self.unknown_images))
        if self.empty_images:
            lines.append(absence(self.empty_images))
        if self.area_is_estimated:
            lines.append(
                "the annotations lack areas: .53 x box area, COCO's mean share, stands in for them; where bodies are "
                "thinner in their boxes than that, errors look smaller than they are"
            )
        return lines


def known_rows(poses: Poses, annotations: Annotations, *, strict: bool) -> Rows:
    """Rows of the poses in annotated photos.

    Args:
        poses: results.
        annotations: people.
        strict: whether a photo in one file alone is a fault.

    Raises:
        InputError: no photo is shared, or one is not and `strict` is set.
    """
    if not len(poses):
        raise InputError(
            "The results hold no poses, so that there is nothing to analyse; give other results."
        )
    known = np.array([image_id in annotations.images for image_id in poses.image_ids])
    unknown = list(dict.fromkeys(poses.image_ids[row] for row in np.flatnonzero(~known)))
    if not known.any():
        examples = named(list(annotations.images))
        raise InputError(
            f"Results, field 'image_id': no photo of theirs ({named(unknown)}) is among those of "
            f"{annotations.path} ({examples}); give the annotations of the same photos."
        )
    if strict and unknown:
        raise InputError(
            f"Results, field 'image_id': {annotations.path} does not know "
            f"{plural(len(unknown), 'photo')} ({named(unknown)}); leave them out, or go without --strict."
        )
    if strict and (empty := empty_images(poses, annotations, share_keypoints(poses, annotations).names)):
        raise InputError(
            f"{annotations.path}: the results hold no pose for {plural(len(empty), 'photo')} with annotated people "
            f"({named(empty)}); give complete results, or go without --strict."
        )
    return np.flatnonzero(known)


def empty_images(poses: Poses, annotations: Annotations, keypoints: Sequence[str]) -> tuple[ImageId, ...]:
    """Photos without poses, but with people who can be found, in the annotations' order.

    Args:
        poses: results.
        annotations: people.
        keypoints: the names that are compared; whoever is labelled on others alone cannot be found.
    """
    people, with_poses = annotations.people, set(poses.image_ids)
    columns = np.array([annotations.skeleton.index(name) for name in keypoints], dtype=np.int64)
    counted = np.flatnonzero(people.counted(columns))
    wanted = dict.fromkeys(people.image_ids[row] for row in counted)
    return tuple(image_id for image_id in wanted if image_id not in with_poses)


def absence(empty: Collection[ImageId]) -> str:
    """What a reader of the numbers must know of `empty_images`, one line."""
    photos = plural(len(empty), "photo")
    return f"without any pose: {photos} with annotated people, who count as not found ({named(empty)})"


def left_out(poses: int, unknown: Collection[ImageId]) -> str:
    """What a reader of the numbers must know of poses in photos that are not annotated, one line."""
    photos = plural(len(unknown), "photo")
    return (
        f"left out: {plural(poses, 'pose')} in {photos} that the annotations do not know ({named(unknown)})"
    )


def describe_coverage(poses: Poses, annotations: Annotations, keypoints: tuple[str, ...]) -> Coverage:
    """What is compared and what is not.

    Args:
        poses: all results, those in photos without annotations too.
        annotations: people.
        keypoints: the names that are compared.
    """
    unknown = [image_id for image_id in poses.image_ids if image_id not in annotations.images]
    return Coverage(
        images=len(annotations.images),
        unknown_images=tuple(dict.fromkeys(unknown)),
        left_out=len(unknown),
        empty_images=empty_images(poses, annotations, keypoints),
        keypoints=keypoints,
        only_results=tuple(name for name in poses.skeleton.keypoint_names if name not in keypoints),
        only_annotations=tuple(name for name in annotations.skeleton.keypoint_names if name not in keypoints),
        area_is_estimated=annotations.people.area_is_estimated,
    )


def named(image_ids: Collection[ImageId]) -> str:
    """The first few photos, as messages name them."""
    shown = ", ".join(str(image_id) for image_id in list(image_ids)[:NAMED])
    return shown + (", ..." if len(image_ids) > NAMED else "")
