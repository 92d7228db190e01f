"""The page of a token shows what it lacks and what it does not use, and leaves it with exactly what it uses."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from pat_tokens.entities import DELETE
from pat_tokens.models import PersonalAccessToken
from tests.factories import ChannelFactory, DeviceFactory, UserFactory
from tests.pages.test_prefill import banner, post_as_is, rows
from tests.policies import policy_with

pytestmark = pytest.mark.django_db

OPERATIONS = ("create", "read", "list", "update", "delete", "publish", "subscribe")


@pytest.fixture
def detail(person):
    return lambda token, query="": person.get(f"/pats/{token.pk}/{query}")


def words(text):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def checkboxes(page):
    """Return the scopes of the list Missing lately, and whether each is ticked."""
    boxes = re.findall(r'<input type="checkbox" name="scope" value="([^"]+)"( checked)?', page.content.decode())
    return {scope: bool(checked) for scope, checked in boxes}


class TestMissing:
    def test_script_until_it_works(self, person, detail, token, user, client_with):
        channel = ChannelFactory(owner=user)
        calls = [
            ("get", "/api/channels/"), ("get", f"/api/channels/{channel.pk}/"),
            ("delete", f"/api/channels/{channel.pk}/"), ("post", "/api/devices/"), ("get", "/api/devices/"),
        ]  # fmt: skip
        script, rounds, url = client_with(token), 0, f"/pats/{token.pk}/scopes/add/"
        while any(getattr(script, method)(path).status_code == 403 for method, path in calls):  # ends at the first
            rounds += 1
            page = detail(token)
            (scope,) = checkboxes(page)
            assert checkboxes(page)[scope] is not scope.endswith(":delete")
            form = person.get(url, {"scope": scope})
            assert "filled in by a link" in banner(form)
            changes = {}
            if scope.endswith(":delete"):  # the user ticks it
                assert rows(form) == [f"channels:{channel.pk}:"]
                changes = {"scopes-0-operations": [DELETE.name]}
            assert post_as_is(person, form, url, **changes).status_code == 302
        assert rounds <= 5
        assert set(map(str, token.scope_set.all())) == {
            "channels:*:list", f"channels:{channel.pk}:read", f"channels:{channel.pk}:delete", "devices:*:create",
            "devices:*:list",
        }  # fmt: skip
        assert not checkboxes(detail(token))
        assert b"Missing lately" not in detail(token).content

    def test_several_at_once(self, person, detail, token, user, client_with):
        channels = [ChannelFactory(owner=user) for _ in range(3)]
        for channel in channels:
            assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 403
        needed = {f"channels:{channel.pk}:read" for channel in channels}
        assert checkboxes(detail(token)) == dict.fromkeys(needed, True)
        form = person.get(f"/pats/{token.pk}/scopes/add/", {"scope": sorted(needed)})
        post_as_is(person, form, f"/pats/{token.pk}/scopes/add/")
        assert set(map(str, token.scope_set.all())) == needed

    def test_form_adds_what_is_ticked(self, detail, token, user, client_with):
        client_with(token).get("/api/channels/")
        text = detail(token).content.decode()
        (form,) = re.findall(
            r'<form class="pat-form" method="get" action="([^"]+)">(?:(?!</form>).)*name="scope"', text, re.DOTALL
        )
        assert form == f"/pats/{token.pk}/scopes/add/"
        assert "List – All Channels, now and in future" in words(text)
        assert "Refused at least 1 time, last" in words(text)

    def test_user_who_cannot_add_gets_no_button(self, detail, make_token, user, client_with, settings):
        """They manage an account with more rights, whose tokens they can see and revoke."""
        boss = UserFactory(is_superuser=True)
        settings.PAT_TOKENS_POLICY = policy_with(get_managed_users=lambda found: type(user).objects.filter(pk=boss.pk))
        token = make_token(user=boss)
        client_with(token).get("/api/channels/")
        text = detail(token).content.decode()
        assert "Missing lately" in text
        assert "Add selected" not in text


class TestUnused:
    @pytest.fixture
    def ten(self, make_token, user, client_with):
        """A token with ten scopes, three of which are used."""
        channel, device = ChannelFactory(owner=user), DeviceFactory(owner=user)
        scopes = [*(f"channels:*:{name}" for name in OPERATIONS), *(f"devices:*:{name}" for name in OPERATIONS[:3])]
        token = make_token(*scopes)
        for path in ("channels/", f"channels/{channel.pk}/", f"devices/{device.pk}/"):
            assert client_with(token).get(f"/api/{path}").status_code == 200
        return token

    def test_seven_of_ten_in_two_clicks(self, person, detail, ten):
        page = detail(ten, "?rows=25")
        assert "7 of 10 scopes are unused. Watched since" in words(page.content.decode())
        assert words(page.content.decode()).count("Not used yet · watched since") == 7
        link = f"/pats/{ten.pk}/scopes/unused/"
        assert f'href="{link}"' in page.content.decode()
        preview = person.get(link)
        assert len(preview.context["unused"]) == 7
        assert "These 7 scopes will be removed." in words(preview.content.decode())
        (ids,) = re.findall(r'name="ids" value="([^"]+)"', preview.content.decode())
        answer = person.post(link, {"ids": ids}, follow=True)
        assert "7 unused scopes were removed." in answer.content.decode()
        assert set(map(str, ten.scope_set.all())) == {"channels:*:list", "channels:*:read", "devices:*:read"}
        assert "Remove unused" not in answer.content.decode()

    def test_sorted_by_name(self, person, make_token, user):
        channels = [ChannelFactory(owner=user, name=name) for name in ("Zoo", "ant", "Bee")]
        token = make_token(*(f"channels:{channel.pk}:read" for channel in channels))
        unused = person.get(f"/pats/{token.pk}/scopes/unused/").context["unused"]
        assert [label.entity for label in unused] == ["ant", "Bee", "Zoo"]

    def test_only_scope(self, person, make_token):
        page = person.get(f"/pats/{make_token('channels:*:read').pk}/")
        assert "Its only scope is unused." in page.content.decode()

    def test_scope_that_is_used_meanwhile_is_kept(self, person, ten, client_with):
        link = f"/pats/{ten.pk}/scopes/unused/"
        ids = person.get(link).context["ids"]
        assert client_with(ten).post("/api/channels/", {"name": "new"}).status_code == 201
        person.post(link, {"ids": ids})
        assert ten.scope_set.filter(operation="create", entity_type="channels").exists()
        assert ten.scope_set.count() == 4

    def test_only_what_was_shown_is_removed(self, person, ten):
        for ids in ("", "x", str(ten.pk)):
            person.post(f"/pats/{ten.pk}/scopes/unused/", {"ids": ids})
        assert ten.scope_set.count() == 10

    def test_unused_for(self, person, ten):
        now = timezone.now()
        ten.scope_set.filter(operation="read").update(last_used_at=now - timedelta(days=40))
        ten.scope_set.filter(operation="publish").update(watched_since=now - timedelta(days=10))

        def unused(query):
            shown = person.get(f"/pats/{ten.pk}/scopes/unused/{query}").context["unused"]
            return {
                ":".join((label.scope.entity_type, label.scope.entity_id, label.scope.operation)) for label in shown
            }

        assert unused("?unused_for=7d") == {"channels:*:read", "devices:*:read", "channels:*:publish"}
        assert unused("?unused_for=30d") == {"channels:*:read", "devices:*:read"}
        assert unused("?unused_for=1y") == set()
        assert len(unused("?unused_for=x")) == len(unused("")) == 7
        ten.scope_set.filter(operation="read").update(last_used_at=now - timedelta(days=90))
        assert len(unused("")) == 9

    def test_scopes_of_vanished_entities_are_listed(self, person, make_token, user, client_with):
        channel = ChannelFactory(owner=user)
        token = make_token(f"channels:{channel.pk}:read")
        assert client_with(token).get(f"/api/channels/{channel.pk}/").status_code == 200
        link = f"/pats/{token.pk}/scopes/unused/"
        assert not person.get(link).context["unused"]
        assert "There are no such scopes." in person.get(link).content.decode()
        channel.delete()
        preview = person.get(link)
        assert "the entity was deleted" in preview.content.decode()
        person.post(link, {"ids": preview.context["ids"]})
        assert not token.scope_set.exists()

    def test_sorted_by_last_use(self, detail, ten):
        for sort, expected in (("-last_used_at", [True] * 3 + [False] * 7), ("last_used_at", [False] * 7 + [True] * 3)):
            rows = detail(ten, f"?rows=25&sort={sort}").context["table"].rows
            assert [label.scope.last_used_at is not None for label in rows] == expected

    def test_others_tokens_are_not_found(self, person, make_token, stranger):
        token = make_token("channels:*:read", user=stranger)
        link = f"/pats/{token.pk}/scopes/unused/"
        assert person.get(link).status_code == person.post(link, {"ids": ""}).status_code == 404
        assert PersonalAccessToken.objects.get(pk=token.pk).scope_set.count() == 1
