"""The settings of the demo, with the app for Bootstrap and another base template."""

from pathlib import Path

from demo_project.settings import *  # noqa: F403
from demo_project.settings import INSTALLED_APPS, TEMPLATES

INSTALLED_APPS = ["pat_tokens.contrib.bootstrap5", *INSTALLED_APPS]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [Path(__file__).parent / "templates", *TEMPLATES[0]["DIRS"]]}]
