"""Import keys of DRF's authtoken, so that clients can keep the keys they have."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError, no_translations
from django.db import router, transaction
from django.views.decorators.debug import sensitive_variables

from pat_tokens import services
from pat_tokens.conf import conf
from pat_tokens.exceptions import InvalidInput
from pat_tokens.management.base import (
    ACTOR,
    TokenCommand,
    add_token_arguments,
    find_user,
    input_lines,
    printable,
    token_fields,
)
from pat_tokens.models import PersonalAccessToken

DEFAULT_NAME = "authtoken key"


@dataclass(frozen=True)
class Outcome:
    """The result for one user's key: imported, known or refused."""

    result: str
    user: str
    token: PersonalAccessToken | None = None
    errors: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "user": self.user,
            "result": self.result,
            "token": None if self.token is None else self.token.pk,
            "errors": list(self.errors),
        }


class Command(TokenCommand):
    help = (
        "Import keys of rest_framework.authtoken, each as a token with the given scopes. Clients can use their keys "
        "until the tokens expire, while PAT_TOKENS_ALLOW_LEGACY_KEYS is True. It is safe to run the command again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--all", action="store_true", help="Import the keys of all users.")
        whose.add_argument(
            "--user",
            action="append",
            dest="users",
            metavar="USER",
            help="Import the key of this user. Can be repeated.",
        )
        add_token_arguments(parser, name=DEFAULT_NAME, scopes_required=True)
        parser.add_argument(
            "--keep",
            action="store_true",
            help="Also keep the keys in authtoken, which keeps accepting them without scopes.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Import the keys and roll back.")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Import the keys one by one, each in its own transaction; fail at the end if any was refused."""
        if not apps.is_installed("rest_framework.authtoken"):
            raise CommandError("rest_framework.authtoken is not in INSTALLED_APPS, so there are no keys to import.")
        if not conf.allow_legacy_keys:
            raise CommandError(
                "Imported keys are not allowed here: set PAT_TOKENS_ALLOW_LEGACY_KEYS = True on every process first."
            )
        move = _Move(token_fields(options), options["scopes"], keep=options["keep"], dry_run=options["dry_run"])
        outcomes = []
        for outcome in move.run(options["users"]):
            outcomes.append(outcome)
            if not options["json"]:
                self._print(outcome)
        counts = {
            result: sum(outcome.result == result for outcome in outcomes) for result in ("imported", "known", "refused")
        }
        if options["json"]:
            rows = [outcome.as_dict() for outcome in outcomes]
            self.write_json({"dry_run": options["dry_run"], "deleted": move.deleted, **counts, "users": rows})
        else:
            self._print_counts(counts, move)
        if counts["refused"]:
            raise CommandError(f"{counts['refused']} of {len(outcomes)} keys were not imported.")

    def _print(self, outcome: Outcome) -> None:
        where = self.stderr if outcome.errors else self.stdout
        token = "" if outcome.token is None else f"  {outcome.token.pk}"
        where.write(f"{outcome.result:8}  {printable(outcome.user)}{token}{': ' * bool(outcome.errors)}", ending="")
        where.write(" ".join(map(printable, outcome.errors)))

    def _print_counts(self, counts: dict[str, int], move: _Move) -> None:
        self.stdout.write(
            f"Imported: {counts['imported']}. Already imported: {counts['known']}. Refused: {counts['refused']}. "
            f"Deleted from authtoken: {move.deleted}."
        )
        if move.dry_run:
            self.stdout.write("This was a dry run: nothing was changed.")
        elif move.keep and counts["imported"] + counts["known"]:
            self.stderr.write(
                self.style.WARNING(
                    "The keys are still in authtoken. Views that use its TokenAuthentication, and not our class, "
                    "accept them without scopes, even after their tokens are revoked. Run this again without --keep."
                )
            )


class _Move:
    """One run: the fields of the tokens, and how many keys have been deleted."""

    def __init__(self, fields: dict[str, Any], scope_texts: Sequence[str], *, keep: bool, dry_run: bool) -> None:
        self.model: Any = apps.get_model("authtoken", "Token")
        self.alias = router.db_for_write(self.model)
        self.fields = fields
        self.scope_texts = scope_texts
        self.keep = keep
        self.dry_run = dry_run
        self.deleted = 0

    def run(self, usernames: Sequence[str] | None) -> Iterator[Outcome]:
        """Import the keys of these users, or of all, and yield the results."""
        keys = self.model._default_manager.using(self.alias)
        if usernames is None:
            ids = list(keys.order_by("user").values_list("user", flat=True))
        else:
            ids = [find_user(username).pk for username in dict.fromkeys(usernames)]
            missing = set(ids) - set(keys.filter(user__in=ids).values_list("user", flat=True))
            if missing:
                names = [name for name, pk in zip(dict.fromkeys(usernames), ids, strict=True) if pk in missing]
                raise CommandError(f"No key in authtoken: {', '.join(map(printable, names))}.")
        for user_id in ids:
            outcome = self._move(user_id)
            if outcome is not None:
                yield outcome

    @sensitive_variables()  # str() of the row is the key
    def _move(self, user_id: Any) -> Outcome | None:
        row = self.model._default_manager.using(self.alias).filter(user=user_id).select_related("user").first()
        if row is None:  # it was deleted since
            return None
        owner = row.user
        username = owner.get_username()
        try:
            # If both tables are in one database, creating the token and deleting the key is one transaction.
            with (
                transaction.atomic(using=self.alias),
                transaction.atomic(using=router.db_for_write(PersonalAccessToken)),
            ):
                token, created = services.import_token(owner, row.pk, actor=ACTOR, **self.fields)
                if not self.keep:
                    row.delete()
                    self.deleted += 1
                if self.dry_run:
                    for alias in {self.alias, router.db_for_write(PersonalAccessToken)}:
                        transaction.set_rollback(True, using=alias)
        except InvalidInput as error:
            return Outcome("refused", username, errors=input_lines(error, self.scope_texts))
        if created and self.dry_run:  # the token was rolled back
            return Outcome("imported", username)
        return Outcome("imported" if created else "known", username, token)
