import asyncio
import json
import threading
from contextlib import asynccontextmanager

import pytest
import uvicorn
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.http import http_date
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from pat_tokens import crypto, services, signals, watcher
from pat_tokens.contrib.channels.middleware import ConsumerGuard, PersonalAccessTokenMiddleware
from pat_tokens.declarations import declare_view
from pat_tokens.models import Activity, PersonalAccessToken
from tests.contrib.channels import consumers
from tests.contrib.channels.communicator import PATIENCE, WebsocketCommunicator
from tests.factories import ChannelFactory, DeviceFactory, UserFactory
from tests.plain_client import expire
from tests.policies import policy_with

# Other threads only see committed rows.
pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ["channels", "sync", "foreign", "nested"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Start without connections, with one declaration, and check the watcher afterwards."""
    from pat_tokens.declarations import _declared

    monkeypatch.setattr(_declared, "by_view", {})
    declare_view("tests.contrib.channels.consumers.Foreign", consumers.SUBSCRIBE)
    monkeypatch.setattr(watcher, "INTERVAL", 0.05)
    consumers.connected.clear()
    consumers.gone.clear()


def path_of(kind, pk):
    return f"/ws/{kind}/{pk}/" + ("deeper/" if kind == "nested" else "")


def headers_with(secret):
    return [] if secret is None else [(b"authorization", f"Bearer {secret}".encode("latin-1"))]


@asynccontextmanager
async def socket(path, secret=None, *, headers=(), app=consumers.websockets, **scope):
    """Connect, and return the response to the handshake; `scope` are `subprotocols` and `client`."""
    given = [*headers_with(secret), *headers]
    communicator = WebsocketCommunicator(app, path, headers=given, **scope)
    result = await communicator.connect()
    try:
        yield communicator, result
    finally:
        if result is True:
            await communicator.disconnect()


def shake(path, secret=None, **options):
    """Return True for a connection, or the code that the handshake was denied with."""

    @async_to_sync
    async def run():
        async with socket(path, secret, **options) as (_communicator, result):
            return result

    return run()


@pytest.mark.parametrize("kind", KINDS)
def test_scopes_are_enforced(make_token, user, kind):
    channel, neighbour, device = ChannelFactory(owner=user), ChannelFactory(owner=user), DeviceFactory(owner=user)
    for scope, result in {
        f"channels:{channel.pk}:subscribe": True,
        "channels:*:subscribe": True,
        f"channels:{neighbour.pk}:subscribe": 4403,
        f"channels:{channel.pk}:read": 4403,
        f"devices:{device.pk}:read": 4403,
        "": 4403,
    }.items():
        consumers.connected.clear()
        token = make_token(*scope.split())
        assert shake(path_of(kind, channel.pk), token.secret) == result, scope
        assert len(consumers.connected) == (result is True)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_are_enforced_before_scopes(make_token, channel, kind, settings):
    networks = ["10.0.0.0/8", "2001:db8::/32", "fe80::/10"]
    token = make_token("channels:*:subscribe", allowed_networks=networks)
    unscoped = make_token(allowed_networks=networks)
    path, forged = path_of(kind, channel.pk), [(b"x-forwarded-for", b"10.0.0.1")]
    for address, result in {
        "10.1.2.3": True,
        "::ffff:10.1.2.3": True,
        "2001:db8::1": True,
        "fe80::1%eth0": True,
        "203.0.113.9": 4403,
        "2001:db9::1": 4403,
        "": 4403,
    }.items():
        client = [address, 50_000] if address else None
        assert shake(path, token.secret, client=client) == result, address
        assert shake(path, unscoped.secret, client=client) == 4403
        # Without a trusted proxy, its header makes the address unknown.
        assert shake(path, token.secret, client=client, headers=forged) == 4403
    reasons = list(Activity.objects.for_token(unscoped.pk).refusals().values_list("reason", flat=True))
    assert reasons == ["network_not_allowed"]
    settings.PAT_TOKENS_TRUSTED_PROXIES = ["127.0.0.1"]
    assert shake(path, token.secret, client=["127.0.0.1", 50_000], headers=forged) is True
    assert shake(path, token.secret, client=["203.0.113.9", 50_000], headers=forged) == 4403


@pytest.mark.parametrize("kind", [*KINDS, "undeclared", "refusing"])
def test_inactive_and_malformed_secrets_are_denied(make_token, channel, kind):
    expired, revoked = make_token("channels:*:subscribe"), make_token("channels:*:subscribe")
    expire(expired)
    services.revoke_token(revoked)
    for secret in (expired.secret, revoked.secret, "pat_garbage", "pat_", "pat_\0", "pat_é", crypto.make_secret("pat")):
        assert shake(path_of(kind, channel.pk), secret) == 4401
    twice = headers_with(make_token("channels:*:subscribe").secret)
    assert shake(path_of(kind, channel.pk), revoked.secret, headers=twice) == 4401
    assert not consumers.connected


def test_scopes_limit_superusers(make_token, channel):
    token = make_token(user=UserFactory(is_superuser=True))
    assert shake(path_of("channels", channel.pk), token.secret) == 4403


@pytest.mark.parametrize("path", ["/ws/undeclared/1/", "/ws/refusing/1/", "/ws/plain/"])
def test_undeclared_consumer_denies_tokens(make_token, path):
    token = make_token("channels:*:subscribe")
    assert shake(path, token.secret) == 4403
    assert not consumers.connected
    assert shake(path) is True


def test_requirement_is_inherited_for_the_same_model(make_token, channel):
    token = make_token(f"channels:{channel.pk}:subscribe")
    assert shake(f"/ws/of-channel/{channel.pk}/", token.secret) is True
    for name in ("of-project", "by-argument"):
        assert shake(f"/ws/{name}/{channel.pk}/", token.secret) == 4403, name


@pytest.mark.parametrize("header", [None, b"Basic dXNlcjpwYXNz", b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", b"Token \xff"])
def test_handshake_without_token_is_unchanged(channel, header, django_assert_num_queries):
    headers = [] if header is None else [(b"authorization", header)]
    for kind in (*KINDS, "undeclared"):
        with django_assert_num_queries(0):
            assert shake(path_of(kind, channel.pk), headers=headers) is True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "app",
    [consumers.websockets, consumers.inside, consumers.outside, consumers.around_all, consumers.application],
)
def test_scope_has_owner_and_token(make_token, channel, kind, app):
    token = make_token("channels:*:subscribe")

    @async_to_sync
    async def run():
        async with socket(path_of(kind, channel.pk), token.secret, app=app) as (communicator, _result):
            assert await communicator.receive_json() == {"user": "owner", "token": token.name}
            await communicator.send_json({"hello": 1})
            assert await communicator.receive_json() == {"hello": 1}

    run()
    assert consumers.gone == [1000]


def test_entity_is_found_by_slug(make_token, user):
    mine, _other = ChannelFactory(owner=user, slug="mine"), ChannelFactory(owner=user, slug="other")
    secret = make_token(f"channels:{mine.pk}:subscribe").secret
    assert [shake(f"/ws/by-slug/{slug}/", secret) for slug in ("mine", "other", "none")] == [True, 4403, 4403]


@pytest.mark.parametrize("guard", [PersonalAccessTokenMiddleware, ConsumerGuard])
def test_middleware_can_wrap_one_consumer(token, guard):
    assert shake("/", token.secret, app=guard(consumers.Anything.as_asgi())) is True
    assert shake("/", token.secret, app=guard(consumers.Undeclared.as_asgi())) == 4403
    assert shake("/", token.secret, app=PersonalAccessTokenMiddleware(guard(consumers.Anything.as_asgi()))) is True


def test_router_of_site_is_not_modified(token):
    assert not any(isinstance(route.callback, ConsumerGuard) for route in consumers.routes)


class TestSubprotocols:
    """How a browser sends a token: it can't set a header."""

    @async_to_sync
    async def connect(self, path, subprotocols, *, app=consumers.inside, secret=None):
        async with socket(path, secret, subprotocols=subprotocols, app=app) as (communicator, result):
            return result, communicator.subprotocol

    def test_token_is_accepted_and_confirmed(self, make_token, channel):
        for kind in KINDS:
            for offered in (["bearer", "{}"], ["Bearer", "{}"], ["graphql-ws", "bearer", "{}"]):
                secret = make_token(f"channels:{channel.pk}:subscribe").secret
                offered = [text.format(secret) for text in offered]
                assert self.connect(path_of(kind, channel.pk), offered) == (True, offered[-2]), (kind, offered)

    def test_decision_is_that_of_a_header(self, make_token, channel):
        good, bad = make_token("channels:*:subscribe").secret, make_token("channels:*:read").secret
        path = path_of("channels", channel.pk)
        for offered, result in [
            (["bearer", bad], 4403),
            (["bearer", "pat_garbage"], 4401),
            ([good], 4401),
            ([good, "bearer"], 4401),
            (["bearer", good, good], 4401),
            (["bearer", good, "bearer", bad], 4401),
            (["token", good], 4401),
        ]:
            consumers.connected.clear()
            assert self.connect(path, offered)[0] == result, offered
            assert consumers.connected == []
        assert self.connect(path, ["bearer", good], secret=good)[0] == 4401
        assert self.connect("/ws/undeclared/1/", ["bearer", good])[0] == 4403

    def test_consumer_sees_no_secret_and_can_choose(self, make_token, channel):
        secret = make_token("channels:*:subscribe").secret
        path = f"/ws/choosing/{channel.pk}/"
        assert self.connect(path, ["chat", "bearer", secret]) == (True, "chat")
        assert consumers.offered == ["chat", "bearer"]

    def test_other_subprotocols_pass_untouched(self, channel, django_assert_num_queries):
        for offered in ([], ["chat"], ["bearer", "eyJhbGciOiJIUzI1NiJ9.e30.x"]):
            with django_assert_num_queries(0):
                assert self.connect(f"/ws/choosing/{channel.pk}/", offered, app=consumers.websockets)[0] is True
            assert consumers.offered == offered


class TestDenial:
    """If the server supports it, a denied handshake gets an HTTP response."""

    @async_to_sync
    async def ask(self, path, secret, scheme="ws", host=b"example.org"):
        headers = [(b"host", host), *headers_with(secret)]
        communicator = WebsocketCommunicator(
            consumers.websockets, path, headers=headers, extensions=["websocket.http.response"], scheme=scheme
        )
        await communicator.send_input({"type": "websocket.connect"})
        start, body = [await communicator.receive() for _ in range(2)]
        assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
        return start["status"], dict(start["headers"]), json.loads(body["body"])

    def test_401(self, channel):
        status, headers, body = self.ask(path_of("channels", channel.pk), "pat_garbage")
        assert (status, body["code"]) == (401, "invalid_token")
        assert b'error="invalid_token"' in headers[b"www-authenticate"]
        assert headers[b"content-type"] == b"application/json"

    def test_403(self, token, channel):
        status, headers, body = self.ask(path_of("channels", channel.pk), token.secret)
        missing = {"entity_type": "channels", "entity_id": str(channel.pk), "operation": "subscribe"}
        assert (status, body["code"], body["missing"]) == (403, "insufficient_scope", [missing])
        assert f'scope="channels:{channel.pk}:subscribe"'.encode() in headers[b"www-authenticate"]
        assert self.ask("/ws/undeclared/1/", token.secret)[2]["code"] == "scope_not_declared"

    def test_403_links_to_the_page(self, token, channel, settings):
        settings.ALLOWED_HOSTS = ["example.org"]
        path = f"/pats/{token.pk}/scopes/add/?scope=channels:{channel.pk}:subscribe"
        for scheme, expected in (("ws", "http"), ("wss", "https")):
            body = self.ask(path_of("channels", channel.pk), token.secret, scheme=scheme)[2]
            assert body["fix_url"] == f"{expected}://example.org{path}"
        assert "fix_url" not in self.ask(path_of("channels", channel.pk), token.secret, host=b"evil.example")[2]

    def test_sunset(self, make_token, channel):
        token, end = rotate_and_use(make_token("channels:*:subscribe"), channel)
        assert self.ask("/ws/undeclared/1/", token.secret)[1][b"sunset"] == end


def rotate_and_use(token, channel):
    """Rotate `token` and use its new secret; return it and the header that its previous secret gets from now on."""
    _token, new = services.rotate_token(token, grace_period="1h")
    for secret in (token.secret, new):
        assert sunset_of(channel, secret) is None
    end = PersonalAccessToken.objects.get(pk=token.pk).previous_secret.expires_at
    return token, http_date(end.timestamp()).encode()


@async_to_sync
async def sunset_of(channel, secret):
    async with socket(path_of("channels", channel.pk), secret) as (communicator, result):
        assert result is True
        return communicator.answer_headers.get(b"sunset")


def test_accepted_handshake_has_sunset_header(make_token, channel):
    token, end = rotate_and_use(make_token("channels:*:subscribe"), channel)
    assert sunset_of(channel, token.secret) == end


ENDS = {
    "revoked": services.revoke_token,
    "regenerated": services.regenerate_token,
    "deleted": services.delete_token,
    "expired": expire,
    "without its scope": services.delete_scopes,
    "owner inactive": lambda token: type(token.user).objects.filter(pk=token.user_id).update(is_active=False),
}


class TestClose:
    """A socket is closed within seconds after its token stops working."""

    @pytest.mark.parametrize("kind", ["channels", "sync"])
    @pytest.mark.parametrize("how", ENDS)
    def test_socket_is_closed(self, make_token, channel, kind, how):
        token, other = make_token("channels:*:subscribe"), make_token("channels:*:subscribe", user=UserFactory())

        @async_to_sync
        async def run():
            path = path_of(kind, channel.pk)
            async with (
                socket(path, other.secret) as (others, _result),
                socket(path, token.secret) as (communicator, _result),
            ):
                await others.receive_json()
                await communicator.receive_json()
                await sync_to_async(ENDS[how])(token)
                message = await communicator.receive()
                assert message == {"type": "websocket.close", "code": 4401, "reason": "invalid_token"}
                await communicator.wait(PATIENCE)
                assert consumers.gone == [4401]
                await others.send_json("still here")
                assert await others.receive_json() == "still here"

        run()

    def test_busy_consumer_does_not_delay_close(self, token, monkeypatch):
        @async_to_sync
        async def run():
            monkeypatch.setattr(consumers.Busy, "done", asyncio.Event(), raising=False)
            async with socket("/ws/busy/", token.secret) as (communicator, _result):
                await communicator.receive_json()
                await communicator.send_json("work")
                await sync_to_async(services.revoke_token)(token)
                assert (await communicator.receive())["type"] == "websocket.close"
                assert not consumers.gone
                consumers.Busy.done.set()
                await communicator.wait(PATIENCE)
                assert await communicator.receive_nothing()
                assert consumers.gone == [4401]

        run()

    def test_close_by_consumer_is_not_repeated(self, token):
        @async_to_sync
        async def run():
            async with socket("/ws/closing/", token.secret) as (communicator, _result):
                await communicator.receive_json()
                await communicator.send_json("bye")
                assert (await communicator.receive())["code"] == 4000
                await sync_to_async(services.revoke_token)(token)
                await asyncio.sleep(watcher.INTERVAL * 4)
                assert await communicator.receive_nothing()

        run()

    def test_watch_ends_with_connection(self, token):
        @async_to_sync
        async def run():
            async with socket("/ws/anything/", token.secret):
                running = watcher._watchers[asyncio.get_running_loop()]
                assert len(running.watches) == 1
            assert (running.watches, running.task) == (set(), None)

        run()

    def test_connection_without_token_is_not_watched(self):
        @async_to_sync
        async def run():
            async with socket("/ws/anything/"):
                assert asyncio.get_running_loop() not in watcher._watchers

        run()


def test_authentication_makes_one_query(make_token, channel, monkeypatch):
    monkeypatch.setattr(watcher, "INTERVAL", 1000)
    token = make_token("channels:*:subscribe")
    shake(path_of("channels", channel.pk), token.secret)
    for path, answer in [(path_of("channels", channel.pk), True), ("/ws/undeclared/1/", 4403)]:
        with CaptureQueriesContext(connection) as queries:
            assert shake(path, token.secret) == answer
        # A handshake can open a connection, for which Django executes a SET on MariaDB.
        assert [query["sql"].split()[0] for query in queries if not query["sql"].startswith("SET ")] == ["SELECT"]


def test_use_is_recorded_and_hooks_are_called(make_token, channel, settings):
    heard = []

    def listen(signal, **facts):
        heard.append((facts.get("reason", "authenticated"), facts["request"].path))

    signals.token_authenticated.connect(listen)
    signals.token_refused.connect(listen)
    token = make_token("channels:*:subscribe")
    path = path_of("channels", channel.pk)
    agent = [(b"user-agent", b"a client")]
    shake(path, token.secret, headers=agent)
    token.refresh_from_db()
    assert token.last_used_agent == "a client"
    assert shake("/ws/undeclared/1/", token.secret) == 4403
    settings.PAT_TOKENS_POLICY = policy_with(
        refuse_token=lambda token, request: request.META["HTTP_USER_AGENT"] == "a client"
    )
    assert shake(path, token.secret, headers=agent) == 4401
    assert heard == [("authenticated", path), ("scope_not_declared", "/ws/undeclared/1/"), ("refused", path)]
    signals.token_authenticated.disconnect(listen)
    signals.token_refused.disconnect(listen)


def test_other_protocols_are_unchanged(token):
    async def http(scope, receive, send):
        await send({"scope": scope})

    @async_to_sync
    async def run():
        scope = {"type": "http", "path": "/", "headers": headers_with("pat_garbage")}
        communicator = ApplicationCommunicator(PersonalAccessTokenMiddleware(http), scope)
        assert await communicator.receive_output(PATIENCE) == {"scope": scope}
        await communicator.wait(PATIENCE)

    run()


class TestServer:
    """The same with a real server and a real client."""

    @pytest.fixture
    def address(self):
        config = uvicorn.Config(
            consumers.application, host="127.0.0.1", port=0, ws="websockets-sansio", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                threading.Event().wait(0.01)
            yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)

    def test_handshake_to_close(self, address, make_token, channel, user):
        token = make_token(f"channels:{channel.pk}:subscribe")
        headers = {"Authorization": f"Bearer {token.secret}"}
        url = address + path_of("channels", channel.pk)
        with connect(url, additional_headers=headers, open_timeout=PATIENCE) as client:
            assert json.loads(client.recv(PATIENCE)) == {"user": "owner", "token": token.name}
            services.revoke_token(token)
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(PATIENCE)
        assert closed.value.rcvd.code == 4401
        with pytest.raises(InvalidStatus) as denied, connect(url, additional_headers=headers):
            raise AssertionError
        assert denied.value.response.status_code == 401
        assert json.loads(denied.value.response.body)["detail"].startswith("The token was revoked.")

    def test_client_reads_sunset(self, address, make_token, channel):
        token, end = rotate_and_use(make_token("channels:*:subscribe"), channel)
        headers = {"Authorization": f"Bearer {token.secret}"}
        with connect(address + path_of("channels", channel.pk), additional_headers=headers) as client:
            assert client.response.headers["Sunset"] == end.decode()

    def test_missing_scope(self, address, token, channel):
        url = address + path_of("channels", channel.pk)
        headers = {"Authorization": f"Bearer {token.secret}"}
        with pytest.raises(InvalidStatus) as denied, connect(url, additional_headers=headers):
            raise AssertionError
        assert denied.value.response.status_code == 403
        assert json.loads(denied.value.response.body)["code"] == "insufficient_scope"
        assert "insufficient_scope" in denied.value.response.headers["WWW-Authenticate"]
