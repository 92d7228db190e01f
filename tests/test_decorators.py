"""The decorator declares; test_middleware.py tests what is enforced."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from ninja import NinjaAPI
from rest_framework.decorators import api_view

from pat_tokens.decorators import pat_requirements
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests import plain_site
from tests.plain_client import SERVERS, Asker

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.plain_site")]


@pytest.mark.parametrize("server", SERVERS)
def test_token_is_anonymous_without_middleware(server, make_token, user, channel):
    secret = make_token("channels:*:read", "channels:*:publish").secret
    for kind in plain_site.GUARDED:
        with_token, without = Asker(server, secret), Asker(server)
        path = f"/{kind}/{channel.pk}/"
        assert [with_token(path, method).status_code for method in ("GET", "POST", "OPTIONS")] == [
            without(path, method).status_code for method in ("GET", "POST", "OPTIONS")
        ], kind
        assert with_token(path).content == without(path).content


def test_keeps_name_docstring_and_attributes():
    def view(request):
        """Say what it does."""

    view.tag = "kept"
    declared = pat_requirements({"GET": ANY_TOKEN})(view)
    assert (declared.__name__, declared.__doc__, declared.tag) == ("view", "Say what it does.", "kept")
    assert declared.pat_requirements == {"GET": ANY_TOKEN}


def test_two_names_have_separate_declarations(rf):
    def view(request):
        return HttpResponse("seen")

    read, write = {"GET": ANY_TOKEN}, {"POST": Requirement("channels", "create")}
    first, second = pat_requirements(read)(view), pat_requirements(write)(view)
    third = pat_requirements(write)(first)
    assert [one.pat_requirements for one in (first, second, third)] == [read, write, write]
    assert not hasattr(view, "pat_requirements")
    assert third(rf.get("/")).content == b"seen"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        ANY_TOKEN,
        [ANY_TOKEN],
        "channels:*:read",
        {"get": ANY_TOKEN},
        {"HEAD": ANY_TOKEN},
        {"GET": "read"},
        {1: None},
    ],
)
def test_invalid_declaration_is_an_error(wrong):
    with pytest.raises(ImproperlyConfigured):
        pat_requirements(wrong)


def test_views_of_other_integrations_are_refused():
    @api_view(["GET"])
    def view(request):
        raise NotImplementedError

    with pytest.raises(ImproperlyConfigured, match="declare_view"):
        pat_requirements({"GET": ANY_TOKEN})(view)
    api = NinjaAPI(urls_namespace="decorated")
    api.get("/")(lambda request: None)
    operation = next(one for one in api.urls[0] if one.name not in ("openapi-json", "openapi-view", "api-root"))
    with pytest.raises(ImproperlyConfigured):
        pat_requirements({"GET": ANY_TOKEN})(operation.callback)
