"""Every change of a token is logged, with its facts and without a secret."""

import logging

import pytest
from django.db import DatabaseError
from django.db.models import QuerySet
from django.test import RequestFactory

from pat_tokens import log_events, services, signals
from pat_tokens.authentication import authenticate
from pat_tokens.crypto import make_secret
from pat_tokens.exceptions import MalformedToken, UnknownToken
from pat_tokens.models import PersonalAccessToken
from pat_tokens.rate_limits import RateLimitResult
from pat_tokens.requirements import ANY_TOKEN

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def records(caplog):
    """The records of the log."""
    log_events._limiter.clear()
    caplog.set_level(logging.DEBUG, logger="pat_tokens")
    yield lambda: [record for record in caplog.records if record.name.startswith("pat_tokens")]
    log_events._limiter.clear()


def facts(record):
    return {fact: getattr(record, fact) for fact in log_events.EVENTS[record.event].facts}


def test_changes_are_logged_once_with_facts(user, records, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        token, secret = services.create_token(user, name="deploy", scopes=[("channels", "*", "read")])
        key = "0123456789" * 4
        imported, _created = services.import_token(user, key, name="old", scopes=[])
        services.update_token(token, name="other", description="x")
        _token, second = services.regenerate_token(token)
        services.revoke_token(token)
        services.revoke_token(token)
        services.add_scopes(token, [("channels", "*", "list")])
        services.delete_scopes(token)
        services.delete_token(token)
    whose = {"token_id": str(token.pk), "user_id": str(user.pk)}
    scopes = ["channels:*:list", "channels:*:read"]
    assert [(record.event, facts(record)) for record in records()] == [
        ("token_created", whose),
        ("token_imported", {**whose, "token_id": str(imported.pk)}),
        ("token_updated", {**whose, "fields": ["name", "description"]}),
        ("token_regenerated", whose),
        ("token_revoked", whose),
        ("scopes_added", {**whose, "scopes": scopes[:1]}),
        ("scopes_deleted", {**whose, "scopes": sorted(scopes)}),
        ("token_deleted", {**whose, "pruned": False}),
    ]
    text = " ".join(str(vars(record)) + record.getMessage() for record in records())
    for hidden in (secret, second, key, token.digest, imported.digest):
        assert hidden not in text
    for record in records():
        event = log_events.EVENTS[record.event]
        assert (record.name, record.levelno) == (event.logger, event.level)
    assert records()[0].getMessage() == f"Token created: token={token.pk} user={user.pk}"


def test_rolled_back_changes_are_not_logged(user, records, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(services.InvalidInput):
        services.create_token(user, name="deploy", scopes=[("nothing", "*", "read")])
    assert records() == []


def test_requests_are_logged_with_origin(token, client_with, records):
    client_with(token).get("/api/anything/")
    client_with(token).get("/api/undeclared/")
    where = {"token_id": str(token.pk), "ip": "127.0.0.1"}
    assert [(record.event, facts(record)) for record in records()] == [
        ("token_authenticated", {**where, "user_id": str(token.user_id), "route": "/api/anything/"}),
        ("token_refused", {**where, "reason": "scope_not_declared", "route": "/api/undeclared/"}),
    ]


def test_unknown_facts_are_none(records):
    with pytest.raises(UnknownToken):
        authenticate(make_secret("pat"), ANY_TOKEN)
    assert facts(records()[0]) == {"reason": "unknown", "token_id": None, "ip": None, "route": None}
    assert records()[0].getMessage() == "Token refused: reason=unknown token=- ip=- route=-"


def test_skipped_records_are_counted(records, monkeypatch):
    monkeypatch.setattr(log_events._limiter, "take", lambda reason: RateLimitResult(is_allowed=False, missed=7))
    log_events.log_refusal(MalformedToken())
    assert [(record.event, facts(record)) for record in records()] == [
        ("refusals_skipped", {"reason": "malformed", "count": 7})
    ]


def test_failed_use_is_logged(token, records, monkeypatch, django_capture_on_commit_callbacks):
    told = []

    def receiver(sender, token, error, **kwargs):
        told.append((token.pk, str(error)))

    def fail(*args, **kwargs):
        raise DatabaseError("read-only")

    signals.last_use_failed.connect(receiver, sender=PersonalAccessToken)
    monkeypatch.setattr(QuerySet, "update", fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(token.secret, ANY_TOKEN, request=RequestFactory().get("/"))
    finally:
        signals.last_use_failed.disconnect(receiver, sender=PersonalAccessToken)
    assert told == [(token.pk, "read-only")]
    assert facts(records()[-1]) == {"token_id": str(token.pk), "error": "DatabaseError"}


@pytest.mark.django_db(transaction=True)
def test_failing_handler_harms_nothing(token, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(log_events, "log", fail)
    services.revoke_token(token)
    token.refresh_from_db()
    assert token.is_revoked


def test_records_are_one_line(records):
    log_events.log("scopes_added", token_id="1", user_id="2", scopes=["pages:a\nToken created: token=7:read"])
    assert records()[0].getMessage() == "Scopes added: token=1 user=2 scopes=pages:a?Token created: token=7:read"


def test_disabled_logger_costs_nothing(user, caplog, django_capture_on_commit_callbacks):
    caplog.set_level(logging.CRITICAL, logger="pat_tokens")
    with django_capture_on_commit_callbacks() as callbacks:
        services.create_token(user, name="deploy")
    assert [callback for callback in callbacks if callback.__module__ == services.__name__] == []
