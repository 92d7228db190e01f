"""Two requests at the same time, many times: in any order, responses and state are consistent.

A 500, for example for a deadlock, fails the test, because the exception is raised.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from pat_tokens import crypto
from pat_tokens.exceptions import InvalidInput
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.services import create_token, prune_tokens
from tests.factories import UserFactory
from tests.races.runner import CROWD, Ask

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]

READ = "channels:*:read"


def secret_of(answer):
    """Return the secret in a response, if any."""
    return [answer.body["secret"]] if answer.status < 300 and "secret" in (answer.body or ()) else []


def row(scope):
    return dict(zip(("entity_type", "entity_id", "operation"), scope.split(":"), strict=True))


def end_all_long_ago():
    """Make all tokens expire so long ago that they can be pruned."""
    long_ago = timezone.now() - timedelta(days=90)
    PersonalAccessToken.objects.update(issued_at=long_ago, expires_at=long_ago + timedelta(days=1))


def test_concurrent_regenerate(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        one, other = arena.ask(*[site.manage("POST", token, "regenerate", body={"duration": "7d"})] * 2)
        assert (one.status, other.status) == (200, 200)
        assert len(site.works(old, *secret_of(one), *secret_of(other))) == 1
        assert site.status(old) == 401


def test_revoke_and_use(arena, site, each_round):
    for _ in each_round():
        token, secret = site.token()
        revoked, used = arena.ask(site.manage("POST", token, "revoke"), site.use(secret, times=3))
        assert revoked.status == 200
        assert set(used.statuses) <= {200, 401}
        assert list(used.statuses) == sorted(used.statuses)  # refused from then on
        assert site.status(secret) == 401
        assert site.row(token).revoked_at.isoformat() == revoked.body["revoked_at"].replace("Z", "+00:00")


def test_revoke_and_regenerate(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        revoked, made = arena.ask(
            site.manage("POST", token, "revoke"), site.manage("POST", token, "regenerate", body={})
        )
        assert (revoked.status, made.status) == (200, 200)
        assert site.works(old, *secret_of(made)) == ([] if site.row(token).is_revoked else secret_of(made))


def test_revoke_and_other_writes(arena, site, each_round):
    others = [
        lambda token: site.manage("PATCH", token, body={"description": "other"}),
        lambda token: site.manage("PATCH", token, body={"name": "other"}),
        lambda token: site.manage("POST", token, "scopes", body={"scopes": [row("devices:*:read")]}),
        lambda token: site.manage("DELETE", token, "scopes"),
    ]
    for number, _ in enumerate(each_round()):
        token, secret = site.token()
        revoked, other = arena.ask(site.manage("POST", token, "revoke"), others[number % len(others)](token))
        assert revoked.status == 200
        assert other.status < 300
        assert site.row(token).is_revoked
        assert site.status(secret) == 401


def test_delete_all_and_create(arena, site, each_round):
    for _ in each_round():
        secrets = [site.token()[1] for _token in range(2)]
        deleted, created = arena.ask(site.manage("DELETE"), site.create())
        assert (deleted.status, created.status) == (200, 201)
        stayed = site.works(*secrets, *secret_of(created))
        assert stayed in ([], secret_of(created))
        assert deleted.body["deleted"] == 3 - len(stayed)
        assert len(site.ids()) == Scope.objects.count() == len(stayed)


def test_delete_and_other_changes(arena, site, each_round):
    others = [
        lambda token: site.manage("POST", token, "regenerate", body={}),
        lambda token: site.manage("POST", token, "revoke"),
        lambda token: site.manage("PATCH", token, body={"name": "other"}),
        lambda token: site.manage("POST", token, "scopes", body={"scopes": [row("devices:*:read")]}),
        lambda token: site.manage("DELETE", token, "scopes"),
        lambda token: site.manage("DELETE", token, "scopes", token.scope_set.get()),
        lambda token: site.manage("DELETE", token),
        lambda token: site.manage("GET", token),
    ]
    for number, _ in enumerate(each_round()):
        token, secret = site.token()
        deletion = site.manage("DELETE", token) if number % 2 else site.manage("DELETE")
        deleted, other = arena.ask(deletion, others[number // 2 % len(others)](token))
        assert deleted.status in ((204, 404) if number % 2 else (200,))
        assert other.status in (200, 201, 204, 404)
        assert site.works(secret, *secret_of(other)) == []
        assert not site.ids()
        assert not Scope.objects.exists()


def test_add_scopes_and_delete_all(arena, site, each_round):
    added = {f"channels:{channel.pk}:{operation}" for channel in site.channels for operation in ("update", "delete")}
    body = {"scopes": [row(scope) for scope in sorted(added)]}
    for _ in each_round():
        token, secret = site.token()
        grown, emptied = arena.ask(
            site.manage("POST", token, "scopes", body=body), site.manage("DELETE", token, "scopes")
        )
        assert (grown.status, emptied.status) == (201, 200)
        left = site.scopes(token)
        assert left in (set(), added)
        assert emptied.body["deleted"] == len(added | {READ}) - len(left)
        assert site.status(secret) == 403


def test_concurrent_add_scopes(arena, site, each_round, settings):
    one, other, third = (f"channels:{channel.pk}:update" for channel in site.channels)
    for number, _ in enumerate(each_round()):
        token, _secret = site.token()
        # The same scope, one that covers the other, and two that exceed the limit.
        sides = [([one, other], [other, third]), ([one, other], ["channels:*:update"])][number % 2]
        answers = arena.ask(
            *(site.manage("POST", token, "scopes", body={"scopes": [row(scope) for scope in side]}) for side in sides)
        )
        assert [answer.status for answer in answers] == [201, 201]
        assert site.scopes(token) == {READ} | [{one, other, third}, {"channels:*:update"}][number % 2]


def test_last_scope_within_limit(arena, site, each_round):
    limit = {"PAT_TOKENS_MAX_SCOPES_PER_TOKEN": 2}
    sides = [[row(f"channels:{channel.pk}:update")] for channel in site.channels[:2]]
    for _ in each_round():
        token, _secret = site.token()
        asks = [site.manage("POST", token, "scopes", body={"scopes": side}, settings=limit) for side in sides]
        assert sorted(answer.status for answer in arena.ask(*asks)) == [201, 400]
        assert len(site.scopes(token)) == 2


def test_last_token_within_limit(arena, site, each_round):
    limit = {"PAT_TOKENS_MAX_TOKENS_PER_USER": 2}
    for _ in each_round():
        site.token()
        asks = [site.create(), site.create()]
        answers = arena.ask(*(Ask(**{**vars(ask), "settings": limit}) for ask in asks))
        assert sorted(answer.status for answer in answers) == [201, 400]
        assert len(site.ids()) == 2


def test_two_tokens_with_same_name(arena, site, each_round):
    for number, _ in enumerate(each_round()):
        (one, _secret), (other, _secret) = site.token(), site.token()
        asks = [
            [site.manage("PATCH", token, body={"name": name}) for token, name in ((one, "name"), (other, "NAME"))],
            [site.create(name="Name"), site.create(name="name ")],
            [site.create(name="Name"), site.manage("PATCH", one, body={"name": "name"})],
        ][number % 3]
        answers = arena.ask(*asks)
        assert sorted(answer.status < 300 for answer in answers) == [False, True]
        assert sorted(answer.status for answer in answers)[1] == 400


USED_AGAINST = {
    "use": lambda site, token, secret: site.use(secret),
    "regenerate": lambda site, token, secret: site.manage("POST", token, "regenerate", body={}),
    "revoke": lambda site, token, secret: site.manage("POST", token, "revoke"),
    "rename": lambda site, token, secret: site.manage("PATCH", token, body={"name": "other"}),
    "delete all": lambda site, token, secret: site.manage("DELETE"),
    "delete": lambda site, token, secret: site.manage("DELETE", token),
    "create": lambda site, token, secret: site.create(),
    "add scopes": lambda site, token, secret: site.manage(
        "POST", token, "scopes", body={"scopes": [row("devices:*:read")]}
    ),
    "delete all scopes": lambda site, token, secret: site.manage("DELETE", token, "scopes"),
    "prune": lambda site, token, secret: Ask(service="prune_tokens", kwargs={"inactive_for": timedelta(days=1)}),
}


@pytest.mark.parametrize("what", USED_AGAINST)
def test_record_use_and_other_changes(what, arena, site, each_round):
    """Recording a use undoes nothing, and is skipped if another request holds the row."""
    always = {"PAT_TOKENS_LAST_USED_INTERVAL": timedelta(0)}
    for _ in each_round():
        token, secret = site.token()
        before = site.row(token)
        used, other = arena.ask(site.use(secret, times=2, settings=always), USED_AGAINST[what](site, token, secret))
        assert set(used.statuses) <= {200, 401, 403}
        assert list(used.statuses) == sorted(used.statuses)
        assert other.status in (200, 201, 204)
        after = site.row(token)
        if what.startswith("delete") and "scopes" not in what:
            assert after is None
            continue
        if what == "revoke":
            assert after.is_revoked
        if what == "regenerate":
            assert after.digest != before.digest
            assert site.works(secret, *secret_of(other)) == secret_of(other)
        if what == "rename":
            assert after.name == "other"
        status = site.status(secret)
        assert status == {"regenerate": 401, "revoke": 401, "delete all scopes": 403}.get(what, 200)
        assert site.row(token).last_used_at or status != 200


def test_prune_and_regenerate(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        end_all_long_ago()
        prune = Ask(service="prune_tokens", kwargs={"inactive_for": timedelta(days=10)})
        pruned, made = arena.ask(prune, site.manage("POST", token, "regenerate", body={}))
        assert (pruned.body, made.status) in [(1, 404), (0, 200)]
        assert site.works(old, *secret_of(made)) == secret_of(made)


def test_prune_skips_locked_tokens(site):
    changing, _secret = site.token()
    site.token()
    end_all_long_ago()
    locked, pruned = Event(), Event()

    def change():
        try:
            with transaction.atomic():
                PersonalAccessToken.objects.select_for_update().get(pk=changing.pk)
                locked.set()
                assert pruned.wait(60)
        finally:
            connection.close()

    with connection.cursor() as cursor:
        # Waiting for the lock fails instead of hanging.
        cursor.execute(
            "SET lock_timeout = '5s'" if connection.vendor == "postgresql" else "SET innodb_lock_wait_timeout = 5"
        )
    with ThreadPoolExecutor() as threads:
        changed = threads.submit(change)
        try:
            assert locked.wait(60)
            assert prune_tokens(inactive_for=timedelta(days=10)) == 1
            assert site.ids() == {changing.pk}
        finally:
            pruned.set()
            connection.close()
        changed.result()
    assert prune_tokens(inactive_for=timedelta(days=10)) == 1


def test_concurrent_delete_all(arena, site, each_round):
    """All of them lock several rows, and must do so in the same order."""
    prune = Ask(service="prune_tokens", kwargs={"inactive_for": timedelta(days=10)})
    for number, _ in enumerate(each_round()):
        for _token in range(6):
            site.token()
        end_all_long_ago()
        asks = [(prune, prune), (prune, site.manage("DELETE")), (site.manage("DELETE"), site.manage("DELETE"))]
        one, other = arena.ask(*asks[number % 3])
        counts = [answer.body if isinstance(answer.body, int) else answer.body["deleted"] for answer in (one, other)]
        assert sum(counts) == 6
        assert not site.ids()


def test_pepper_rotation_under_load(arena, site, each_round, settings):
    """Processes with peppers in the old and in the new order, as during a deployment."""
    orders = [["old", "new"], ["new", "old"]]
    # One list for all rounds, because each change by the fixture is stacked on the previous ones.
    settings.PAT_TOKENS_PEPPERS = peppers = []
    for number, _ in enumerate(each_round()):
        peppers[:] = orders[number % 2]
        token, secret = site.token()
        asks = [site.use(secret, times=3), site.use(secret, times=3)]
        if number % 3 == 0:
            asks[1] = site.manage("POST", token, "regenerate", body={})
        asks = [
            Ask(**{**vars(ask), "settings": {"PAT_TOKENS_PEPPERS": order}})
            for ask, order in zip(asks, orders, strict=True)
        ]
        used, other = arena.ask(*asks)
        peppers[:] = ["new", "old"]
        if number % 3 == 0:
            assert list(used.statuses) == sorted(used.statuses)
            assert site.works(secret, *secret_of(other)) == secret_of(other)
            [secret] = secret_of(other)
        else:
            assert {*used.statuses, *other.statuses} == {200}
            assert site.status(secret) == 200
        # After one use in a process with the new pepper first, the token no longer needs the old pepper.
        assert site.row(token).digest == crypto.digest(secret, "new")
        peppers[:] = ["new"]
        assert site.status(secret) == 200


def test_fifty_concurrent_creates(arena, site, rounds):
    limit = {"PAT_TOKENS_MAX_TOKENS_PER_USER": 5}
    for _round in range(max(2, rounds // 20)):
        site.clear()
        site.token()
        answers = arena.ask_crowd([Ask(**{**vars(site.create()), "settings": limit}) for _each in range(CROWD)])
        assert sorted(answer.status for answer in answers) == [201] * 4 + [400] * (CROWD - 4)
        assert len(site.ids()) == Scope.objects.count() == 5
        assert len(site.works(*(secret for answer in answers for secret in secret_of(answer)))) == 4


@contextmanager
def during(delete, *, until):
    """Run `delete` in a transaction of another thread, which stays open until this thread locks a row of `until`.

    `delete` is a generator that deletes, yields, and does the rest. Yields a future of whether it was committed.
    """
    deleted, waiting = Event(), Event()

    def run():
        try:
            with transaction.atomic():
                for _pause in delete():
                    deleted.set()
                    assert waiting.wait(60)
        except OperationalError:
            return False
        finally:
            connection.close()
        return True

    def announce(execute, sql, *args):
        if "FOR " in sql and "UPDATE" in sql and until in sql:
            waiting.set()
        return execute(sql, *args)

    with ThreadPoolExecutor() as threads:
        done = threads.submit(run)
        try:
            assert deleted.wait(60)
            with connection.execute_wrapper(announce):
                yield done
        finally:
            waiting.set()


def test_create_and_delete_user(site):
    user = UserFactory()

    def delete():
        type(user).objects.filter(pk=user.pk).delete()
        yield

    with during(delete, until="user") as done, pytest.raises(InvalidInput) as caught:
        create_token(user, name="deploy")
    assert done.result()
    assert list(caught.value.errors) == ["non_field_errors"]


CHANGES = {  # of a token, in each interface
    "API, delete": ("/api/pats/{}/", {}),
    "API, revoke": ("/api/pats/{}/revoke/", {}),
    "page, delete": ("/pats/{}/delete/", {}),
    "page, revoke": ("/pats/{}/revoke/", {}),
    "page, delete all": ("/pats/delete/", {"ids": "{}", "active": "{}", "number": "1"}),
    "admin, delete": ("/admin/pat_tokens/personalaccesstoken/{}/delete/", {"post": "yes"}),
    "admin, revoke": ("/admin/pat_tokens/personalaccesstoken/{}/revoke/", {}),
}


@pytest.mark.urls("tests.test_admin")
@pytest.mark.parametrize("change", CHANGES)
def test_deadlock_with_deletion_of_user_is_503(change, site):
    """Django deletes the tokens of a user first and the user last; services lock them in the other order."""
    token, _secret = site.token()
    path, fields = CHANGES[change]
    client = Client(raise_request_exception=False)
    client.force_login(UserFactory(is_staff=True, is_superuser=True) if "admin" in change else site.user)

    def delete():
        Scope.objects.filter(token=token.pk).delete()
        PersonalAccessToken.objects.filter(pk=token.pk)._raw_delete("default")
        yield
        type(site.user).objects.select_for_update().get(pk=site.user.pk)

    with during(delete, until="personalaccesstoken") as done:
        send = client.delete if change == "API, delete" else client.post
        data = {name: value.format(token.pk) for name, value in fields.items()}
        as_json = {"content_type": "application/json"} if "API" in change else {}
        response = send(path.format(token.pk), data, **as_json)
    if not done.result():  # the database ended that transaction
        assert response.status_code in (200, 204, 302)
    elif "revoke" in change and connection.vendor == "postgresql":  # it only waits, because it doesn't lock the user
        assert response.status_code == 404
    else:
        assert response.status_code == 503
        assert response["Retry-After"]
