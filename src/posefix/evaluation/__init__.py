"""How good poses are, by the reference evaluator, and how sure a difference between two results is."""

from posefix.evaluation.bootstrap import CocoComparison, compare_coco
from posefix.evaluation.coco import CocoMetrics, evaluate_coco

__all__ = ["CocoComparison", "CocoMetrics", "compare_coco", "evaluate_coco"]
