"""Emails to owners about what happened to their tokens."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from pat_tokens import authentication, rate_limits, services
from pat_tokens.activity import Actor
from pat_tokens.exceptions import NotAllowed, ReplacedToken
from pat_tokens.models import Activity, PreviousSecret
from pat_tokens.policy import Policy
from pat_tokens.reminders import send_reminders
from tests.factories import UserFactory
from tests.policies import policy_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def address(user):
    user.email = "owner@example.com"
    user.save()


@pytest.fixture
def other(stranger):
    return Actor(stranger, "admin", "203.0.113.7", "curl/8.5")


class NetworkNotAllowed(NotAllowed):
    reason = "network_not_allowed"


def subjects():
    found = [message.subject for message in mail.outbox]
    mail.outbox.clear()
    return found


def refuse(token, error, rf):
    request = rf.get("/", REMOTE_ADDR="203.0.113.7", headers={"user-agent": "curl/8.5"})
    authentication.refuse(error, token=token, request=request)
    request.close()


def later(**span):
    """Let so much time pass for all rows, and for the throttle."""
    for row in Activity.objects.refusals():
        row.at, row.last_at = row.at - timedelta(**span), row.last_at - timedelta(**span)
        row.mailed_at = row.mailed_at and row.mailed_at - timedelta(**span)
        row.save()
    rate_limits.clear_all()


def test_sensitive_actions_of_somebody_else_are_mailed(user, other):
    token, _secret = services.create_token(user, name="deploy", actor=other)
    assert subjects() == ["The personal access token “deploy” was created for owner"]
    services.add_scopes(token, [("channels", "*", "read")], actor=other)
    assert subjects() == ["The personal access token “deploy” of owner got more scopes"]
    services.regenerate_token(token, actor=Actor(via="command"))
    assert subjects() == ["The personal access token “deploy” of owner has a new secret"]
    services.rotate_token(token, actor=other)
    assert subjects() == ["The personal access token “deploy” of owner has a new secret"]


def test_networks_are_mailed_only_if_widened(user, other, make_token):
    token = make_token(name="deploy")
    for networks, expected in (
        (["10.0.0.0/8"], []),
        (["10.1.0.0/16", "10.2.0.0/16"], []),
        (["10.1.0.0/16", "10.3.0.0/16"], ["can be used from more networks"]),
        ([], ["can be used from more networks"]),
    ):
        services.update_token(token, allowed_networks=networks, actor=other)
        texts = subjects()
        assert len(texts) == len(expected)
        assert all(text.endswith(end) for text, end in zip(texts, expected, strict=True))


def test_mails_to_managers_name_the_owner(user, other, rf, settings):
    bot = UserFactory(username="build-bot")
    settings.PAT_TOKENS_POLICY = policy_with(get_email_addresses=lambda user: ["alice@example.com", "bob@example.com"])
    token, _secret = services.create_token(bot, name="deploy", actor=other)
    services.add_scopes(token, [("channels", "*", "read")], actor=other)
    services.update_token(token, allowed_networks=["10.0.0.0/8"], actor=other)
    services.update_token(token, allowed_networks=[], actor=other)
    services.rotate_token(token, actor=other)
    refuse(token, ReplacedToken(), rf)
    refuse(token, NetworkNotAllowed(), rf)
    now = timezone.now()
    type(token).objects.update(
        issued_at=now - timedelta(days=60),
        expires_at=now + timedelta(days=2),
        rotated_at=now - timedelta(days=1),
        grace_started_at=now - timedelta(hours=23),
    )
    PreviousSecret.objects.update(last_used_at=now - timedelta(minutes=1))
    assert send_reminders().mails == 2
    assert len(mail.outbox) == 8
    for message in mail.outbox:
        assert message.to == ["alice@example.com", "bob@example.com"]
        assert "build-bot" in message.subject
        for text in (message.subject, message.body, message.alternatives[0][0]):
            assert re.search(r"\byours?\b|\bfor you\b", text, re.IGNORECASE) is None


def test_other_actions_are_not_mailed(user, other, make_token):
    mine, system = Actor(user, "page"), Actor()
    for actor in (mine, system):
        token, _secret = services.create_token(user, name=f"by {actor.via}", actor=actor)
        services.regenerate_token(token, actor=actor)
    services.update_token(token, name="renamed", actor=other)
    services.revoke_token(token, actor=other)
    services.delete_token(token, actor=other)
    assert subjects() == []


def test_kinds_are_chosen_by_setting(user, other, settings):
    settings.PAT_TOKENS_MAIL_KINDS = ["own_sensitive_action"]
    services.create_token(user, name="other", actor=other)
    services.create_token(user, name="own", actor=Actor(user, "page"))
    assert subjects() == ["The personal access token “own” was created for owner"]


def test_text_and_html_say_who_what_and_where(user, other, settings):
    settings.PAT_TOKENS_SITE_URL = "https://example.org"
    token, secret = services.create_token(user, name="a\n<b>", scopes=[("channels", "*", "read")], actor=other)
    (message,) = mail.outbox
    html, mimetype = message.alternatives[0]
    assert (message.to, mimetype) == (["owner@example.com"], "text/html")
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"
    for text in (message.body, html):
        for part in ("stranger", "203.0.113.7 (curl/8.5)", "+ channels:*:read", token.hint):
            assert part in text
        assert f"https://example.org/pats/{token.pk}/" in text
        assert secret not in text
        assert token.digest not in text
    assert "a <b> (" in message.body
    assert "<b>" not in html


def test_language_and_addresses_are_those_of_the_policy(user, other, settings):
    class German(Policy):
        def get_language(self, user):
            return "de"

        def get_email_addresses(self, user):
            return ["team@example.com", "lead@example.com"]

    settings.PAT_TOKENS_POLICY = German
    services.create_token(user, name="deploy", actor=other)
    (message,) = mail.outbox
    assert message.to == ["team@example.com", "lead@example.com"]
    assert 'lang="de"' in message.alternatives[0][0]


def test_refused_networks_are_mailed_once_a_day(token, rf):
    refuse(token, NetworkNotAllowed(), rf)
    (message,) = mail.outbox
    assert "was used from a network that it does not allow" in message.subject
    assert "203.0.113.7 (curl/8.5)" in message.body
    mail.outbox.clear()
    for hours, sent in ((2, 0), (21, 0), (2, 1)):
        later(hours=hours)
        refuse(token, NetworkNotAllowed(), rf)
        assert len(subjects()) == sent, hours
    assert Activity.objects.refusals().count() == 4


def test_replaced_secret_in_use_is_mailed_once(token, rf):
    token, _secret = services.rotate_token(token)
    token.issued_at = timezone.now() - timedelta(days=7)
    token.save()
    refuse(token, ReplacedToken(), rf)
    assert subjects() == ["A replaced secret of the personal access token “deploy” of owner is still in use"]
    later(days=3)
    refuse(token, ReplacedToken(), rf)
    assert subjects() == []
    token.issued_at = timezone.now() - timedelta(minutes=1)  # rotated again
    token.save()
    later(hours=2)
    refuse(token, ReplacedToken(), rf)
    assert len(subjects()) == 1


def test_other_refusals_are_not_mailed(token, rf):
    services.revoke_token(token)
    for error in (authentication.RevokedToken(), authentication.ExpiredToken()):
        refuse(token, error, rf)
    assert Activity.objects.refusals().count() == 2
    assert subjects() == []


def test_owners_who_cannot_be_reached_are_skipped(user, other):
    for fields in ({"email": ""}, {"email": "owner@example.com", "is_active": False}):
        type(user).objects.filter(pk=user.pk).update(**fields)
        user.refresh_from_db()
        services.create_token(user, name=str(fields), actor=other)
    assert subjects() == []


def test_failed_email_is_only_logged(user, token, other, rf, monkeypatch, caplog):
    def fail(*args):
        raise OSError("no route to host")

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    made, _secret = services.create_token(user, name="made", actor=other)
    assert made.pk
    refuse(token, NetworkNotAllowed(), rf)
    logged = [(record.event, record.kind, record.error) for record in caplog.records if hasattr(record, "kind")]
    assert logged == [("notice_failed", "created", "OSError"), ("notice_failed", "refused", "OSError")]
    monkeypatch.undo()
    later(hours=2)
    refuse(token, NetworkNotAllowed(), rf)
    assert len(subjects()) == 1


def test_nothing_is_mailed_before_the_commit(user, other, django_assert_num_queries):
    with pytest.raises(ZeroDivisionError):
        _create_and_fail(user, other)
    assert subjects() == []


def _create_and_fail(user, actor):
    from django.db import transaction

    with transaction.atomic():
        services.create_token(user, name="deploy", actor=actor)
        raise ZeroDivisionError
