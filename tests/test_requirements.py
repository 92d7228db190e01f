import pytest
from django.core.exceptions import ImproperlyConfigured

from pat_tokens.requirements import ANY_TOKEN, Lookup, Requirement, direct_need
from pat_tokens.scopes import Need


@pytest.mark.parametrize(
    ("requirement", "kwargs", "need"),
    [
        (Requirement("channels", "list"), {}, Need("channels", "list", "*")),
        (Requirement("channels", "read", "pk"), {"pk": "007"}, Need("channels", "read", "7")),
        (Requirement("channels", "read", "pk"), {"pk": "x"}, Need("channels", "read", "*")),
        (Requirement("channels", "read", "pk"), {"other": "7"}, Need("channels", "read", "*")),
        (Requirement("channels", "read", Lookup(pk="key")), {"key": 7}, Need("channels", "read", "7")),
        (Requirement("channels", "read", Lookup(id="key")), {"key": 7}, Need("channels", "read", "7")),
        (Requirement("channels", "read", Lookup(slug="slug")), {"slug": "x"}, None),
    ],
)
def test_what_a_request_needs_follows_from_its_keywords(requirement, kwargs, need):
    assert direct_need(requirement, kwargs) == need
    assert direct_need(requirement, kwargs, filtered=False) == need


def test_only_a_list_is_filtered():
    assert direct_need(Requirement("channels", "list"), {}, filtered=True) == Need("channels", "list", filtered=True)
    assert direct_need(Requirement("channels", "read", "pk"), {"pk": 7}, filtered=True) == Need("channels", "read", "7")


def test_a_lookup_is_what_it_looks_up():
    lookup = Lookup(slug="slug", project__slug="project")
    assert lookup == Lookup(project__slug="project", slug="slug") != Lookup(slug="slug")
    assert hash(lookup) == hash(Lookup(project__slug="project", slug="slug"))
    assert set(lookup.keywords) == {"slug", "project"}
    assert repr(lookup) == "Lookup(project__slug='project', slug='slug')"
    with pytest.raises(ImproperlyConfigured, match="at least one field"):
        Lookup()


def test_a_requirement_reads_as_the_scope_that_it_needs():
    assert str(Requirement("channels", "read", "pk")) == "channels:{pk}:read"
    assert str(Requirement("channels", "list")) == "channels:*:list"
    assert str(ANY_TOKEN) == "any valid token"


def test_a_type_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ImproperlyConfigured, match=r"no entity type is called so; registered: .*channels"):
        Requirement("rooms", "read").get_entity_type()
