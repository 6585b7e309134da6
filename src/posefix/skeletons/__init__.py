"""Skeletons: named keypoints with flip pairs, limbs and sigmas, and how two of them match.

Keypoints are the same when their names are, after aliases; never because of a position or a number.
"""

from posefix.skeletons.library import keypoint_category, load_skeleton, skeleton_from_coco, skeleton_names
from posefix.skeletons.matching import KeypointMapping, match_keypoints
from posefix.skeletons.skeleton import Keypoint, Skeleton

__all__ = [
    "Keypoint",
    "KeypointMapping",
    "Skeleton",
    "keypoint_category",
    "load_skeleton",
    "match_keypoints",
    "skeleton_from_coco",
    "skeleton_names",
]
