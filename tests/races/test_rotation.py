"""Rotations against everything else: never three secrets that work, and never none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from pat_tokens import crypto, services
from pat_tokens.models import PersonalAccessToken
from tests.races.runner import Ask
from tests.races.test_races import secret_of

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]

OLDER, NEWER = {"PAT_TOKENS_PEPPERS": ["old", "new"]}, {"PAT_TOKENS_PEPPERS": ["new", "old"]}


def rotated(site, **fields):
    """Make a token and rotate it; return it, its previous secret and its current one."""
    token, previous = site.token()
    _token, current = services.rotate_token(token, **fields)
    return token, previous, current


def under(settings, ask):
    return Ask(**{**vars(ask), "settings": settings})


def test_rotate_against_rotate(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        answers = arena.ask(*[site.manage("POST", token, "rotate", body={})] * 3)
        assert sorted(answer.status for answer in answers) == [200, 409, 409]
        secrets = [secret for answer in answers for secret in secret_of(answer)]
        assert site.works(old, *secrets) == [old, *secrets]
        assert len(secrets) == 1


def test_rotate_without_a_grace_period_twice(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        answers = arena.ask(*[site.manage("POST", token, "rotate", body={"grace_period": "0"})] * 2)
        assert [answer.status for answer in answers] == [200, 200]
        secrets = [secret for answer in answers for secret in secret_of(answer)]
        assert len(site.works(old, *secrets)) == 1
        assert site.status(old) == 401


def test_first_use_against_finish(arena, site, each_round):
    for _ in each_round():
        token, previous, current = rotated(site)
        used, finished = arena.ask(site.use(current, times=2), site.manage("POST", token, "rotate", "finish"))
        assert (set(used.statuses), finished.status) == ({200}, 200)
        assert site.works(previous, current) == [current]
        row = site.row(token)
        assert (row.rotated_at, row.grace_started_at, row.previous_secret) == (None, None, None)


def test_cancel_against_first_use(arena, site, each_round):
    for _ in each_round():
        token, previous, current = rotated(site)
        used, canceled = arena.ask(site.use(current, times=2), site.manage("POST", token, "rotate", "cancel"))
        if canceled.status == 200:
            assert list(used.statuses) == sorted(used.statuses)
            assert site.works(previous, current) == [previous]
        else:
            assert (canceled.status, canceled.body["code"]) == (409, "rotation_in_use")
            assert set(used.statuses) == {200}
            assert site.works(previous, current) == [previous, current]


def test_first_use_is_recorded_once(arena, site, each_round):
    for _ in each_round():
        token, _previous, current = rotated(site)
        answers = arena.ask(*[site.use(current, times=2)] * 3)
        assert {status for answer in answers for status in answer.statuses} == {200}
        started = site.row(token).grace_started_at
        assert started is not None
        site.status(current)
        assert site.row(token).grace_started_at == started


def test_previous_secret_is_never_refused_meanwhile(arena, site, each_round):
    for number, _ in enumerate(each_round()):
        token, secret = site.token()
        used, made = arena.ask(site.use(secret, times=3), site.manage("POST", token, "rotate", body={}))
        assert (set(used.statuses), made.status) == ({200}, 200)
        if number % 2:
            used, ended = arena.ask(site.use(secret, times=4), site.manage("POST", token, "rotate", "cancel"))
        else:
            [secret] = secret_of(made)
            used, ended = arena.ask(site.use(secret, times=4), site.manage("POST", token, "rotate", "finish"))
        assert (set(used.statuses), ended.status) == ({200}, 200)
        assert site.status(secret) == 200


def test_rotate_against_revoke(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        made, revoked = arena.ask(
            site.manage("POST", token, "rotate", body={}), site.manage("POST", token, "revoke", body={})
        )
        assert made.status in (200, 409)
        assert revoked.status == 200
        assert site.works(old, *secret_of(made)) == []
        assert site.row(token).previous_secret is None


def test_rotate_against_regenerate(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        made, regenerated = arena.ask(
            site.manage("POST", token, "rotate", body={}), site.manage("POST", token, "regenerate", body={})
        )
        assert (made.status, regenerated.status) == (200, 200)
        works = site.works(old, *secret_of(made), *secret_of(regenerated))
        # Whichever was last: both secrets of the rotation, or the regenerated one alone.
        assert works in ([*secret_of(made), *secret_of(regenerated)], secret_of(regenerated))


def test_rotate_against_delete(arena, site, each_round):
    for _ in each_round():
        token, old = site.token()
        made, deleted = arena.ask(site.manage("POST", token, "rotate", body={}), site.manage("DELETE", token))
        assert made.status in (200, 404)
        assert deleted.status == 204
        assert site.works(old, *secret_of(made)) == []
        assert not site.ids()


def test_grace_period_against_first_use_and_cancel(arena, site, each_round):
    for number, _ in enumerate(each_round()):
        token, previous, current = rotated(site)
        changed, other = arena.ask(
            site.manage("PATCH", token, body={"grace_period": "7d"}),
            site.manage("POST", token, "rotate", "cancel") if number % 2 else site.use(current),
        )
        assert other.status == 200
        assert changed.status in ((200, 409) if number % 2 else (200,))
        assert site.works(previous, current) == ([previous] if number % 2 else [previous, current])
        assert site.row(token).previous.grace_period == ("" if number % 2 else "7d")


def test_pepper_rotation_during_an_overlap(arena, site, each_round, settings):
    """Processes with the peppers in both orders use both secrets while the rotation ends or begins."""
    settings.PAT_TOKENS_PEPPERS = peppers = []
    for number, _ in enumerate(each_round()):
        peppers[:] = ["old", "new"]
        token, previous = site.token()
        acts = ("cancel", "finish", "regenerate", "rotate")
        act, current = acts[number % 4], previous
        if act != "rotate":
            _token, current = services.rotate_token(token)
        path = (token, act) if act in ("regenerate", "rotate") else (token, "rotate", act)
        body = {} if act in ("regenerate", "rotate") else None
        asks = [
            under(NEWER, site.use(previous, times=2)),
            under(NEWER if number % 8 < 4 else OLDER, site.manage("POST", *path, body=body)),
        ]
        if act != "cancel":  # which the first use of the current secret would prevent
            asks.append(under(OLDER, site.use(current, times=2)))
        answers = arena.ask(*asks)
        assert answers[1].status == 200
        peppers[:] = ["new", "old"]
        expected = {
            "cancel": [previous],
            "finish": [current],
            "regenerate": secret_of(answers[1]),
            "rotate": [previous, *secret_of(answers[1])],
        }[act]
        candidates = list(dict.fromkeys([previous, current, *secret_of(answers[1])]))
        assert site.works(*candidates) == expected, act
        # Used once where the new pepper comes first, none of them needs the old one any longer.
        peppers[:] = ["new"]
        assert site.works(*candidates) == expected, act
        row = site.row(token)
        assert row.digest == crypto.digest(expected[-1], "new")
        assert row.digest != row.previous_digest


def test_first_use_skips_locked_row_and_is_retried(arena, site):
    """Another process holds the row; the failing first write is one that finds it locked."""
    token, previous, current = rotated(site)
    locked, used = Event(), Event()

    def hold():
        try:
            with transaction.atomic():
                PersonalAccessToken.objects.select_for_update().get(pk=token.pk)
                locked.set()
                assert used.wait(60)
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        held = threads.submit(hold)
        try:
            assert locked.wait(60)
            (answer,) = arena.ask(site.use(current, times=3))
            assert set(answer.statuses) == {200}
            assert site.row(token).grace_started_at is None
            assert not held.done()
        finally:
            used.set()
        held.result()
    assert site.works(previous, current) == [previous, current]
    arena.ask(site.use(current))
    assert site.row(token).grace_started_at is not None


@contextmanager
def first_uses_fail():
    """Let the database fail each write that starts a grace period."""
    started = "NEW.grace_started_at IS NOT NULL AND OLD.grace_started_at IS NULL"
    table = PersonalAccessToken._meta.db_table
    if connection.vendor == "postgresql":
        make = [
            "CREATE FUNCTION pat_fail() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = 'disk_full'; END $$",
            f"CREATE TRIGGER pat_fail BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({started}) "
            "EXECUTE FUNCTION pat_fail()",
        ]
        drop = ["DROP FUNCTION pat_fail() CASCADE"]
    else:
        fail = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'disk full'"
        make = [f"CREATE TRIGGER pat_fail BEFORE UPDATE ON {table} FOR EACH ROW IF {started} THEN {fail}; END IF"]
        drop = ["DROP TRIGGER pat_fail"]
    with connection.cursor() as cursor:
        for statement in make:
            cursor.execute(statement)
        try:
            yield
        finally:
            for statement in drop:
                cursor.execute(statement)


def test_first_use_is_retried_after_failed_writes(arena, site):
    """Until the first use is recorded, each use in each process tries again, and both secrets work."""
    token, previous, current = rotated(site, grace_period="1h")
    with first_uses_fail():
        for _ in range(3):
            answers = arena.ask(site.use(current, times=2), site.use(current), site.use(previous))
            assert {status for answer in answers for status in answer.statuses} == {200}
            row = site.row(token)
            assert (row.grace_started_at, row.previous_secret.grace_started_at) == (None, None)
            # Nothing counts down: it works as long as an overlap can last.
            assert row.previous_secret.expires_at - timezone.now() > timedelta(days=29)
    answers = arena.ask(site.use(current), site.use(current))
    assert [answer.status for answer in answers] == [200, 200]
    row = site.row(token)
    assert row.grace_started_at is not None
    assert row.previous_secret.expires_at == row.grace_started_at + timedelta(hours=1)
    assert site.works(previous, current) == [previous, current]
