"""Elements are documented, and pages get the variables that they read."""

import re

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


def test_elements_are_documented():
    assert set(documented()) == {path.stem for path in ELEMENTS.glob("*.html")}


def test_element_variables_are_documented(subtests):
    for element in sorted(path.stem for path in ELEMENTS.glob("*.html")):
        with subtests.test(element=element):
            text = documented()[element]
            read = variables_of(f"pat_tokens/elements/{element}.html")
            named = set(re.findall(r"`(\w+)`", text))
            assert read <= named
            # Values and other elements in backticks, which aren't variables.
            values = set(re.findall(r"`([\w-]+)`", " ".join(re.findall(r": ([^;]+)", text)))) | set(documented())
            assert named - read <= values
            assert text.startswith("none") == (not read)


def test_custom_properties_are_documented():
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
        "token_rotate": f"{own}/rotate/",
        "scopes_add": f"{own}/scopes/add/",
        "scopes_unused": f"{own}/scopes/unused/",
        "confirm": "/pats/delete/",
        "not_found": f"/pats/{scope.pk}/",
    }


def test_page_contexts_are_complete(client, user, make_token):
    client.force_login(user)
    pages = pages_of(make_token("channels:*:read"))
    assert PersonalAccessToken.objects.count() == 1
    for name, path in pages.items():
        given = {key for context in client.get(path).context for layer in context.dicts for key in layer}
        assert variables_of(f"pat_tokens/{name}.html") - given == set(), name


def test_block_names_do_not_clash_with_site(client, user, make_token, settings, tmp_path):
    names = ["page", "main", "body", "breadcrumbs", "messages", "form"]
    own = "".join(f"{{% block {name} %}}own {name} block{{% endblock %}}" for name in names)
    blocks = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in ("title", "head", "content"))
    (tmp_path / "base.html").write_text(own + blocks)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.PAT_TOKENS_BASE_TEMPLATE = "base.html"
    client.force_login(user)
    for path in pages_of(make_token("channels:*:read")).values():
        shown = client.get(path).content.decode()
        assert [name for name in names if f"own {name} block" not in shown] == [], path
        assert "data-pat-root" in shown


def test_language_is_set_on_root_element(client, user, settings, tmp_path):
    blocks = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in ("title", "head", "content"))
    (tmp_path / "base.html").write_text(f'<html lang="en" dir="ltr">{blocks}')
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.PAT_TOKENS_BASE_TEMPLATE = "base.html"
    client.force_login(user)
    for language, direction in (("de", "ltr"), ("ar", "rtl")):
        settings.LANGUAGE_CODE = language
        assert f'class="pat-tokens" lang="{language}" dir="{direction}"' in client.get("/pats/").content.decode()
