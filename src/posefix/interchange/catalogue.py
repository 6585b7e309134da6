"""The formats that posefix knows."""

from __future__ import annotations

from posefix.formats import (
    alphapose,
    coco_annotation_poses,
    coco_detectron2,
    coco_posetrack_results,
    coco_results,
    cvat,
    deeplabcut,
    label_studio,
    labelme,
    mediapipe,
    mmpose,
    mpii,
    mpii_json,
    nwb,
    openpose,
    sleap,
    sleap_csv,
    ultralytics,
    ultralytics_labels,
)
from posefix.pose_files.pose_file import Format

# The order is that of asking: the first format that recognises a file has it, so a format stands before those whose
# files look the same but say less. COCO results, the plainest, come last.
FORMATS: tuple[Format, ...] = (
    deeplabcut.FORMAT,
    sleap.FORMAT,
    sleap_csv.FORMAT,
    nwb.FORMAT,
    mpii.FORMAT,
    mpii_json.FORMAT,
    coco_posetrack_results.FORMAT,
    coco_annotation_poses.FORMAT,
    label_studio.FORMAT,
    cvat.FORMAT,
    labelme.FORMAT,
    mmpose.FORMAT,
    openpose.FORMAT,
    alphapose.FORMAT,
    ultralytics.FORMAT,
    ultralytics_labels.FORMAT,
    mediapipe.FORMAT,
    coco_detectron2.FORMAT,
    coco_results.FORMAT,
)
OF_CATEGORIES = tuple(
    known.name
    for known in (
        coco_posetrack_results.FORMAT,
        coco_annotation_poses.FORMAT,
        label_studio.FORMAT,
        cvat.FORMAT,
        labelme.FORMAT,
        coco_detectron2.FORMAT,
        coco_results.FORMAT,
    )
)
"""Names of the formats that say of everybody what they are, person or dog, so that there is a choice."""
