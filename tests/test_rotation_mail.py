"""The email to an owner whose previous secret is still used shortly before it stops."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from pat_tokens import services
from pat_tokens.authentication import authenticate
from pat_tokens.reminders import Summary, send_reminders
from pat_tokens.requirements import Requirement
from tests.clock import clock
from tests.factories import UserFactory
from tests.policies import policy_with

__all__ = ["clock"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    return UserFactory(username="owner", email="owner@example.org")


@pytest.fixture
def use(channel, django_capture_on_commit_callbacks):
    def use(secret):
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(secret, Requirement("channels", "read", "pk"), {"pk": str(channel.pk)})

    return use


@pytest.fixture
def reader(make_token, channel):
    return make_token(f"channels:{channel.pk}:read", name="deploy", duration="90d")


def sent():
    mail.outbox.clear()
    send_reminders()
    return [message.subject for message in mail.outbox]


SUBJECT = "The previous secret of the token deploy of owner is still in use"


def test_use_in_last_quarter_sends_one_mail(reader, use, clock, settings):
    settings.PAT_TOKENS_SITE_URL = "https://example.org"
    _token, new = services.rotate_token(reader, grace_period="4h", duration="90d")
    use(new)
    use(reader.secret)
    assert sent() == []
    clock.move(hours=3)
    assert sent() == [], "it was not used since"
    use(reader.secret)
    assert sent() == [SUBJECT]
    (message,) = mail.outbox
    assert message.to == ["owner@example.org"]
    html = message.alternatives[0][0]
    for text in (message.body, html):
        assert reader.hint in text
        assert "stops in 1 h" in text
        assert f"https://example.org/pats/{reader.pk}/" in text
        assert reader.secret not in text
    clock.move(minutes=30)
    use(reader.secret)
    assert sent() == [], "once"
    services.set_grace_period(reader, "8h")
    use(reader.secret)
    assert sent() == []
    clock.move(hours=3)
    use(reader.secret)
    assert sent() == [SUBJECT], "the end that the first mail named was another one"


def test_no_mail_before_the_first_use_or_after_the_end(reader, use, clock):
    _token, new = services.rotate_token(reader, grace_period="4h", duration="90d")
    clock.move(days=29)
    use(reader.secret)
    assert sent() == []
    use(new)
    clock.move(hours=3, minutes=30)
    use(reader.secret)
    clock.move(minutes=30)
    assert sent() == []


@pytest.mark.parametrize("act", [services.revoke_token, services.finish_rotation, services.regenerate_token])
def test_no_mail_once_the_previous_secret_was_stopped(reader, use, clock, act):
    _token, new = services.rotate_token(reader, grace_period="4h", duration="90d")
    use(new)
    clock.move(hours=3, minutes=30)
    use(reader.secret)
    act(reader)
    assert sent() == []


def test_failed_email_is_retried(reader, use, clock, monkeypatch):
    _token, new = services.rotate_token(reader, grace_period="4h", duration="90d")
    use(new)
    clock.move(hours=3, minutes=30)
    use(reader.secret)
    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", lambda *args: 0)
        assert send_reminders().failed == 1
    assert send_reminders(dry_run=True).mails == 1
    assert sent() == [SUBJECT]


def test_mail_claimed_by_another_run_is_skipped(reader, use, clock, monkeypatch):
    _token, new = services.rotate_token(reader, grace_period="4h", duration="90d")
    use(new)
    clock.move(hours=3, minutes=30)
    use(reader.secret)
    claim = services.claim_overlap_mail

    def be_slow(token, *, now):
        assert claim(token, now=now)  # by the other run
        return claim(token, now=now)

    monkeypatch.setattr(services, "claim_overlap_mail", be_slow)
    assert sent() == []


def test_owners_who_get_no_mail_are_skipped(reader, use, clock, settings):
    _token, new = services.rotate_token(reader, grace_period="4h", duration="90d")
    use(new)
    clock.move(hours=3, minutes=30)
    use(reader.secret)
    settings.PAT_TOKENS_POLICY = policy_with(get_email_addresses=lambda user: [])
    assert send_reminders().skipped == 1
    settings.PAT_TOKENS_POLICY = policy_with()
    settings.PAT_TOKENS_REMINDER_MAIL = False
    assert sent() == []
    settings.PAT_TOKENS_REMINDER_MAIL = True
    assert sent() == [SUBJECT]


def test_last_quarter_ends_with_token_expiration(reader, use, clock):
    """The token's own expiration can come before the end of the grace period."""
    _token, new = services.rotate_token(reader, grace_period="7d", duration="4h")
    use(new)
    end = clock.now + timedelta(hours=4)
    assert reader.__class__.objects.get().previous_secret.expires_at == end
    clock.move(hours=3, minutes=1)
    use(reader.secret)
    assert sent().count(SUBJECT) == 1


def test_failing_policy_stops_no_other_mails(reader, make_token, use, clock, settings):
    other = make_token("channels:*:read", user=UserFactory(email="other@example.org"), duration="90d")
    for token in (reader, other):
        _token, new = services.rotate_token(token, grace_period="4h", duration="90d")
        use(new)
    clock.move(hours=3)
    use(reader.secret)
    use(other.secret)

    def get_email_addresses(user):
        if user == reader.user:
            raise AttributeError("the user has no profile")
        return [user.email]

    settings.PAT_TOKENS_POLICY = policy_with(get_email_addresses=get_email_addresses)
    assert send_reminders() == Summary(mails=1, failed=1)
    assert [message.to for message in mail.outbox] == [["other@example.org"]]
