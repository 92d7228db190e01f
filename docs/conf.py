"""The Sphinx configuration: `make docs`."""

import re
from pathlib import Path

_package = Path(__file__).parent.parent / "pat_tokens" / "__init__.py"

project = "django-pat-tokens"
author = "the pat_tokens maintainers"
copyright = author  # noqa: A001 -- Sphinx's own name for it
release = re.search(r'__version__ = "([^"]+)"', _package.read_text())[1]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
