"""Skeletons: named keypoints with flip pairs, limbs and sigmas, and how two of them match.

Keypoints are the same when their names are, after aliases; never because of a position or a number.
"""

from posefix.skeletons.categories import Category, called, categories_of, keypoint_categories, limbs_of
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
from posefix.skeletons.matching import KeypointMapping, are_of_people, match_keypoints, why_foreign
from posefix.skeletons.mirroring import mirror_pairs
from posefix.skeletons.people_categories import agreeing_categories
from posefix.skeletons.sigmas import estimate_sigmas, neighbour_distances
from posefix.skeletons.skeleton import Keypoint, Skeleton

__all__ = [
    "Category",
    "Keypoint",
    "KeypointMapping",
    "Skeleton",
    "agreeing_categories",
    "are_of_people",
    "called",
    "categories_of",
    "concerns",
    "estimate_sigmas",
    "keypoint_categories",
    "keypoint_category",
    "layouts_of_count",
    "limbs_of",
    "load_skeleton",
    "match_keypoints",
    "mirror_pairs",
    "neighbour_distances",
    "parse_skeleton",
    "skeleton_from_coco",
    "skeleton_from_names",
    "skeleton_names",
    "skeleton_text",
    "why_foreign",
]
