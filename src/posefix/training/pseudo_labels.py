"""What estimators agree on, as a COCO keypoint file that recipes name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from posefix.pose.poses import FloatArray, ImageId, Poses
from posefix.skeletons import Skeleton
from posefix.training.agreement import Agreement

VISIBLE = 2
CATEGORY = 1
DECIMALS = 2
"""Of coordinates and areas, in pixels."""
CERTAINTY_DECIMALS = 4


def with_common_ids(
    estimates: Sequence[Poses], found: Sequence[Mapping[ImageId, Path]]
) -> tuple[list[Poses], dict[ImageId, Path]]:
    """Poses of several estimators with one image id for each photo, and the photos by these ids.

    Estimators spell ids differently (36, `000000000036.jpg`), and who names photos may count them in any order: what is
    the same is the photo. Its id is the first one that it has, or its path where that is another photo's already.

    Args:
        estimates: Poses of each estimator.
        found: Path, in the folder of the photos, of each of an estimator's image ids; in the order of `estimates`.
    """
    id_of: dict[Path, ImageId] = {}
    photos: dict[ImageId, Path] = {}
    for own in found:
        for image_id, path in own.items():
            if path not in id_of:
                id_of[path] = path.as_posix() if image_id in photos else image_id
                photos[id_of[path]] = path
    renamed = [
        replace(poses, image_ids=tuple(id_of[own[image_id]] for image_id in poses.image_ids))
        for poses, own in zip(estimates, found, strict=True)
    ]
    return renamed, photos


def annotation_file(
    agreement: Agreement,
    file_names: Mapping[ImageId, str],
    photo_size: Callable[[ImageId], tuple[int, int]],
) -> dict[str, Any]:
    """The content of a COCO keypoint file of people on whom estimators agree.

    Each keypoint on which they do is visible (nobody asked whether it is hidden), the others are not labelled. Beside
    COCO's fields stand `keypoint_certainty`, a number from 0 to 1 for each keypoint, 0 where there is no label, and
    `certainty`, their mean over a person's labels. Photos of nobody are not listed.

    Args:
        agreement: The people.
        file_names: Photo of each image id.
        photo_size: Width and height in pixels of the photo of an image id.
    """
    images = []
    for image_id in dict.fromkeys(agreement.poses.image_ids):
        width, height = photo_size(image_id)
        images.append({"id": image_id, "file_name": file_names[image_id], "width": width, "height": height})
    annotations = [_annotation(agreement, row) for row in range(len(agreement.poses))]
    return {"images": images, "annotations": annotations, "categories": [_category(agreement.poses.skeleton)]}


def _annotation(agreement: Agreement, row: int) -> dict[str, Any]:
    poses, valid = agreement.poses, agreement.poses.valid[row]
    return {
        "id": row + 1,
        "image_id": poses.image_ids[row],
        "category_id": CATEGORY,
        "iscrowd": 0,
        "keypoints": _triples(poses.keypoints[row], valid.tolist()),
        "num_keypoints": int(valid.sum()),
        "keypoint_certainty": poses.scores[row].round(CERTAINTY_DECIMALS).tolist(),
        "certainty": round(float(poses.pose_scores[row]), CERTAINTY_DECIMALS),
        "bbox": agreement.bbox_xywh[row].round(DECIMALS).tolist(),
        "area": round(float(agreement.area[row]), DECIMALS),
    }


def _triples(keypoints: FloatArray, valid: list[bool]) -> list[float]:
    """x, y and visibility of one person's keypoints (K, 2) in one list."""
    places = keypoints.round(DECIMALS).tolist()
    triples = [[*place, VISIBLE] if there else [0, 0, 0] for place, there in zip(places, valid, strict=True)]
    return [number for triple in triples for number in triple]


def _category(skeleton: Skeleton) -> dict[str, Any]:
    names = list(skeleton.keypoint_names)
    limbs = [[names.index(end) + 1 for end in limb] for limb in skeleton.limbs]
    return {"id": CATEGORY, "name": "person", "keypoints": names, "skeleton": limbs}
