"""Files that look alike, and the format that has each."""

from pathlib import Path
from typing import Any

import pytest
from tests.formats.recorded import recorded

from posefix.interchange.detection import detect_format
from posefix.pose_files.pose_file import Source

POINTS = [1.0, 2.0, 0.5, 3.0, 4.0, 0.25]
COCO = {"image_id": "im", "category_id": 1, "keypoints": POINTS, "score": 0.5}
OPENPOSE = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": POINTS}]}
MMPOSE = {
    "keypoints": [[1, 2], [3, 4]],
    "keypoint_scores": [0.5, 0.25],
    "bbox": [[1, 2, 3, 4]],
    "bbox_score": 0.5,
}
ULTRALYTICS = {"name": "person", "box": {"x1": 1}, "keypoints": {"x": [1, 2], "y": [3, 4]}}
CASES: dict[str, tuple[str, Any, str]] = {
    "COCO": ("a.json", [COCO], "coco-results"),
    "nobody": ("a.json", [], "coco-results"),
    "Ultralytics predictions": (
        "predictions.json",
        [{**COCO, "file_name": "im.jpg", "bbox": [1, 2, 3, 4]}],
        "coco-results",
    ),
    "AlphaPose": (
        "alphapose-results.json",
        [{**COCO, "image_id": "im.jpg", "box": [1, 2, 3, 4], "idx": 0.0}],
        "alphapose",
    ),
    "AlphaPose, scores alone": ("a.json", [{**COCO, "image_id": "im.jpg", "score": 2.5}], "alphapose"),
    "AlphaPose cmu": ("a.json", {"im.jpg": {"version": "AlphaPose v0.3", "bodies": []}}, "alphapose"),
    "AlphaPose open": ("a.json", {"im.jpg": OPENPOSE}, "alphapose"),
    "AlphaPose of a photo": ("im.json", {**OPENPOSE, "version": "AlphaPose v0.3"}, "alphapose"),
    "AlphaPose by photo": ("sep-json", {"im.json": {**OPENPOSE, "version": "AlphaPose v0.3"}}, "alphapose"),
    "OpenPose": ("im_keypoints.json", OPENPOSE, "openpose"),
    "OpenPose by photo": ("json", {"im_keypoints.json": OPENPOSE}, "openpose"),
    "MMPose": ("im.json", [MMPOSE], "mmpose"),
    "MMPose by photo": ("predictions", {"im.json": [MMPOSE]}, "mmpose"),
    "MMPose video": ("clip.json", [{"frame_id": 0, "instances": [MMPOSE]}], "mmpose"),
    "MMPose demo": ("results_clip.json", {"meta_info": {}, "instance_info": []}, "mmpose"),
    "Ultralytics": ("im.json", [ULTRALYTICS], "ultralytics"),
    "Ultralytics by photo": ("results", {"im.json": [ULTRALYTICS]}, "ultralytics"),
    "Ultralytics labels": ("labels", {"im.txt": "0 .5 .5 .2 .2 .1 .2 .3 .4\n"}, "ultralytics-labels"),
    "Detectron2": ("coco_instances_results.json", [COCO], "detectron2"),
    "MPII": ("a.json", [{"image": "im.jpg", "joints": [[1, 2]], "joints_vis": [1]}], "mpii-json"),
    "Label Studio": (
        "a.json",
        [{"data": {"image": "im.jpg"}, "annotations": [], "predictions": []}],
        "label-studio",
    ),
    "CVAT": ("annotations.xml", "<?xml version='1.0'?>\n<annotations></annotations>", "cvat"),
    "LabelMe": ("im.json", {"version": "5.5.0", "shapes": [], "imagePath": "im.jpg"}, "labelme"),
    "LabelMe by photo": ("labels", {"im.json": {"shapes": [], "imagePath": "im.jpg"}}, "labelme"),
    "SLEAP": ("a.analysis.csv", "track,frame_idx,instance.score,A.x,A.y,A.score\n", "sleap-csv"),
    "DeepLabCut": ("a.csv", "scorer,D,D\n", "deeplabcut"),
    "MediaPipe": (
        "a.json",
        [{"pose_landmarks": [{"x": 0.5, "y": 0.5, "z": 0, "visibility": 1}]}],
        "mediapipe",
    ),
    "MediaPipe, CSV": ("a.csv", "frame,landmark,x,y,z,visibility\n", "mediapipe"),
    "NWB": ("a.nwb", "", "nwb"),
    "annotations": ("a.json", {"images": [], "annotations": [], "categories": []}, "coco-annotations"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_file_has_its_format(tmp_path: Path, case: str) -> None:
    name, content, format = CASES[case]
    assert detect_format(Source(recorded(tmp_path / name, content))).format.name == format
