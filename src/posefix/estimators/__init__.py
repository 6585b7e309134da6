"""The objects that pose libraries return in memory: refined, and given back as what they are."""

from posefix.estimators.fiftyone import refine_dataset
from posefix.estimators.refinement import refine_predictions

__all__ = ["refine_dataset", "refine_predictions"]
