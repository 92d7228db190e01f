"""Each operation on each entity type: allowed with exactly its scope, refused without it."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import AsyncClient

from pat_tokens.entities import registry
from pat_tokens.scopes import ALL
from pat_tokens.services import create_token, revoke_token
from tests.demo.factories import FACTORIES

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Call:
    entity_type: str
    operation: str
    method: str
    path: str  # below the collection
    body: object = None

    def __str__(self) -> str:
        return f"{self.method} {self.entity_type}/{self.path} ({self.operation})"

    @property
    def has_object(self) -> bool:
        return "{id}" in self.path


CALLS = [
    call
    for entity_type in FACTORIES
    for call in (
        Call(entity_type, "create", "POST", "", {"name": "new"}),
        Call(entity_type, "list", "GET", ""),
        Call(entity_type, "read", "GET", "{id}/"),
        Call(entity_type, "read", "HEAD", "{id}/"),
        Call(entity_type, "update", "PATCH", "{id}/", {"name": "newer"}),
        Call(entity_type, "update", "PUT", "{id}/", {"name": "newest"}),
        Call(entity_type, "delete", "DELETE", "{id}/"),
    )
] + [
    Call("dashboards", "share", "POST", "{id}/share/", {"user": "bob"}),
    Call("dashboards", "unshare", "POST", "{id}/unshare/", {"user": "bob"}),
    Call("channels", "publish", "POST", "{id}/publish/", {"payload": {"any": "JSON"}}),
    Call("channels", "subscribe", "GET", "{id}/subscribe/"),
]


def parametrized(calls: list[Call]) -> pytest.MarkDecorator:
    # Subscribing closes the database connection, which would end the test's transaction.
    apart = pytest.mark.django_db(transaction=True)
    return pytest.mark.parametrize(
        "call", [pytest.param(c, id=str(c), marks=[apart] if c.operation == "subscribe" else []) for c in calls]
    )


each_call = parametrized(CALLS)
with_object = parametrized([call for call in CALLS if call.has_object])

Scope = tuple[str, str, str]


def make_secret(user: User, *scopes: Scope) -> str:
    return create_token(user, name=f"token {user.personal_access_tokens.count()}", scopes=scopes)[1]


def send(secret: str, method: str, path: str, body: object = None) -> HttpResponseBase:
    """Send a request with a token under ASGI, and close the stream if there is one."""

    async def run() -> HttpResponseBase:
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        headers = {"Authorization": f"Bearer {secret}"}
        response = await getattr(AsyncClient(), method.lower())(path, headers=headers, **content)
        if response.streaming:
            chunks = aiter(response.streaming_content)
            async with contextlib.aclosing(chunks):
                assert await anext(chunks) == b": subscribed\n\n"
        return response

    return async_to_sync(run)()


def do(call: Call, secret: str, entity: Any) -> HttpResponseBase:
    return send(secret, call.method, f"/api/{call.entity_type}/{call.path}".format(id=entity.pk), call.body)


def all_scopes() -> set[Scope]:
    return {(kind.name, ALL, operation.name) for kind in registry for operation in kind.operations}


def test_calls_cover_every_operation() -> None:
    assert {(call.entity_type, ALL, call.operation) for call in CALLS} == all_scopes()
    assert {operation for _, _, operation in all_scopes()} == {
        *("create", "read", "list", "update", "delete", "share", "unshare", "publish", "subscribe")
    }


@each_call
def test_exact_scope_is_enough(alice: User, bob: User, call: Call) -> None:
    entity = FACTORIES[call.entity_type](owner=alice)
    entity_id = str(entity.pk) if call.has_object else ALL

    response = do(call, make_secret(alice, (call.entity_type, entity_id, call.operation)), entity)

    assert response.status_code in (200, 201, 202, 204)


@each_call
def test_other_scopes_are_not_enough(alice: User, bob: User, call: Call) -> None:
    entity = FACTORIES[call.entity_type](owner=alice)
    others = all_scopes() - {(call.entity_type, ALL, call.operation)}

    response = do(call, make_secret(alice, *others), entity)

    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response["WWW-Authenticate"]
    entity_id = str(entity.pk) if call.has_object else ALL
    assert f'scope="{call.entity_type}:{entity_id}:{call.operation}"' in response["WWW-Authenticate"]
    if call.method != "HEAD":
        assert response.json()["missing"] == [
            {"entity_type": call.entity_type, "entity_id": entity_id, "operation": call.operation}
        ]
    entity.refresh_from_db()  # still exists


@with_object
def test_scope_on_other_entity_is_not_enough(alice: User, bob: User, call: Call) -> None:
    entity, neighbour = FACTORIES[call.entity_type].create_batch(2, owner=alice)

    response = do(call, make_secret(alice, (call.entity_type, str(neighbour.pk), call.operation)), entity)

    assert response.status_code == 403


@with_object
def test_scope_does_not_exceed_owner(alice: User, bob: User, call: Call) -> None:
    entity = FACTORIES[call.entity_type](owner=bob)

    response = do(call, make_secret(alice, (call.entity_type, ALL, call.operation)), entity)

    assert response.status_code == 404


@pytest.mark.parametrize("operation", ["update", "delete", "share", "unshare"])
def test_shared_entity_is_read_only(alice: User, bob: User, operation: str) -> None:
    dashboard = FACTORIES["dashboards"](owner=alice)
    dashboard.shared_with.add(bob)
    secret = make_secret(bob, ("dashboards", str(dashboard.pk), operation), ("dashboards", ALL, "read"))
    [call] = [c for c in CALLS if (c.entity_type, c.operation) == ("dashboards", operation) and c.method != "PATCH"]

    assert send(secret, "GET", f"/api/dashboards/{dashboard.pk}/").status_code == 200
    response = do(call, secret, dashboard)

    assert response.status_code == 403
    assert response.json() == {"detail": "Only the owner may do this."}


@pytest.mark.parametrize("entity_type", FACTORIES)
def test_list_is_limited_to_scopes(alice: User, entity_type: str) -> None:
    first, second, _third = FACTORIES[entity_type].create_batch(3, owner=alice)
    secret = make_secret(alice, *[(entity_type, str(entity.pk), "list") for entity in (first, second)])

    page = send(secret, "GET", f"/api/{entity_type}/").json()

    assert page["count"] == 2
    assert {str(row["id"]) for row in page["results"]} == {str(first.pk), str(second.pk)}
    assert send(secret, "GET", f"/api/{entity_type}/?search={second.name}").json()["count"] == 1


def test_uuid_spelling_does_not_matter(alice: User) -> None:
    channel = FACTORIES["channels"](owner=alice)
    secret = make_secret(alice, ("channels", str(channel.pk), "read"))

    for spelling in (str(channel.pk).upper(), channel.pk.hex):
        assert send(secret, "GET", f"/api/channels/{spelling}/").json()["id"] == str(channel.pk)


def test_undeclared_view_refuses_tokens(alice: User) -> None:
    response = send(make_secret(alice, *all_scopes()), "GET", "/api/status/")

    assert response.status_code == 403
    assert response.json()["code"] == "scope_not_declared"


@pytest.mark.parametrize("path", ["/api/", "/api/schema/", "/api/docs/"])
def test_other_views_without_requirement_refuse(alice: User, path: str) -> None:
    assert send(make_secret(alice, *all_scopes()), "GET", path).status_code == 403


def test_scopes_limit_superusers() -> None:
    admin = User.objects.create(username="root", is_superuser=True, is_staff=True)
    channel = FACTORIES["channels"](owner=admin)
    secret = make_secret(admin, ("channels", str(channel.pk), "read"))

    assert send(secret, "GET", f"/api/channels/{channel.pk}/").status_code == 200
    assert send(secret, "DELETE", f"/api/channels/{channel.pk}/").status_code == 403


def test_revoked_token_is_refused_immediately(alice: User) -> None:
    secret = make_secret(alice, *all_scopes())
    assert send(secret, "GET", "/api/channels/").status_code == 200

    revoke_token(alice.personal_access_tokens.get())

    response = send(secret, "GET", "/api/channels/")
    assert response.status_code == 401
    assert 'error="invalid_token"' in response["WWW-Authenticate"]


def test_pages_without_declaration_refuse_tokens(alice: User) -> None:
    secret = make_secret(alice, *all_scopes())

    for page in ("/", "/pats/", "/pats/create/", "/admin/", "/accounts/login/"):
        response = send(secret, "GET", page)
        assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")


def test_declared_page_accepts_scope(alice: User) -> None:
    channel, other = FACTORIES["channels"].create_batch(2, owner=alice)
    secret = make_secret(alice, ("channels", str(channel.pk), "read"))

    response = send(secret, "GET", f"/channels/{channel.pk}/")
    assert response.status_code == 200
    assert f"<h1>{channel.name}</h1>" in response.content.decode()

    response = send(secret, "GET", f"/channels/{other.pk}/")
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
