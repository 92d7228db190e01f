"""Follow the tutorial: write its files and run its commands, in order, in an empty folder."""

from pathlib import Path

import pytest

from tests.demo.servers import free_port
from tests.docs.pages import Block, fits, read_blocks
from tests.docs.sites import environment, run

pytestmark = pytest.mark.docs

PAGES = ["tutorial/first-token.md", "tutorial/least-privilege.md"]  # the second continues with the site of the first
OUTPUTS = {PAGES[0]: ["Add tokens", *["Use the token"] * 4, "Revoke the token"]}
OUTPUTS[PAGES[1]] = [
    "Run it with an empty token", *["Grant what it lacked"] * 2, *["Remove what it doesn't use"] * 2,
]  # fmt: skip

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


def script_of(blocks: list[Block], directory: Path, site: Path, address: str) -> str:
    """Return a script of all steps, which stores the output of each command in a numbered file."""
    lines = ["set -eu", f"cd {site}"]
    for number, block in enumerate(blocks):
        if block.path:
            ready = directory / f"{number}.file"
            ready.write_text(block.text.replace(PORT, address))
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
def test_tutorials_work_as_printed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    variables = environment(tmp_path)
    for position, page in enumerate(PAGES):
        blocks, directory = read_blocks(page), tmp_path / str(position)
        directory.mkdir()
        script = directory / "script.sh"
        script.write_text(script_of(blocks, directory, site, f"127.0.0.1:{free_port()}"))
        done = run(["bash", str(script)], variables)
        assert done.returncode == 0, done.stderr

        shown = [(number, block) for number, block in enumerate(blocks) if block.language == "text"]
        assert [block.heading for _number, block in shown] == OUTPUTS[page]
        for number, block in shown:
            printed = (directory / f"{number - 1}.out").read_text()
            assert fits(block.text, printed), f"{blocks[number - 1].text}\nprinted\n{printed}\nand not\n{block.text}"


@pytest.mark.parametrize("page", PAGES)
def test_every_tutorial_block_is_tested(page: str) -> None:
    for block in read_blocks(page):
        assert block.path or block.language in {"sh", "text"}, block
