"""Each method of the policy, overridden alone, decides in pages, API, admin and commands alike."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from pat_tokens.models import Activity, PersonalAccessToken
from pat_tokens.policy import Policy
from tests.contrib.rest_framework.management import PATS, session_client, snapshot
from tests.contrib.rest_framework.management import url as api_url
from tests.factories import TokenFactory, UserFactory
from tests.interfaces import CREATE, LIMIT, RENEW, WIDEN, admin_url, browser, by_import, colleague, run
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_policy")]

ISSUE = {**CREATE, "import": by_import}


@pytest.fixture(autouse=True)
def imported_keys(settings: Any) -> None:
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True


def lifetime(token: PersonalAccessToken) -> timedelta | None:
    stored = PersonalAccessToken.objects.get(pk=token.pk)
    return stored.expires_at and stored.expires_at - stored.issued_at


class ReaderPolicy(Policy):
    """The group of readers can read and list, for 30 days, from 10.0.0.0/8; superusers in it too."""

    def is_reader(self, user):
        return user.groups.filter(name="readers").exists()

    def get_max_duration(self, user, token=None):
        return "30d" if self.is_reader(user) else super().get_max_duration(user, token)

    def allows_no_expiration(self, user, token=None):
        return not self.is_reader(user)

    def can_grant(self, user, entity_type, operation, token=None):
        return not self.is_reader(user) or operation.name in ("read", "list")

    def get_network_limits(self, user, token=None):
        return ["10.0.0.0/8"] if self.is_reader(user) else []


class TestReaders:
    """A policy that limits operations, lifetime and networks of a group."""

    ALLOWED = {"scope": "channels:*:list", "duration": "30d", "networks": ["10.1.0.0/16"]}

    @pytest.fixture
    def readers(self, db: None) -> list[Any]:
        """A reader, and one who is a superuser."""
        group = Group.objects.create(name="readers")
        found = [UserFactory(username="reader"), UserFactory(username="boss", is_superuser=True, is_staff=True)]
        group.user_set.add(*found)
        return found

    def test_nothing_else_is_created(self, case, readers, settings):
        settings.PAT_TOKENS_POLICY = ReaderPolicy
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
        rows = (
            ({"scope": "channels:*:delete"}, ("can't be granted",)),
            ({"scope": "pages:*:publish"}, ("can't be granted", "Unknown operation")),
            ({"duration": "31d"}, ("Too long", "not one of the available choices")),
            ({"duration": "never"}, ("must expire", "not one of the available choices")),
            ({"networks": []}, ("Enter networks within 10.0.0.0/8",)),
            ({"networks": ["10.0.0.0/7"]}, ("Only networks within 10.0.0.0/8",)),
            ({"networks": ["10.1.0.0/16", "192.0.2.1"]}, ("not 192.0.2.1/32",)),
            ({"networks": ["::/0"]}, ("not ::/0",)),
        )
        reader, boss = readers
        for interface, create in ISSUE.items():
            for fields, expected in rows:
                with case(interface, fields):
                    text = create(boss, **{**self.ALLOWED, **fields})
                    assert any(words in text for words in expected), text[:2000]
                    assert not PersonalAccessToken.objects.exists()
            with case(interface, "of a user who is no superuser"):
                assert "can't be granted" in create(reader, **{**self.ALLOWED, "scope": "channels:*:delete"})
            for user in readers:
                with case(interface, user, "allowed"):
                    assert create(user, **self.ALLOWED) == ""
                    assert PersonalAccessToken.objects.get().user == user
            with case(interface, "somebody else"):
                assert create(UserFactory(), scope="channels:*:delete", duration="60d") == ""

    def test_nothing_else_is_renewed_or_changed(self, case, readers, settings):
        _reader, user = readers
        settings.PAT_TOKENS_POLICY = Policy
        limits = {"allowed_networks": ["10.1.0.0/16"]}
        good = TokenFactory(user=user, **limits, duration="90d", scopes=[("channels", "*", "read")])
        wide = TokenFactory(user=user, **limits, scopes=[("channels", "*", "delete")])
        everywhere = TokenFactory(user=user)
        settings.PAT_TOKENS_POLICY = ReaderPolicy
        for interface, renew in RENEW.items():
            for act in ("regenerate", "rotate"):
                for token, message in ((wide, "channels:*:delete"), (everywhere, "Enter networks within")):
                    with case(interface, act, message):
                        assert message in renew(token, act)
                        assert PersonalAccessToken.objects.get(pk=token.pk).digest == token.digest
                with case(interface, act, "longer"):
                    assert renew(good, act, duration="31d")
                    assert PersonalAccessToken.objects.get(pk=good.pk).digest == good.digest
                with case(interface, act, "allowed"):
                    assert renew(good, act) == ""
                    assert lifetime(good) == timedelta(days=30)
        for interface, limit in LIMIT.items():
            for networks in ([], ["192.0.2.0/24"]):
                with case(interface, networks):
                    assert "networks within 10.0.0.0/8" in limit(good, networks)
                    assert PersonalAccessToken.objects.get(pk=good.pk).allowed_networks == ("10.1.0.0/16",)
            with case(interface, "allowed networks"):
                assert limit(good, ["10.2.0.0/16"]) == ""
        for interface, widen in WIDEN.items():
            with case(interface, "scope"):
                assert "can't be granted" in widen(good, "channels:*:delete")
                assert "Enter networks within" in widen(everywhere, "channels:*:read")
                assert widen(good, "channels:*:list") == ""

    def test_existing_tokens_are_listed_with_the_reason(self, readers, settings):
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
        limits: dict[str, Any] = {"allowed_networks": ["10.1.0.0/16"], "duration": "7d"}
        expected = {}
        for user in readers:
            rows: dict[str, dict[str, Any]] = {
                "lifetime is over the maximum of 30d": {"duration": "90d"},
                "does not expire": {"duration": "never"},
                "can no longer be granted: channels:*:publish": {"scopes": [("channels", "*", "publish")]},
                "Enter networks within 10.0.0.0/8": {"allowed_networks": []},
                "not 192.0.2.1/32": {"allowed_networks": ["192.0.2.1"]},
            }
            expected |= {str(TokenFactory(user=user, **{**limits, **row}).pk): text for text, row in rows.items()}
            TokenFactory(user=user, **limits, scopes=[("channels", "*", "read")])
        TokenFactory(duration="90d")
        settings.PAT_TOKENS_POLICY = ReaderPolicy
        output = StringIO()
        call_command("pat_policy", json=True, stdout=output, stderr=StringIO())
        found = {row["id"]: row["problems"] for row in json.loads(output.getvalue())}
        assert found.keys() == expected.keys()
        for token_id, problems in found.items():
            assert len(problems) == 1
            assert expected[token_id] in problems[0]


def test_default_duration(case, settings, user):
    settings.PAT_TOKENS_POLICY = policy_with(get_default_duration=lambda user, token=None: "11d")
    for interface, create in ISSUE.items():
        # The forms of page and admin send what they have chosen: what they offer first.
        page = browser(UserFactory(is_superuser=True, is_staff=True)).get(
            admin_url("add") if interface == "admin" else "/pats/create/"
        )
        form = page.context["adminform"].form if interface == "admin" else page.context["form"]
        fields = {"duration": form["duration"].value()} if interface in ("page", "admin") else {}
        with case(interface):
            assert create(user, **fields) == ""
            assert lifetime(PersonalAccessToken.objects.get()) == timedelta(days=11)


def test_no_expiration(case, settings, user):
    settings.PAT_TOKENS_POLICY = policy_with(allows_no_expiration=lambda user, token=None: True)
    token = TokenFactory(user=user, duration="never")
    for interface, create in CREATE.items():
        with case(interface):
            assert create(user, duration="never") == ""
    assert "Imported keys must expire" in by_import(user, duration="never")
    for interface, renew in RENEW.items():
        for act in ("regenerate", "rotate"):
            with case(interface, act):
                assert renew(token, act) == ""
                assert lifetime(token) is None
                settings.PAT_TOKENS_POLICY = Policy
                assert renew(token, "regenerate") == ""
                assert lifetime(token) == timedelta(days=366)
            settings.PAT_TOKENS_POLICY = policy_with(allows_no_expiration=lambda user, token=None: True)


def test_maximum_number(case, settings, user):
    settings.PAT_TOKENS_POLICY = policy_with(get_max_tokens=lambda user: 0)
    for interface, create in ISSUE.items():
        with case(interface):
            assert "maximum number of tokens (0)" in create(user)


def test_user_without_tokens(case, settings, user):
    token = TokenFactory(user=user, allowed_networks=["10.0.0.0/8"])
    settings.PAT_TOKENS_POLICY = policy_with(can_have_tokens=lambda user: user.is_superuser)
    before = snapshot()
    expected = {"page": "403 Forbidden", "api": "You can't have personal access tokens on this site."}
    for interface, create in ISSUE.items():
        with case(interface, "create"):
            assert expected.get(interface, "owner can't have tokens on this site.") in create(user)
            assert snapshot() == before
    for interface, renew in RENEW.items():
        for act in ("regenerate", "rotate"):
            with case(interface, act):
                assert renew(token, act)
                assert snapshot() == before
    for interface, widen in WIDEN.items():
        with case(interface, "scopes"):
            assert widen(token, "channels:*:read")
            assert snapshot() == before
    for interface, limit in LIMIT.items():
        with case(interface, "networks"):
            assert limit(token, [])
            assert snapshot() == before


def test_networks_are_required(case, settings, user):
    token = TokenFactory(user=user)
    settings.PAT_TOKENS_POLICY = policy_with(requires_networks=lambda user, token=None: True)
    for interface, create in ISSUE.items():
        with case(interface):
            assert "Enter the networks that the token can be used from." in create(user)
            assert create(user, networks=["192.0.2.0/24"]) == ""
    for interface, renew in RENEW.items():
        for act in ("regenerate", "rotate"):
            with case(interface, act):
                assert "Enter the networks that the token can be used from." in renew(token, act)
    for interface, widen in WIDEN.items():
        with case(interface):
            assert "Enter the networks that the token can be used from." in widen(token, "channels:*:read")
    limited = TokenFactory(user=user, allowed_networks=["192.0.2.0/24"])
    for interface, limit in LIMIT.items():
        with case(interface):
            assert "Enter the networks that the token can be used from." in limit(limited, [])


def test_forms_say_which_networks_are_required(case, settings, user):
    settings.PAT_TOKENS_POLICY = policy_with(get_network_limits=lambda user, token=None: ["192.0.2.0/24"])
    token = TokenFactory(user=user, allowed_networks=["192.0.2.7/32"])
    staff = browser(colleague())
    for form, page in {
        "create": browser(user).get(reverse("pat_tokens:token_create")),
        "edit": browser(user).get(reverse("pat_tokens:token_edit", args=[token.pk, "allowed_networks"])),
        "add in the admin": staff.get(reverse("admin:pat_tokens_personalaccesstoken_add")),
        "change in the admin": staff.get(admin_url("change", token.pk)),
    }.items():
        with case(form):
            text = page.content.decode()
            assert "Enter networks within 192.0.2.0/24 that the token can be used from." in text
            assert "Empty: everywhere." not in text


def test_invisible_entity_does_not_block_renewal(case, user, channel, stranger):
    token = TokenFactory(user=user, scopes=[("channels", str(channel.pk), "read")])
    channel.owner = stranger
    channel.save()
    for interface, renew in RENEW.items():
        for act in ("rotate", "regenerate"):
            with case(interface, act):
                assert renew(token, act) == ""


def test_methods_get_the_token(case, settings, user):
    """Otherwise, a policy could not decide by what a token is for."""
    heard = []

    def hear(answer):
        def method(user, *others, token=None):
            heard.append(token or others[-1])
            return answer

        return method

    settings.PAT_TOKENS_POLICY = policy_with(
        get_default_duration=hear("30d"),
        get_max_duration=hear("366d"),
        allows_no_expiration=hear(False),
        can_grant=hear(True),
        requires_networks=hear(False),
        get_network_limits=hear([]),
    )
    token = TokenFactory(user=user, allowed_networks=["10.0.0.0/8"], scopes=[("channels", "*", "read")])
    page, boss = browser(user), browser(UserFactory(is_superuser=True, is_staff=True))
    acts: dict[str, Any] = {f"limit by {name}": lambda limit=limit: limit(token, []) for name, limit in LIMIT.items()}
    acts |= {
        f"widen by {name}": lambda widen=widen, scope=scope: widen(token, scope)
        for (name, widen), scope in zip(WIDEN.items(), ("channels:*:list", "channels:*:update"), strict=True)
    }
    for act in ("rotate", "regenerate"):
        acts |= {f"{act} by {name}": lambda renew=renew, act=act: renew(token, act) for name, renew in RENEW.items()}
        acts[f"form to {act}"] = lambda act=act: page.get(reverse(f"pat_tokens:token_{act}", args=[token.pk]))
        acts[f"form of the admin to {act}"] = lambda act=act: boss.get(admin_url(act, token.pk))
    acts["form to widen"] = lambda: page.get(reverse("pat_tokens:scopes_add", args=[token.pk]))
    acts["list"] = lambda: run("pat_policy")
    for name, act in acts.items():
        with case(name):
            heard.clear()
            act()
            assert heard
            assert {found and found.pk for found in heard} == {token.pk}


def test_refused_token_says_so_at_the_api_and_in_explain(settings, client_with, make_token):
    token = make_token("channels:*:list")
    settings.PAT_TOKENS_POLICY = policy_with(refuse_token=lambda token, request: "closed on Sundays")
    for path in ("/api/channels/", "/api/pats/current/"):
        response = client_with(token).get(path)
        assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
        assert "closed on Sundays" in response.json()["detail"]
    output = StringIO()
    call_command("pat_explain", str(token.pk), "GET", "/api/channels/", stdout=output)
    assert "This site has its own rules, which can refuse" in output.getvalue()


class TestManagedUsers:
    """Accounts whose tokens a user manages."""

    @pytest.fixture
    def bot(self, settings: Any, user: Any) -> Any:
        bot = UserFactory(username="build-bot", email="bot@example.com")
        users = get_user_model()._base_manager.filter(pk=bot.pk)
        settings.PAT_TOKENS_POLICY = policy_with(
            get_managed_users=lambda found: users if found == user else users.none(),
            get_email_addresses=lambda user: [f"{user.username}@people.example.com"],
            get_language=lambda user: "de",
            get_site_url=lambda user, request=None: f"https://{user.username}.example.com",
        )
        return bot

    def staff(self, user: Any) -> Client:
        user.is_staff = user.is_superuser = True
        user.save()
        return browser(user)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("interface", ["page", "api", "admin", "command"])
    def test_mail_has_language_addresses_and_link(self, bot, user, interface, mailoutbox):
        match interface:
            case "page":
                browser(user).post("/pats/create/?owner=build-bot", {"name": "new"})
            case "api":
                session_client(user).post(f"{PATS}?owner=build-bot", {"name": "new"})
            case "admin":
                data = {"user": bot.pk, "name": "new", "duration": "7d"}
                self.staff(user).post(admin_url("add"), data)
            case "command":
                run("pat_create", "build-bot", name="new")
        token = PersonalAccessToken.objects.get()
        (mail,) = mailoutbox
        assert mail.to == ["build-bot@people.example.com"]
        assert 'lang="de"' in mail.alternatives[0][0]
        assert f"https://build-bot.example.com/pats/{token.pk}/" in mail.body

    def test_pages_and_api_find_their_tokens(self, bot, user, stranger):
        token = TokenFactory(user=bot)
        assert session_client(user).get(api_url(token)).status_code == 200
        assert session_client(stranger).get(api_url(token)).status_code == 404
        page = reverse("pat_tokens:token_detail", args=[token.pk])
        assert [browser(found).get(page).status_code for found in (user, stranger)] == [200, 404]


class TestRequests:
    """What the policy says of a request."""

    @pytest.fixture
    def token(self, user: Any) -> PersonalAccessToken:
        return TokenFactory(user=user, allowed_networks=["10.0.0.0/8"])

    def ways(self, token: PersonalAccessToken) -> dict[str, Any]:
        """Return each sensitive action that a person does with a request."""
        found: dict[str, Any] = {}
        for name in ("page", "api", "admin"):
            found[f"{name} create"] = lambda name=name: CREATE[name](token.user)
            for act in ("regenerate", "rotate"):
                found[f"{name} {act}"] = lambda name=name, act=act: RENEW[name](token, act)
            found[f"{name} networks"] = lambda name=name: LIMIT[name](token, [])
        for name, widen in WIDEN.items():
            found[f"{name} scopes"] = lambda widen=widen: widen(token, "channels:*:read")
        return found

    @pytest.mark.parametrize("answer", [600, "", "/confirm/"])
    def test_sensitive_actions_need_confirmation(self, case, settings, token, answer):
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: answer)
        before = snapshot()
        for name, act in self.ways(token).items():
            with case(name):
                act()
                assert snapshot() == before
        settings.PAT_TOKENS_POLICY = policy_with(get_reauthentication=lambda request: None)
        for name, act in self.ways(token).items():
            with case(name, "allowed"):
                assert act() == ""
                assert snapshot() != before

    def test_address_is_that_of_the_policy(self, case, settings, token):
        settings.PAT_TOKENS_POLICY = policy_with(get_client_ip=lambda request: "198.51.100.4")
        for name, act in self.ways(token).items():
            with case(name):
                Activity.objects.all().delete()
                act()
                assert Activity.objects.get().ip == "198.51.100.4"
        assert "Your address is 198.51.100.4." in browser(token.user).get("/pats/create/").content.decode()

    def test_networks_use_the_address_of_the_policy(self, settings, token, client_with):
        for address, status in (("10.0.0.1", 200), ("11.0.0.1", 403), (None, 403)):
            settings.PAT_TOKENS_POLICY = policy_with(get_client_ip=lambda request, address=address: address)
            assert client_with(token).get("/api/pats/current/").status_code == status

    def test_credential_of_the_api(self, settings, user):
        settings.PAT_TOKENS_POLICY = policy_with(can_manage_tokens=lambda request: False)
        assert session_client(user).get(PATS).status_code == 403
        assert session_client(user).post(PATS, {"name": "new"}).status_code == 403
        # Pages and admin accept only sessions, and commands have no request.
        assert browser(user).get("/pats/").status_code == 200

    def test_links_of_refused_requests(self, settings, make_token, client_with):
        settings.PAT_TOKENS_POLICY = policy_with(get_site_url=lambda user, request=None: "https://pats.example.com")
        token = make_token()
        url = client_with(token).get("/api/channels/").json()["fix_url"]
        assert url.startswith(f"https://pats.example.com/pats/{token.pk}/scopes/add/")


def test_each_method_is_named_here():
    text = Path(__file__).read_text()
    methods = [name for name in vars(Policy) if not name.startswith("_")]
    assert [name for name in methods if name not in text] == []
