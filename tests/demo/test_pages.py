"""The demo's own pages."""

import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import AsyncClient, Client

from demo_project.middleware import CSP
from tests.demo.factories import ChannelFactory, DashboardFactory

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


def test_anonymous_users_are_redirected_to_login() -> None:
    response = Client().get("/")

    assert response.status_code == 302
    assert response.headers["Location"] == f"{LOGIN}?next=/"


def test_log_in_and_out(alice: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    alice.set_password("alice-demo")
    alice.save()
    client = Client()

    wrong = client.post(LOGIN, {"username": "alice", "password": "wrong"})
    assert "Please enter a correct username and password" in wrong.text

    assert client.post(LOGIN, {"username": "alice", "password": "alice-demo"}).headers["Location"] == "/"
    assert client.get(LOGIN).headers["Location"] == "/"
    assert client.get("/accounts/logout/").status_code == 405  # a link can't log users out
    assert client.post("/accounts/logout/").headers["Location"] == LOGIN
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("username", ["nul\0byte", "x" * 10_000, "\U0001f4a5", ""])
def test_invalid_logins_are_refused(username: str) -> None:
    response = Client().post(LOGIN, {"username": username, "password": "x"})

    assert response.status_code == 200
    assert response.context["form"].errors


@pytest.mark.parametrize("cookie", ['"\\000aaaaaaaaaaaa"', "x" * 5_000, "é" * 20, "", ";;="], ids=ascii)
def test_invalid_session_cookie_is_ignored(db: None, cookie: str) -> None:
    for name in ("sessionid", "csrftoken"):
        for path in ("/", "/api/channels/"):
            response = Client().get(path, headers={"Cookie": f"{name}={cookie}"})
            assert response.status_code in (302, 401, 403)


def test_home_lists_own_and_shared_entities(as_alice: Client, alice: User, bob: User) -> None:
    ChannelFactory(owner=alice, name="<b>mine</b>")
    ChannelFactory(owner=bob, name="not mine")
    DashboardFactory(owner=bob, name="theirs").shared_with.add(alice)

    page = as_alice.get("/").text

    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "not mine" not in page
    assert "theirs" in page
    assert "shared by bob" in page
    assert "None yet. POST a name to <code>/api/groups/</code>" in page


def test_channel_page_requires_access(as_alice: Client, as_bob: Client, alice: User) -> None:
    channel = ChannelFactory(owner=alice, name="<b>mine</b>")
    url = f"/channels/{channel.pk}/"

    page = as_alice.get(url).text
    assert "<h1>&lt;b&gt;mine&lt;/b&gt;</h1>" in page
    assert f"http://testserver/api/channels/{channel.pk}/subscribe/" in page
    assert f"http://testserver/api/channels/{channel.pk}/publish/" in page
    assert f'<a href="{url}">' in as_alice.get("/").text
    assert as_bob.get(url).status_code == 404
    assert Client().get(url).headers["Location"] == f"{LOGIN}?next={url}"


def test_home_makes_constant_queries(as_alice: Client, alice: User, django_assert_num_queries: Any) -> None:
    ChannelFactory.create_batch(5, owner=alice)
    DashboardFactory.create_batch(5, owner=alice)

    with django_assert_num_queries(6):  # session, user, and one for each kind
        as_alice.get("/")


def test_account_menu(as_alice: Client, alice: User) -> None:
    page = as_alice.get("/").text
    assert "Signed in as <strong>alice</strong>" in page
    assert '<a href="/pats/">Personal Access Tokens</a>' in page
    assert 'href="/api/docs/"' in page
    assert 'action="/accounts/logout/"' in page
    assert 'href="/admin/"' not in page

    User.objects.update(is_staff=True)
    assert 'href="/admin/"' in as_alice.get("/").text


@pytest.mark.parametrize(
    "path",
    ["/", LOGIN, "/pats/", "/pats/create/", "/admin/", "/admin/login/", "/api/channels/", "/api/schema/", "/nowhere/"],
)
def test_pages_have_strict_csp(alice: User, path: str) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    for client in (Client(), Client()):
        for _ in range(2):
            # The token pages add their own policy, which forbids framing.
            policies = client.get(path).headers["Content-Security-Policy"].split(", ")
            assert policies[0] == CSP
            assert set(policies[1:]) <= {"frame-ancestors 'none'"}
            client.force_login(alice)
    assert "default-src 'self'" in CSP


def test_pages_have_strict_csp_under_asgi() -> None:
    response = async_to_sync(AsyncClient().get)(LOGIN)

    assert response.headers["Content-Security-Policy"] == CSP


@pytest.mark.parametrize("path", ["/", LOGIN, "/pats/", "/pats/create/"])
def test_pages_have_no_inline_or_external_content(as_alice: Client, path: str) -> None:
    page = (Client() if path == LOGIN else as_alice).get(path).text

    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", page)
    for path in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        assert finders.find(path), path


class TestApiDocs:
    def test_swagger_has_its_own_csp(self, as_alice: Client) -> None:
        policy = as_alice.get("/api/docs/").headers["Content-Security-Policy"]

        assert policy.startswith(CSP)
        assert "style-src 'self' 'unsafe-inline'" in policy
        assert "script-src" not in policy
        assert "unsafe-eval" not in policy

    def test_script_is_served_separately(self, as_alice: Client) -> None:
        [script] = re.findall(r'<script src="(/api/docs/[^"]+)"', as_alice.get("/api/docs/").text)

        response = as_alice.get(script.replace("&amp;", "&"))

        assert response.headers["Content-Type"].startswith("application/javascript")

    def test_schema_has_every_operation(self, as_alice: Client) -> None:
        schema = as_alice.get("/api/schema/", headers={"Accept": "application/json"}).json()

        for path in ("channels/{id}/publish", "channels/{id}/subscribe", "dashboards/{id}/share"):
            assert f"/api/{path}/" in schema["paths"]
        stream = schema["paths"]["/api/channels/{id}/subscribe/"]["get"]
        assert list(stream["responses"]["200"]["content"]) == ["text/event-stream"]


@pytest.mark.parametrize("model", ["client", "channel", "group", "dashboard"])
def test_admin_lists_all_models(as_alice: Client, alice: User, model: str) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    dashboard = DashboardFactory(owner=alice)
    ChannelFactory(owner=alice)

    assert as_alice.get(f"/admin/devices/{model}/", {"q": "alice"}).status_code == 200
    assert as_alice.get(f"/admin/devices/dashboard/{dashboard.pk}/change/").status_code == 200
