"""How good poses are, how sure a difference is, what a refinement repaired and broke, what scores are worth."""

from posefix.evaluation.bootstrap import CocoComparison, compare_coco
from posefix.evaluation.coco import CocoMetrics, evaluate_coco
from posefix.evaluation.collapse import collapsed_pairs
from posefix.evaluation.confidence import Confidence, ReliabilityBin, measure_confidence
from posefix.evaluation.crowdpose import CrowdPoseMetrics, evaluate_crowdpose
from posefix.evaluation.distances import DistanceMetrics, evaluate_pck, evaluate_pckh
from posefix.evaluation.matching import Matches, match_people
from posefix.evaluation.people_changes import PeopleChanges, count_people_changes
from posefix.evaluation.posetrack import PoseTrackMetrics, evaluate_posetrack
from posefix.evaluation.repairs import Repairs, count_repairs

__all__ = [
    "CocoComparison",
    "CocoMetrics",
    "Confidence",
    "CrowdPoseMetrics",
    "DistanceMetrics",
    "Matches",
    "PeopleChanges",
    "PoseTrackMetrics",
    "ReliabilityBin",
    "Repairs",
    "collapsed_pairs",
    "compare_coco",
    "count_people_changes",
    "count_repairs",
    "evaluate_coco",
    "evaluate_crowdpose",
    "evaluate_pck",
    "evaluate_pckh",
    "evaluate_posetrack",
    "match_people",
    "measure_confidence",
]
