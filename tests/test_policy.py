"""Pages, API, admin and commands don't offer or accept what a policy forbids, even for superusers."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone

from pat_tokens import services
from pat_tokens.authentication import authenticate
from pat_tokens.entities import Preset, registry
from pat_tokens.exceptions import InvalidInput, RefusedToken
from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import Policy, get_policy
from pat_tokens.reminders import send_reminders
from pat_tokens.requirements import ANY_TOKEN
from tests.contrib.rest_framework.management import session_client
from tests.contrib.rest_framework.management import url as api_url
from tests.factories import TokenFactory, UserFactory
from tests.interfaces import CREATE
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_policy")]

urlpatterns = [path("admin/", admin.site.urls), path("", include("tests.urls"))]


class LimitedPolicy(Policy):
    """Members of the team can read and list channels for at most 30 days; superusers of the team too."""

    def is_limited(self, user):
        return user.get_username().startswith("team-")

    def get_max_tokens(self, user):
        return 2 if self.is_limited(user) else super().get_max_tokens(user)

    def get_default_duration(self, user, token=None):
        return "7d" if self.is_limited(user) else super().get_default_duration(user, token)

    def get_max_duration(self, user, token=None):
        return "30d" if self.is_limited(user) else super().get_max_duration(user, token)

    def allows_no_expiration(self, user, token=None):
        return not self.is_limited(user)

    def can_grant(self, user, entity_type, operation, token=None):
        return not self.is_limited(user) or (entity_type.name == "channels" and operation.name in ("read", "list"))


@pytest.fixture
def limited(settings):
    """A site with the limited policy."""
    settings.PAT_TOKENS_POLICY = f"{__name__}.LimitedPolicy"
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True


@pytest.fixture
def member(db: None) -> Any:
    """A superuser whom the policy limits."""
    return UserFactory(username="team-anna", is_staff=True, is_superuser=True)


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser whom the policy does not limit, in the admin."""
    client = Client()
    client.force_login(UserFactory(username="boss", is_staff=True, is_superuser=True))
    return client


def test_every_interface_enforces_policy(case, limited, member):
    rows = [
        ({"duration": "60d"}, ("Too long", "not one of the available choices")),
        ({"duration": "never"}, ("must expire", "not one of the available choices")),
        ({"scope": "channels:*:delete"}, ("can't be granted",)),
        ({"scope": "pages:*:read"}, ("can't be granted",)),
    ]
    for interface, create in CREATE.items():
        for fields, expected in rows:
            with case(interface, fields):
                text = create(member, **fields)
                assert any(words in text for words in expected), text[:2000]
                assert not PersonalAccessToken.objects.exists()
        with case(interface, "allowed"):
            assert create(member, duration="30d", scope="channels:*:read") == ""
            assert PersonalAccessToken.objects.get().user == member
        with case(interface, "number"):
            TokenFactory.create_batch(2, user=member)
            assert "maximum number of tokens (2)" in create(member)
        with case(interface, "somebody else"):
            assert create(UserFactory(), duration="60d", scope="channels:*:delete") == ""


def test_default_duration_depends_on_user(limited, member, user):
    for owner, days in ((member, 7), (user, 30)):
        token, _secret = services.create_token(owner, name="new")
        assert token.expires_at - token.issued_at == timedelta(days=days)


def test_default_duration_is_cut_to_maximum(settings, user):
    for policy in (
        policy_with(get_max_duration=lambda user, token=None: "2d"),
        policy_with(
            get_max_duration=lambda user, token=None: "2d", get_default_duration=lambda user, token=None: "never"
        ),
    ):
        settings.PAT_TOKENS_POLICY = policy
        token, _secret = services.create_token(user, name=policy.__qualname__ + str(id(policy)))
        assert token.expires_at - token.issued_at == timedelta(days=2)


def test_pages_offer_only_what_is_allowed(limited, member):
    client = Client()
    client.force_login(member)
    page = client.get("/pats/create/")
    durations = [value for value, _label in page.context["form"].fields["duration"].widget.choices]
    assert durations == ["24h", "7d", "30d", "date"]
    assert page.context["form"].fields["duration"].initial == "7d"
    assert [known.name for known in page.context["formset"].types] == ["channels"]
    (form,) = page.context["formset"].type_forms
    assert [operation.name for operation, _is_chosen in form.operation_choices] == ["read", "list"]
    token = TokenFactory(user=member)
    page = client.get(reverse("pat_tokens:scopes_add", args=[token.pk]))
    assert [known.name for known in page.context["formset"].types] == ["channels"]
    assert client.get("/pats/entities/pages/").status_code == 404
    assert client.get("/pats/entities/channels/").status_code == 200


def test_api_offers_only_what_is_allowed(limited, member, user):
    client = session_client(member)
    (channels,) = client.get("/api/pats/entities/").json()
    assert channels["name"] == "channels"
    assert [operation["name"] for operation in channels["operations"]] == ["read", "list"]
    assert [preset["name"] for preset in channels["presets"]] == ["channels-read-only"]
    registry.register_preset(Preset("manager", "Manager", ["channels:*:read", "channels:*:delete"]))
    try:
        (channels,) = client.get("/api/pats/entities/").json()
        assert [preset["name"] for preset in channels["presets"]] == ["channels-read-only"]
        (everything, *_more) = session_client(user).get("/api/pats/entities/").json()
        assert "manager" in [preset["name"] for preset in everything["presets"]]
    finally:
        registry.unregister_preset("manager")
    assert client.get("/api/pats/entities/pages/").status_code == 404
    assert client.get("/api/pats/entities/channels/").status_code == 200
    assert len(session_client(user).get("/api/pats/entities/").json()) == len(registry)


def test_admin_offers_what_owner_is_allowed(limited, member, boss):
    add = reverse("admin:pat_tokens_personalaccesstoken_add")
    form = boss.get(add, {"user": member.pk}).context["adminform"].form
    assert [value for value, _label in form.fields["duration"].choices] == ["24h", "7d", "30d"]
    assert "channels" in form.fields["scopes"].help_text
    assert "delete" not in form.fields["scopes"].help_text
    assert "pages" not in form.fields["scopes"].help_text
    token = TokenFactory(user=member)
    form = boss.get(reverse("admin:pat_tokens_personalaccesstoken_regenerate", args=[token.pk])).context["form"]
    assert [value for value, _label in form.fields["duration"].choices] == ["", "24h", "7d", "30d"]


def test_forbidden_scopes_block_regenerate(case, settings, member, boss):
    token = TokenFactory(user=member, scopes=[("channels", "*", "read"), ("channels", "*", "delete")])
    settings.PAT_TOKENS_POLICY = LimitedPolicy
    person = Client()
    person.force_login(member)
    regenerate = reverse("admin:pat_tokens_personalaccesstoken_regenerate", args=[token.pk])
    responses = {
        "page": lambda: person.post(reverse("pat_tokens:token_regenerate", args=[token.pk])),
        "api": lambda: session_client(member).post(api_url(token, "regenerate"), {}),
        "admin": lambda: boss.post(regenerate, {"duration": "7d"}),
    }
    for name, ask in responses.items():
        with case(name):
            text = ask().content.decode()
            assert "which can no longer be granted: channels:*:delete." in text
            token.refresh_from_db()
            assert authenticate(token.secret, ANY_TOKEN)
    services.delete_scope(token.scope_set.get(operation="delete"))
    assert session_client(member).post(api_url(token, "regenerate"), {}).status_code == 200


def test_invisible_entity_allows_regenerate(settings, user, channel, stranger):
    token = TokenFactory(user=user, scopes=[("channels", str(channel.pk), "read")])
    channel.owner = stranger
    channel.save()
    settings.PAT_TOKENS_POLICY = LimitedPolicy
    services.regenerate_token(token)


def test_regenerate_cuts_lifetime_to_maximum(settings, member):
    token = TokenFactory(user=member, duration="90d")
    settings.PAT_TOKENS_POLICY = LimitedPolicy
    token, _secret = services.regenerate_token(token)
    assert token.expires_at - token.issued_at == timedelta(days=30)
    with pytest.raises(InvalidInput):
        services.regenerate_token(token, duration="31d")


def test_tighter_policy_changes_no_existing_token(settings, user, client_with, channel):
    token = TokenFactory(user=user, duration="90d", scopes=[("channels", "*", "delete")])
    before = PersonalAccessToken.objects.values().get()
    settings.PAT_TOKENS_POLICY = policy_with(
        get_max_tokens=lambda user: 0,
        get_max_duration=lambda user, token=None: "7d",
        can_grant=lambda user, entity_type, operation, token=None: False,
        get_network_limits=lambda user, token=None: ["10.0.0.0/8"],
    )
    assert client_with(token).delete(f"/api/channels/{channel.pk}/").status_code == 204
    after = PersonalAccessToken.objects.values().get()
    assert {name for name in before if before[name] != after[name]} <= {"last_used_at", "last_used_ip"}


class TestUserWithoutTokens:
    """`can_have_tokens` is called at each request, and effective immediately."""

    @pytest.fixture
    def excluded(self, settings, member):
        """A user who got a token before the policy excluded them."""
        token = TokenFactory(user=member, scopes=[("channels", "*", "list")])
        settings.PAT_TOKENS_POLICY = policy_with(can_have_tokens=lambda user: not user.username.startswith("team-"))
        return token

    def test_tokens_are_refused(self, excluded, client_with):
        with pytest.raises(RefusedToken, match="can't have tokens"):
            authenticate(excluded.secret, ANY_TOKEN)
        response = client_with(excluded).get("/api/channels/")
        assert (response.status_code, response.json()["code"]) == (401, "invalid_token")

    def test_pages_api_and_menu_are_hidden(self, case, excluded, member):
        client = Client()
        client.force_login(member)
        for address in ("/pats/", "/pats/create/", f"/pats/{excluded.pk}/", "/pats/entities/channels/"):
            with case(address):
                assert client.get(address).status_code == 403
        for address in ("/api/pats/", api_url(excluded), "/api/pats/entities/"):
            with case(address):
                assert session_client(member).get(address).status_code == 403
        entry = Template("{% include 'pat_tokens/menu_entry.html' %}")
        assert entry.render(Context({"user": member})).strip() == ""
        assert "/pats/" in entry.render(Context({"user": UserFactory()}))

    def test_services_refuse(self, case, excluded, member, boss):
        for interface, create in CREATE.items():
            with case(interface):
                assert create(member) != ""
                assert PersonalAccessToken.objects.get() == excluded
        for act in (
            lambda: services.create_token(member, name="new"),
            lambda: services.import_token(member, "a" * 40, name="new"),
            lambda: services.regenerate_token(excluded),
            lambda: services.add_scopes(excluded, [("channels", "*", "read")]),
        ):
            with pytest.raises(InvalidInput, match="can't have tokens"):
                act()
        regenerate = reverse("admin:pat_tokens_personalaccesstoken_regenerate", args=[excluded.pk])
        assert "have tokens on this site" in boss.post(regenerate, {"duration": "7d"}).content.decode()


def test_default_policy_makes_no_query(user, token, settings, client_with):
    policy = Policy()
    request = RequestFactory().get("/")
    request.user = user
    operation = registry.get("channels").operations[0]
    with CaptureQueriesContext(connection) as queries:
        assert policy.can_have_tokens(user)
        assert policy.refuse_token(token, request) is None
        assert policy.get_max_tokens(user) == 100
        assert policy.get_default_duration(user) == "30d"
        assert policy.get_max_duration(user) == "366d"
        assert policy.allows_no_expiration(user) is False
        assert policy.can_grant(user, registry.get("channels"), operation)
        assert policy.requires_networks(user) is False
        assert policy.get_network_limits(user) == ()
        assert policy.get_reauthentication(request) is None
        assert policy.get_client_ip(request) == "127.0.0.1"
        assert policy.get_language(user) is None
        assert policy.get_email_addresses(user) == []
        assert policy.get_site_url(user) == ""
        assert policy.get_site_url(user, request) == "http://testserver"
        settings.PAT_TOKENS_SITE_URL = "https://example.org"
        assert policy.get_site_url(user, request) == "https://example.org"
    assert not queries


def test_policy_can_be_a_class_or_its_dotted_path(settings):
    for value in (LimitedPolicy, f"{__name__}.LimitedPolicy"):
        settings.PAT_TOKENS_POLICY = value
        assert type(get_policy()) is LimitedPolicy
        assert get_policy() is get_policy()


def test_policy_controls_emails_and_links(settings, user, mailoutbox):
    TokenFactory(user=user)
    now = timezone.now()
    PersonalAccessToken.objects.update(issued_at=now - timedelta(days=9), expires_at=now + timedelta(days=2))
    settings.PAT_TOKENS_POLICY = policy_with(
        get_email_addresses=lambda user: ["one@example.org", "two@example.org"],
        get_site_url=lambda user, request=None: f"https://{user.username}.example.org/",
    )
    assert send_reminders().mails == 1
    (message,) = mailoutbox
    assert message.to == ["one@example.org", "two@example.org"]
    assert "https://owner.example.org/pats/" in message.body
