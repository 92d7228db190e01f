"""Service accounts: tokens that several people look after, with the limits for accounts with more rights."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from pat_tokens.models import Activity, PersonalAccessToken
from pat_tokens.policy import Policy
from tests.contrib.rest_framework.management import row, session_client
from tests.contrib.rest_framework.management import url as api_url
from tests.factories import ChannelFactory, TokenFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.users.test_managed")]

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.urls"))]

OWNER = {"owner": "build-bot"}


class BotPolicy(Policy):
    """Lets everybody but strangers manage the bots."""

    def get_managed_users(self, user):
        bots = get_user_model()._base_manager.filter(username__endswith="-bot")
        return bots.none() if user.username == "stranger" else bots


@pytest.fixture(autouse=True)
def policy(settings):
    settings.PAT_TOKENS_POLICY = BotPolicy


@pytest.fixture
def bot(db):
    """An account without a password."""
    return UserFactory(username="build-bot", password="!")


@pytest.fixture
def bot_token(bot):
    """A token of the bot."""
    return TokenFactory(user=bot, name="deploy", scopes=[("channels", "*", "read")])


@pytest.fixture
def person(user):
    """The browser of somebody who manages the bot."""
    client = Client()
    client.force_login(user)
    return client


class TestApi:
    def test_owner_parameter_selects_tokens_of_bot(self, user, bot, token):
        client = session_client(user)
        channel = ChannelFactory(owner=bot)
        scopes = [row(f"channels:{channel.pk}:read")]
        response = client.post("/api/pats/?owner=build-bot", {"name": "new", "scopes": scopes})
        assert (response.status_code, response.json()["owner"]) == (201, "build-bot")
        (found,) = client.get("/api/pats/", OWNER).json()["results"]
        assert (found["owner"], found["name"]) == ("build-bot", "new")
        (found,) = client.get("/api/pats/").json()["results"]
        assert found["id"] == str(token.pk)
        (act,) = client.get("/api/pats/activity/", OWNER).json()["results"]
        assert (act["kind"], act["actor"]) == ("created", "owner")
        entities = client.get("/api/pats/entities/channels/", OWNER).json()["results"]
        assert [entity["id"] for entity in entities] == [str(channel.pk)]
        assert client.delete("/api/pats/?owner=build-bot&status=active").json() == {"deleted": 1}
        assert client.delete("/api/pats/?owner=build-bot").json() == {"deleted": 0}
        assert list(PersonalAccessToken.objects.all()) == [token]

    def test_id_finds_tokens_of_the_bot(self, user, bot_token):
        client = session_client(user)
        assert client.get(api_url(bot_token)).json()["owner"] == "build-bot"
        assert client.patch(api_url(bot_token), {"name": "renamed"}).json()["name"] == "renamed"
        assert client.post(api_url(bot_token, "scopes"), {"scopes": [row("channels:*:list")]}).status_code == 201
        assert client.post(api_url(bot_token, "regenerate"), {}).status_code == 200
        assert client.get(api_url(bot_token, "activity")).status_code == 200
        assert client.post(api_url(bot_token, "revoke")).status_code == 200
        assert client.delete(api_url(bot_token)).status_code == 204
        actors = set(Activity.objects.for_token(bot_token.pk).exclude(kind="created").values_list("actor", flat=True))
        assert actors == {user.pk}

    def test_unmanaged_account_is_not_found(self, case, user, stranger, bot, bot_token, token):
        client = session_client(stranger)
        for ask in (
            lambda: client.get("/api/pats/", OWNER),
            lambda: client.post("/api/pats/?owner=build-bot", {"name": "new"}),
            lambda: client.delete("/api/pats/?owner=build-bot"),
            lambda: client.get("/api/pats/activity/", OWNER),
            lambda: client.get("/api/pats/entities/", OWNER),
            lambda: client.get(api_url(bot_token)),
            lambda: client.delete(api_url(bot_token)),
            lambda: session_client(user).get("/api/pats/", {"owner": "stranger"}),
            lambda: session_client(user).get("/api/pats/", {"owner": "nobody"}),
            lambda: session_client(user).get("/api/pats/", {"owner": "\0"}),
        ):
            with case(ask):
                assert ask().status_code == 404
        assert PersonalAccessToken.objects.count() == 2

    def test_lists_and_deletions_default_to_the_user(self, user, bot_token, token):
        client = session_client(user)
        (found,) = client.get("/api/pats/").json()["results"]
        assert found["id"] == str(token.pk)
        (act,) = client.get("/api/pats/activity/").json()["results"]
        assert act["token"]["id"] == str(token.pk)
        assert client.delete("/api/pats/").json() == {"deleted": 1}
        assert list(PersonalAccessToken.objects.all()) == [bot_token]

    def test_own_name_is_valid_and_ambiguous_name_is_not(self, user, bot, token):
        client = session_client(user)
        assert client.get("/api/pats/", {"owner": "owner"}).json()["count"] == 1
        for query in ("owner=", "owner=build-bot&owner=owner"):
            for method in (client.get, client.delete):
                assert "owner" in method(f"/api/pats/?{query}").json()
        assert PersonalAccessToken.objects.filter(pk=token.pk).exists()


class TestPages:
    def test_list_says_whose_tokens_it_shows(self, person, bot_token, token):
        page = person.get("/pats/").content.decode()
        assert '<option value="build-bot">build-bot</option>' in page
        assert "deploy" in page
        page = person.get("/pats/", OWNER).content.decode()
        assert "Personal Access Tokens of build-bot" in page
        assert str(bot_token.pk) in page
        assert str(token.pk) not in page
        assert "/pats/create/?owner=build-bot" in page
        assert "/pats/activity/?owner=build-bot" in page
        assert '<input type="hidden" name="owner" value="build-bot">' in page

    def test_pages_of_the_bot_do_not_say_your(self, case, person, bot, bot_token):
        for url in ("/pats/?owner=build-bot", "/pats/activity/?owner=build-bot&kind=leaked", f"/pats/{bot_token.pk}/"):
            with case(url):
                page = person.get(url).content.decode().replace("(you)", "").partition("data-pat-root")[2]
                texts = re.findall(r"[^.>]*\byour?\b[^.<]*", page)
                assert [text for text in texts if "address" not in text] == []

    def test_pages_offer_only_what_limits_allow(self, case, person, bot, bot_token):
        steps = ("create/?owner", "create/?copy", "scopes/add/", "/rotate/", "/regenerate/")
        paths = ("/pats/?owner=build-bot", f"/pats/{bot_token.pk}/")
        pages = "".join(person.get(path).content.decode() for path in paths)
        assert [step for step in steps if step not in pages] == []
        get_user_model().objects.filter(pk=bot.pk).update(is_superuser=True)
        pages = "".join(person.get(path).content.decode() for path in paths)
        assert [step for step in steps if step in pages] == []
        assert "/revoke/" in pages

    def test_token_is_created_for_the_bot(self, person, bot, user):
        channel, mine = ChannelFactory(owner=bot), ChannelFactory(owner=user)
        page = person.get("/pats/create/", OWNER).content.decode()
        assert "Create PAT for build-bot" in page
        assert "filled in by a link" not in page
        assert "/pats/entities/channels/?owner=build-bot" in page
        found = person.get("/pats/entities/channels/", OWNER).json()["results"]
        assert [entity["id"] for entity in found] == [str(channel.pk)]
        data = {"name": "new", "scopes-0-entity_type": "channels", "scopes-0-operations": ["read"]}
        person.post("/pats/create/?owner=build-bot", {**data, "scopes-0-entity_id": str(mine.pk)})
        assert not PersonalAccessToken.objects.exists()
        person.post("/pats/create/?owner=build-bot", {**data, "scopes-0-entity_id": str(channel.pk)})
        token = PersonalAccessToken.objects.get()
        assert token.user == bot
        assert Activity.objects.get().actor == user

    def test_only_managers_can_open_pages_of_its_token(self, case, client, person, stranger, bot_token):
        names = ["token_detail", "token_revoke", "token_regenerate", "token_delete", "scopes_add", "scopes_delete"]
        client.force_login(stranger)
        for name in names:
            with case(name):
                address = reverse(f"pat_tokens:{name}", args=[bot_token.pk])
                assert person.get(address).status_code == 200
                assert client.get(address).status_code == 404
        for address in ("/pats/?owner=build-bot", "/pats/create/?owner=build-bot", "/pats/activity/?owner=build-bot"):
            with case(address):
                assert person.get(address).status_code == 200
                assert client.get(address).status_code == 404
        assert "build-bot" in person.get(reverse("pat_tokens:token_detail", args=[bot_token.pk])).content.decode()

    def test_duplicate_belongs_to_the_bot(self, person, bot_token):
        link = f"/pats/create/?copy={bot_token.pk}&amp;owner=build-bot"
        for address in ("/pats/?owner=build-bot", reverse("pat_tokens:token_detail", args=[bot_token.pk])):
            assert link in person.get(address).content.decode()
        page = person.get(link.replace("&amp;", "&"))
        assert [str(form.initial) for form in page.context["formset"].forms] != ["{}"]

    def test_delete_all_deletes_tokens_of_the_bot(self, person, bot_token, token):
        page = person.get("/pats/delete/", OWNER)
        data = {name: page.context[name] for name in ("ids", "active")}
        person.post("/pats/delete/?owner=build-bot", {**data, "number": "1"})
        assert list(PersonalAccessToken.objects.all()) == [token]

    def test_pages_without_a_name_are_about_the_user(self, case, person, bot_token, token):
        assert str(bot_token.pk) not in person.get("/pats/").content.decode()
        chosen = {"ids": f"{bot_token.pk},{token.pk}", "active": f"{bot_token.pk},{token.pk}", "number": "2"}
        assert person.get("/pats/delete/").context["ids"] == str(token.pk)
        for name in ("delete", "selected/revoke", "selected/delete"):
            with case(name):
                person.post(f"/pats/{name}/", chosen)
                assert list(PersonalAccessToken.objects.active()) == [bot_token]


class TestLimits:
    """Accounts with more rights than the manager."""

    @pytest.mark.parametrize("right", ["is_superuser", "is_staff"])
    def test_manager_with_fewer_rights_cannot_get_a_secret(self, case, user, person, right):
        boss = UserFactory(username="boss-bot", **{right: True})
        token = TokenFactory(user=boss, allowed_networks=["10.0.0.0/8"])
        client = session_client(user)
        for ask in (
            lambda: client.post("/api/pats/?owner=boss-bot", {"name": "new"}),
            lambda: client.post(api_url(token, "regenerate"), {}),
            lambda: client.post(api_url(token, "rotate"), {}),
            lambda: client.post(api_url(token, "scopes"), {"scopes": [row("channels:*:read")]}),
            lambda: client.patch(api_url(token), {"allowed_networks": []}),
            lambda: person.post("/pats/create/?owner=boss-bot", {"name": "new"}),
            lambda: person.get("/pats/create/?owner=boss-bot"),
            lambda: person.post(reverse("pat_tokens:token_regenerate", args=[token.pk]), {}),
            lambda: person.post(reverse("pat_tokens:token_rotate", args=[token.pk]), {}),
            lambda: person.post(reverse("pat_tokens:scopes_add", args=[token.pk]), {}),
            lambda: person.post(reverse("pat_tokens:token_edit", args=[token.pk, "allowed_networks"]), {}),
        ):
            with case(ask):
                assert ask().status_code == 403
        before = token.digest
        token.refresh_from_db()
        assert (PersonalAccessToken.objects.count(), token.digest, token.scope_set.count()) == (1, before, 0)
        assert token.allowed_networks
        assert client.post(api_url(token, "revoke")).status_code == 200

    def test_other_permissions_of_the_bot_do_not_matter(self, user, bot, bot_token):
        bot.user_permissions.set(Permission.objects.filter(codename="delete_user"))
        assert session_client(user).post(api_url(bot_token, "regenerate"), {}).status_code == 200

    def test_managers_in_admin_need_no_extra_permission(self, bot, bot_token, stranger):
        staff = UserFactory(is_staff=True)
        staff.user_permissions.set(Permission.objects.filter(codename__endswith="_personalaccesstoken"))
        client = Client()
        client.force_login(staff)
        add = reverse("admin:pat_tokens_personalaccesstoken_add")
        data = {"name": "new", "description": "", "duration": "7d", "scopes": "", "allowed_networks": ""}
        assert client.post(add, {**data, "user": stranger.pk}).status_code == 200
        assert client.post(add, {**data, "user": bot.pk}).status_code == 302
        assert PersonalAccessToken.objects.filter(user=bot).count() == 2

    def test_manager_without_own_tokens_sees_those_of_bot(self, settings, user, person, bot_token):
        class RobotsOnly(BotPolicy):
            def can_have_tokens(self, user):
                return user.username.endswith("-bot")

        settings.PAT_TOKENS_POLICY = RobotsOnly
        assert person.get("/pats/", OWNER).status_code == 200
        entry = Template("{% include 'pat_tokens/menu_entry.html' %}")
        assert "/pats/" in entry.render(Context({"user": user}))
        assert session_client(user).get("/api/pats/", OWNER).json()["count"] == 1
        assert session_client(user).post("/api/pats/", {"name": "new"}).status_code == 400


def test_default_policy_costs_no_query(user, token, settings):
    settings.PAT_TOKENS_POLICY = Policy
    client = session_client(user)
    with CaptureQueriesContext(connection) as queries:
        client.get(api_url(token))
    table = connection.ops.quote_name("auth_user")
    users = [query["sql"] for query in queries if f"FROM {table}" in query["sql"]]
    assert len(users) == 1  # the session's
