import json
import re
from datetime import datetime, timedelta
from io import StringIO

import django
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from pat_tokens import crypto
from pat_tokens.authentication import authenticate
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import Requirement
from tests.factories import ChannelFactory, PageFactory

pytestmark = pytest.mark.django_db


def create(*args):
    """Run the command, and return standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command("pat_create", *args, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_prints_working_secret(user, channel):
    out, _err = create("owner", "--name", "deploy", f"--scope=channels:{channel.pk}:publish", "--scope=pages:*:read")
    secret = out.removesuffix("\n")
    assert crypto.is_well_formed(secret, "pat")
    publish = Requirement("channels", "publish", "pk")
    token = authenticate(secret, publish, {"pk": channel.pk})
    assert (token.user, token.name) == (user, "deploy")
    assert sorted(map(str, token.scope_set.keys())) == [f"channels:{channel.pk}:publish", "pages:*:read"]
    assert token.expires_at - token.issued_at == timedelta(days=30)


def test_other_output_is_on_stderr(user):
    out, err = create("owner", "--name", "deploy")
    token = PersonalAccessToken.objects.get()
    assert out.strip() not in err
    assert str(token.pk) in err
    assert "will not be shown again" in err
    assert "no scopes" in err


def test_id_can_contain_colons(user):
    page = PageFactory(owner=user, path="urn:isbn:1")
    create("owner", "--name=deploy", "--scope=pages:urn:isbn:1:read")
    assert PersonalAccessToken.objects.get().scope_set.get().entity_id == page.pk


def test_json_output(user):
    out, _err = create("owner", "--name=deploy", "--description=for CI", "--scope=pages:*:read", "--json")
    answer = json.loads(out)
    token = PersonalAccessToken.objects.get()
    assert crypto.digest(answer["secret"], "only for tests: nothing here is worth protecting") == token.digest
    assert answer["id"] == str(token.pk)
    assert answer["description"] == "for CI"
    assert answer["scopes"] == [
        {
            "id": str(token.scope_set.get().pk),
            "entity_type": "pages",
            "entity_id": "*",
            "operation": "read",
            "last_used_at": None,
        }
    ]
    assert token.digest not in out


def test_accepts_duration_or_expiration_date(user):
    create("owner", "--name=a", "--duration=24h")
    token = PersonalAccessToken.objects.get(name="a")
    assert token.expires_at - token.issued_at == timedelta(hours=24)
    tomorrow = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    create("owner", "--name=b", f"--expires-at={tomorrow.isoformat()}")
    assert PersonalAccessToken.objects.get(name="b").expires_at == tomorrow
    create("owner", "--name=c", f"--expires-at={timezone.make_naive(tomorrow).isoformat()}")
    assert PersonalAccessToken.objects.get(name="c").expires_at == tomorrow


def test_warns_about_inactive_user(user):
    user.is_active = False
    user.save()
    assert "not active" in create("owner", "--name=deploy")[1]


def test_invalid_input_is_reported(case, token):
    rows = [
        (["nobody", "--name=x"], "no user with the username 'nobody'"),
        (["owner", "--name= "], "--name: Enter a name"),
        (["owner", "--name=deploy"], "--name: There is already a token with this name"),
        (["owner", "--name=x", "--description=" + "x" * 1001], "--description: Use at most 1000"),
        (["owner", "--name=x", "--network=10.0.0.1/8"], "--network: 10.0.0.1/8 is not a network"),
        (["owner", "--name=x", "--duration=0d"], "--duration: Enter a duration"),
        (["owner", "--name=x", "--duration=2y"], "--duration: Too long"),
        (["owner", "--name=x", "--expires-at=tomorrow"], "--expires-at: Enter a date"),
        (["owner", "--name=x", "--expires-at=2030-02-31T00:00"], "--expires-at: Enter a date"),
        (
            ["owner", "--name=x", "--expires-at=2001-01-01T00:00Z"],
            "--expires-at: The expiration date must be in the future",
        ),
        (["owner", "--name=x", "--duration=1d", "--expires-at=2030-01-01T00:00Z"], "not both"),
        (["owner", "--name=x", "--scope=channels"], "--scope channels: write TYPE:ID:OPERATION"),
        (["owner", "--name=x", "--scope=channels:read"], "write TYPE:ID:OPERATION"),
        (["owner", "--name=x", "--scope=boats:*:read"], "--scope boats:*:read: Unknown entity type"),
        (
            ["owner", "--name=x", "--scope=pages:*:read", "--scope=pages:*:eat"],
            "--scope pages:*:eat: Unknown operation for pages",
        ),
        (["owner", "--name=x", "--scope=channels:1:create"], "--scope channels:1:create: create is not about"),
        (["owner", "--name=x", *["--scope=pages:*:read"] * 501], "at most 500 scopes"),
    ]
    for args, message in rows:
        with case(args, message):
            with pytest.raises(CommandError) as caught:
                create(*args)
            assert message in str(caught.value)
            assert caught.value.returncode == 1
            assert PersonalAccessToken.objects.get() == token


def test_invisible_entities_cannot_be_granted(user):
    foreign = ChannelFactory()
    with pytest.raises(CommandError, match=f"--scope channels:{foreign.pk}:read: No such entity"):
        create("owner", "--name=x", f"--scope=channels:{foreign.pk}:read")
    assert not PersonalAccessToken.objects.exists()


def test_maximum_number_of_tokens_applies(settings, token):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1
    with pytest.raises(CommandError, match="reached the maximum number of tokens"):
        create("owner", "--name=x")


def test_never_is_accepted_only_if_allowed(settings, user):
    with pytest.raises(CommandError, match="must expire"):
        create("owner", "--name=x", "--duration=never")
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
    assert "expires: never" in create("owner", "--name=x", "--duration=never")[1]


def test_printed_datetime_is_in_site_time_zone(settings, user):
    settings.TIME_ZONE = "Asia/Tokyo"
    _out, err = create("owner", "--name=x", "--duration=24h")
    expiry = datetime.fromisoformat(PersonalAccessToken.objects.get().expires_at.isoformat())
    assert (expiry + timedelta(hours=9)).strftime("%Y-%m-%d %H:%M") in err


@pytest.mark.django_db(transaction=True)  # mails are sent after the commit
def test_mails_are_not_in_the_output(user, settings, capsys):
    user.email = "owner@example.com"
    user.save()
    backend = "django.core.mail.backends.console.EmailBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    call_command("pat_create", user.get_username(), "--name=mailed", "--scope=channels:*:read")
    printed = capsys.readouterr()
    assert re.fullmatch(r"pat_\w+\n", printed.out)
    assert "owner@example.com" in printed.err
