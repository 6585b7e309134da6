"""COCO keypoint files: results (`coco_results`) and annotations (`coco_annotations`)."""

from posefix.formats.coco_annotations import (
    Annotations,
    ImageInfo,
    PersonAnnotations,
    read_annotations,
    read_image_infos,
)
from posefix.formats.coco_results import ResultsFile, read_results, result_rows, write_results

__all__ = [
    "Annotations",
    "ImageInfo",
    "PersonAnnotations",
    "ResultsFile",
    "read_annotations",
    "read_image_infos",
    "read_results",
    "result_rows",
    "write_results",
]
