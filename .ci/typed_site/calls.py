"""The Python API, called with strict types."""

from datetime import timedelta
from typing import assert_type
from uuid import UUID

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from pat_tokens import services
from pat_tokens.authentication import authenticate
from pat_tokens.conf import conf
from pat_tokens.exceptions import InsufficientScope, InvalidInput, InvalidToken
from pat_tokens.health import Level, check_health
from pat_tokens.models import PersonalAccessToken
from pat_tokens.reminders import Summary, send_reminders
from pat_tokens.requirements import Requirement
from pat_tokens.scopes import Decision, RequiredScope, ScopeKey, decide
from pat_tokens.signals import token_created
from pat_tokens.testing import client_with, make_token


def make(user: User) -> str:
    try:
        token, secret = services.create_token(user, name="deploy", duration="30d", scopes=[("groups", "*", "read")])
    except InvalidInput as error:
        return error.message
    assert_type(token, PersonalAccessToken)
    assert_type(token.id, UUID)
    assert_type(services.add_scopes(token, [ScopeKey("groups", "*", "list")]), list[ScopeKey])
    assert_type(services.revoke_token(token), PersonalAccessToken)
    assert_type(services.regenerate_token(token, duration=timedelta(days=3)), tuple[PersonalAccessToken, str])
    assert_type(services.import_token(user, "0" * 40, name="old"), tuple[PersonalAccessToken, bool])
    assert_type(services.prune_tokens(inactive_for=timedelta(days=90)), int)
    return secret


def ask(secret: str) -> str | None:
    try:
        token = authenticate(secret, Requirement("groups", "read", "pk"), {"pk": 1})
    except InsufficientScope as error:
        assert_type(error.missing, tuple[ScopeKey, ...])
        return None
    except InvalidToken as error:
        return error.reason
    assert_type(token.decision, Decision | None)
    return token.name


def look(user: User) -> None:
    tokens = PersonalAccessToken.objects.for_user(user).active().never_used().inactive_since(timezone.now())
    for token in tokens.select_related("user"):
        assert_type(token, PersonalAccessToken)
    assert_type(decide([ScopeKey("groups", "*", "read")], RequiredScope("groups", "read")), Decision)
    assert_type(check_health(counts=False).ok, bool)
    assert_type(check_health().findings[0].level, Level)
    assert_type(send_reminders(dry_run=True), Summary)
    assert_type(conf.max_tokens_per_user, int)


def listen(sender: type[PersonalAccessToken], token: PersonalAccessToken, **kwargs: object) -> None:
    print(token.name)


token_created.connect(listen)


def test_it(user: User) -> None:
    token, secret = make_token(user, "groups:*:read")
    assert_type(client_with(secret), Client)
    assert token.is_active
