"""The documents as a site: `tools/build_site`. Sphinx reads this file; its sources are the root of the repository."""

from __future__ import annotations

import posefix

project = "posefix"
version = release = posefix.__version__
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "CONTRIBUTING.md",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-WEIGHTS.md",
    "benchmarks/README.md",
    "src/posefix/data/models/*/README.md",
    "src/posefix/data/demo/README.md",
]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"  # light and dark
html_title = f"posefix {release}"
myst_heading_anchors = 4  # links to headings, as GitHub makes them
autodoc_typehints = "description"
autodoc_member_order = "bysource"
