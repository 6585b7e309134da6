"""Skeletons: named keypoints with flip pairs, limbs and sigmas, and how two of them match.

Keypoints are the same when their names are, after aliases; never because of a position or a number.
"""

from posefix.skeletons.checking import concerns
from posefix.skeletons.library import (
    keypoint_category,
    layouts_of_count,
    load_skeleton,
    parse_skeleton,
    skeleton_from_coco,
    skeleton_from_names,
    skeleton_names,
    skeleton_text,
)
from posefix.skeletons.matching import KeypointMapping, match_keypoints
from posefix.skeletons.mirroring import mirror_pairs
from posefix.skeletons.sigmas import estimate_sigmas, neighbour_distances
from posefix.skeletons.skeleton import Keypoint, Skeleton

__all__ = [
    "Keypoint",
    "KeypointMapping",
    "Skeleton",
    "concerns",
    "estimate_sigmas",
    "keypoint_category",
    "layouts_of_count",
    "load_skeleton",
    "match_keypoints",
    "mirror_pairs",
    "neighbour_distances",
    "parse_skeleton",
    "skeleton_from_coco",
    "skeleton_from_names",
    "skeleton_names",
    "skeleton_text",
]
