"""Which errors poses make and what they cost, and what a refinement made of them."""

from posefix.analysis.comparison import Comparison, compare
from posefix.analysis.error_analysis import ErrorAnalysis, analyze

__all__ = ["Comparison", "ErrorAnalysis", "analyze", "compare"]
