import smtplib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pat_tokens import services, signals
from pat_tokens.models import PersonalAccessToken, Reminder
from pat_tokens.policy import Policy
from pat_tokens.querysets import TokenQuerySet
from pat_tokens.reminders import Summary, send_reminders
from tests.factories import TokenFactory, UserFactory
from tests.policies import policy_with
from tests.test_translations import english_in
from tests.translation_catalogs import LANGUAGES

pytestmark = [pytest.mark.sql, pytest.mark.django_db]


@pytest.fixture
def user(db):
    return UserFactory(username="owner", email="owner@example.org")


@pytest.fixture
def expiring():
    told = []

    def receiver(sender, token, days, mailed, **kwargs):
        told.append((token.name, days, mailed))

    signals.token_expiring.connect(receiver)
    yield told
    signals.token_expiring.disconnect(receiver)


def make(user, name="deploy", *, left, life=timedelta(days=90), **fields):
    token = TokenFactory(user=user, name=name)
    end = timezone.now() + left
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=end - life, expires_at=end, **fields)
    token.refresh_from_db()
    return token


def sent():
    """Send reminders, and return the subjects of the emails."""
    mail.outbox.clear()
    send_reminders()
    return [message.subject for message in mail.outbox]


def days_of(token):
    return sorted(token.reminder_set.values_list("days", flat=True))


def test_email_has_token_date_and_link(user, settings):
    settings.PAT_TOKENS_SITE_URL = "https://example.org/"
    token = make(user, "pump <7>", left=timedelta(days=2, hours=5))
    assert send_reminders() == Summary(tokens=1, mails=1)
    (message,) = mail.outbox
    html, kind = message.alternatives[0]
    assert message.to == ["owner@example.org"]
    assert message.subject == "1 personal access token expires soon (owner)"
    assert kind == "text/html"
    for text in (token.hint, "Expires in 2 d 4 h", f"https://example.org/pats/{token.pk}/"):
        assert text in message.body
        assert text in html
    assert "pump <7>" in message.body
    assert "pump &lt;7&gt;" in html
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"
    assert token.digest not in message.message().as_string()


def test_each_number_of_days_is_sent_once(user):
    token = make(user, left=timedelta(days=20))
    seen = []
    for left in (20, 14, 13.9, 13, 3, 2.9, 1.1, 1, 0.9, 0.1, 0, -1):
        end = timezone.now() + timedelta(days=left) - timedelta(seconds=1)
        PersonalAccessToken.objects.filter(pk=token.pk).update(expires_at=end)
        seen += [left] * len(sent())
        assert sent() == []
    assert seen == [14, 3, 1]
    assert days_of(token) == [1, 3, 14]
    assert not token.reminder_set.filter(sent_at=None).exists()


def test_missed_reminders_are_not_sent_later(user):
    token = make(user, left=timedelta(days=2))
    assert len(sent()) == 1
    assert days_of(token) == [3]


@pytest.mark.parametrize(("life", "mails"), [(14, 0), (14.1, 1), (7, 0)])
def test_days_over_lifetime_are_skipped(user, life, mails):
    make(user, left=timedelta(days=min(life, 13)), life=timedelta(days=life))
    assert len(sent()) == mails


def test_regenerated_token_is_reminded_again(user):
    token = make(user, left=timedelta(days=2))
    assert len(sent()) == 1
    services.regenerate_token(token, duration="30d")
    assert sent() == []
    issued = timezone.now() - timedelta(days=29)
    PersonalAccessToken.objects.filter(pk=token.pk).update(
        issued_at=issued, expires_at=timezone.now() + timedelta(days=2)
    )
    assert len(sent()) == 1
    assert days_of(token) == [3, 3]


def test_other_tokens_are_not_reminded(user):
    make(user, "revoked", left=timedelta(days=2), revoked_at=timezone.now())
    make(user, "far", left=timedelta(days=15))
    PersonalAccessToken.objects.filter(pk=make(user, "endless", left=timedelta(days=2)).pk).update(expires_at=None)
    assert sent() == []


def test_zero_days_reminds_after_expiration(user, settings):
    token = make(user, left=-timedelta(days=1))
    make(user, "long ago", left=-timedelta(days=8))
    assert sent() == []
    settings.PAT_TOKENS_REMINDER_DAYS = (3, 0)
    assert sent() == ["1 personal access token has expired (owner)"]
    assert "Expired: " in mail.outbox[0].body
    assert sent() == []
    assert days_of(token) == [0]


def test_one_email_per_user(user, stranger, expiring, django_capture_on_commit_callbacks):
    stranger.email = "stranger@example.org"
    stranger.save()
    make(user, "a", left=timedelta(days=13))
    make(user, "b", left=timedelta(hours=5))
    make(stranger, "c", left=timedelta(days=3, seconds=-9))
    with django_capture_on_commit_callbacks(execute=True):
        assert send_reminders() == Summary(tokens=3, mails=2)
    first, second = sorted(mail.outbox, key=lambda message: message.to)
    assert (first.to, second.to) == (["owner@example.org"], ["stranger@example.org"])
    assert first.subject == "2 personal access tokens expire soon (owner)"
    assert first.body.index("* b") < first.body.index("* a")
    assert sorted(expiring, key=lambda row: row[0] == "c") == [("b", 1, True), ("a", 14, True), ("c", 3, True)]


def test_unreachable_users_are_counted(user, stranger, expiring, django_capture_on_commit_callbacks):
    make(stranger, left=timedelta(days=2))
    inactive = UserFactory(email="gone@example.org", is_active=False)
    make(inactive, left=timedelta(days=2))
    with django_capture_on_commit_callbacks(execute=True):
        assert send_reminders() == Summary(skipped=2)
    assert (mail.outbox, expiring, Reminder.objects.count()) == ([], [], 0)


def test_signal_only_without_email(stranger, settings, expiring, django_capture_on_commit_callbacks):
    settings.PAT_TOKENS_REMINDER_MAIL = False
    make(stranger, left=timedelta(days=2))
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            send_reminders()
    assert expiring == [("deploy", 3, False)]
    assert mail.outbox == []


class RejectedByService(OSError):
    """An error of requests, httpx or urllib, such as those of mail backends that use an HTTP API."""

    def __init__(self, status, *, in_response=True):
        super().__init__(status)
        if in_response:
            self.response = SimpleNamespace(status_code=status)
        else:
            self.code = status


class TestFailures:
    @pytest.fixture
    def refuse(self, monkeypatch):
        """Make the mail server reject emails to these addresses."""
        send = EmailBackend.send_messages

        def refuse(*addresses, error=smtplib.SMTPException):
            def send_messages(backend, messages):
                if set(addresses) & {address for message in messages for address in message.to}:
                    raise error if isinstance(error, Exception) else error("no")
                return send(backend, messages)

            monkeypatch.setattr(EmailBackend, "send_messages", send_messages)

        return refuse

    @pytest.mark.parametrize("error", [smtplib.SMTPServerDisconnected, ConnectionRefusedError, ValueError])
    def test_failed_email_is_retried(self, user, refuse, error):
        token = make(user, left=timedelta(days=2))
        other = make(UserFactory(email="other@example.org"), left=timedelta(days=2))
        refuse(user.email, error=error)
        assert send_reminders() == Summary(tokens=1, mails=1, failed=1)
        assert (days_of(token), days_of(other)) == ([], [3])
        refuse()
        assert send_reminders() == Summary(tokens=1, mails=1)
        assert [message.to for message in mail.outbox] == [["other@example.org"], [user.email]]

    def test_three_failures_stop_run(self, refuse):
        addresses = [f"{number}@example.org" for number in range(5)]
        for address in addresses:
            make(UserFactory(email=address), left=timedelta(days=2))
        refuse(*addresses)
        assert send_reminders() == Summary(failed=3, stopped=True)
        assert not Reminder.objects.exists()

    @pytest.mark.parametrize(
        "error",
        [
            smtplib.SMTPRecipientsRefused({}),
            smtplib.SMTPDataError(554, b"5.7.1 Message rejected due to content"),
            smtplib.SMTPDataError(550, b"spam"),
            smtplib.SMTPNotSupportedError("SMTPUTF8"),
            UnicodeEncodeError("ascii", "x", 0, 1, "no"),
            ValueError("newline"),
            RuntimeError("a template"),
            RejectedByService(400),
            RejectedByService(422),
            RejectedByService(413, in_response=False),
        ],
        ids=repr,
    )
    def test_rejected_emails_do_not_stop_run(self, refuse, error):
        addresses = [f"{number}@example.org" for number in range(5)]
        for address in addresses:
            make(UserFactory(email=address), left=timedelta(days=2))
        refuse(*addresses[:4], error=error)
        assert send_reminders() == Summary(tokens=1, mails=1, failed=4)
        assert [message.to for message in mail.outbox] == [addresses[4:]]
        assert Reminder.objects.count() == 1

    @pytest.mark.parametrize(
        "error",
        [
            smtplib.SMTPDataError(451, b"4.3.0 try again later"),
            smtplib.SMTPSenderRefused(550, b"no", "x"),
            smtplib.SMTPAuthenticationError(535, b"no"),
            smtplib.SMTPServerDisconnected("gone"),
            TimeoutError(),
            RejectedByService(401),
            RejectedByService(429, in_response=False),
        ],
        ids=repr,
    )
    def test_down_server_is_tried_three_times(self, refuse, error):
        addresses = [f"{number}@example.org" for number in range(5)]
        for address in addresses:
            make(UserFactory(email=address), left=timedelta(days=2))
        refuse(*addresses, error=error)
        assert send_reminders() == Summary(failed=3, stopped=True)

    @pytest.mark.parametrize("error", [smtplib.SMTPServerDisconnected("gone"), TimeoutError()], ids=repr)
    def test_broken_connections_do_not_stop_others_for_good(self, refuse, error):
        addresses = [f"{number}@example.org" for number in range(6)]
        for address in addresses:
            make(UserFactory(email=address), left=timedelta(days=2))
        refuse(*addresses[:3], error=error)
        for _run in range(100):
            send_reminders()
            if len(mail.outbox) == 3:
                break
        assert sorted(message.to[0] for message in mail.outbox) == addresses[3:]

    @pytest.mark.parametrize("whose", ["user", "token"])
    def test_deletion_while_email_is_sent(self, user, monkeypatch, whose):
        token = make(user, left=timedelta(days=2))
        make(UserFactory(email="other@example.org"), left=timedelta(days=2))
        send_messages = EmailBackend.send_messages

        def delete_and_send(self, messages):
            if messages[0].to == [user.email]:
                (user if whose == "user" else token).delete()
            return send_messages(self, messages)

        monkeypatch.setattr(EmailBackend, "send_messages", delete_and_send)
        assert send_reminders().mails == 2
        connection.check_constraints()
        assert Reminder.objects.count() == 1

    @pytest.mark.parametrize("method", ["get_email_addresses", "get_language"])
    def test_policy_that_fails_for_some_users(self, settings, method):
        users = [UserFactory(email=f"{number}@example.org") for number in range(5)]
        for user in users:
            make(user, left=timedelta(days=2))

        def fail(user):
            if user in users[:4]:
                raise AttributeError("the user has no profile")
            return getattr(Policy(), method)(user)

        settings.PAT_TOKENS_POLICY = policy_with(**{method: fail})
        assert send_reminders() == Summary(tokens=1, mails=1, failed=4)
        assert [message.to for message in mail.outbox] == [[users[4].email]]

    def test_unsent_email_counts_as_failed(self, user, monkeypatch):
        make(user, left=timedelta(days=2))
        monkeypatch.setattr(EmailBackend, "send_messages", lambda self, messages: 0)
        assert send_reminders().failed == 1

    def test_killed_process_does_not_repeat(self, user, monkeypatch):
        token = make(user, left=timedelta(days=2))

        def die(self, messages):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(EmailBackend, "send_messages", die)
            with pytest.raises(KeyboardInterrupt):
                send_reminders()
        assert sent() == []
        assert list(Reminder.objects.unfinished(timezone.now())) == list(token.reminder_set.all())


def test_dry_run_only_counts(user, stranger):
    make(user, "a", left=timedelta(days=2))
    make(user, "b", left=timedelta(days=2))
    make(stranger, left=timedelta(days=2))
    assert send_reminders(dry_run=True) == Summary(tokens=2, mails=1, skipped=1)
    assert (mail.outbox, Reminder.objects.count()) == ([], 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_email_is_in_language_of_user(user, settings, language):
    settings.PAT_TOKENS_POLICY = policy_with(get_language=lambda user: language)
    make(user, "a", left=timedelta(days=2, minutes=5))
    make(user, "b", left=timedelta(days=2, minutes=5))
    assert send_reminders().mails == 1
    (message,) = mail.outbox
    html = message.alternatives[0][0]
    assert "expire" not in message.subject or language == "fr"
    for text in (message.subject, message.body, html):
        assert english_in(type("Answer", (), {"content": text.encode()}), language) == []
    direction = "rtl" if language == "ar" else "ltr"
    assert f'<html lang="{language}" dir="{direction}">' in html


def test_default_language_is_language_code(user, settings):
    settings.LANGUAGE_CODE = "de"
    settings.PAT_TOKENS_POLICY = policy_with(get_language=lambda user: None)
    make(user, left=timedelta(days=2))
    (subject,) = sent()
    assert subject == "1 persönliches Zugriffstoken läuft bald ab (owner)"


def test_token_name_cannot_add_lines(user):
    make(user, "a\nSubject: x\r\n\u202eb", left=timedelta(days=2))
    (subject,) = sent()
    assert "Subject: x" not in subject
    assert "* a Subject: x   b (" in mail.outbox[0].body


def test_templates_can_be_overridden(user, settings, tmp_path):
    folder = tmp_path / "pat_tokens" / "mail"
    folder.mkdir(parents=True)
    (folder / "reminder_subject.txt").write_text("{{ count }} for {{ user }}\n")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    make(user, left=timedelta(days=2))
    assert sent() == ["1 for owner"]


def test_number_of_queries_per_user_is_constant():
    def count(users):
        for number in range(users):
            user = UserFactory(email=f"{number}@example.org")
            for name in "abc":
                make(user, name, left=timedelta(days=2))
        with CaptureQueriesContext(connection) as queries:
            assert send_reminders().mails == users
        return len([query for query in queries if "SAVEPOINT" not in query["sql"]])

    one, three = count(1), count(3)
    assert one <= 5 + 6
    assert three - one <= 2 * 6


def test_reminder_row_is_unique(user):
    token = make(user, left=timedelta(days=2))
    fields = {"token": token, "issued_at": token.issued_at, "days": 3}
    Reminder.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Reminder.objects.create(**fields)
    assert services.claim_reminders(user, days=(3,), now=timezone.now()) == []


def test_claimed_reminders_are_not_claimed_again(user, monkeypatch):
    taken, free = make(user, "a", left=timedelta(days=2)), make(user, "b", left=timedelta(days=2))
    Reminder.objects.create(token=taken, issued_at=taken.issued_at, days=3)
    # Like on a database where the other row isn't visible yet.
    monkeypatch.setattr(TokenQuerySet, "expiring", lambda self, days, now: self.all())
    assert [row.token for row in services.claim_reminders(user, days=(3,), now=timezone.now())] == [free]
    assert Reminder.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_runs_send_each_email_once():
    for number in range(8):
        make(UserFactory(email=f"{number}@example.org"), left=timedelta(days=2))

    def send(_number):
        try:
            return send_reminders()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        summaries = list(pool.map(send, range(2)))
    assert sum(summary.mails for summary in summaries) == 8
    assert sorted(message.to[0][0] for message in mail.outbox) == list("01234567")
