"""Lists for tokens with scopes for some ids return rows of the limited queryset, or nothing."""

import copy
import gc
import json
import pickle

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.urls import resolve

from pat_tokens.database.statements import observers
from pat_tokens.exceptions import InsufficientScope
from pat_tokens.filtering import LimitedList
from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import Route, inspect
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import Decision, RequiredScope
from tests.factories import ChannelFactory
from tests.limited_site import EMPTY, KEPT, LOST, TRACED
from tests.models import Channel
from tests.plain_client import OURS, SERVERS, Asker

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.limited_site")]

PLACES = [
    "/rest/serialized/",
    "/rest/in-pages/",
    "/rest/by-hand/",
    "/plain/",
    "/async/",
    "/streamed/",
    "/templated/",
    "/ninja/by-hand",
    "/ninja/schema",
    "/ninja/async",
]
ALL = {"entity_type": "channels", "entity_id": "*", "operation": "list"}


@pytest.fixture
def rows(user):
    """Three channels; the token is for the first and the last."""
    return [ChannelFactory(owner=user, name=name) for name in "abc"]


@pytest.fixture
def some(rows, make_token):
    return make_token(*[f"channels:{row.pk}:list" for row in (rows[0], rows[2])]).secret


@pytest.fixture(autouse=True)
def installed(settings):
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]


def seen(response):
    body = response.getvalue() if response.streaming else response.content
    answer = json.loads(body)
    answer = answer.get("results", answer.get("mine")) if isinstance(answer, dict) else answer
    return [one["name"] if isinstance(one, dict) else one for one in answer]


@pytest.mark.parametrize("path", PLACES)
class TestResponses:
    def test_limited_rows_are_returned(self, some, path):
        ask = Asker("wsgi", some)
        for name in KEPT:
            response = ask(f"{path}?made={name}")
            assert response.status_code == 200, name
            assert seen(response) == ["a", "c"], name
        for name in EMPTY:
            response = ask(f"{path}?made={name}")
            assert response.status_code == 200, name
            assert seen(response) == [], name

    def test_other_rows_are_refused(self, some, path):
        ask = Asker("wsgi", some)
        for name in LOST:
            response = ask(f"{path}?made={name}")
            if response.streaming:  # the list was read before the stream started, so it ends at the first other row
                with pytest.raises(InsufficientScope):
                    response.getvalue()
                continue
            assert response.status_code == 403, name
            assert response.json()["missing"] == [ALL], name

    def test_rows_read_before_need_a_trace(self, some, path):
        can_be_traced = path in ("/rest/serialized/", "/rest/in-pages/", "/ninja/schema")
        for name in TRACED:
            response = Asker("wsgi", some)(f"{path}?made={name}")
            assert response.status_code == (200 if can_be_traced else 403), name
            assert not can_be_traced or seen(response) == ["a", "c"], name

    def test_scope_on_all_needs_no_limit(self, rows, make_token, user, path):
        everything = Asker("wsgi", make_token("channels:*:list").secret)
        for name in ("itself", "limited and dropped", "both"):
            assert everything(f"{path}?made={name}").status_code == 200, name


@pytest.mark.parametrize("server", SERVERS)
def test_nested_views(some, server):
    ask = Asker(server, some)
    for path in (
        *("/outer-afterwards/", "/outer-before/", "/aouter-before/", "/streams-before/"),
        *("/ninja/outer-before", "/ninja/aouter-before", "/rest/outer-before/"),
    ):
        response = ask(path)
        assert (response.status_code, response.json()["missing"]) == (403, [ALL]), path
    assert seen(ask("/outer-limits/")) == ["a", "c"]


def test_nested_view_with_attribute(some):
    assert Asker("wsgi", some)("/unguarded/").status_code == 403


def test_list_on_detail_route(some, rows):
    ask = Asker("wsgi", some)
    for name in ("children", "siblings"):
        assert ask(f"/rest/{name}/{rows[0].pk}/").status_code == 403, name
    assert seen(ask(f"/rest/parents/{rows[0].pk}/")) == ["a", "c"]


def test_filter_backend_after_ours(some):
    ask = Asker("wsgi", some)
    assert ask("/rest/widened/").status_code == 403
    page = ask("/rest/cursored/").json()
    assert [row["name"] for row in page["results"]] == ["a"]
    assert [row["name"] for row in ask(page["next"]).json()["results"]] == ["c"]


def test_second_list_in_response_is_refused(some):
    assert Asker("wsgi", some)("/rest/beside/?made=itself").status_code == 403


def test_async_streams(some):
    ask = Asker("asgi", some)
    response = ask("/astreamed/")
    assert response.status_code == 200
    assert ask("/aleaks/").status_code == 403


def test_response_without_list_is_refused(some):
    assert Asker("wsgi", some)("/nothing/").status_code == 403


def test_not_modified_response_is_allowed(some):
    assert Asker("wsgi", some)("/conditional/").status_code == 200
    ask = Asker("wsgi", some, **{"if-none-match": '"one"'})
    assert ask("/conditional/").status_code == 304


def test_only_get_and_head_are_limited(some):
    assert Asker("wsgi", some)("/ninja/posted", "POST").status_code == 403


@pytest.mark.parametrize("path", PLACES)
def test_limiting_makes_one_more_query(some, path, django_assert_num_queries):
    ask = Asker("wsgi", some)
    ask(f"{path}?made=itself")
    with django_assert_num_queries(4 if "pages" in path else 3):  # the token, its ids, the list, and its count
        ask(f"{path}?made=itself")


def test_statements_are_not_observed_afterwards(some):
    ask = Asker("wsgi", some)
    wrappers = list(connection.execute_wrappers)
    for name in ("itself", "limited and dropped"):
        for path in PLACES:
            ask(f"{path}?made={name}")
    gc.collect()
    assert list(observers()) == []
    assert connection.execute_wrappers == wrappers


def test_copies_of_limited_queryset(rows, make_token):
    token = make_token(f"channels:{rows[0].pk}:list")
    token.decision = Decision(limited=True, required_scope=RequiredScope("channels", "list", filtered=True))
    limited_list = LimitedList(token, Requirement("channels", "list"))
    limited = limited_list.limit(Channel.objects.all())
    assert limited_list.allows(copy.copy(limited))
    assert limited_list.allows(copy.deepcopy(limited))
    assert list(pickle.loads(pickle.dumps(limited))) == [rows[0]]


@pytest.mark.parametrize(
    ("path", "limits"),
    [
        ("/rest/children/{}/", False),
        ("/rest/siblings/{}/", False),
        ("/rest/parents/{}/", True),
        ("/rest/cursored/", True),
        ("/rest/retrieved/{}/", False),
        ("/ninja/by-hand", True),
        ("/ninja/posted", False),
    ],
)
def test_pat_routes_and_explain_match_response(rows, make_token, path, limits):
    token = make_token(f"channels:{rows[0].pk}:list")
    path = path.format(rows[0].pk)
    method = "POST" if "posted" in path else "GET"
    explanation = explain(token, method, path)
    asked = inspect(Route.of(resolve(path))).find(method)
    is_certain = not explanation.suggested
    assert (explanation.allowed and is_certain, asked.limits) == (limits, limits)
    assert [str(scope) for scope in explanation.suggested] == ([] if is_certain else ["channels:*:list"])
    status = Asker("wsgi", token.secret)(f"{path}?made=itself", method).status_code
    assert status == (explanation.status or 200 if is_certain else 403)
