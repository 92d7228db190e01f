"""Promises of the threat model without another test, and that all tests it names exist."""

import ast
import hmac
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from pat_tokens import crypto, services, urls
from pat_tokens.authentication import authenticate
from pat_tokens.crypto import digest, hint, make_secret
from pat_tokens.exceptions import InsufficientScope, InvalidInput
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.pages import one_time_secret
from pat_tokens.requirements import Requirement
from tests.contrib.rest_framework.management import snapshot
from tests.factories import ChannelFactory, DeviceFactory, PageFactory

TESTS = Path(__file__).resolve().parents[1]
MODEL = TESTS.parent / "docs/explanation/threat-model.md"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def test_tests_of_threat_model_exist():
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| [^|]+ \| ([^|]+) \|$", MODEL.read_text(), re.MULTILINE)[2:]
    assert len(rows) > 20
    for named in rows:
        file, *path = re.fullmatch(r"`([^`]+)`", named)[1].split("::")
        nodes: list[Any] = ast.parse((TESTS / file).read_text()).body
        for name in path:
            (node,) = (node for node in nodes if getattr(node, "name", None) == name)
            nodes = node.body


def test_tests_are_in_threat_model():
    text = MODEL.read_text()
    tests = re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.MULTILINE)
    assert [name for name in tests if "threat_model" not in name and name not in text] == []


def pages(token: PersonalAccessToken) -> list[tuple[str, Any]]:
    """Every page of the package with its view."""
    scope = token.scope_set.first()
    words = {"pk": token.pk, "scope_pk": scope.pk, "field": "name", "table": "tokens", "entity_type": "channels"}
    return [
        (
            reverse(f"pat_tokens:{route.name}", kwargs={word: words[word] for word in route.pattern.converters}),
            route.callback.view_class,
        )
        for route in urls.urlpatterns
    ]


@pytest.fixture
def scoped(make_token: Any, user: Any) -> Any:
    """A token with hostile strings in its name and entity."""
    channel = ChannelFactory(owner=user, name=EVIL[:100])
    return make_token(f"channels:{channel.pk}:read", "devices:*:list", name=EVIL, description=EVIL)


def ask(secret: str, path: str = "/api/channels/") -> Any:
    return APIClient(headers={"authorization": f"Bearer {secret}"}).get(path)


@pytest.mark.parametrize("pepper", ["", "guess", "django-insecure-", "pat_tokens.pepper.v1"])
def test_row_without_pepper_is_useless(user, pepper):
    secret = make_secret("pat")
    plain = [hmac.digest(pepper.encode(), secret.encode(), "sha256").hex(), crypto.fold(secret), secret]
    for number, stored in enumerate([digest(secret, pepper), *plain]):
        token = PersonalAccessToken.objects.create(
            user=user, name=f"evil {number}", name_key=str(number), digest=stored, hint=hint(secret, "pat")
        )
        Scope.objects.create(token=token, entity_type="channels", entity_id="*", operation="list")
    assert ask(secret).status_code == 401


def test_scope_does_not_outlive_owners_access(user, stranger, make_token, channel):
    token = make_token(f"channels:{channel.pk}:read", "channels:*:list")
    path = f"/api/channels/{channel.pk}/"
    assert ask(token.secret, path).status_code == 200
    channel.owner = stranger
    channel.save()
    assert ask(token.secret, path).status_code in (403, 404)
    assert str(channel.name) not in ask(token.secret).content.decode()
    user.is_active = False
    user.save()
    assert ask(token.secret).status_code == 401


def test_inactive_token_is_refused_immediately(make_token):
    def expire(token: PersonalAccessToken) -> None:
        ended = timezone.now()
        PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=ended - timedelta(days=1), expires_at=ended)

    for kill in (services.revoke_token, expire, services.regenerate_token, services.delete_token):
        token = make_token("channels:*:list")
        assert ask(token.secret).status_code == 200
        kill(token)
        assert ask(token.secret).status_code == 401


def test_invisible_entities_cannot_be_granted(user, stranger, token):
    for foreign in (ChannelFactory(owner=stranger).pk, 0, "x"):
        with pytest.raises(InvalidInput):
            services.add_scopes(token, [("channels", str(foreign), "read")])
        with pytest.raises(InvalidInput):
            services.create_token(user, name="new", scopes=[("channels", str(foreign), "read")])
    assert not token.scope_set.exists()


def test_scope_covers_one_entity_type(user, make_token, channel):
    device = DeviceFactory(owner=user)
    token = make_token("pages:*:read", f"devices:{device.pk}:read")
    assert ask(token.secret, f"/api/devices/{device.pk}/").status_code == 200
    assert ask(token.secret, f"/api/channels/{channel.pk}/").status_code == 403
    # The id of one type in a row of the other.
    Scope.objects.create(token=token, entity_type="devices", entity_id=str(channel.pk), operation="read")
    assert ask(token.secret, f"/api/channels/{channel.pk}/").status_code == 403


def test_scope_covers_one_entity_and_operation(user, make_token):
    one = ChannelFactory(owner=user)
    other = ChannelFactory(owner=user, pk=one.pk * 10 + 1)  # its id starts with that of the other
    token = make_token(f"channels:{one.pk}:read")
    assert ask(token.secret, f"/api/channels/{one.pk}/").status_code == 200
    assert ask(token.secret, f"/api/channels/{other.pk}/").status_code == 403
    client = APIClient(headers={"authorization": f"Bearer {token.secret}"})
    assert client.delete(f"/api/channels/{one.pk}/").status_code == 403
    assert client.get("/api/channels/").status_code == 403
    # Other spellings, which databases can consider equal.
    token = make_token(f"pages:{PageFactory(owner=user, path='a').pk}:read")
    for path in ("A", "á", "a ", "%", "_", "b"):
        with pytest.raises(InsufficientScope):
            authenticate(token.secret, Requirement("pages", "read", "pk"), {"pk": path})
    authenticate(token.secret, Requirement("pages", "read", "pk"), {"pk": "a"})


def test_malformed_secrets_cost_no_query(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        for junk in ("pat_", "pat_x", "pat_" + "a" * 49, make_secret("pat")[:-1] + "!", "pat_" + "x" * 60_000):
            assert ask(junk).status_code == 401


def test_digests_are_compared_in_constant_time(token, monkeypatch):
    """Tests structure, not time: the result of the look-up is compared with compare_digest."""
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(hmac, "compare_digest", lambda one, other: not asked.append((one, other)))
        assert crypto.is_among("a", ["a", "b"])
        patch.setattr(hmac, "compare_digest", lambda _one, _other: False)
        assert not crypto.is_among("a", ["a"])
    assert asked == [("a", "a"), ("a", "b")]  # also the second, otherwise the time would reveal which one matched
    compared = []
    monkeypatch.setattr(crypto, "is_among", lambda one, others: compared.append(one))
    assert ask(token.secret, "/api/anything/").status_code == 401
    assert compared == [token.digest]


class Inline(HTMLParser):
    """Collects everything that a strict Content-Security-Policy blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("style", "base", "iframe", "object") or (tag == "script" and not values.get("src")):
            self.found.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style" or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"{tag} {name}")
            if name == "src" and not (value or "").startswith("/static/"):
                self.found.append(f"{tag} src {value}")


def test_pages_have_no_inline_content(person, scoped):
    for path, view in pages(scoped):
        if hasattr(view, "get") and "json" not in person.get(path)["Content-Type"]:
            parser = Inline()
            parser.feed(person.get(path, {"q": EVIL, "next": "javascript:alert(1)"}, follow=True).content.decode())
            assert parser.found == [], path


def test_hostile_label_is_escaped(person, scoped):
    for path, view in pages(scoped):
        if not hasattr(view, "get"):
            continue
        answer = person.get(path, follow=True)
        if "json" in answer["Content-Type"]:
            assert answer.json()["results"][0]["label"] == EVIL[:100]
            assert answer["X-Content-Type-Options"] == "nosniff"
        else:
            assert "<script>alert" not in answer.content.decode(), path
            assert "<img" not in answer.content.decode(), path
    typed = {"name": EVIL, "description": EVIL, "scopes-0-entity_type": EVIL, "scopes-0-term": EVIL, "step": EVIL}
    assert "<script>alert" not in person.post("/pats/create/", typed).content.decode()


@pytest.mark.parametrize("own", ["DENY", "SAMEORIGIN"])
def test_pages_cannot_be_framed(person, scoped, settings, own):
    """Also without Django's middleware for it, and on sites that allow frames for their own pages."""
    settings.X_FRAME_OPTIONS = own
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "clickjacking" not in name]
    for path, view in pages(scoped):
        answer = person.get(path) if hasattr(view, "get") else person.post(path)
        assert answer["X-Frame-Options"] == "DENY", path


def test_pages_are_not_cached(person, scoped):
    for path, view in pages(scoped):
        answer = person.get(path) if hasattr(view, "get") else person.post(path)
        assert "no-store" in answer["Cache-Control"], path
        assert "private" in answer["Cache-Control"], path


def test_secret_page_has_no_cache_or_referrer(person):
    answer = person.post("/pats/create/", {"name": "new", "duration": "7d"}, follow=True)
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert one_time_secret.COOKIE_NAME in answer.client.cookies
    assert answer.client.cookies[one_time_secret.COOKIE_NAME].value == ""


def test_get_requests_never_write(person, scoped):
    api = [
        f"/api/pats/{rest}" for rest in ("", f"{scoped.pk}/", f"{scoped.pk}/scopes/", "entities/", "entities/pages/")
    ]
    before = snapshot()
    for path in [*(path for path, _view in pages(scoped)), *api]:
        with CaptureQueriesContext(connection) as queries:
            person.get(path)
            person.head(path)
        written = [one["sql"] for one in queries if not re.match(r"(SELECT|SAVEPOINT|RELEASE)", one["sql"])]
        assert written == [], path
    assert snapshot() == before


def test_changes_need_csrf_token(user, scoped, settings):
    settings.MIDDLEWARE = [
        name for name in settings.MIDDLEWARE if "csrf" not in name
    ]  # the pages set the header themselves
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    before = snapshot()
    changing = [path for path, view in pages(scoped) if hasattr(view, "post")]
    assert len(changing) > 8
    assert [strict.post(path, {"duration": "7d", "name": "x"}).status_code for path in changing] == [403] * len(
        changing
    )
    assert snapshot() == before
