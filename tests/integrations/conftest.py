"""Sites with third-party packages, one per folder, with their own settings.

`nox -s integrations` installs the packages and runs each folder separately; other runs ignore them.
"""

import os
from pathlib import Path

_chosen = os.environ["DJANGO_SETTINGS_MODULE"]
_folders = {folder.parent.name for folder in Path(__file__).parent.glob("*/settings.py")}
collect_ignore = [folder for folder in _folders if _chosen != f"tests.integrations.{folder}.settings"]
