"""Responses of each route and method of the test site to each kind of token."""

import json
from datetime import timedelta
from functools import cache
from typing import NamedTuple

import pytest
from django.utils import timezone

from pat_tokens import services
from pat_tokens.entities import registry
from pat_tokens.models import PersonalAccessToken

pytestmark = pytest.mark.django_db


class Row(NamedTuple):
    method: str
    path: str
    scope: str  # the scope that is enough, formatted with the rows of the site
    status: int = 200
    body: object = None
    headers: dict = {}
    is_filtered_list: bool = False


def crud(prefix, kind, row, *, body, changes=None, key="pk"):
    """Return the rows for the six standard actions of a ViewSet."""
    one = f"{prefix}{{{row}.{key}}}/"
    scope = f"{kind}:{{{row}.pk}}:"
    changes = changes or body
    return [
        Row("GET", prefix, f"{kind}:*:list"),
        Row("GET", prefix, f"{kind}:{{{row}.pk}}:list", is_filtered_list=True),
        Row("HEAD", prefix, f"{kind}:*:list"),
        Row("POST", prefix, f"{kind}:*:create", 201, body),
        Row("GET", one, f"{scope}read"),
        Row("HEAD", one, f"{scope}read"),
        Row("PUT", one, f"{scope}update", 200, changes),
        Row("PATCH", one, f"{scope}update", 200, {}),
        Row("DELETE", one, f"{scope}delete", 204),
    ]


ONE = {"name": "one", "slug": "one"}

ALLOWED = [
    *crud("/channels/", "channels", "channel", body={"name": "new"}),
    Row("POST", "/channels/{channel.pk}/publish/", "channels:{channel.pk}:publish"),
    Row("GET", "/channels.json", "channels:*:list"),
    Row("GET", "/channels/{channel.pk}.json", "channels:{channel.pk}:read"),
    Row("DELETE", "/channels/{channel.pk}.json", "channels:{channel.pk}:delete", 204),
    Row("GET", "/suffixed/{channel.pk}", "channels:{channel.pk}:read"),
    Row("GET", "/suffixed/{channel.pk}.json", "channels:{channel.pk}:read"),
    *crud("/projects/", "projects", "project", body={"name": "new", "slug": "new"}),
    Row("GET", "/projects/{project.pk}/lock/", "projects:{project.pk}:read"),
    Row("HEAD", "/projects/{project.pk}/lock/", "projects:{project.pk}:read"),
    Row("POST", "/projects/{project.pk}/lock/", "projects:{project.pk}:lock"),
    Row("POST", "/projects/{project.pk}/share-with/", "projects:{project.pk}:share"),
    Row("DELETE", "/projects/{project.pk}/share-with/", "projects:{project.pk}:unshare"),
    Row("GET", "/projects/export/", "projects:*:export"),
    *crud("/by-slug/", "projects", "project", body={"name": "new", "slug": "new"}, changes=ONE, key="slug"),
    *crud("/devices/", "devices", "device", body={"name": "new"}),
    Row("GET", "/devices/{device_upper}/", "devices:{device.pk}:read"),
    Row("GET", "/devices/{device.pk.hex}/", "devices:{device.pk}:read"),
    Row("GET", "/devices/%7B{device_upper}%7D/", "devices:{device.pk}:read"),
    Row("GET", "/generic/devices/{device_upper}/", "devices:{device.pk}:read"),
    *crud("/pages/", "pages", "page", body={"path": "new"}, changes={"path": "one"}),
    *crud("/thermometers/", "thermometers", "thermometer", body={"name": "new", "degrees": 1}),
    *crud("/probes/", "probes", "probe", body={"name": "new", "depth": 1}),
    *[row for row in crud("/badges/", "badges", "badge", body={}) if row.method not in ("POST", "PUT")],
    Row("GET", "/badges-by-id/{badge.pk}/", "badges:{badge.pk}:read"),
    *[row for row in crud("/covers/", "covers", "cover", body={}) if row.method not in ("POST", "PUT")],
    Row("GET", "/paths/{page.pk}/", "pages:{page.pk}:read"),
    Row("DELETE", "/paths/{page.pk}/", "pages:{page.pk}:delete", 204),
    Row("GET", "/generic/tasks-by-key/{project.pk}/one/", "tasks:{task.pk}:read"),
    Row("GET", "/archive/", "archive:*:list"),
    Row("GET", "/archive/{archived.pk}/", "archive:{archived.pk}:read"),
    Row("GET", "/boxes/", "channels:*:list"),
    Row("GET", "/boxes/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("GET", "/memos/{memo.pk}/", "memos:{memo.pk}:read"),
    Row("GET", "/bulk/", "channels:*:list"),
    Row("POST", "/bulk/", "channels:*:create", 200, [{"name": "a"}, {"name": "b"}]),
    Row("PUT", "/bulk/", "channels:*:update", 200, [{"id": 1}]),
    Row("PATCH", "/bulk/", "channels:*:update", 200, [{"id": 1}]),
    Row("DELETE", "/bulk/", "channels:*:delete", 200),
    Row("GET", "/projects/{project.pk}/tasks/", "projects:{project.pk}:read"),
    Row("POST", "/projects/{project.pk}/tasks/", "projects:{project.pk}:update", 201),
    Row("GET", "/projects/{project.pk}/tasks/{task.pk}/", "tasks:{task.pk}:read"),
    Row("GET", "/vendor/{project.pk}/tasks/", "projects:{project.pk}:read"),
    Row("GET", "/configured/channels/", "channels:*:list"),
    Row("GET", "/v/v2/channels/", "channels:*:list"),
    Row("GET", "/v/v2/channels/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("POST", "/v/v2/channels/{channel.pk}/publish/", "channels:{channel.pk}:publish"),
    Row("GET", "/v1/channels/{channel.pk}/", "channels:{channel.pk}:read"),
    Row(
        "GET",
        "/accept/channels/{channel.pk}/",
        "channels:{channel.pk}:read",
        headers={"accept": "application/json; version=2"},
    ),
    Row("GET", "/nosy/", "channels:*:list"),
    Row("GET", "/nosy/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("DELETE", "/nosy/{channel.pk}/", "channels:{channel.pk}:delete", 204),
    Row("GET", "/generic/channels/", "channels:*:list"),
    Row("POST", "/generic/channels/", "channels:*:create", 201, {"name": "new"}),
    Row("GET", "/generic/channels/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("PATCH", "/generic/channels/{channel.pk}/", "channels:{channel.pk}:update", 200, {}),
    Row("GET", "/generic/narrowed/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("GET", "/generic/tasks/one/one/", "tasks:{task.pk}:read"),
    Row("GET", "/sealed/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("GET", "/legacy/list/", "channels:*:list"),
    Row("GET", "/pinned/", "channels:*:list"),
    Row("GET", "/cached/channels/", "channels:*:list"),
    Row("GET", "/counted/channels/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("GET", "/functions/{channel.pk}/summary/", "channels:{channel.pk}:read"),
    Row("HEAD", "/generic/channels/", "channels:*:list"),
    Row("HEAD", "/generic/channels/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("HEAD", "/vendor/{project.pk}/tasks/", "projects:{project.pk}:read"),
    Row("GET", "/narrowed/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("HEAD", "/narrowed/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("POST", "/functions/{channel.pk}/summary/", "channels:{channel.pk}:publish"),
    Row("GET", "/functions/{channel.pk}/legacy/", "channels:{channel.pk}:read"),
    Row("GET", "/functions/{channel.pk}/legacy-by-path/", "channels:{channel.pk}:update"),
    Row("GET", "/functions/{channel.pk}/legacy-by-url/", "channels:{channel.pk}:delete"),
    Row("OPTIONS", "/functions/{channel.pk}/own-options/", "channels:{channel.pk}:update"),
    Row("GET", "/late-override/{channel.pk}/", "channels:{channel.pk}:read"),
    Row("GET", "/object-from-query/{channel.pk}/", "channels:{channel.pk}:read"),
    *[
        Row("GET", f"/lists/{name}/", "projects:*:list")
        for name in [
            "searched",
            "mixed-in",
            "unfiltered",
            "ignoring",
            "annotated",
            "distinct",
            "sliced-late",
            "sliced-early",
            "united",
            "tasks-by-project",
            "channels-by-project",
        ]
    ],
    Row("GET", "/lists/thermometers/", "channels:*:list"),
    *[
        Row("GET", f"/lists/{name}/", "projects:{project.pk}:list", is_filtered_list=True)
        for name in (
            ["searched", "mixed-in", "annotated", "distinct", "sliced-late", "tasks-by-project", "channels-by-project"]
        )
    ],
    Row("GET", "/lists/thermometers/", "channels:{thermometer.pk}:list", is_filtered_list=True),
]

# Without a declaration, or with an invalid one: every token is refused, whatever its scopes.
REFUSED = [
    ("GET", "/undeclared/"),
    ("GET", "/public/"),
    ("GET", "/refused/"),
    ("PUT", "/sealed/{channel.pk}/"),
    ("DELETE", "/sealed/{channel.pk}/"),
    ("GET", "/"),  # the router's root view
    ("GET", "/projects/{project.pk}/unknown/"),
    ("GET", "/projects/{project.pk}/undeclared/"),
    ("GET", "/projects/{project.pk}/undeclared/{task.pk}/"),
    ("DELETE", "/projects/{project.pk}/undeclared/{task.pk}/"),
    ("PUT", "/projects/{project.pk}/tasks/{task.pk}/"),
    ("DELETE", "/projects/{project.pk}/tasks/{task.pk}/"),
    ("GET", "/projects/{project.pk}/tasks-of-project/"),
    ("PUT", "/projects/{project.pk}/tasks-of-project/"),
    ("DELETE", "/projects/{project.pk}/tasks-of-project/"),
    ("DELETE", "/vendor/{project.pk}/tasks/"),
    ("PUT", "/vendor/{project.pk}/tasks/"),
    ("GET", "/memos/"),
    ("POST", "/memos/"),
    ("DELETE", "/memos/{memo.pk}/"),
    ("GET", "/configured/nothing/"),
    ("PUT", "/generic/channels/{channel.pk}/"),
    ("DELETE", "/generic/channels/{channel.pk}/"),
    ("POST", "/status/"),
    *[(method, "/broken/{channel.pk}/") for method in ("GET", "POST", "PUT", "PATCH")],
    ("GET", "/hidden/channels/{channel.pk}/"),
    ("GET", "/functions/{channel.pk}/undeclared/"),
    ("GET", "/functions/public/"),
    ("DELETE", "/functions/{channel.pk}/summary/"),
    ("POST", "/action-on-other/{channel.pk}/share/"),
    ("POST", "/own-publish/{channel.pk}/"),
    ("GET", "/own-handlers/{channel.pk}/"),
    ("PUT", "/own-handlers/{channel.pk}/"),
    ("DELETE", "/own-handlers/{channel.pk}/"),
    ("HEAD", "/own-head/{channel.pk}/"),
    ("HEAD", "/head-only/"),
    ("POST", "/own-405/"),
    ("DELETE", "/made-up/"),
    ("GET", "/computed/"),
    ("GET", "/people/"),
    ("GET", "/computed-requirements/"),
    ("GET", "/listed-requirements/"),
    ("GET", "/computed-keyword/"),
    ("GET", "/computed-keyword/{channel.pk}/"),
    ("GET", "/computed-field/"),
    ("GET", "/computed-field/{channel.pk}/"),
    ("GET", "/by-owner/owner/"),
    ("DELETE", "/extra/{channel.pk}/"),
    ("GET", "/fixed/"),
    ("DELETE", "/fixed/"),
    ("GET", "/optional/"),
    ("DELETE", "/optional/{channel.pk}/"),
    ("DELETE", "/positional/{channel.pk}/"),
    ("DELETE", "/wild/5/channels/"),
    ("GET", "/unversioned/v2/channels/"),  # without versioning, the keyword can be any string
    ("GET", "/by-name/one/"),
    ("DELETE", "/by-name/one/"),
    ("GET", "/list-of-one/{channel.pk}/"),
    ("POST", "/list-of-one/{channel.pk}/"),
    ("GET", "/one-without-a-key/"),
    ("GET", "/with-a-key/{project.pk}/export/"),
    ("POST", "/without-a-key/share-with/"),
    ("GET", "/said-to-be-of-one/"),
    ("DELETE", "/said-to-be-of-all/{channel.pk}/"),
    ("DELETE", "/sealed-and-changed/{channel.pk}/?id={other_channel.pk}"),
    ("POST", "/either/{channel.pk}/?other"),
    ("DELETE", "/twice/{channel.pk}/and/5/"),
    ("DELETE", "/keywords-changed/{channel.pk}/?id={other_channel.pk}"),
    ("GET", "/object-of-other/{channel.pk}/"),
    ("GET", "/queryset-of-other/"),
    ("GET", "/lists/other-model/"),
    ("GET", "/changes-its-model/?devices"),
]

ANY = [
    ("GET", "/status/"),
    ("HEAD", "/status/"),
    ("GET", "/functions/ping/"),
    ("GET", "/own-405/"),
    ("GET", "/made-up/"),
]

NO_SUCH_METHOD = [
    ("DELETE", "/status/"),
    ("PUT", "/functions/ping/"),
    ("POST", "/boxes/{channel.pk}/"),
    ("TRACE", "/status/"),
    ("OPTIONS", "/options-left-out/"),
    # DRF's functions have no HEAD unless they list it.
    ("HEAD", "/functions/{channel.pk}/summary/"),
    ("HEAD", "/functions/{channel.pk}/legacy-by-url/"),
    ("HEAD", "/functions/{channel.pk}/undeclared/"),
    ("PUT", "/functions/{channel.pk}/summary/"),
    # The class has handlers for these, but http_method_names excludes them.
    ("PUT", "/narrowed/{channel.pk}/"),
    ("PATCH", "/narrowed/{channel.pk}/"),
    ("DELETE", "/narrowed/{channel.pk}/"),
    ("DELETE", "/generic/narrowed/{channel.pk}/"),
    ("DELETE", "/late-methods/{channel.pk}/"),
    ("HEAD", "/generic/narrowed/{channel.pk}/"),
]


@pytest.fixture
def fill(site):
    return lambda text: text.format(**vars(site), device_upper=str(site.device.pk).upper())


@pytest.fixture
def ask(client_with, fill):
    def ask(token, row):
        method, path, *_rest = row
        body = getattr(row, "body", None)
        headers = getattr(row, "headers", {})
        return client_with(token).generic(method, fill(path), **_as_json(body), headers=headers)

    return ask


def _as_json(body):
    return {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}


def everything_but(scope):
    """Return all scopes on all entities of the site, except those of this type and operation."""
    kind, _id, operation = scope.split(":")
    return [
        f"{entity_type.name}:*:{name.name}"
        for entity_type in registry
        for name in entity_type.operations
        if (entity_type.name, name.name) != (kind, operation)
    ]


def neighbour(row, fill, site):
    """Return the scope of the row on another entity, or None."""
    kind, _entity_id, operation = row.scope.split(":")
    rows = {"channels": "channel", "thermometers": "thermometer", "archive": "archived", "memos": "memo"}
    other = getattr(site, "other_" + rows.get(kind, kind.removesuffix("s")))
    if operation == "create":
        return None
    return f"{kind}:{other.pk}:{operation}"


def name_of(row):
    return f"{row.method} {row.path} {row.scope}"


def test_exact_scope_is_required(case, ask, fill, make_token, site, settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1000
    token_with = cache(make_token)
    for row in ALLOWED:
        everything = everything_but(row.scope)
        nothing, exact = token_with(), token_with(fill(row.scope))
        others, all_scopes = token_with(*everything), token_with(fill(row.scope), *everything)
        with case(name_of(row)):
            assert ask(nothing, row).status_code == 403
            assert ask(others, row).status_code == 403
            if row.method != "DELETE":  # twice would be once too often
                assert ask(all_scopes, row).status_code == row.status
            if row.status != 201:
                assert ask(exact, row).status_code == row.status


def test_scope_on_other_entity_is_not_enough(case, ask, fill, make_token, site):
    for row in ALLOWED:
        if row.is_filtered_list or row.scope.split(":")[1] == "*":
            continue
        with case(name_of(row)):
            answer = ask(make_token(neighbour(row, fill, site)), row)
            assert answer.status_code == 403
            if row.method != "HEAD":
                missing = dict(zip(("entity_type", "entity_id", "operation"), fill(row.scope).split(":"), strict=True))
                assert answer.json()["code"] == "insufficient_scope"
                assert answer.json()["missing"][0] in (missing, {**missing, "entity_id": "*"})


def test_scope_on_one_id_is_not_enough_for_all(case, ask, fill, make_token, site):
    limited = {row.path for row in ALLOWED if row.is_filtered_list}
    for row in ALLOWED:
        _kind, entity_id, operation = row.scope.split(":")
        scope = neighbour(row, fill, site)
        if entity_id != "*" or scope is None:
            continue
        is_list = row.method in ("GET", "HEAD") and operation == "list" and row.path != "/pinned/"
        filtered = is_list and (row.path in limited or not row.path.startswith("/lists/"))
        with case(name_of(row)):
            assert ask(make_token(scope), row).status_code == (200 if filtered else 403)


def test_inactive_tokens_and_superusers(case, ask, fill, make_token, user, settings):
    user.is_superuser = user.is_staff = True
    user.save()
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1000
    past = timezone.now() - timedelta(days=2)

    @cache
    def inactive_tokens(scope):
        revoked, expired = make_token(scope), make_token(scope)
        services.revoke_token(revoked)
        PersonalAccessToken.objects.filter(pk=expired.pk).update(issued_at=past, expires_at=past + timedelta(days=1))
        return revoked, expired

    without_scopes = make_token()
    for row in ALLOWED:
        tokens = inactive_tokens(fill(row.scope))
        with case(name_of(row)):
            assert ask(without_scopes, row).status_code == 403
            for token in tokens:
                answer = ask(token, row)
                assert answer.status_code == 401
                assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_undeclared_routes_refuse_tokens(case, ask, make_token, site):
    before = site.project.task_set.count()
    without_scopes, all_scopes = make_token(), make_token(*everything_but("::"))
    for row in REFUSED:
        with case(*row):
            answer = ask(all_scopes, row)
            assert answer.status_code == 403
            if row[0] != "HEAD":
                assert answer.json()["code"] == "scope_not_declared"
            assert "X-Probed" not in answer
            assert site.project.task_set.count() == before
            assert ask(without_scopes, row).status_code == 403


def test_any_token_is_accepted_if_declared(case, ask, make_token):
    for row in ANY:
        with case(*row):
            assert ask(make_token(), row).status_code == 200


def test_unsupported_method_is_405(case, ask, make_token, site):
    for row in NO_SUCH_METHOD:
        with case(*row):
            token = make_token()
            assert ask(token, row).status_code == 405
            assert ask(make_token(*everything_but("::")), row).status_code == 405
            assert type(site.channel).objects.filter(pk=site.channel.pk).exists()
            services.revoke_token(token)
            assert ask(token, row).status_code == 401
