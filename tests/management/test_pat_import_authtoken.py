import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.authtoken.models import Token

from pat_tokens import crypto, services
from pat_tokens.authentication import authenticate
from pat_tokens.conf import conf
from pat_tokens.exceptions import ReplacedToken
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import Requirement
from tests.factories import TokenFactory, UserFactory

pytestmark = pytest.mark.django_db
LIST = Requirement("channels", "list")


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = True


@pytest.fixture
def key(user):
    return Token.objects.create(user=user).key


def run(*args, scope="channels:*:list"):
    """Run the command and return standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command("pat_import_authtoken", *args, f"--scope={scope}", stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def digest(key):
    return crypto.digest(key, conf.peppers[0])


def test_key_is_imported_and_deleted(user, key):
    out, _err = run("--user=owner", "--duration=90d", "--name=pump", "--description=from before")
    token = PersonalAccessToken.objects.get()
    assert out.splitlines() == [
        f"imported  owner  {token.pk}",
        "Imported: 1. Already imported: 0. Refused: 0. Deleted from authtoken: 1.",
    ]
    assert (token.user, token.name, token.description, token.is_legacy) == (user, "pump", "from before", True)
    assert (token.digest, token.hint) == (digest(key), f"…{key[-4:]}")
    assert (token.expires_at - token.issued_at).days == 90
    assert [str(scope) for scope in token.scope_set.all()] == ["channels:*:list"]
    assert authenticate(key, LIST) == token
    assert not Token.objects.exists()


def test_key_is_never_stored_or_printed(user, key, django_capture_on_commit_callbacks):
    out, err = run("--all", "--json")
    row = PersonalAccessToken.objects.values().get()
    assert key not in out + err + str(row)
    Token.objects.create(user=UserFactory(username="other"), key="short")
    with pytest.raises(CommandError) as caught:
        run("--all")
    assert "short" not in str(caught.value)


def test_second_run_changes_nothing(user, key):
    run("--all", "--keep")
    before = PersonalAccessToken.objects.values().get()
    assert Token.objects.get().key == key
    assert json.loads(run("--all", "--json", scope="channels:*:read")[0]) == {
        "dry_run": False,
        "deleted": 1,
        "imported": 0,
        "known": 1,
        "refused": 0,
        "users": [{"user": "owner", "result": "known", "token": str(before["id"]), "errors": []}],
    }
    assert PersonalAccessToken.objects.values().get() == before
    assert not Token.objects.exists()
    assert "Imported: 0." in run("--all")[0]


def test_key_under_older_pepper_is_known(user, key, settings):
    run("--all", "--keep")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the key of now, which is long enough"
    assert "Already imported: 1." in run("--all")[0]


def test_keep_option_warns(user, key):
    _out, err = run("--all", "--keep")
    assert "still in authtoken" in err


def test_dry_run_changes_nothing(user, key):
    stranger = UserFactory(username="stranger")
    Token.objects.create(user=stranger, key="x" * 40)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2"):
        call_command("pat_import_authtoken", "--all", "--dry-run", "--json", "--scope=pages:*:read", stdout=out)
    answer = json.loads(out.getvalue())
    assert (answer["dry_run"], answer["imported"], answer["refused"], answer["deleted"]) == (True, 1, 1, 1)
    assert [row["token"] for row in answer["users"]] == [None, None]
    assert not PersonalAccessToken.objects.exists()
    assert Token.objects.count() == 2


def test_user_option(user, key, stranger):
    Token.objects.create(user=stranger)
    run("--user=owner")
    assert PersonalAccessToken.objects.get().user == user
    assert Token.objects.get().user == stranger


def refused(*args, **kwargs):
    before = set(PersonalAccessToken.objects.values_list("pk", flat=True)), Token.objects.count()
    err = StringIO()
    kwargs.setdefault("scope", "channels:*:list")
    with pytest.raises(CommandError) as caught:
        call_command(
            "pat_import_authtoken", *args, f"--scope={kwargs['scope']}", stdout=StringIO(), stderr=err, no_color=True
        )
    assert (set(PersonalAccessToken.objects.values_list("pk", flat=True)), Token.objects.count()) == before
    assert caught.value.returncode == 1
    return f"{err.getvalue()}{caught.value}"


def test_limit_refuses_with_error(user, key, settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1
    TokenFactory(user=user)
    assert "reached the maximum number of tokens" in refused("--all")


@pytest.mark.parametrize(
    ("args", "scope", "message"),
    [
        (["--all", "--name=taken"], "channels:*:list", "--name: There is already a token with this name"),
        (["--all", "--duration=2y"], "channels:*:list", "--duration: Too long"),
        (["--all"], "channels:999:read", "--scope channels:999:read: No such entity"),
        (["--all"], "boats:*:read", "Unknown entity type"),
        (["--all"], "boats", "write TYPE:ID:OPERATION"),
        (["--user=nobody"], "channels:*:list", "no user with the username 'nobody'"),
        (["--user=stranger"], "channels:*:list", "No key in authtoken: stranger"),
    ],
)
def test_invalid_input_is_reported(user, key, stranger, args, scope, message):
    TokenFactory(user=user, name="taken")
    assert message in refused(*args, scope=scope)


def test_imported_key_must_expire(user, key, settings):
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
    assert "Imported keys must expire" in refused("--all", "--duration=never")


def test_other_keys_are_imported(user, key, stranger):
    Token.objects.create(user=stranger, key="0" * 39)
    with pytest.raises(CommandError, match="1 of 2 keys were not imported"):
        run("--all")
    assert PersonalAccessToken.objects.get().user == user
    assert Token.objects.get().user == stranger


def test_malformed_key_is_refused(user):
    for wrong in ("0" * 39, "A" * 40, "g" * 40, "é" * 40):
        Token.objects.filter(user=user).delete()
        Token.objects.create(user=user, key=wrong)
        assert "not an authtoken key" in refused("--all")


def test_key_of_other_user_is_not_changed(user, stranger, key):
    services.import_token(stranger, key, name="x", scopes=[])
    assert "Another user" in refused("--all")


def test_setting_is_required(user, key, settings):
    settings.PAT_TOKENS_ALLOW_LEGACY_KEYS = False
    assert "PAT_TOKENS_ALLOW_LEGACY_KEYS = True" in refused("--all")


def test_authtoken_is_required(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework.authtoken"]
    with pytest.raises(CommandError, match="not in INSTALLED_APPS"):
        run("--all")


def test_regenerating_replaces_key(user, key):
    run("--all")
    token, secret = services.regenerate_token(PersonalAccessToken.objects.get())
    assert not token.is_legacy
    assert authenticate(secret, LIST) == token
    with pytest.raises(ReplacedToken):
        authenticate(key, LIST)


def test_queries_grow_only_with_users(user, key, django_assert_max_num_queries):
    for number in range(4):
        Token.objects.create(user=UserFactory(username=f"more {number}"))
    with django_assert_max_num_queries(1 + 5 * 16):
        run("--all")


def test_documented_commands_work(user, settings):
    page = Path(__file__).parents[2] / "docs/how-to/migrating-from-authtoken.md"
    commands = re.findall(r"^python manage.py pat_import_authtoken (.*)$", page.read_text(), re.MULTILINE)
    for name in ("alice", "bob"):
        Token.objects.create(user=UserFactory(username=name))
    for arguments, left in zip(commands, (2, 1, 0), strict=True):
        # The guide uses the tutorial's books; this site has channels.
        call_command("pat_import_authtoken", *shlex.split(arguments.replace("books:", "channels:")), stdout=StringIO())
        assert Token.objects.count() == left
    assert {str(key) for key in PersonalAccessToken.objects.get(user__username="alice").scope_set.all()} == {
        "channels:*:list",
        "channels:*:read",
    }


@pytest.mark.django_db(transaction=True)
def test_concurrent_runs_import_each_key_once():
    for number in range(6):
        Token.objects.create(user=UserFactory(username=f"more {number}"))

    def move(_number):
        try:
            return json.loads(run("--all", "--json")[0])
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(move, range(2)))
    assert sum(one["imported"] for one in found) == 6
    assert sum(one["refused"] for one in found) == 0
    assert PersonalAccessToken.objects.filter(is_legacy=True).count() == 6
    assert not Token.objects.exists()
