import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from pat_tokens import services
from pat_tokens.models import Activity, PersonalAccessToken
from tests.factories import TokenFactory, UserFactory
from tests.policies import policy_with

pytestmark = pytest.mark.django_db


def run(**options):
    output = StringIO()
    call_command("pat_policy", stdout=output, stderr=StringIO(), **options)
    return output.getvalue()


def test_number_of_queries_is_constant(settings, django_assert_num_queries):
    found = [TokenFactory(duration="60d") for _ in range(3)]
    for token in found:
        services.rotate_token(token)
    settings.PAT_TOKENS_POLICY = policy_with(get_max_duration=lambda user, token=None: "30d")
    with django_assert_num_queries(2):
        assert len(json.loads(run(json=True))) == 3


@pytest.fixture
def tokens(settings):
    """Tokens by the reason for which a later policy would not allow them; superusers are none of its exceptions."""
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
    team = UserFactory(username="team-anna", is_superuser=True)
    limits = {"allowed_networks": ["10.1.0.0/16"], "duration": "7d"}
    found = {
        "lifetime is over the maximum of 30d": TokenFactory(user=team, **{**limits, "duration": "60d"}),
        "does not expire": TokenFactory(user=team, **{**limits, "duration": "never"}),
        "channels:*:delete": TokenFactory(user=team, **limits, scopes=[("channels", "*", "delete")]),
        "Enter networks within 10.0.0.0/8": TokenFactory(user=team, duration="7d"),
        "not 11.0.0.0/8": TokenFactory(user=team, duration="7d", allowed_networks=["11.0.0.0/8"]),
        "can't have tokens": TokenFactory(user=UserFactory(username="guest"), **limits),
        "": TokenFactory(user=team, **limits, scopes=[("channels", "*", "read")]),
    }
    services.revoke_token(TokenFactory(user=team, duration="60d"))
    settings.PAT_TOKENS_POLICY = policy_with(
        can_have_tokens=lambda user: user.username != "guest",
        get_max_duration=lambda user, token=None: "30d",
        allows_no_expiration=lambda user, token=None: False,
        can_grant=lambda user, entity_type, operation, token=None: operation.name in ("read", "list"),
        get_network_limits=lambda user, token=None: ["10.0.0.0/8"],
    )
    return found


def test_tokens_are_listed_with_their_reasons(tokens):
    rows = {row["id"]: row for row in json.loads(run(json=True))}
    table = run()
    assert "The policy doesn't allow 6 active tokens." in table
    for reason, token in tokens.items():
        if reason:
            (problem,) = rows.pop(str(token.pk))["problems"]
            assert reason in problem
            assert problem in table
    assert rows == {}
    assert PersonalAccessToken.objects.active().count() == 7


def test_revoke_says_how_many_and_asks_first(tokens, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda prompt: "no")
    with pytest.raises(CommandError, match="Nothing was changed"):
        run(revoke=True)
    assert PersonalAccessToken.objects.active().count() == 7
    assert "(revoked)" in run(revoke=True, interactive=False)
    (kept,) = PersonalAccessToken.objects.active()
    assert kept == tokens[""]
    assert Activity.objects.filter(kind="revoked", via="command").count() == 6
    assert "The policy doesn't allow 0 active tokens." in run(revoke=True)
    assert json.loads(run(revoke=True, json=True)) == []


def test_json_says_what_was_revoked(tokens):
    rows = json.loads(run(revoke=True, interactive=False, json=True))
    assert {row["id"] for row in rows} == {str(token.pk) for reason, token in tokens.items() if reason}
    assert all(row["revoked"] and row["problems"] for row in rows)
