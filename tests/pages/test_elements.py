"""What a host may override is documented as it is, and every page has what it reads."""

import re

import pytest

from pat_tokens.models import PersonalAccessToken
from tests import test_docs
from tests.template_variables import variables_of
from tests.translation_catalogs import PACKAGE

ELEMENTS = PACKAGE / "templates/pat_tokens/elements"
REFERENCE = test_docs.DOCS / "reference/template-elements.md"


def documented():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", REFERENCE.read_text(), re.MULTILINE)
    test_docs.once([name for name, _text in rows])
    return dict(rows)


def test_each_element_is_documented():
    assert set(documented()) == {path.stem for path in ELEMENTS.glob("*.html")}


@pytest.mark.parametrize("element", sorted(path.stem for path in ELEMENTS.glob("*.html")))
def test_each_variable_of_an_element_is_documented_and_no_other(element):
    text = documented()[element]
    read = variables_of(f"pat_tokens/elements/{element}.html")
    named = set(re.findall(r"`(\w+)`", text))
    assert read <= named
    # Words in backticks that are no variable are values, after a colon.
    values = set(re.findall(r"`(\w+)`", " ".join(re.findall(r": ([^;]+)", text))))
    assert named - read <= values
    assert text.startswith("none") == (not read)


def test_each_custom_property_is_documented():
    style = (PACKAGE / "static/pat_tokens/pat_tokens.css").read_text()
    declared = set(re.findall(r"^\s+(--pat-[\w-]+):", style, re.MULTILINE))
    assert test_docs.once(test_docs.first_cells("how-to/restyling.md")) == declared | {"title", "head", "content"}


def pages_of(token):
    scope = token.scope_set.get()
    own = f"/pats/{token.pk}"
    return {
        "token_list": "/pats/?q=none",
        "token_create": "/pats/create/",
        "token_detail": f"{own}/",
        "token_regenerate": f"{own}/regenerate/",
        "scopes_add": f"{own}/scopes/add/",
        "confirm": f"{own}/scopes/{scope.pk}/delete/",
        "not_found": f"/pats/{scope.pk}/",
    }


def test_each_page_is_given_what_it_reads(client, user, make_token):
    client.force_login(user)
    pages = pages_of(make_token("channels:*:read"))
    assert PersonalAccessToken.objects.count() == 1
    for name, path in pages.items():
        given = {key for context in client.get(path).context for layer in context.dicts for key in layer}
        assert variables_of(f"pat_tokens/{name}.html") - given == set(), name
