"""Reports that a person reads in a browser: one file with the figures, the people and their pictures."""

from posefix.report.page import analysis_page, comparison_page

__all__ = ["analysis_page", "comparison_page"]
