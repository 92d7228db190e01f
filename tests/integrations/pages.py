"""Files from pages of the documentation, for the settings of a site."""

import atexit
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from tests.docs.pages import read_blocks


def import_files_of(*pages: str) -> None:
    """Write the Python files of these pages, and add them to the import path."""
    directory = Path(mkdtemp())
    atexit.register(shutil.rmtree, directory)
    for page in pages:
        for block in read_blocks(page):
            if block.language == "python" and block.path and "/" in block.path and not block.is_addition:
                file = directory / block.path
                file.parent.mkdir(parents=True, exist_ok=True)
                block.write_to(directory)
    sys.path.insert(0, str(directory))
