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
    "site/gallery.md",  # its pictures are made by tools/make_gallery.py
]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"  # light and dark
html_title = f"posefix {release}"
html_show_copyright = False  # LICENSE says whose it is
myst_heading_anchors = 4  # links to headings, as GitHub makes them
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nb_execution_mode = "force"  # notebooks are kept without outputs
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 1800
nb_merge_streams = True
# Of the gallery the whole pages; its pictures come with what names them.
html_static_path = ["gallery", "style"]
html_css_files = ["site.css"]
