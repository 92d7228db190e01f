"""A token with networks works only from there, whatever a client writes into its headers."""

import asyncio
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection, connections
from django.http import JsonResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from ninja import NinjaAPI

from pat_tokens import services, watcher
from pat_tokens.authentication import authenticate
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.decorators import pat_requirements
from pat_tokens.exceptions import InvalidInput, NetworkNotAllowed, ReauthenticationRequired, RevokedToken
from pat_tokens.models import Activity, PersonalAccessToken
from pat_tokens.networks import are_within, find_client, is_in, parse_network
from pat_tokens.policy import client_ip, recorded_ip
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests import views
from tests.contrib.rest_framework.management import session_client
from tests.contrib.rest_framework.management import url as api_url
from tests.factories import TokenFactory, UserFactory
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_allowed_networks")]

LIST = Requirement("channels", "list")
api = NinjaAPI(auth=[PersonalAccessTokenAuthentication()], urls_namespace="networks")


@api.get("/channels/{pk}/", auth=[PersonalAccessTokenAuthentication(Requirement("channels", "read", "pk"))])
def read(request, pk: str):
    return {}


@pat_requirements({"GET": Requirement("channels", "read", "pk")})
def plain(request, pk):
    return JsonResponse({})


@pat_requirements({"GET": Requirement("channels", "read", "pk")})
async def plain_async(request, pk):
    return JsonResponse({})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("drf/<str:pk>/", views.ChannelViewSet.as_view({"get": "retrieve"})),
    path("plain/<str:pk>/", plain),
    path("async/<str:pk>/", plain_async),
    path("ninja/", api.urls),
    path("", include("tests.urls")),
]


@pytest.fixture(autouse=True)
def middleware(settings):
    settings.MIDDLEWARE = ["pat_tokens.middleware.PersonalAccessTokenMiddleware", *settings.MIDDLEWARE]


@pytest.fixture
def bound(make_token):
    """A token that works from one network of each version."""
    return make_token("channels:*:read", allowed_networks=["10.0.0.0/8", "2001:db8::/32"])


def meta(remote: str = "203.0.113.1", **headers: str) -> dict[str, str]:
    return {"REMOTE_ADDR": remote, **{f"HTTP_{name.upper()}": value for name, value in headers.items()}}


NGINX = ["127.0.0.1", "192.168.0.0/24"]


@pytest.mark.parametrize(
    ("expected", "request_meta", "proxies"),
    [
        # Without trusted proxies, the peer counts, and any header of a proxy makes it unknown.
        ("203.0.113.1", meta(), ()),
        (None, meta(x_forwarded_for="10.0.0.1"), ()),
        (None, meta(x_forwarded_for=""), ()),
        (None, meta(forwarded="for=10.0.0.1"), ()),
        (None, meta(x_real_ip="10.0.0.1"), ()),
        ("", meta(remote=""), ()),
        # Headers from a peer that isn't a proxy are ignored.
        ("203.0.113.1", meta(x_forwarded_for="10.0.0.1", x_real_ip="10.0.0.1", forwarded="for=10.0.0.1"), NGINX),
        # Behind proxies, what a client wrote lies left of what they added.
        ("198.51.100.7", meta("127.0.0.1", x_forwarded_for="198.51.100.7"), NGINX),
        ("198.51.100.7", meta("127.0.0.1", x_forwarded_for="10.0.0.1, 198.51.100.7"), NGINX),
        ("198.51.100.7", meta("127.0.0.1", x_forwarded_for="10.0.0.1,198.51.100.7 , 192.168.0.9"), NGINX),
        ("198.51.100.7", meta("127.0.0.1", x_forwarded_for="unix:, 127.0.0.1, 198.51.100.7"), NGINX),
        ("198.51.100.7", meta("", x_forwarded_for="10.0.0.1, 198.51.100.7"), NGINX),
        ("198.51.100.7", meta("unix:", x_forwarded_for="198.51.100.7, unix:, 127.0.0.1"), NGINX),
        ("198.51.100.7", meta("::ffff:127.0.0.1", x_forwarded_for="10.0.0.1, 198.51.100.7"), NGINX),
        ("198.51.100.7", meta("127.0.0.1", x_forwarded_for="198.51.100.7:51324"), NGINX),
        ("2001:db8::7", meta("127.0.0.1", x_forwarded_for="10.0.0.1, [2001:db8::7]:51324"), NGINX),
        ("2001:db8::7", meta("127.0.0.1", x_forwarded_for="2001:db8::7"), NGINX),
        # Unknown: no header, only proxies, or something other than an address.
        (None, meta("127.0.0.1"), NGINX),
        (None, meta("127.0.0.1", x_real_ip="10.0.0.1", forwarded="for=10.0.0.1"), NGINX),
        (None, meta("127.0.0.1", x_forwarded_for="192.168.0.9, 127.0.0.1"), NGINX),
        (None, meta("127.0.0.1", x_forwarded_for="10.0.0.1, unknown"), NGINX),
        (None, meta("127.0.0.1", x_forwarded_for="10.0.0.1, "), NGINX),
        (None, meta("127.0.0.1", x_forwarded_for="10.0.0.1, [10.0.0.1"), [*NGINX, "10.0.0.0/8"]),
        (None, meta(""), NGINX),
    ],
)
def test_client_is_peer_or_seen_by_trusted_proxy(expected, request_meta, proxies):
    assert find_client(request_meta, proxies) == expected


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.0.0.1", ["10.0.0.0/8"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("10.1.2.3", ["::/0"], False),
        ("2001:db8::1", ["0.0.0.0/0"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("203.0.113.7", ["203.0.113.7/32"], True),
        ("203.0.113.8", ["203.0.113.7/32", "203.0.113.8/32"], True),
        (None, ["0.0.0.0/0", "::/0"], False),
        ("", ["0.0.0.0/0", "::/0"], False),
        ("<script>", ["0.0.0.0/0", "::/0"], False),
    ],
)
def test_address_lies_in_a_network(address, networks, expected):
    assert is_in(address, networks) is expected


def test_networks_are_normalized():
    for text, expected in {
        "203.0.113.7": "203.0.113.7/32",
        " 10.0.0.0/8 ": "10.0.0.0/8",
        "2001:DB8::1": "2001:db8::1/128",
        "2001:db8::/32": "2001:db8::/32",
        "::ffff:10.0.0.0/104": "10.0.0.0/8",
        "::ffff:10.1.2.3": "10.1.2.3/32",
        "0.0.0.0/0": "0.0.0.0/0",
    }.items():
        assert str(parse_network(text)) == expected


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (["10.0.0.5/8"], "10.0.0.5/8 is not a network. Did you mean 10.0.0.0/8?"),
        (["2001:db8::1/32"], "Did you mean 2001:db8::/32?"),
        (["::ffff:10.0.0.5/104"], "Did you mean 10.0.0.0/8?"),
        (["fe80::1%eth0"], "Did you mean fe80::1/128?"),
        (["fe80::%eth0/10"], "Did you mean fe80::/10?"),
        (["10.0.0.0/33"], "is not an address or a network"),
        (["example.org"], "is not an address or a network"),
        (["\ud800"], "is not an address or a network"),
        ([1], "is not an address or a network"),
        ([None], "is not an address or a network"),
        ([["10.0.0.0/8"]], "is not an address or a network"),
        ("10.0.0.0/8", "must be a list"),
        (None, "must be a list"),
        ({"a": 1}, "must be a list"),
        (["10.0.0.0/8"] * 51, "at most 50 networks"),
    ],
)
def test_invalid_network_is_an_error_of_its_field(user, networks, message):
    with pytest.raises(InvalidInput) as caught:
        services.create_token(user, name="new", allowed_networks=networks)
    assert message in " ".join(caught.value.errors["allowed_networks"])
    assert not PersonalAccessToken.objects.exists()


def test_networks_are_stored_once_and_in_order(make_token):
    texts = [f"2001:db8:ffff:ffff:ffff:ffff:ffff:{number:x}" for number in range(0x1000, 0x1032)]
    for networks, expected in (
        (["::1", "10.0.0.0/8", "::1/128"], ("::1/128", "10.0.0.0/8")),
        (texts, tuple(f"{text}/128" for text in texts)),
        ([], ()),
    ):
        token = make_token(allowed_networks=networks)
        token.full_clean(exclude=["name_key"])
        assert PersonalAccessToken.objects.get(pk=token.pk).allowed_networks == expected


def test_networks_are_checked_before_scopes(case, make_token, channel):
    allowed = make_token(f"channels:{channel.pk}:read", allowed_networks=["10.0.0.0/8", "fe80::/10"])
    unscoped = make_token(allowed_networks=["10.0.0.0/8"])
    for route in ("drf", "plain", "async", "ninja/channels"):
        for client_class in (Client, AsyncClient):
            with case(route, client_class.__name__):
                for token in (allowed, unscoped):
                    response = ask(client_class, f"/{route}/{channel.pk}/", token, "203.0.113.9")
                    assert response.status_code == 403
                    body = {"detail": "The token can't be used from 203.0.113.9.", "code": "network_not_allowed"}
                    assert response.json() == body
                    assert "WWW-Authenticate" not in response.headers
                for address, status in (
                    ("10.9.9.9", 200),
                    ("::ffff:10.9.9.9", 200),
                    ("fe80::1%eth0", 200),
                    ("", 403),
                    ("2001:db8::1", 403),
                ):
                    assert ask(client_class, f"/{route}/{channel.pk}/", allowed, address).status_code == status
                assert ask(client_class, f"/{route}/{channel.pk}/", unscoped, "10.9.9.9").json()["missing"]


def ask(client_class: type[Any], url: str, token: Any, address: str) -> Any:
    headers = {"authorization": f"Bearer {token.secret}"}
    if client_class is Client:
        return Client().get(url, headers=headers, REMOTE_ADDR=address)

    class ClientFromThere(AsyncClient):
        def _base_scope(self, **request):
            return {**super()._base_scope(**request), "client": [address, 80] if address else None}

    return async_to_sync(ClientFromThere().get)(url, headers=headers)


def test_forged_headers_do_not_help(case, bound, channel, settings):
    forged = [
        {"x-forwarded-for": "10.0.0.1"},
        {"x-forwarded-for": "10.0.0.1, 10.0.0.2"},
        {"x-real-ip": "10.0.0.1"},
        {"forwarded": 'for="10.0.0.1"'},
        {"true-client-ip": "10.0.0.1"},
        {"cf-connecting-ip": "10.0.0.1"},
        {"x-client-ip": "10.0.0.1"},
        {"client-ip": "10.0.0.1"},
        {"remote-addr": "10.0.0.1"},
        {"via": "10.0.0.1"},
    ]
    for proxies in ((), ["127.0.0.1"]):
        settings.PAT_TOKENS_TRUSTED_PROXIES = proxies
        for headers in forged:
            with case(proxies, headers):
                client = Client(headers={"authorization": f"Bearer {bound.secret}", **headers})
                response = client.get(f"/drf/{channel.pk}/", REMOTE_ADDR="203.0.113.9")
                assert response.json()["code"] == "network_not_allowed"


def test_token_without_networks_works_from_everywhere(case, make_token, channel):
    token = make_token("channels:*:read")
    client = Client(headers={"authorization": f"Bearer {token.secret}"})
    for address, headers in (("203.0.113.9", {}), ("2001:db8::1", {}), ("", {}), ("", {"x-forwarded-for": "junk"})):
        with case(address, headers):
            assert client.get(f"/drf/{channel.pk}/", REMOTE_ADDR=address, headers=headers).status_code == 200


def test_unknown_address_is_refused_and_logged(bound, rf):
    request = rf.get("/", headers={"x-forwarded-for": "10.0.0.1"}, REMOTE_ADDR="10.0.0.1")
    with pytest.raises(NetworkNotAllowed, match="address of this request is unknown"):
        authenticate(bound.secret, ANY_TOKEN, request=request)
    with pytest.raises(NetworkNotAllowed, match="unknown"):
        authenticate(bound.secret, ANY_TOKEN)
    assert (client_ip(request), recorded_ip(request)) == (None, "10.0.0.1")


def test_revoked_token_says_so_from_everywhere(bound, rf):
    services.revoke_token(bound)
    with pytest.raises(RevokedToken):
        authenticate(bound.secret, ANY_TOKEN, request=rf.get("/", REMOTE_ADDR="203.0.113.9"))


def test_refused_network_is_one_query_and_no_use(bound, channel):
    client = Client(headers={"authorization": f"Bearer {bound.secret}"})
    with CaptureQueriesContext(connection) as queries:
        client.get(f"/drf/{channel.pk}/", REMOTE_ADDR="203.0.113.9")
    checks = [query["sql"] for query in queries if "digest" in query["sql"].partition("WHERE")[2]]
    assert len(checks) == 1  # another query, by id, records the refusal
    bound.refresh_from_db()
    assert bound.last_used_at is None


class TestEditing:
    @pytest.fixture
    def asked(self, settings):
        """A site that asks for the password."""
        settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 600

    def test_only_widening_requires_reauthentication(self, case, asked, bound, user):
        client = session_client(user)
        for networks, status in (
            (["10.0.0.0/8"], 200),
            (["10.0.0.0/9", "10.128.0.0/9", "2001:db8::/33"], 200),
            (["10.0.0.0/7"], 403),
            (["10.0.0.0/8", "11.0.0.0/8"], 403),
            ([], 403),
        ):
            with case(networks):
                response = client.patch(api_url(bound), {"allowed_networks": networks})
                assert response.status_code == status
                bound.refresh_from_db()
                if status == 200:
                    assert response.json()["allowed_networks"] == list(bound.allowed_networks) == networks
                else:
                    assert response.json()["code"] == "reauthentication_required"
                    assert len(bound.allowed_networks) == 2

    def test_widening_is_compared_with_stored_networks(self, bound):
        stale = PersonalAccessToken.objects.get(pk=bound.pk)
        services.update_token(bound, allowed_networks=["10.0.0.0/8"])

        def refuse():
            raise ReauthenticationRequired

        with pytest.raises(ReauthenticationRequired):
            services.update_token(stale, allowed_networks=["10.0.0.0/8", "2001:db8::/32"], before_widening=refuse)
        bound.refresh_from_db()
        assert bound.allowed_networks == ("10.0.0.0/8",)

    def test_page_asks_for_password_before_saving(self, asked, bound, user):
        client = Client()
        client.force_login(user)
        edit = reverse("pat_tokens:token_edit", args=[bound.pk, "allowed_networks"])
        page = client.get(edit).content.decode()
        assert "Your address is 127.0.0.1." in page
        assert "10.0.0.0/8\n2001:db8::/32</textarea>" in page
        response = client.post(edit, {"allowed_networks": ""})
        assert 'name="pat_password"' in response.content.decode()
        bound.refresh_from_db()
        assert bound.allowed_networks
        response = client.post(edit, {"allowed_networks": "", "pat_password": "secret-password"})
        assert response.status_code == 302
        bound.refresh_from_db()
        assert bound.allowed_networks == ()
        assert "Everywhere" in client.get(response.url).content.decode()
        assert Activity.objects.filter(token_id=bound.pk, kind="updated").count() == 1

    def test_page_says_why_the_address_is_unknown(self, user, settings):
        client = Client(headers={"x-forwarded-for": "10.0.0.1"})
        client.force_login(user)
        assert "PAT_TOKENS_TRUSTED_PROXIES" in client.get("/pats/create/").content.decode()
        settings.PAT_TOKENS_TRUSTED_PROXIES = ["127.0.0.1"]
        assert "Your address is 10.0.0.1." in client.get("/pats/create/").content.decode()

    def test_widening_in_admin_needs_permission(self, bound):
        staff = UserFactory(is_staff=True)
        staff.user_permissions.set(_permissions("view", "change"))
        client = Client()
        client.force_login(staff)
        change = reverse("admin:pat_tokens_personalaccesstoken_change", args=[bound.pk])
        data = {"name": bound.name, "description": ""}
        for networks, status in (("10.0.0.0/8", 302), ("10.0.0.0/8, 192.168.0.0/16", 200), ("", 200)):
            response = client.post(change, {**data, "allowed_networks": networks})
            assert response.status_code == status
        assert "You need the permission" in response.content.decode()
        bound.refresh_from_db()
        assert bound.allowed_networks == ("10.0.0.0/8",)


def _permissions(*verbs: str) -> Any:
    return Permission.objects.filter(codename__in=[f"{verb}_personalaccesstoken" for verb in verbs])


class TestPolicy:
    """Networks that a policy requires, for superusers too."""

    @pytest.fixture(autouse=True)
    def policy(self, settings):
        settings.PAT_TOKENS_POLICY = policy_with(get_network_limits=lambda user, token=None: ["10.0.0.0/8"])

    def test_existing_token_needs_networks_to_be_renewed(self, settings, user):
        policy = settings.PAT_TOKENS_POLICY
        settings.PAT_TOKENS_POLICY = policy_with()
        token = TokenFactory(user=user)
        settings.PAT_TOKENS_POLICY = policy
        for act in (
            lambda: services.regenerate_token(token),
            lambda: services.add_scopes(token, [("channels", "*", "read")]),
            lambda: services.update_token(token, allowed_networks=[]),
        ):
            with pytest.raises(InvalidInput) as caught:
                act()
            assert "allowed_networks" in caught.value.errors
        client = Client()
        client.force_login(user)
        page = client.post(reverse("pat_tokens:token_regenerate", args=[token.pk]))
        assert "Enter networks within 10.0.0.0/8" in page.content.decode()
        services.update_token(token, name="renamed")
        services.update_token(token, allowed_networks=["10.0.0.0/8"])
        services.regenerate_token(token)

    def test_policy_can_require_any_networks(self, settings, user):
        settings.PAT_TOKENS_POLICY = policy_with(requires_networks=lambda user, token=None: True)
        with pytest.raises(InvalidInput, match="Enter the networks"):
            services.create_token(user, name="new")
        services.create_token(user, name="new", allowed_networks=["0.0.0.0/0"])


@pytest.mark.django_db(transaction=True)
def test_stream_ends_once_its_address_is_refused(monkeypatch, make_token, rf):
    monkeypatch.setattr(watcher, "INTERVAL", 0.01)
    bound = make_token("channels:*:list", allowed_networks=["10.0.0.0/8"])
    opened = authenticate(bound.secret, LIST, request=rf.get("/", REMOTE_ADDR="10.0.0.1"))

    def narrow(networks):
        try:
            services.update_token(bound, allowed_networks=networks)
        finally:
            connections.close_all()

    async def run():
        async with watcher.watch(opened) as ended:
            await sync_to_async(narrow, thread_sensitive=False)(["10.0.0.0/16"])
            await asyncio.sleep(0.1)
            assert not ended.is_set()
            await sync_to_async(narrow, thread_sensitive=False)(["10.1.0.0/16"])
            await asyncio.wait_for(ended.wait(), 60)

    asyncio.run(run())


@pytest.mark.django_db(transaction=True)
def test_stream_ends_when_the_policy_says_so(monkeypatch, make_token, settings):
    monkeypatch.setattr(watcher, "INTERVAL", 0.01)
    opened = authenticate(make_token("channels:*:list").secret, LIST)

    async def run(**methods):
        settings.PAT_TOKENS_POLICY = policy_with()
        async with watcher.watch(opened) as ended:
            await asyncio.sleep(0.1)
            assert not ended.is_set()
            settings.PAT_TOKENS_POLICY = policy_with(**methods)
            await asyncio.wait_for(ended.wait(), 60)

    asyncio.run(run(can_have_tokens=lambda user: False))
    asyncio.run(run(refuse_token=lambda token, request: True))


def test_one_network_within_others():
    assert are_within(["10.0.0.0/8"], ["10.0.0.0/9", "10.128.0.0/9"])
    assert not are_within(["10.0.0.0/7"], ["10.0.0.0/8"])
    assert not are_within([], ["10.0.0.0/8"])
    assert are_within([], [])
    assert not are_within(["0.0.0.0/0"], ["::/0"])


def test_api_and_commands_return_networks(bound, user):
    client = session_client(user)
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    assert client.get(api_url(bound)).json()["allowed_networks"] == networks
    assert client.get("/api/pats/").json()["results"][0]["allowed_networks"] == networks
    output = StringIO()
    call_command("pat_list", json=True, stdout=output)
    assert '"allowed_networks": ["10.0.0.0/8", "2001:db8::/32"]' in output.getvalue()
