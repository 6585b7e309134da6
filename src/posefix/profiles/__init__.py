"""Error profiles measured on real estimators."""

from posefix.profiles.fitting import FittedProfile, fit_profile
from posefix.profiles.observation import ObservedErrors, observe_errors, pool

__all__ = ["FittedProfile", "ObservedErrors", "fit_profile", "observe_errors", "pool"]
