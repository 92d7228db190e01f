import pytest
from django.core.exceptions import ImproperlyConfigured
from django.views import View
from rest_framework.views import APIView

from pat_tokens.declarations import (
    all_declared,
    class_of,
    declare_url,
    declare_view,
    declared_for_view,
    generation,
)
from pat_tokens.entities import Registry
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement, find_problem, required_scope_from_url
from pat_tokens.scopes import RequiredScope, ScopeKey


class Plain(View):
    """A Django view."""


class Described(APIView):
    """A DRF view."""


@pytest.mark.parametrize(
    ("requirement", "kwargs", "required_scope"),
    [
        (Requirement("channels", "list"), {}, RequiredScope("channels", "list", "*")),
        (Requirement("channels", "read", "pk"), {"pk": "007"}, RequiredScope("channels", "read", "7")),
        (Requirement("channels", "read", "pk"), {"pk": "x"}, RequiredScope("channels", "read", "*")),
        (Requirement("channels", "read", "pk"), {"other": "7"}, RequiredScope("channels", "read", "*")),
        (Requirement("channels", "read", EntityLookup(pk="key")), {"key": 7}, RequiredScope("channels", "read", "7")),
        (Requirement("channels", "read", EntityLookup(id="key")), {"key": 7}, RequiredScope("channels", "read", "7")),
        (Requirement("channels", "read", EntityLookup(slug="slug")), {"slug": "x"}, RequiredScope("channels", "read")),
        (
            Requirement("channels", "update", "pk") & Requirement("devices", "list"),
            {"pk": 7},
            RequiredScope("channels", "update", "7", also=(ScopeKey("devices", "*", "list"),)),
        ),
    ],
)
def test_required_scope_uses_keywords(requirement, kwargs, required_scope):
    assert required_scope_from_url(requirement, kwargs) == required_scope
    assert required_scope_from_url(requirement, kwargs, filtered=False) == required_scope


def test_only_lists_are_filtered():
    assert required_scope_from_url(Requirement("channels", "list"), {}, filtered=True) == RequiredScope(
        "channels", "list", filtered=True
    )
    assert required_scope_from_url(Requirement("channels", "read", "pk"), {"pk": 7}, filtered=True) == RequiredScope(
        "channels", "read", "7"
    )


def test_lookups_are_compared_by_value():
    lookup = EntityLookup(slug="slug", project__slug="project")
    assert lookup == EntityLookup(project__slug="project", slug="slug") != EntityLookup(slug="slug")
    assert hash(lookup) == hash(EntityLookup(project__slug="project", slug="slug"))
    assert set(lookup.keywords) == {"slug", "project"}
    assert repr(lookup) == "EntityLookup(project__slug='project', slug='slug')"
    with pytest.raises(ImproperlyConfigured, match="at least one field"):
        EntityLookup()


def test_str_is_required_scope():
    assert str(Requirement("channels", "read", "pk")) == "channels:{pk}:read"
    assert str(Requirement("channels", "list")) == "channels:*:list"
    assert str(ANY_TOKEN) == "any valid token"


def test_unknown_type_error_lists_types():
    with pytest.raises(ImproperlyConfigured, match=r"there is no such entity type; registered: .*channels"):
        Requirement("rooms", "read").get_entity_type()


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        (Requirement("rooms", "read"), "no entity type is called 'rooms' (registered: channels, devices, pages)"),
        (
            Requirement("pages", "lock"),
            "pages have no operation 'lock' (they have: create, read, list, update, delete)",
        ),
        ("pages:*:read", "'pages:*:read' is not a Requirement"),
        (ANY_TOKEN, None),
        (Requirement("pages", "read", "pk"), None),
    ],
)
def test_problem_lists_valid_choices(requirement, problem):
    assert find_problem(requirement) == problem


def test_problem_without_types(monkeypatch):
    monkeypatch.setattr("pat_tokens.requirements.registry", Registry())
    assert find_problem(Requirement("rooms", "read")) == "no entity type is called 'rooms' (registered: none)"
    with pytest.raises(ImproperlyConfigured, match="registered: none"):
        Requirement("rooms", "read").get_entity_type()


def test_declarations_invalidate_caches(declarations):
    seen = [generation()]
    for declare, target in (
        (declare_view, Plain),
        (declare_url, "one"),
        (declare_url, "two"),
        (declare_view, Described),
    ):
        declare(target, {"GET": None})
        assert generation() not in seen
        seen.append(generation())


@pytest.mark.parametrize("cls", [Plain, Described])
def test_as_view_counts_as_its_class(declarations, cls):
    refused = {"GET": None}
    declare_view(cls.as_view(), refused)
    assert class_of(cls.as_view()) is cls
    assert declared_for_view(cls) == refused


def test_broken_path_can_be_declared_again(declarations, monkeypatch):
    path = f"{__name__}.made_later"
    declare_view(path, {"GET": None})
    assert all_declared().broken.keys() == {path}
    monkeypatch.setitem(globals(), "made_later", Plain)
    declare_view(path, {"GET": None})
    assert all_declared().broken == {}
    assert declared_for_view(Plain) == {"GET": None}


@pytest.mark.parametrize("declare", [declare_view, declare_url])
def test_invalid_mapping_error_names_target(declarations, declare):
    with pytest.raises(ImproperlyConfigured, match=r"requirements of some\.view must be a mapping .*, not \['GET'\]"):
        declare("some.view", ["GET"])
