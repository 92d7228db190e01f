"""The page of a token: what it can do, and commands to try it."""

import re
import shlex

import pytest
from django.urls import clear_url_caches, include, path, reverse
from django.utils import timezone

from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory
from tests.models import Channel

pytestmark = pytest.mark.django_db

urlpatterns = [path("pats/", include("pat_tokens.urls"))]


def url(name, token):
    return reverse(f"pat_tokens:{name}", args=[token.pk])


def summary_of(page):
    """Return the entries of the summary as text, with a mark before dangerous operations."""
    found = re.search(r'<ul class="pat-capabilities">(.*?)</ul>', page.content.decode(), re.DOTALL)[1]
    text = re.sub(r'<span class="pat-danger">', "!", found)
    rows = re.findall(r"<li[^>]*>(.*?)</li>", text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


def test_summary_lists_dangerous_operations_first(person, make_token, user):
    pump, valve, gate = (ChannelFactory(owner=user, name=name) for name in ("Pump", "Valve", "Gate"))
    scopes = [f"channels:{one.pk}:{name}" for one in (pump, valve) for name in ("read", "publish")]
    token = make_token(*scopes, f"channels:{gate.pk}:read", f"channels:{gate.pk}:delete", "devices:*:list")
    assert summary_of(person.get(url("token_detail", token))) == [
        "!Delete Dangerous , Read – Gate (Channels)",
        "List – All Devices, now and in future",
        "Read , Publish – Pump , Valve (Channels)",
    ]


def test_summary_is_not_paged(person, make_token, user):
    names = [f"channel {number:02}" for number in range(40)]
    channels = Channel.objects.bulk_create(Channel(owner=user, name=name) for name in names)
    token = make_token(*(f"channels:{channel.pk}:read" for channel in Channel.objects.all()))
    assert len(channels) == token.scope_set.count() == 40
    page = person.get(url("token_detail", token), {"page": 3})
    assert all(name in summary_of(page)[0] for name in names)


def test_summary_leaves_out_scopes_without_effect(person, make_token):
    token = make_token("channels:*:read")
    token.scope_set.update(operation="levitate")
    page = person.get(url("token_detail", token))
    assert summary_of(page) == ["Nothing. None of its scopes has an effect."]
    PersonalAccessToken.objects.update(revoked_at=timezone.now())
    assert "when you regenerate it" in person.get(url("token_detail", token)).content.decode()


def test_token_without_scopes_has_no_summary(person, make_token):
    assert "pat-capabilities" not in person.get(url("token_detail", make_token())).content.decode()


def test_summary_of_500_scopes_renders_no_more_templates(person, make_token, user, rendered):
    Channel.objects.bulk_create(Channel(owner=user, name=f"c{number}") for number in range(250))
    scopes = [(str(pk), name) for pk in Channel.objects.values_list("pk", flat=True) for name in ("read", "delete")]
    counts = []
    for many in (10, 500):
        token = make_token()
        Scope.objects.bulk_create(
            Scope(token=token, entity_type="channels", entity_id=entity_id, operation=operation)
            for entity_id, operation in scopes[:many]
        )
        rendered.clear()
        assert len(summary_of(person.get(url("token_detail", token)))) == 1
        counts.append(sorted(map(str, rendered)))
    assert counts[0] == counts[1]


def create(person, **fields):
    answer = person.post("/pats/create/", {"name": "deploy", "duration": "7d", **fields})
    page = person.get(answer.url)
    return page, str(page.context["revealed"].secret)


def test_commands_do_not_contain_secret(person, user):
    rows = {
        "scopes-0-entity_type": "channels",
        "scopes-0-entity_id": "*",
        "scopes-0-operations": ["list"],
    }
    page, secret = create(person, **rows)
    tried = page.context["try_it"]
    assert secret not in "".join(tried)
    words = shlex.split(tried.check)
    assert words[:5] == ["read", "-rs", "PAT", "&&", "curl"]
    assert words[-1] == "http://testserver/api/pats/current/"
    assert shlex.split(tried.call) == ["curl", "-H", "Authorization: Bearer $PAT", "http://testserver/api/channels/"]
    assert page.content.decode().count(secret) == 2  # shown, and copied by the button


def test_call_is_left_out_if_none_is_known(person):
    page, _secret = create(person)
    assert page.context["try_it"].call == ""
    assert "token-call" not in page.content.decode()


def test_root_is_requested_without_api(person, settings):
    settings.ROOT_URLCONF = "tests.pages.test_token_detail"
    clear_url_caches()
    page, _secret = create(person)
    assert shlex.split(page.context["try_it"].check)[-1] == "http://testserver/"
