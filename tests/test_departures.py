"""What somebody leaves behind: their account's tokens, and the secrets of other accounts that they know."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone

from pat_tokens import services
from pat_tokens.activity import Actor, prune_activity
from pat_tokens.admin import DepartureMixin, PersonalAccessTokenAdmin
from pat_tokens.departures import find_departure
from pat_tokens.models import Activity, PersonalAccessToken
from tests.factories import TokenFactory, UserFactory
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_departures")]


class StaffUserAdmin(DepartureMixin, UserAdmin):
    """Django's own admin of users, with the mixin."""


class PlainUserAdmin(DepartureMixin, admin.ModelAdmin):
    """Without fieldsets, so that Django lists all fields."""

    exclude = ("password",)


staff_site = admin.AdminSite(name="staff")
staff_site.register(get_user_model(), StaffUserAdmin)
staff_site.register(PersonalAccessToken, PersonalAccessTokenAdmin)
plain_site = admin.AdminSite(name="plain")
plain_site.register(get_user_model(), PlainUserAdmin)
plain_site.register(PersonalAccessToken, PersonalAccessTokenAdmin)
empty_site = admin.AdminSite(name="empty")
empty_site.register(get_user_model(), StaffUserAdmin)
urlpatterns = [
    path("admin/", admin.site.urls),
    path("staff/", staff_site.urls),
    path("plain/", plain_site.urls),
    path("empty/", empty_site.urls),
    path("", include("tests.urls")),
]


@pytest.fixture(autouse=True)
def policy(settings):
    """Everybody but the bots manages the bots."""
    bots = get_user_model()._base_manager.filter(username__endswith="-bot")
    settings.PAT_TOKENS_POLICY = policy_with(
        get_managed_users=lambda user: bots.none() if user.username.endswith("-bot") else bots.all()
    )


@pytest.fixture
def bot(db):
    """A service account."""
    return UserFactory(username="build-bot")


@pytest.fixture
def colleague(db):
    """Somebody who stays."""
    return UserFactory(username="colleague")


def client_of(*codes, **fields):
    client = Client()
    user = UserFactory(is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    client.force_login(user)
    return client


def departure_url(user, site="admin"):
    return reverse(f"{site}:pat_tokens_personalaccesstoken_departure", args=[user.pk])


def known(user):
    return [(secret.token.name, secret.is_previous) for secret in find_departure(user).known]


def unknown(user):
    return [token.name for token in find_departure(user).unknown]


class TestFind:
    def test_lists_own_active_tokens_and_recent_uses(self, user, stranger):
        now = timezone.now()
        for name, used_at in (("new", None), ("daily", now), ("old", now - timedelta(days=31))):
            PersonalAccessToken.objects.filter(pk=TokenFactory(user=user, name=name).pk).update(last_used_at=used_at)
        services.revoke_token(TokenFactory(user=user, name="revoked"))
        TokenFactory(user=stranger)
        departure = find_departure(user)
        assert [token.name for token in departure.own] == ["daily", "new", "old"]
        assert [token.name for token in departure.used_lately] == ["daily"]

    def test_secret_is_known_to_last_user_it_was_shown(self, user, bot, colleague):
        leaver, other = Actor(user), Actor(colleague)
        token = TokenFactory(user=bot, name="deploy", actor=leaver)
        assert (known(user), known(colleague)) == ([("deploy", False)], [])
        services.update_token(token, name="build", actor=other)
        assert known(user) == [("build", False)]
        services.regenerate_token(token, actor=other)
        assert (known(user), known(colleague)) == ([], [("build", False)])
        assert unknown(user) == []

    def test_previous_secret_is_known_while_it_works(self, user, bot, colleague):
        leaver, other = Actor(user), Actor(colleague)
        token = TokenFactory(user=bot, name="deploy", actor=leaver)
        services.rotate_token(token, actor=other)
        assert (known(user), known(colleague)) == ([("deploy", True)], [("deploy", False)])
        services.finish_rotation(token, actor=other)
        assert (known(user), known(colleague)) == ([], [("deploy", False)])
        services.rotate_token(token, grace_period="0", actor=leaver)
        assert (known(user), known(colleague)) == ([("deploy", False)], [])

    def test_canceled_rotation_restores_who_knew_secret(self, user, bot, colleague):
        token = TokenFactory(user=bot, name="deploy", actor=Actor(colleague))
        services.rotate_token(token, actor=Actor(user))
        assert (known(user), known(colleague)) == ([("deploy", False)], [("deploy", True)])
        services.cancel_rotation(token, actor=Actor(user))
        assert (known(user), known(colleague)) == ([], [("deploy", False)])

    def test_origin_is_unknown_if_not_recorded(self, case, user, bot, colleague):
        imported, _secret = services.import_token(bot, "a" * 40, name="imported", actor=Actor(colleague))
        by_command = TokenFactory(user=bot, name="by a command")
        pruned = TokenFactory(user=bot, name="pruned", actor=Actor(colleague))
        canceled = TokenFactory(user=bot, name="canceled", actor=Actor(colleague))
        Activity.objects.filter(token_id__in=[pruned.pk, canceled.pk]).update(at=timezone.now() - timedelta(days=400))
        prune_activity(timezone.now() - timedelta(days=365))
        services.rotate_token(canceled, actor=Actor(user))
        services.cancel_rotation(canceled, actor=Actor(user))
        assert known(user) == []
        assert unknown(user) == sorted(token.name for token in (imported, by_command, pruned, canceled))

    def test_deleted_actor_is_somebody_else(self, user, bot):
        gone = UserFactory()
        TokenFactory(user=bot, actor=Actor(gone))
        gone.delete()
        assert (known(user), unknown(user)) == ([], [])

    def test_tokens_of_accounts_that_are_not_managed(self, user, stranger):
        TokenFactory(user=stranger, name="own", actor=Actor(stranger))
        TokenFactory(user=stranger, name="by a command")
        TokenFactory(user=stranger, name="by the leaver", actor=Actor(user))
        assert known(user) == [("by the leaver", False)]
        assert unknown(user) == []

    def test_number_of_queries_is_constant(self, user, bot):
        def count():
            with CaptureQueriesContext(connection) as queries:
                find_departure(user)
            return len(queries)

        few = count()
        for _number in range(3):
            TokenFactory(user=user)
            TokenFactory(user=bot, actor=Actor(user))
        assert (few, count()) == (3, 3)


class TestPage:
    @pytest.mark.parametrize("site", ["admin", "staff"])
    def test_offers_next_steps(self, case, user, bot, colleague, site):
        own = TokenFactory(user=user, name="<b>own</b>")
        token = TokenFactory(user=bot, name="deploy", actor=Actor(user))
        rotated = TokenFactory(user=bot, name="rotated", actor=Actor(user))
        services.rotate_token(rotated, actor=Actor(colleague))
        page = client_of(is_superuser=True).get(departure_url(user, site)).content.decode()
        for text in (
            "1 active token ends with this account.",
            "&lt;b&gt;own&lt;/b&gt;",
            "Previous secret, works until",
        ):
            with case(text):
                assert text in page
        steps = [(own, "revoke"), (token, "regenerate"), (token, "revoke"), (rotated, "finish_rotation")]
        for target, step in steps:
            with case(step):
                url = reverse(f"{site}:pat_tokens_personalaccesstoken_{step}", args=[target.pk])
                assert f'href="{url}"' in page
                assert client_of(is_superuser=True).get(url).status_code == 200
        for target, step in ((own, "regenerate"), (rotated, "regenerate")):
            with case(step):
                assert reverse(f"{site}:pat_tokens_personalaccesstoken_{step}", args=[target.pk]) not in page

    def test_offers_only_what_the_viewer_can_do(self, user, bot, stranger):
        token = TokenFactory(user=stranger, name="stranger's", actor=Actor(user))
        managed = TokenFactory(user=bot, actor=Actor(user))
        page = client_of("view_personalaccesstoken").get(departure_url(user)).content.decode()
        assert "/revoke/" not in page
        assert "/regenerate/" not in page
        page = client_of("view_personalaccesstoken", "change_personalaccesstoken").get(departure_url(user))
        assert "You need the permission" in page.content.decode()
        assert f"{token.pk}/revoke/" in page.content.decode()
        assert f"{token.pk}/regenerate/" not in page.content.decode()
        assert f"{managed.pk}/regenerate/" in page.content.decode()
        get_user_model().objects.filter(pk=bot.pk).update(is_superuser=True)
        page = client_of("view_personalaccesstoken", "change_personalaccesstoken").get(departure_url(user))
        assert f"{managed.pk}/regenerate/" not in page.content.decode()
        assert "build-bot is a superuser, and you are not." in page.content.decode()

    def test_has_no_secret_and_changes_nothing(self, user, bot):
        tokens = [TokenFactory(user=user), TokenFactory(user=bot, actor=Actor(user))]
        before = list(PersonalAccessToken.objects.order_by("pk").values())
        client = client_of(is_superuser=True)
        page = client.get(departure_url(user)).content.decode()
        client.post(departure_url(user), {"_selected_action": tokens[0].pk, "action": "revoke_selected"})
        for token in tokens:
            assert token.secret not in page
            assert token.digest not in page
        assert list(PersonalAccessToken.objects.order_by("pk").values()) == before

    def test_needs_permission_to_view_tokens(self, user):
        assert client_of("view_user", "change_user").get(departure_url(user)).status_code == 403
        assert client_of("view_personalaccesstoken").get(departure_url(user)).status_code == 200
        assert Client().get(departure_url(user)).status_code == 302
        for key in ("0", "x", "9" * 40):
            url = departure_url(user).replace(f"/{user.pk}/", f"/{key}/")
            assert client_of(is_superuser=True).get(url).status_code == 404


class TestUserAdmin:
    @pytest.mark.parametrize("site", ["staff", "plain"])
    def test_links_to_the_page(self, token, user, site):
        client = client_of(is_superuser=True)
        url = reverse(f"{site}:auth_user_change", args=[user.pk])
        page = client.get(url).content.decode()
        assert "1 active token ends with this account." in page
        assert page.count(f'href="{departure_url(user, site)}"') == 1
        assert "ends with this account" not in client.get(reverse(f"{site}:auth_user_add")).content.decode()

    def test_admin_of_the_site_is_left_alone(self, token, user):
        assert type(admin.site._registry[get_user_model()]) is UserAdmin
        page = client_of(is_superuser=True).get(reverse("admin:auth_user_change", args=[user.pk])).content.decode()
        assert "ends with this account" not in page

    def test_form_still_saves(self, user):
        data = {"username": "renamed", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        response = client_of(is_superuser=True).post(reverse("staff:auth_user_change", args=[user.pk]), data)
        assert response.status_code == 302
        user.refresh_from_db()
        assert user.username == "renamed"

    def test_shown_only_with_permission_to_view_tokens(self, user):
        url = reverse("staff:auth_user_change", args=[user.pk])
        assert "departures" not in client_of("view_user", "change_user").get(url).content.decode()
        page = client_of("view_user", "view_personalaccesstoken").get(url).content.decode()
        assert departure_url(user, "staff") in page
        url = reverse("empty:auth_user_change", args=[user.pk])
        assert "departures" not in client_of(is_superuser=True).get(url).content.decode()
