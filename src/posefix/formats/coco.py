"""COCO keypoint annotation files, as ground truth."""

from posefix.formats.coco_annotations import (
    Annotations,
    ImageInfo,
    PersonAnnotations,
    read_annotations,
    read_file_names,
    read_image_infos,
)

__all__ = [
    "Annotations",
    "ImageInfo",
    "PersonAnnotations",
    "read_annotations",
    "read_file_names",
    "read_image_infos",
]
