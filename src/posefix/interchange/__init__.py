"""Pose files of any format: recognised, read, written back in their own format, inspected, converted, checked."""

from posefix.interchange.annotated import (
    ComparedPoses,
    read_annotated_file,
    read_annotated_poses,
    read_compared_poses,
    read_truth,
)
from posefix.interchange.pose_files import (
    ensure_ending,
    ensure_new_output,
    ensure_output,
    read_pose_file,
    write_new_pose_file,
    write_pose_file,
)

__all__ = [
    "ComparedPoses",
    "ensure_ending",
    "ensure_new_output",
    "ensure_output",
    "read_annotated_file",
    "read_annotated_poses",
    "read_compared_poses",
    "read_pose_file",
    "read_truth",
    "write_new_pose_file",
    "write_pose_file",
]
