"""What a package index shows: the README, with no link that is dead there."""

import re
from pathlib import Path

import pytest

from hatch_build import describe

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
FORGE = "https://forge.example/us/tokens"
TEXT = """\
# A package

![Its page](docs/list.png)

See [the
docs](docs/a.md#part), [itself](#a-package) and [Django](https://www.djangoproject.com/).

```python
table[0](docs)
```
"""


def test_relative_links_lead_to_the_repository():
    assert describe(TEXT, FORGE) == TEXT.replace("(docs/list.png)", f"({FORGE}/raw/HEAD/docs/list.png)").replace(
        "(docs/a.md#part)", f"({FORGE}/blob/HEAD/docs/a.md#part)"
    ).replace("(#a-package)", f"({FORGE}/blob/HEAD/README.md#a-package)")


def test_without_a_repository_their_words_are_left():
    description = describe(TEXT, None)
    assert description.startswith(
        "# A package\n\nSee the\ndocs, itself and [Django](https://www.djangoproject.com/).\n"
    )
    assert "table[0](docs)" in description


@pytest.mark.parametrize("repository", [None, FORGE])
def test_the_description_of_the_readme_has_no_relative_link_and_all_of_its_words(repository):
    description = describe(README, repository)
    assert [to for to in re.findall(r"\]\(([^)\s]+)\)", description) if "://" not in to] == []
    assert " ".join(words_of(README)) in " ".join(words_of(description))


def words_of(text):
    """The words, without pictures and targets of links."""
    return re.findall(r"\w+", re.sub(r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)", "", text))
