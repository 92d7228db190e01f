"""What the commands share: finding users and tokens, and output for people and scripts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from pat_tokens.activity import Actor
from pat_tokens.authentication import find_by_secret
from pat_tokens.durations import as_aware
from pat_tokens.exceptions import Conflict, InvalidInput, MalformedToken, RotationInProgress, UnknownToken
from pat_tokens.models import PersonalAccessToken, Via
from pat_tokens.scopes import ScopeKey
from pat_tokens.validation import EDITABLE_FIELDS, NewTokenFields

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django.contrib.auth.models import AbstractBaseUser

ACTOR = Actor(via=Via.COMMAND)
_PREVIOUS_SECRET = ("hint", "expires_at", "last_used_at", "grace_period", "grace_started_at")  # the attributes in JSON
_STDIN = "-"
_MAX_LINE = 1000  # characters of a secret on standard input
BROKEN_PIPE = 141  # the exit status of a program killed by SIGPIPE


class TokenCommand(BaseCommand):
    """The base class of the commands: adds `--json`, and exits quietly if the reader of a pipe closes it."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON, for scripts.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Exit like other programs if the reader of a pipe, such as `head`, has closed it."""
        try:
            # Scripts read the output, and the console backend prints mails.
            with redirect_stdout(sys.stderr):
                output = super().execute(*args, **options)
            self.stdout.flush()
        except BrokenPipeError:
            # Python flushes again at exit, and would print the error.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(BROKEN_PIPE)
        return output

    def write_json(self, value: object) -> None:
        self.stdout.write(as_json(value))


def add_expiration_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--duration", help="When the token expires: after 24h, 30d, 2w, 1y or an ISO 8601 duration.")
    parser.add_argument("--expires-at", help="When the token expires: 2030-12-31 or 2030-12-31T18:00+01:00.")


def add_token_arguments(parser: ArgumentParser, *, name: str | None = None, scopes_required: bool = False) -> None:
    """Add the options for the fields of a new token; `name` is the default name."""
    parser.add_argument(
        "--name", default=name, required=name is None, help="The name of the token, unique for its user."
    )
    parser.add_argument("--description", default="", help="What the token is for.")
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        dest="allowed_networks",
        metavar="NETWORK",
        help="A network that the token can be used from, such as 10.0.0.0/8. Can be repeated. Default: everywhere.",
    )
    add_expiration_arguments(parser)
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        required=scopes_required,
        dest="scopes",
        metavar="TYPE:ID:OPERATION",
        help="A scope such as channels:42:publish, or channels:*:read for all channels. Can be repeated.",
    )


def token_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new token for `create_token`."""
    fields = {field: options[field] for field in NewTokenFields.__optional_keys__}
    return {**fields, "scopes": [parse_scope(text) for text in options["scopes"]]}


def add_confirmation_argument(parser: ArgumentParser) -> None:
    """Add the option of a command that asks before it changes many tokens."""
    parser.add_argument("--no-input", action="store_false", dest="interactive", help="Do not ask for confirmation.")


def confirm(command: BaseCommand, question: str, options: Mapping[str, Any]) -> None:
    """Say what will happen, and ask for a yes unless the command runs without input."""
    command.stderr.write(question)
    if not options["interactive"]:
        return
    try:
        answer = input("Type yes to continue: ")
    except EOFError:
        answer = ""
    if answer != "yes":
        raise CommandError("Nothing was changed. Use --no-input in scripts.")


def as_json(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder)


def find_user(username: str) -> AbstractBaseUser:
    """Return the user with this value of `USERNAME_FIELD`. Raises CommandError."""
    model = get_user_model()
    field = model.USERNAME_FIELD
    try:
        found = list(model._default_manager.filter(**{field: username})[:2])
    except (ValidationError, ValueError, TypeError):  # not a valid value for the field
        found = []
    if not found:
        raise CommandError(f"There is no user with the {field} {username!r}.")
    if len(found) > 1:
        raise CommandError(f"There are several users with the {field} {username!r}.")
    return found[0]


def find_token(token_id: str) -> PersonalAccessToken:
    """Return the token with this id, and its user. Raises CommandError."""
    try:
        return PersonalAccessToken.objects.select_related("user", "previous").get(pk=token_id)
    except (PersonalAccessToken.DoesNotExist, ValidationError, ValueError, TypeError):
        # The input isn't repeated, because it could be a secret that was pasted by mistake.
        raise CommandError("There is no token with this id. `pat_list` shows the ids.") from None


def find_or_read_token(token_id: str) -> PersonalAccessToken:
    """Return the token with this id or, for `-`, with the secret on standard input. Raises CommandError."""
    return _read_token() if token_id == _STDIN else find_token(token_id)


@sensitive_variables()
def _read_token() -> PersonalAccessToken:
    secret = sys.stdin.readline(_MAX_LINE).strip()
    try:
        token, _digest = find_by_secret(secret)
    except MalformedToken:
        raise CommandError("Standard input doesn't contain a secret of this site.") from None
    except UnknownToken:
        raise CommandError("No token has this secret.") from None
    return token


def as_dict(token: PersonalAccessToken) -> dict[str, Any]:
    """Return `token` for JSON, with its user and all scopes."""
    previous = token.previous_secret
    return {
        "id": token.pk,
        "user": token.user.get_username(),
        **{field: getattr(token, field) for field in EDITABLE_FIELDS},
        "status": token.status,
        "hint": token.hint,
        "is_legacy": token.is_legacy,
        "created_at": token.created_at,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
        "previous_secret": previous and {field: getattr(previous, field) for field in _PREVIOUS_SECRET},
        "scopes": [
            {"id": scope.pk, **scope.key._asdict(), "last_used_at": scope.last_used_at}
            for scope in token.scope_set.all()
        ],
    }


@contextmanager
def refusals_as_command_errors(*, scopes: Sequence[str] = (), hint: str = "") -> Iterator[None]:
    """Convert errors of services to CommandErrors; `scopes` are those of the command line.

    `hint` is appended for a rotation in progress.
    """
    try:
        yield
    except InvalidInput as error:
        raise CommandError("\n".join(input_lines(error, scopes))) from None
    except PersonalAccessToken.DoesNotExist:
        raise CommandError("The token was deleted in the meantime.") from None
    except Conflict as error:
        rest = f" {hint}" if isinstance(error, RotationInProgress) else ""
        raise CommandError(f"{error.message}{rest}") from None


def print_new_secret(
    command: BaseCommand,
    verb: str,
    token: PersonalAccessToken,
    secret: str,
    *,
    in_json: bool,
    warnings: Sequence[str] = (),
) -> None:
    """Print `secret` to standard output, alone or as JSON, and everything else to standard error."""
    command.stdout.write(as_json({**as_dict(token), "secret": secret}) if in_json else secret)
    owner, expiry = printable(token.user.get_username()), format_datetime(token.expires_at, none="never")
    command.stderr.write(f"{verb} token {printable(token.name)} ({token.pk}) of {owner}, expires: {expiry}.")
    for warning in (*warnings, "Copy the secret now. It will not be shown again."):
        command.stderr.write(command.style.WARNING(warning))


def format_datetime(value: datetime | None, *, none: str) -> str:
    """Return `value` to the minute with its UTC offset, or `none`."""
    if value is None:
        return none
    return timezone.localtime(as_aware(value)).isoformat(sep=" ", timespec="minutes")


def printable(text: str) -> str:
    """Return `text` without control characters, which a terminal would interpret."""
    return "".join(character if character.isprintable() else "?" for character in text)


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, such as `1 token` or `2 tokens`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def parse_scope(text: str) -> ScopeKey:
    """Return the scope in `text`, such as `channels:42:publish`. Raises CommandError."""
    try:
        return ScopeKey.parse(text)
    except ValueError:
        raise CommandError(f"--scope {text}: write TYPE:ID:OPERATION, such as channels:42:publish.") from None


def input_lines(error: InvalidInput, scopes: Sequence[str], *, scope_option: str = "--scope") -> list[str]:
    """Return the errors, each with its option; `scopes` are those of the command line, given with `scope_option`."""
    fields = NewTokenFields.__optional_keys__ - {"scopes"} | {"grace_period", "unused_for"}
    options = {field: f"--{field.replace('_', '-')}" for field in fields} | {"allowed_networks": "--network"}
    lines = []
    for field, messages in error.errors.items():
        for position, message in enumerate(messages):
            if isinstance(message, Mapping):
                problems = (" ".join(map(str, texts)) for texts in message.values())
                lines += [f"{scope_option} {scopes[position]}: {problem}" for problem in problems]
            else:
                lines.append(f"{options[field]}: {message}" if field in options else str(message))
    return lines
