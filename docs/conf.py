"""How the manual is built: Sphinx, MyST, furo. `make docs` treats warnings as errors."""

from importlib.metadata import version as installed_version

project = "jupyter_mig"
author = "jupyter_mig developers"
copyright = f"2026, {author}"
release = version = installed_version("jupyter-mig")

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"jupyter_mig {version}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
