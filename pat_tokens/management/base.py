"""What our commands share: find whom and what is meant, and say it to people or to scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from pat_tokens.exceptions import InvalidInput
from pat_tokens.models import PersonalAccessToken
from pat_tokens.scopes import ScopeKey

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django.contrib.auth.models import AbstractBaseUser

_OPTIONS = {
    "name",
    "description",
    "duration",
    "expires_at",
}  # what an error may be about and a command has an option for


class TokenCommand(BaseCommand):
    """Base of our commands: `--json`, and input that can only be wrong as a CommandError."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what every command takes."""
        parser.add_argument("--json", action="store_true", help="Answer in JSON, for a script.")

    def write_json(self, value: object) -> None:
        """Write `value` as one line of JSON."""
        self.stdout.write(as_json(value))


def add_expiration_arguments(parser: ArgumentParser) -> None:
    """Add how long a token lives."""
    parser.add_argument("--duration", help="How long it lives: 24h, 30d, 2w, 1y or an ISO 8601 duration.")
    parser.add_argument("--expires-at", help="Until when it lives: 2030-12-31T18:00+01:00.")


def add_scope_argument(parser: ArgumentParser, *, required: bool = False) -> None:
    """Add what a token may do."""
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        required=required,
        dest="scopes",
        metavar="TYPE:ID:OPERATION",
        help="What it may do, as channels:42:publish, or channels:*:read for all. Can be given many times.",
    )


def as_json(value: object) -> str:
    """Return `value` as one line of JSON."""
    return json.dumps(value, cls=DjangoJSONEncoder)


def find_user(username: str) -> AbstractBaseUser:
    """Return the user who logs in with `username`."""
    model = get_user_model()
    field = model.USERNAME_FIELD
    try:
        found = list(model._default_manager.filter(**{field: username})[:2])
    except (ValidationError, ValueError, TypeError):  # what such a field cannot hold
        found = []
    if not found:
        raise CommandError(f"There is no user with the {field} {username!r}.")
    if len(found) > 1:
        raise CommandError(f"There are several users with the {field} {username!r}.")
    return found[0]


def find_token(token_id: str) -> PersonalAccessToken:
    """Return the token with this id, its user loaded."""
    try:
        return PersonalAccessToken.objects.select_related("user").get(pk=token_id)
    except (PersonalAccessToken.DoesNotExist, ValidationError, ValueError, TypeError):
        # What was typed is not repeated: by mistake it may be a secret.
        raise CommandError("There is no token with this id. `pat_list` shows the id of each.") from None


def as_dict(token: PersonalAccessToken) -> dict[str, Any]:
    """Return `token` as the management API has it, and its user."""
    return {
        "id": token.pk,
        "user": token.user.get_username(),
        "name": token.name,
        "description": token.description,
        "status": token.status,
        "hint": token.hint,
        "is_legacy": token.is_legacy,
        "created_at": token.created_at,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
        "scopes": [{"id": scope.pk, **scope.key._asdict()} for scope in token.scope_set.all()],
    }


def format_datetime(value: datetime | None, *, none: str) -> str:
    """Return `value` to the minute, or `none`."""
    if value is None:
        return none
    return (timezone.localtime(value) if timezone.is_aware(value) else value).strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey; people choose names freely."""
    return "".join(character if character.isprintable() else "?" for character in text)


def parse_scope(text: str) -> ScopeKey:
    """Return the scope that `text` names, as `channels:42:publish`."""
    try:
        return ScopeKey.parse(text)
    except ValueError:
        raise CommandError(f"--scope {text}: write TYPE:ID:OPERATION, as channels:42:publish.") from None


def input_lines(error: InvalidInput, scopes: Sequence[str]) -> list[str]:
    """Return what is wrong with the input, each beside the option that it came by; `scopes` as they were typed."""
    lines = []
    for field, messages in error.errors.items():
        for position, message in enumerate(messages):
            if isinstance(message, Mapping):
                lines += [f"--scope {scopes[position]}: {' '.join(map(str, texts))}" for texts in message.values()]
            else:
                lines.append(f"--{field.replace('_', '-')}: {message}" if field in _OPTIONS else str(message))
    return lines
