"""Better 2D human poses from any estimator: photos and coordinates in, better coordinates out.

```python
import posefix

file = posefix.read_pose_file("poses.json", "coco17")
refinement = posefix.Refiner.from_pretrained().refine(file.poses, "photos/")
posefix.write_pose_file("refined.json", file, refinement.poses)
```
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posefix.analysis import analyze, compare
    from posefix.errors import InputError
    from posefix.estimators import refine_dataset, refine_predictions
    from posefix.evaluation.bootstrap import compare_coco
    from posefix.evaluation.coco import CocoMetrics, evaluate_coco
    from posefix.evaluation.confidence import measure_confidence
    from posefix.evaluation.repairs import count_repairs
    from posefix.formats.coco_annotations import read_annotations
    from posefix.interchange import read_pose_file, write_new_pose_file, write_pose_file
    from posefix.pose.poses import Poses
    from posefix.pose_files.pose_file import NewFile, PoseFile
    from posefix.refine.refiner import Refiner
    from posefix.refine.results import RefinedPoses, Refinement
    from posefix.skeletons import Skeleton, load_skeleton, match_keypoints, skeleton_names

__version__ = "0.1.0"

# ONNX Runtime from 1.29 on tells its makers about the machine and the models it runs, from a thread of its own that
# has ended processes with a segmentation fault. It looks at this once, when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "CocoMetrics",
    "InputError",
    "NewFile",
    "PoseFile",
    "Poses",
    "RefinedPoses",
    "Refinement",
    "Refiner",
    "Skeleton",
    "__version__",
    "analyze",
    "compare",
    "compare_coco",
    "count_repairs",
    "evaluate_coco",
    "load_skeleton",
    "match_keypoints",
    "measure_confidence",
    "read_annotations",
    "read_pose_file",
    "refine_dataset",
    "refine_predictions",
    "skeleton_names",
    "write_new_pose_file",
    "write_pose_file",
]

# Loaded when first used: importing posefix loads neither OpenCV nor ONNX Runtime nor PyTorch.
_HOMES = {
    "CocoMetrics": "posefix.evaluation.coco",
    "InputError": "posefix.errors",
    "NewFile": "posefix.pose_files.pose_file",
    "PoseFile": "posefix.pose_files.pose_file",
    "Poses": "posefix.pose.poses",
    "RefinedPoses": "posefix.refine.results",
    "Refinement": "posefix.refine.results",
    "Refiner": "posefix.refine.refiner",
    "Skeleton": "posefix.skeletons",
    "analyze": "posefix.analysis",
    "compare": "posefix.analysis",
    "compare_coco": "posefix.evaluation.bootstrap",
    "count_repairs": "posefix.evaluation.repairs",
    "evaluate_coco": "posefix.evaluation.coco",
    "load_skeleton": "posefix.skeletons",
    "match_keypoints": "posefix.skeletons",
    "measure_confidence": "posefix.evaluation.confidence",
    "read_annotations": "posefix.formats.coco_annotations",
    "read_pose_file": "posefix.interchange",
    "refine_dataset": "posefix.estimators",
    "refine_predictions": "posefix.estimators",
    "skeleton_names": "posefix.skeletons",
    "write_new_pose_file": "posefix.interchange",
    "write_pose_file": "posefix.interchange",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'posefix' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
