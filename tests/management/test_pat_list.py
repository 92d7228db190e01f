import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from pat_tokens.activity import record_refusal
from pat_tokens.services import revoke_token, rotate_token
from tests.factories import TokenFactory

pytestmark = pytest.mark.django_db


def run(*args):
    """Run the command and return its output."""
    out = StringIO()
    call_command("pat_list", *args, stdout=out)
    return out.getvalue()


def test_lists_tokens_newest_first(token, stranger):
    other = TokenFactory(user=stranger, name="backup")
    head, first, second = run().splitlines()
    assert head.split() == ["ID", "STATUS", "HINT", "EXPIRES", "LAST", "USED", "USER", "NAME"]
    assert first.split()[0] == str(other.pk)
    for part in (str(token.pk), "active", token.hint, "not used yet", "owner", "deploy"):
        assert part in second


def test_secrets_and_digests_are_not_shown(token):
    for out in (run(), run("--json")):
        assert token.secret not in out
        assert token.digest not in out


def test_user_option(token, stranger):
    TokenFactory(user=stranger, name="backup")
    assert "backup" not in run("--user=owner")
    assert "deploy" not in run("--user=stranger")


def test_status_option(token, make_token):
    revoked = revoke_token(make_token(name="leaked"))
    assert "deploy" in run("--status=active")
    assert "leaked" not in run("--status=active")
    assert [row["id"] for row in json.loads(run("--status=revoked", "--json"))] == [str(revoked.pk)]
    assert run("--status=expired", "--json").strip() == "[]"


def test_only_tokens_with_refused_secrets(token, make_token, rf):
    gone = revoke_token(make_token(name="leaked"))
    assert run("--refused", "--json").strip() == "[]"
    request = rf.get("/", REMOTE_ADDR="203.0.113.7", headers={"user-agent": "curl/8.5"})
    record_refusal(gone, "revoked", request=request)
    request.close()
    (row,) = json.loads(run("--refused", "--json"))
    (refused,) = row["refused"]
    assert (row["id"], refused["reason"], refused["count"]) == (str(gone.pk), "revoked", 1)
    _head, first, second = run("--refused").splitlines()
    assert str(gone.pk) in first
    assert second.startswith("  revoked: at least 1 requests, last on 20")
    assert second.endswith("from 203.0.113.7 curl/8.5")


def test_json_output(make_token):
    token = make_token("channels:*:read", "pages:*:list", name="deploy", description="for CI")
    (answer,) = json.loads(run("--json"))
    assert answer["id"] == str(token.pk)
    assert answer["user"] == "owner"
    assert answer["status"] == "active"
    assert {scope["entity_type"] for scope in answer["scopes"]} == {"channels", "pages"}
    assert set(answer) == {
        *("id", "user", "name", "description", "status", "hint", "is_legacy", "scopes"),
        *("created_at", "issued_at", "expires_at", "last_used_at", "revoked_at", "allowed_networks", "previous_secret"),
    }


@pytest.mark.parametrize(("args", "queries"), [((), 1), (("--json",), 2)])
def test_number_of_queries_is_constant(make_token, django_assert_num_queries, args, queries):
    for number in range(5):
        rotate_token(make_token("channels:*:read", name=str(number)))
    with django_assert_num_queries(queries):
        run(*args)


def test_control_characters_are_removed(make_token):
    make_token(name="a\x1b[2Jb")
    assert "a?[2Jb" in run()


@pytest.mark.parametrize(("args", "message"), [(["--user=nobody"], "no user"), (["--status=dead"], "choose one of")])
def test_invalid_input_is_reported(token, args, message):
    with pytest.raises(CommandError, match=message):
        run(*args)
