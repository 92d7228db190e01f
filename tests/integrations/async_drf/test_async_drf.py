"""Tokens are as limited in adrf's async ViewSets as in DRF."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from pat_tokens.declarations import limit_lists
from pat_tokens.entities import registry
from tests.factories import ChannelFactory
from tests.models import Channel, Page
from tests.plain_client import SERVERS

pytestmark = pytest.mark.django_db(transaction=True)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def other(user):
    return ChannelFactory(owner=user)


@pytest.fixture(params=SERVERS)
def ask(request):
    """Send a token to a path under WSGI or ASGI."""
    client = AsyncClient() if request.param == "asgi" else Client()

    def send(token, path, method="GET", data=None):
        call = getattr(client, method.lower())
        options = {"headers": {"authorization": f"Bearer {token.secret}"}}
        if method != "GET":
            options |= {"data": {"name": "x"} if data is None else data, "content_type": "application/json"}
        return async_to_sync(call)(path, **options) if request.param == "asgi" else call(path, **options)

    return send


def test_actions_need_their_scope(make_token, channel, other, ask):
    key = channel.pk
    for method, path, scope, status in (
        ("GET", f"/channels/{key}/", f"channels:{key}:read", 200),
        ("GET", "/channels/", "channels:*:list", 200),
        ("POST", "/channels/", "channels:*:create", 201),
        ("PUT", f"/channels/{key}/", f"channels:{key}:update", 200),
        ("PATCH", f"/channels/{key}/", f"channels:{key}:update", 200),
        ("POST", f"/channels/{key}/publish/", f"channels:{key}:publish", 200),
        ("GET", f"/generic/{key}/", f"channels:{key}:read", 200),
        ("GET", f"/function/{key}/", f"channels:{key}:read", 200),
        ("DELETE", f"/channels/{key}/", f"channels:{key}:delete", 204),
    ):
        # Another operation, and the same operation on another entity.
        for refused in ("channels:*:subscribe", scope.replace(f":{key}:", f":{other.pk}:")):
            if refused != scope:
                response = ask(make_token(refused), path, method)
                assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope"), (method, path)
        assert ask(make_token(scope), path, method).status_code == status, (method, path)
    assert not Channel.objects.filter(pk=key).exists()


def test_undeclared_actions_refuse_tokens(make_token, channel, ask):
    token = make_token(*[f"{kind.name}:*:{one.name}" for kind in registry for one in kind.operations])
    for path in ("/undeclared/", f"/undeclared/{channel.pk}/", f"/undeclared-function/{channel.pk}/"):
        for method in METHODS:
            response = ask(token, path, method)
            assert response.status_code in (403, 405), (method, path)
            if response.status_code == 403:
                assert response.json()["code"] == "scope_not_declared"
    assert Channel.objects.get().name == channel.name


@pytest.mark.parametrize("path", ["channels", "paginated", "filteredbyboth", "mixedin", "limitedoutside"])
def test_list_is_limited_to_ids(make_token, channel, other, ask, path):
    token = make_token(f"channels:{channel.pk}:list")
    response = ask(token, f"/{path}/")
    assert response.status_code == 200
    found = response.json()["results"] if path == "paginated" else response.json()
    assert [row["id"] for row in found] == [channel.pk]
    if path == "paginated":
        assert response.json()["count"] == 1


@pytest.mark.parametrize("path", ["channels", "paginated"])
def test_limited_list_can_be_empty(make_token, channel, ask, path):
    token = make_token(f"channels:{channel.pk}:list")
    channel.delete()
    response = ask(token, f"/{path}/")
    assert response.status_code == 200
    assert str(channel.name) not in response.content.decode()


@pytest.mark.parametrize("path", ["replaced/", "withoutfilter/", "channels/{pk}/siblings/", "channels/{pk}/summary/"])
def test_unlimited_list_needs_scope_on_all(make_token, channel, other, ask, path):
    path = f"/{path.format(pk=channel.pk)}"
    response = ask(make_token(f"channels:{channel.pk}:list"), path)
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert f'"id":{other.pk}' not in response.content.decode()
    assert ask(make_token("channels:*:list"), path).status_code == 200


def test_list_limited_from_outside(make_token, channel, other, ask, declarations):
    token = make_token(f"channels:{channel.pk}:list")
    limit_lists("tests.integrations.async_drf.urls.WithoutFilter")
    response = ask(token, "/withoutfilter/")
    assert (response.status_code, [row["id"] for row in response.json()]) == (200, [channel.pk])


def test_object_is_compared_with_decision(make_token, channel, other, ask):
    token = make_token(*[f"channels:{channel.pk}:{name}" for name in ("read", "update", "delete", "publish")])
    path = f"/otherobject/{channel.pk}/"
    for method, where in (
        ("GET", path), ("PUT", path), ("PATCH", path), ("DELETE", path), ("POST", f"{path}publish/"),
    ):  # fmt: skip
        response = ask(token, f"{where}?really={other.pk}", method)
        assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope"), method
        assert ask(token, f"{where}?really={channel.pk}", method).status_code in (200, 204), method
        if method == "DELETE":
            channel.save(force_insert=True)
    assert Channel.objects.get(pk=other.pk).name == other.name


def test_writes_cannot_change_key(make_token, user, ask):
    page = Page.objects.create(path="a", owner=user)
    token = make_token("pages:a:update")
    response = ask(token, "/pages/a/", "PATCH", {"path": "b"})
    assert (response.status_code, [found.path for found in Page.objects.all()]) == (403, [page.path])
    assert ask(token, "/pages/a/", "PATCH", {"path": "a"}).status_code == 200


def test_options_needs_a_scope(make_token, channel, ask):
    token = make_token(f"channels:{channel.pk}:read")
    response = ask(token, f"/channels/{channel.pk}/", "OPTIONS")
    assert response.status_code == 200
    assert "actions" not in response.json()
    assert ask(token, f"/undeclared/{channel.pk}/", "OPTIONS").status_code == 403
