"""The objects that pose libraries return in memory: refined, and given back as what they are."""

from posefix.estimators.refinement import refine_predictions

__all__ = ["refine_predictions"]
