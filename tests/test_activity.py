"""Every change has one activity row with its actor and interface."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.authtoken.models import Token

from pat_tokens import activity, rate_limits, services, signals
from pat_tokens.activity import Actor
from pat_tokens.models import Activity, Kind, PersonalAccessToken, Reason, Reminder
from tests.contrib.channels.test_middleware import path_of, shake
from tests.contrib.rest_framework.management import PATS, row, session_client
from tests.contrib.rest_framework.management import url as api_url
from tests.factories import TokenFactory, UserFactory

pytestmark = [pytest.mark.sql, pytest.mark.django_db]

AGENT = "curl/8.5"
IP = "203.0.113.7"
EVERY_REASON = (Reason.EXPIRED, Reason.REVOKED, Reason.REPLACED, Reason.NETWORK_NOT_ALLOWED)


@pytest.fixture
def full(make_token):
    """A token with a scope on one page and one on all channels."""
    return make_token("channels:*:read", "pages:*:read", name="full")


@pytest.fixture
def forget():
    """Delete the rows of the setup."""
    return lambda: Activity.objects.all().delete()


def story():
    """Return each row as kind, actor, via, address, client, token name and changes."""
    return [
        (row.kind, row.actor_name or None, row.via, row.ip, row.agent, row.token_name, row.changes)
        for row in Activity.objects.order_by("pk")
    ]


def page(name, *args):
    return reverse(f"pat_tokens:{name}", args=args)


def act_by_page(client, user, token, stranger):
    client.force_login(user)
    headers = {"REMOTE_ADDR": IP, "HTTP_USER_AGENT": AGENT}
    scope = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": "*", "scopes-0-operations": ["list"]}

    def post(view, *args, **data):
        return client.post(page(view, *args), data, **headers)

    first, *_rest = token.scope_set.filter(entity_type="channels")
    yield post("token_create", name="new", duration="24h", **scope), "created", {"scopes_added": ["channels:*:list"]}
    yield post("token_edit", token.pk, "name", name="other"), "updated", {"fields": ["name"]}
    networks = {"allowed_networks": "203.0.113.0/24"}
    yield post("token_edit", token.pk, "allowed_networks", **networks), "updated", {"fields": ["allowed_networks"]}
    yield post("scopes_add", token.pk, **scope), "scopes_added", {"scopes_added": ["channels:*:list"]}
    yield post("scope_delete", token.pk, first.pk), "scopes_deleted", {"scopes_deleted": ["channels:*:read"]}
    yield post("scopes_delete", token.pk), "scopes_deleted", {"scopes_deleted": ["channels:*:list", "pages:*:read"]}
    yield post("token_rotate", token.pk, duration="24h", grace_period="24h"), "rotated", {}
    yield post("rotation_cancel", token.pk), "rotation_cancelled", {}
    yield post("token_rotate", token.pk, duration="24h", grace_period="24h"), "rotated", {}
    yield post("rotation_grace_period", token.pk, grace_period="1h"), "updated", {"fields": ["grace_period"]}
    yield post("rotation_finish", token.pk), "rotation_finished", {}
    yield post("token_revoke", token.pk), "revoked", {}
    yield post("token_regenerate", token.pk, duration="24h"), "regenerated", {}
    yield post("token_delete", token.pk), "deleted", {}
    new = PersonalAccessToken.objects.get()
    chosen = {"ids": new.pk, "active": new.pk, "number": 1}
    yield post("selected_revoke", **chosen), "revoked", {}
    yield post("tokens_delete", **chosen), "deleted", {}


def act_by_api(client, user, token, stranger):
    api = session_client(user)
    extra = {"REMOTE_ADDR": IP, "HTTP_USER_AGENT": AGENT}
    rows = {"scopes": [row("channels:*:list")]}
    first, *_rest = token.scope_set.filter(entity_type="channels")
    deleted = {"scopes_deleted": ["channels:*:list", "pages:*:read"]}
    yield api.post(PATS, {"name": "new", **rows}, **extra), "created", {"scopes_added": ["channels:*:list"]}
    yield (
        api.patch(api_url(token), {"name": "other", "description": "x"}, **extra),
        "updated",
        {"fields": ["name", "description"]},
    )
    networks = {"allowed_networks": ["203.0.113.0/24"]}
    yield api.patch(api_url(token), networks, **extra), "updated", {"fields": ["allowed_networks"]}
    yield api.post(api_url(token, "scopes"), rows, **extra), "scopes_added", {"scopes_added": ["channels:*:list"]}
    yield (
        api.delete(api_url(token, "scopes", first.pk), **extra),
        "scopes_deleted",
        {"scopes_deleted": ["channels:*:read"]},
    )
    yield api.delete(api_url(token, "scopes"), **extra), "scopes_deleted", deleted
    yield api.post(api_url(token, "rotate"), **extra), "rotated", {}
    yield api.post(api_url(token, "rotate", "cancel"), **extra), "rotation_cancelled", {}
    yield api.post(api_url(token, "rotate"), **extra), "rotated", {}
    yield api.patch(api_url(token), {"grace_period": "1h"}, **extra), "updated", {"fields": ["grace_period"]}
    yield api.post(api_url(token, "rotate", "finish"), **extra), "rotation_finished", {}
    yield api.post(api_url(token, "rotate"), {"grace_period": "0"}, **extra), "rotated", {}
    yield api.post(api_url(token, "revoke"), **extra), "revoked", {}
    yield api.post(api_url(token, "regenerate"), **extra), "regenerated", {}
    yield api.delete(api_url(token), **extra), "deleted", {}
    yield api.delete(PATS, **extra), "deleted", {}


def act_by_admin(client, user, token, stranger):
    client.force_login(stranger)
    extra = {"REMOTE_ADDR": IP, "HTTP_USER_AGENT": AGENT}

    def post(view, *args, **data):
        return client.post(reverse(f"admin:pat_tokens_personalaccesstoken_{view}", args=args), data, **extra)

    fields = {"user": user.pk, "name": "new", "description": "", "duration": "30d", "scopes": "pages:*:list"}
    yield post("add", **fields), "created", {"scopes_added": ["pages:*:list"]}
    yield post("change", token.pk, name="other", description=""), "updated", {"fields": ["name"]}
    yield post("rotate", token.pk, duration="30d", grace_period="24h"), "rotated", {}
    yield post("finish_rotation", token.pk), "rotation_finished", {}
    yield post("rotate", token.pk, duration="30d", grace_period="24h"), "rotated", {}
    yield post("cancel_rotation", token.pk), "rotation_cancelled", {}
    yield post("revoke", token.pk), "revoked", {}
    yield post("regenerate", token.pk, duration="30d"), "regenerated", {}
    yield post("changelist", action="revoke_selected", _selected_action=[token.pk]), "revoked", {}
    yield post("delete", token.pk, post="yes"), "deleted", {}
    new = PersonalAccessToken.objects.get(name="new")
    yield post("changelist", action="delete_selected", post="yes", _selected_action=[new.pk]), "deleted", {}


def act_by_command(client, user, token, stranger):
    def run(*args):
        call_command(*args, stdout=StringIO(), stderr=StringIO())

    Token.objects.create(user=user)
    PersonalAccessToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() + timedelta(hours=1))
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=timezone.now() - timedelta(days=40))
    scope = "--scope=channels:*:list"
    yield run("pat_create", "owner", "--name=new", scope), "created", {"scopes_added": ["channels:*:list"]}
    yield run("pat_import_authtoken", "--all", scope), "imported", {"scopes_added": ["channels:*:list"]}
    yield run("pat_remind"), "reminded", {}
    yield run("pat_rotate", str(token.pk)), "rotated", {}
    yield run("pat_rotate", str(token.pk), "--cancel"), "rotation_cancelled", {}
    yield run("pat_rotate", str(token.pk)), "rotated", {}
    yield run("pat_rotate", str(token.pk), "--finish"), "rotation_finished", {}
    yield run("pat_rotate", str(token.pk), "--grace-period=0"), "rotated", {}
    yield run("pat_revoke", str(token.pk)), "revoked", {}
    yield run("pat_regenerate", str(token.pk)), "regenerated", {}
    yield run("pat_revoke", str(token.pk)), "revoked", {}
    yield run("pat_prune", "--days=0"), "deleted", {}


def act_by_token(client, user, token, stranger):
    extra = {"REMOTE_ADDR": IP, "HTTP_USER_AGENT": AGENT, "HTTP_AUTHORIZATION": f"Bearer {token.secret}"}
    yield client.post("/api/pats/current/revoke/", **extra), "revoked", {}


def act_by_services(client, user, token, stranger):
    yield services.create_token(user, name="new"), "created", {}
    yield services.revoke_token(token), "revoked", {}
    yield services.delete_tokens(user, PersonalAccessToken.objects.filter(pk=token.pk)), "deleted", {}


INTERFACES = {
    "page": (act_by_page, "owner", IP, AGENT),
    "api": (act_by_api, "owner", IP, AGENT),
    "admin": (act_by_admin, "stranger", IP, AGENT),
    "command": (act_by_command, None, None, ""),
    "token": (act_by_token, "owner", IP, AGENT),
    "system": (act_by_services, None, None, ""),
}


@pytest.mark.urls("tests.test_admin")
@pytest.mark.parametrize("via", INTERFACES)
def test_each_change_has_one_row_with_actor(via, client, user, full, settings, forget):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    act, actor, ip, agent = INTERFACES[via]
    user.email = "owner@example.com"
    user.save()
    stranger = UserFactory(username="stranger", is_staff=True, is_superuser=True)
    forget()
    acts = 0
    for _answer, kind, changes in act(client, user, full, stranger):
        assert [(one[0], *one[1:5], one[6]) for one in story()] == [(kind, actor, via, ip, agent, changes)]
        forget()
        acts += 1
    assert acts


@pytest.mark.urls("tests.test_admin")
def test_bulk_change_has_one_row_per_token(client, user, make_token, case, forget):
    user.email = "owner@example.com"
    user.save()
    api, admin, boss = session_client(user), Client(), UserFactory(username="boss", is_staff=True, is_superuser=True)
    client.force_login(user)
    admin.force_login(boss)

    def choose(tokens):
        ids = ",".join(str(token.pk) for token in tokens)
        return {"ids": ids, "active": ids, "number": len(tokens), "_selected_action": ids.split(",")}

    def run(*args):
        call_command(*args, stdout=StringIO(), stderr=StringIO())

    def prune(two):
        PersonalAccessToken.objects.update(revoked_at=timezone.now())
        run("pat_prune", "--days=0")

    def remind(two):
        now = timezone.now()
        PersonalAccessToken.objects.update(issued_at=now - timedelta(days=40), expires_at=now + timedelta(hours=1))
        run("pat_remind")

    def act_in_admin(two, **action):
        admin.post(reverse("admin:pat_tokens_personalaccesstoken_changelist"), {**action, **choose(two)})

    acts = {
        ("revoked", "page", user): lambda two: client.post(page("selected_revoke"), choose(two)),
        ("deleted", "page", user): lambda two: client.post(page("tokens_delete"), choose(two)),
        ("deleted", "api", user): lambda two: api.delete(PATS + "?name=of+two"),
        ("revoked", "admin", boss): lambda two: act_in_admin(two, action="revoke_selected"),
        ("deleted", "admin", boss): lambda two: act_in_admin(two, action="delete_selected", post="yes"),
        ("revoked", "command", None): lambda two: run("pat_revoke", "--user=owner", "--no-input"),
        ("deleted", "command", None): prune,
        ("reminded", "command", None): remind,
    }
    for (kind, via, actor), act in acts.items():
        with case(kind, via):
            two = [make_token("channels:*:read", "pages:*:read", name=f"{number} of two") for number in range(2)]
            forget()
            act(two)
            rows = Activity.objects.values_list("kind", "via", "actor", "token_id")
            assert sorted(rows) == sorted((kind, via, actor and actor.pk, token.pk) for token in two)


def test_no_op_is_not_recorded(user, full, forget):
    services.revoke_token(full)
    forget()
    services.revoke_token(full)
    services.update_token(full, name="full")
    assert services.add_scopes(full, [("channels", "*", "read")]) == []
    services.delete_scope(full.scope_set.get(entity_type="pages"))
    forget()
    services.delete_tokens(user, PersonalAccessToken.objects.none())
    assert story() == []


def test_absorbed_scopes_are_recorded(make_token, channel, forget):
    token = make_token(f"channels:{channel.pk}:read")
    forget()
    services.add_scopes(token, [("channels", "*", "read")])
    changes = {"scopes_added": ["channels:*:read"], "scopes_deleted": [f"channels:{channel.pk}:read"]}
    assert [row.changes for row in Activity.objects.all()] == [changes]


def test_rolled_back_change_has_no_row(user, full, forget, settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True
    rotated = TokenFactory(user=user, name="rotated")
    services.rotate_token(rotated)
    mine = PersonalAccessToken.objects.for_user(user)
    due = Reminder.objects.create(token=full, issued_at=full.issued_at, days=3)
    forget()
    changes = {
        "created": lambda: services.create_token(user, name="new"),
        "imported": lambda: services.import_token(user, "a1" * 20, name="old"),
        "updated": lambda: services.update_token(full, name="other"),
        "scopes_added": lambda: services.add_scopes(full, [("channels", "*", "list")]),
        "scopes_deleted": lambda: services.delete_scopes(full),
        "revoked": lambda: services.revoke_tokens(user, mine.filter(pk=full.pk)),
        "regenerated": lambda: services.regenerate_token(full),
        "rotated": lambda: services.rotate_token(full),
        "rotation_finished": lambda: services.finish_rotation(rotated),
        "rotation_cancelled": lambda: services.cancel_rotation(rotated),
        "deleted": lambda: services.delete_tokens(user, mine.filter(pk=full.pk)),
        "reminded": lambda: services.finish_reminders([due], mailed=True),
    }
    assert [*changes, "leaked", "refused"] == Kind.values
    for kind, change in changes.items():
        with transaction.atomic():
            change()
            assert [row.kind for row in Activity.objects.all()] == [kind]
            transaction.set_rollback(True)
        assert story() == []


def test_change_fails_if_not_recorded(full, monkeypatch):
    monkeypatch.setattr(Activity, "save", lambda self, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        services.revoke_token(full)
    full.refresh_from_db()
    assert not full.is_revoked


def test_rows_outlive_token_and_actor(user, stranger, full):
    services.update_token(full, name="renamed", actor=Actor(stranger, "admin"))
    services.delete_token(full, actor=Actor(stranger, "admin"))
    get_user_model().objects.filter(pk=stranger.pk).delete()
    rows = [(row.kind, row.token_id, row.token_name, row.actor_id, row.actor_name) for row in Activity.objects.all()]
    assert sorted(rows) == [
        ("created", full.pk, "full", None, ""),
        ("deleted", full.pk, "renamed", None, "stranger"),
        ("updated", full.pk, "renamed", None, "stranger"),
    ]


def test_rows_are_deleted_with_owner(client, user, full, stranger):
    TokenFactory(user=user, name="deleted before").delete()
    assert send(client, full) == 403
    services.rotate_token(full)
    services.revoke_token(full)
    assert send(client, full) == 401
    Reminder.objects.create(token=full, issued_at=full.issued_at, days=3)
    assert all(model.objects.exists() for model in apps.get_app_config("pat_tokens").get_models())
    TokenFactory(user=stranger, name="another user's")
    user.delete()
    for model in apps.get_app_config("pat_tokens").get_models():
        texts = [str(values) for values in model.objects.values()]
        assert len(texts) == (model in (Activity, PersonalAccessToken)), model
        assert all("another user's" in text for text in texts)


def test_rows_have_no_secret_or_digest(client, user, channel, settings):
    settings.PAT_TOKENS_TRUSTED_PROXIES = ["127.0.0.0/8"]
    client.force_login(user)
    client.post(page("token_create"), {"name": "new", "duration": "24h"}, HTTP_USER_AGENT="x" * 500)
    token = PersonalAccessToken.objects.get()
    new, secret = services.regenerate_token(token)
    rotated, newest = services.rotate_token(new)
    scope = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": newest, "scopes-0-operations": ["list"]}
    for pasted in (secret, newest):
        typed = {"name": pasted, "description": f"The secret is {pasted}."}
        for headers in (
            {"HTTP_USER_AGENT": pasted},
            {"HTTP_USER_AGENT": f"curl {pasted}", "HTTP_X_FORWARDED_FOR": pasted, "HTTP_REFERER": pasted},
        ):
            client.post(page("token_search"), {"q": pasted}, **headers)
            client.get(page("token_list"), {"search": pasted}, **headers)
            client.get(page("activity_list"), {"token": pasted, "kind": pasted, "since": pasted}, **headers)
            client.post(page("token_create"), {**typed, "duration": "24h"}, **headers)
            client.post(page("scopes_add", token.pk), scope, **headers)
            for field, value in typed.items():
                client.post(page("token_edit", token.pk, field), {field: value}, **headers)
                assert session_client(user).patch(api_url(token), {field: value}, **headers).status_code == 400
            for entity in (channel.pk, pasted):
                client.get(f"/api/channels/{entity}/", HTTP_AUTHORIZATION=f"Bearer {newest}", **headers)
    client.post(page("token_revoke", token.pk), HTTP_USER_AGENT=f"curl {secret}")
    token.secret = newest
    assert send(client, token, HTTP_USER_AGENT=newest) == 401
    kinds = ["created", "regenerated", "rotated", "revoked", "refused"]
    rows = Activity.objects.order_by("pk")
    assert [(row.kind, row.agent) for row in rows] == list(zip(kinds, ["x" * 200, *[""] * 4], strict=True))
    others = [model for model in apps.get_app_config("pat_tokens").get_models() if model is not PersonalAccessToken]
    text = str([list(model.objects.values()) for model in others])
    for private in (secret, secret[4:20], newest, newest[4:20], token.digest, new.digest, rotated.digest):
        assert private not in text
    assert not any(part in str(list(PersonalAccessToken.objects.values())) for part in (secret[4:20], newest[4:20]))


def test_several_rows_cost_one_query(user, make_token, django_assert_num_queries):
    tokens = [make_token(name=f"token {number}") for number in range(5)]
    with transaction.atomic(), django_assert_num_queries(1):
        activity.record(Actor(), Kind.DELETED, *tokens)
    with transaction.atomic(), django_assert_num_queries(1):
        activity.record(Actor(user, "page"), Kind.REVOKED, tokens[0])


def test_signal_is_sent_after_the_commit(full, django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, activity, **kwargs):
        heard.append((activity.pk, activity.kind))

    signals.activity_recorded.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            services.revoke_token(full)
            assert heard == []
        assert heard == [(Activity.objects.latest("pk").pk, "revoked")]
    finally:
        signals.activity_recorded.disconnect(hear)


def test_unsaved_users_are_not_actors(full, forget):
    forget()
    services.revoke_token(full, actor=Actor(get_user_model()(username="unsaved"), "page"))
    assert [(row.actor_id, row.actor_name) for row in Activity.objects.all()] == [(None, "")]
    assert isinstance(Activity.objects.get().token_id, UUID)


def send(client, token, **extra):
    """Send the secret of a token once, and return the status."""
    headers = {"REMOTE_ADDR": IP, "HTTP_USER_AGENT": AGENT, **extra}
    return client.get("/api/channels/", HTTP_AUTHORIZATION=f"Bearer {token.secret}", **headers).status_code


def trail(*fields):
    return list(Activity.objects.refusals().order_by("pk").values_list(*fields))


class TestRefused:
    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch):
        """The time in seconds of the throttle."""
        now = [1000.0]
        monkeypatch.setattr(rate_limits, "clock", lambda: now[0])
        return now

    def test_refused_secret_has_one_row(self, client, token, clock, django_assert_num_queries):
        services.revoke_token(token)
        assert send(client, token) == 401
        ((reason, count, via, ip, agent, actor),) = trail("reason", "count", "via", "ip", "agent", "actor")
        assert (reason, count, via, ip, agent, actor) == ("revoked", 1, "token", IP, AGENT, None)
        for _ in range(9):
            with django_assert_num_queries(1):
                assert send(client, token, REMOTE_ADDR="192.0.2.1") == 401
        assert trail("count", "ip") == [(1, IP)]
        clock[0] += 60
        assert send(client, token, REMOTE_ADDR="192.0.2.1", HTTP_USER_AGENT="wget") == 401
        assert trail("count", "ip", "agent") == [(11, "192.0.2.1", "wget")]

    def test_new_row_is_written_after_an_hour(self, client, token, clock):
        services.revoke_token(token)
        send(client, token)
        for minutes, counts in ((59, [2]), (61, [2, 1]), (62, [2, 2])):
            past = timezone.now() - timedelta(minutes=minutes if minutes < 62 else 1)
            Activity.objects.filter(pk=Activity.objects.latest("pk").pk).update(at=past)
            clock[0] += 60
            send(client, token)
            assert [count for (count,) in trail("count")] == counts

    def test_only_rows_of_the_last_hour_are_read(self, client, token):
        services.revoke_token(token)
        with CaptureQueriesContext(connection) as queries:
            assert send(client, token) == 401
        table = Activity._meta.db_table
        (read,) = [query["sql"] for query in queries if query["sql"].startswith("SELECT") and table in query["sql"]]
        assert f"{connection.ops.quote_name('at')} >= " in read.partition(" WHERE ")[2]

    def test_each_reason_is_recorded(self, client, make_token):
        expired, revoked, replaced, elsewhere = [make_token(name=reason.value) for reason in EVERY_REASON]
        services.revoke_token(revoked)
        services.regenerate_token(replaced)
        services.update_token(elsewhere, allowed_networks=["192.0.2.0/24"])
        long_ago = timezone.now() - timedelta(days=2)
        PersonalAccessToken.objects.filter(pk=expired.pk).update(
            issued_at=long_ago, expires_at=long_ago + timedelta(days=1)
        )
        statuses = [send(client, one) for one in (expired, revoked, replaced, elsewhere)]
        assert statuses == [401, 401, 401, 403]
        expected = [(reason.value, reason.value, 1, IP) for reason in EVERY_REASON]
        assert trail("reason", "token_name", "count", "ip") == expected

    @pytest.mark.django_db(transaction=True)
    def test_refused_handshake_is_recorded(self, token, channel):
        services.revoke_token(token)
        for _ in range(2):
            assert shake(path_of("channels", channel.pk), token.secret) == 4401
        assert trail("reason", "count", "via") == [("revoked", 1, "token")]

    def test_other_refusals_are_not_recorded(self, client, make_token, user):
        token = make_token("pages:*:read")
        assert send(client, token) == 403
        user.is_active = False
        user.save()
        assert send(client, token) == 401
        assert trail("reason") == []

    def test_owner_sees_refusals_on_both_pages(self, client, user, token, django_assert_num_queries):
        services.revoke_token(token)
        send(client, token)
        Activity.objects.refusals().update(count=214)
        client.force_login(user)
        shown = client.get(page("token_detail", token.pk)).content.decode()
        assert "A revoked secret of this token was used at least 214 times, last on " in shown
        assert f" from {IP} ({AGENT})." in shown
        assert list(client.get(page("token_list")).context["refused"]) == [token]
        services.regenerate_token(token)
        assert client.get(page("token_detail", token.pk)).context["refusals"] == []
        assert client.get(page("token_list")).context["refused"] == []

    def test_api_returns_the_count(self, client, user, token):
        services.revoke_token(token)
        send(client, token)
        (row,) = session_client(user).get(PATS + "activity/", {"kind": "refused"}).json()["results"]
        assert (row["reason"], row["count"], row["ip"], row["actor"]) == ("revoked", 1, IP, None)
        assert row["last_at"] == row["at"]

    def test_failed_write_does_not_change_response(self, client, token, monkeypatch):
        services.revoke_token(token)
        monkeypatch.setattr(activity, "_write_refusal", fail)
        assert send(client, token) == 401

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.skipif(connection.vendor == "sqlite", reason="not applicable: SQLite has one lock for the file")
    def test_locked_token_row_is_skipped(self, client, token):
        services.revoke_token(token)
        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            PersonalAccessToken.objects.select_for_update().get(pk=token.pk)
            status = pool.submit(lambda: (send(client, token), connections.close_all())[0]).result(timeout=20)
        assert status == 401
        assert trail("count") == []


def fail(*args):
    raise OperationalError("read-only")
