"""The commands `pat_rotate` and `pat_regenerate`."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from pat_tokens import services
from pat_tokens.authentication import authenticate
from pat_tokens.exceptions import InvalidToken
from pat_tokens.models import Activity, PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, Requirement

pytestmark = pytest.mark.django_db


def run(*args):
    out, err = StringIO(), StringIO()
    call_command(*args, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def works(secret):
    try:
        authenticate(secret, ANY_TOKEN)
    except InvalidToken:
        return False
    return True


def test_rotate_prints_only_the_new_secret(token):
    out, err = run("pat_rotate", str(token.pk), "--grace-period=1h")
    secret = out.removesuffix("\n")
    assert works(secret)
    assert works(token.secret)
    assert secret not in err
    assert "works for 1h after the first use" in err
    assert Activity.objects.get(kind="rotated").via == "command"


def test_json_has_the_secret_and_the_previous_one(token):
    rotated = json.loads(run("pat_rotate", str(token.pk), "--json", "--duration=60d")[0])
    assert works(rotated["secret"])
    assert set(rotated["previous_secret"]) == {
        *("hint", "expires_at", "last_used_at", "grace_period", "grace_started_at")
    }
    assert rotated["previous_secret"]["hint"] == token.hint
    (listed,) = json.loads(run("pat_list", "--json")[0])
    assert listed["previous_secret"] == rotated["previous_secret"]
    finished = json.loads(run("pat_rotate", str(token.pk), "--finish", "--json")[0])
    assert finished["previous_secret"] is None
    assert "secret" not in finished


def test_running_it_twice_says_what_to_do(token):
    secret = run("pat_rotate", str(token.pk))[0].strip()
    with pytest.raises(CommandError, match=r"still works.*--finish or --cancel"):
        run("pat_rotate", str(token.pk))
    run("pat_rotate", str(token.pk), "--cancel")
    assert (works(token.secret), works(secret)) == (True, False)
    secret = run("pat_rotate", str(token.pk))[0].strip()
    assert "works" in run("pat_rotate", str(token.pk), "--finish")[0]
    assert (works(token.secret), works(secret)) == (False, True)
    for option in ("--finish", "--cancel"):
        with pytest.raises(CommandError, match="no previous secret"):
            run("pat_rotate", str(token.pk), option)


def test_cancel_after_the_first_use_is_refused(make_token, channel, django_capture_on_commit_callbacks):
    token = make_token(f"channels:{channel.pk}:read")
    _token, new = services.rotate_token(token)
    with django_capture_on_commit_callbacks(execute=True):
        authenticate(new, Requirement("channels", "read", "pk"), {"pk": str(channel.pk)})
    with pytest.raises(CommandError, match="already in use"):
        run("pat_rotate", str(token.pk), "--cancel")


def test_wrong_options_name_themselves(token):
    before = PersonalAccessToken.objects.values().get()
    for options, message in (
        (["--grace-period=9d"], "--grace-period: Too long"),
        (["--duration=9"], "--duration: Enter a duration"),
        (["--finish", "--duration=9d"], "take no other options"),
    ):
        with pytest.raises(CommandError, match=message):
            run("pat_rotate", str(token.pk), *options)
    for command in ("pat_rotate", "pat_regenerate"):
        with pytest.raises(CommandError, match="no token with this id"):
            run(command, token.secret)
    services.revoke_token(token)
    with pytest.raises(CommandError, match="Only active tokens"):
        run("pat_rotate", str(token.pk))
    assert {**before, "revoked_at": 0} == {**PersonalAccessToken.objects.values().get(), "revoked_at": 0}


def test_regenerate_stops_the_old_secret(token):
    services.rotate_token(token)
    out, err = run("pat_regenerate", str(token.pk), "--duration=7d")
    assert works(out.strip())
    assert not works(token.secret)
    assert out.strip() not in err
    regenerated = json.loads(run("pat_regenerate", str(token.pk), "--json")[0])
    assert works(regenerated["secret"])
    assert not works(out.strip())
    with pytest.raises(CommandError, match="--duration"):
        run("pat_regenerate", str(token.pk), "--duration=0")
