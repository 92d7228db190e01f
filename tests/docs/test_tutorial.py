"""Follow the tutorial: write its files and run its commands, in order, in an empty folder."""

import subprocess
from pathlib import Path

import pytest

from tests.demo.servers import free_port
from tests.docs.pages import Block, fits, read_blocks
from tests.docs.sites import environment

pytestmark = pytest.mark.docs

SECONDS = 400  # seconds; an idle machine takes fifteen
PAGE = "tutorial/first-token.md"

# Differences from the page. The package under test is used from the current environment, so nothing is
# installed; and port 8000 can be in use.
INSTALLATION = ("python3 -m venv ", ". .venv/bin/activate", "pip install django-pat-tokens")
SERVER = "python manage.py runserver"
PORT = "127.0.0.1:8000"

START_SERVER = """
python manage.py runserver --noreload {address} >server.log 2>&1 &
trap "kill $!" EXIT
for attempt in $(seq 150); do curl -s -o /dev/null http://{address}/ && break; sleep 0.2; done
"""


def script_of(blocks: list[Block], directory: Path, address: str) -> str:
    """Return a script of all steps, which stores the output of each command in a numbered file."""
    lines = ["set -eu", f"cd {directory / 'site'}"]
    for number, block in enumerate(blocks):
        if block.path:
            ready = directory / f"{number}.file"
            ready.write_text(block.text)
            lines.append(
                f"{{ {'echo; ' if block.is_addition else ''}cat {ready}; }} >{'>' * block.is_addition}{block.path}"
            )
        elif block.text.strip() == SERVER:
            lines.append(START_SERVER.format(address=address))
        elif block.language == "sh":
            kept = [line for line in block.text.splitlines() if not line.startswith(INSTALLATION)]
            lines.append("{\n" + "\n".join(kept).replace(PORT, address) + f"\n}} >{directory}/{number}.out")
    return "\n".join(lines)


@pytest.mark.usefixtures("own_database")
def test_tutorial_works_as_printed(tmp_path: Path) -> None:
    blocks = read_blocks(PAGE)
    (tmp_path / "site").mkdir()
    script = tmp_path / "script.sh"
    script.write_text(script_of(blocks, tmp_path, f"127.0.0.1:{free_port()}"))
    done = subprocess.run(
        ["bash", str(script)], env=environment(tmp_path), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr

    shown = [(number, block) for number, block in enumerate(blocks) if block.language == "text"]
    assert [block.heading for _number, block in shown] == [
        "Add tokens",
        *["Use the token"] * 4,
        "Revoke the token",
    ]
    for number, block in shown:
        printed = (tmp_path / f"{number - 1}.out").read_text()
        assert fits(block.text, printed), f"{blocks[number - 1].text}\nprinted\n{printed}\nand not\n{block.text}"


def test_every_tutorial_block_is_tested() -> None:
    for block in read_blocks(PAGE):
        assert block.path or block.language in {"sh", "text"}, block
