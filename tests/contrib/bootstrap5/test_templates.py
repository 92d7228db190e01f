"""The templates for Bootstrap, and those of the demo's second design, do what the package's own do."""

import re
from pathlib import Path

import pytest

import pat_tokens
from pat_tokens import services
from tests.settings import TEMPLATES
from tests.template_variables import variables_of

APP = "pat_tokens.contrib.bootstrap5"
PACKAGE = Path(pat_tokens.__file__).parent
CORE = PACKAGE / "templates/pat_tokens/elements"
OURS = PACKAGE / "contrib/bootstrap5/templates/pat_tokens/elements"
WORKSHOP = PACKAGE.parent / "demo_project/looks/workshop/templates/pat_tokens/elements"

every_design = pytest.mark.parametrize("folder", [OURS, WORKSHOP], ids=["bootstrap5", "workshop"])


HOOKS = re.compile(r"""\b(?:data-pat-[\w-]+|aria-[\w-]+|role="\w+"|name="[^"]+")""")


def hooks_in(path):
    """What the script and screen readers find elements by, and fields by their names."""
    return set(HOOKS.findall(path.read_text()))


@every_design
def test_templates_replace_elements(folder):
    assert {path.name for path in folder.iterdir()} <= {path.name for path in CORE.iterdir()}


def test_app_has_nothing_but_elements():
    app = OURS.parents[2]
    files = {path.relative_to(app) for path in app.rglob("*.*") if "__pycache__" not in path.parts}
    assert {str(path) for path in files if path.suffix != ".html"} == {"__init__.py", "apps.py"}
    assert {path.parent for path in files if path.suffix == ".html"} == {Path("templates/pat_tokens/elements")}


@every_design
def test_templates_keep_what_the_script_needs(folder, subtests):
    for path in sorted(folder.iterdir()):
        with subtests.test(element=path.stem):
            assert hooks_in(CORE / path.name) - hooks_in(path) == set()


@every_design
def test_templates_use_the_same_variables(folder, settings, subtests):
    core = {path.stem: variables_of(f"pat_tokens/elements/{path.name}") for path in folder.iterdir()}
    settings.TEMPLATES = [{**TEMPLATES[0], "DIRS": [folder.parents[1]]}]
    for name, expected in sorted(core.items()):
        with subtests.test(element=name):
            assert variables_of(f"pat_tokens/elements/{name}.html") == expected


def test_pages_are_rendered(client, user, make_token, settings):
    settings.INSTALLED_APPS = [APP, *settings.INSTALLED_APPS]
    token = make_token("channels:*:read", "channels:*:delete", name="deploy")
    revoked = services.revoke_token(make_token(name="old"))
    client.force_login(user)
    own = f"/pats/{token.pk}"
    pages = {
        "/pats/?status=all": [
            "table",
            "badge",
            "nav-pills",
            "dropdown-menu",
            "dropdown-item",
            "pagination",
            "btn-primary",
        ],
        "/pats/?q=nothing": ["text-center"],
        "/pats/create/": ["card-body", "form-control", "form-select", "form-label", "breadcrumb"],
        "/pats/activity/": ["form-select", "btn-primary"],
        f"{own}/": ["card-body", "d-sm-flex", "btn-danger", "badge"],
        f"{own}/edit/name/": ["form-control"],
        f"{own}/regenerate/": ["card-title", "form-select"],
        f"{own}/rotate/": ["form-select"],
        f"{own}/scopes/add/": ["form-select", "card-title"],
        f"{own}/revoke/": ["btn-danger"],
        f"/pats/{revoked.pk}/": ["btn-primary"],
        "/pats/delete/": ["form-control"],
    }
    for path, names in pages.items():
        html = client.get(path).content.decode()
        classes = {name for text in re.findall(r'class="([^"]*)"', html) for name in text.split()}
        assert set(names) - classes == set(), path
        # All controls are Bootstrap's.
        controls = re.findall(r"<(?:select|textarea|input(?! type=\"hidden\"))\b[^>]*>", html)
        assert [tag for tag in controls if 'class="form-' not in tag and "hidden" not in tag] == [], path
        assert "pat-button" not in classes, path
        assert "pat-card" not in classes, path
