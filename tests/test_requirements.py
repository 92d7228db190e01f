import pytest
from django.core.exceptions import ImproperlyConfigured
from django.views import View
from rest_framework.views import APIView

from pat_tokens.declarations import (
    broken_declarations,
    class_of,
    declare_url,
    declare_view,
    declared_for_view,
    generation,
)
from pat_tokens.entities import Registry
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement, find_problem, required_scope_from_url
from pat_tokens.scopes import RequiredScope


class Plain(View):
    """A view of Django's."""


class Described(APIView):
    """A view of DRF's."""


@pytest.mark.parametrize(
    ("requirement", "kwargs", "required_scope"),
    [
        (Requirement("channels", "list"), {}, RequiredScope("channels", "list", "*")),
        (Requirement("channels", "read", "pk"), {"pk": "007"}, RequiredScope("channels", "read", "7")),
        (Requirement("channels", "read", "pk"), {"pk": "x"}, RequiredScope("channels", "read", "*")),
        (Requirement("channels", "read", "pk"), {"other": "7"}, RequiredScope("channels", "read", "*")),
        (Requirement("channels", "read", EntityLookup(pk="key")), {"key": 7}, RequiredScope("channels", "read", "7")),
        (Requirement("channels", "read", EntityLookup(id="key")), {"key": 7}, RequiredScope("channels", "read", "7")),
        (Requirement("channels", "read", EntityLookup(slug="slug")), {"slug": "x"}, None),
    ],
)
def test_what_a_request_needs_follows_from_its_keywords(requirement, kwargs, required_scope):
    assert required_scope_from_url(requirement, kwargs) == required_scope
    assert required_scope_from_url(requirement, kwargs, filtered=False) == required_scope


def test_only_a_list_is_filtered():
    assert required_scope_from_url(Requirement("channels", "list"), {}, filtered=True) == RequiredScope(
        "channels", "list", filtered=True
    )
    assert required_scope_from_url(Requirement("channels", "read", "pk"), {"pk": 7}, filtered=True) == RequiredScope(
        "channels", "read", "7"
    )


def test_a_lookup_is_what_it_looks_up():
    lookup = EntityLookup(slug="slug", project__slug="project")
    assert lookup == EntityLookup(project__slug="project", slug="slug") != EntityLookup(slug="slug")
    assert hash(lookup) == hash(EntityLookup(project__slug="project", slug="slug"))
    assert set(lookup.keywords) == {"slug", "project"}
    assert repr(lookup) == "EntityLookup(project__slug='project', slug='slug')"
    with pytest.raises(ImproperlyConfigured, match="at least one field"):
        EntityLookup()


def test_a_requirement_reads_as_the_scope_that_it_needs():
    assert str(Requirement("channels", "read", "pk")) == "channels:{pk}:read"
    assert str(Requirement("channels", "list")) == "channels:*:list"
    assert str(ANY_TOKEN) == "any valid token"


def test_a_type_that_is_not_there_is_named_with_those_that_are():
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
def test_a_problem_names_what_there_is(requirement, problem):
    assert find_problem(requirement) == problem


def test_a_site_without_types_has_none(monkeypatch):
    monkeypatch.setattr("pat_tokens.requirements.registry", Registry())
    assert find_problem(Requirement("rooms", "read")) == "no entity type is called 'rooms' (registered: none)"
    with pytest.raises(ImproperlyConfigured, match="registered: none"):
        Requirement("rooms", "read").get_entity_type()


def test_each_declaration_makes_what_is_remembered_old(declarations):
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
def test_what_as_view_returns_stands_for_its_class(declarations, cls):
    refused = {"GET": None}
    declare_view(cls.as_view(), refused)
    assert class_of(cls.as_view()) is cls
    assert declared_for_view(cls) == refused


def test_a_path_that_named_nothing_can_be_declared_again(declarations, monkeypatch):
    path = f"{__name__}.made_later"
    declare_view(path, {"GET": None})
    assert broken_declarations().keys() == {path}
    monkeypatch.setitem(globals(), "made_later", Plain)
    declare_view(path, {"GET": None})
    assert broken_declarations() == {}
    assert declared_for_view(Plain) == {"GET": None}


@pytest.mark.parametrize("declare", [declare_view, declare_url])
def test_requirements_that_are_no_mapping_are_refused_with_whose_they_are(declarations, declare):
    with pytest.raises(ImproperlyConfigured, match=r"requirements of some\.view must be a mapping .*, not \['GET'\]"):
        declare("some.view", ["GET"])
