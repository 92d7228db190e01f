"""The tables: fields, constraints and properties of one row."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from pat_tokens.conf import conf
from pat_tokens.crypto import DIGEST_LENGTH, PEPPER_ID_LENGTH
from pat_tokens.durations import MAX_LENGTH, parse_duration
from pat_tokens.entities import MAX_ID_LENGTH, MAX_WORD_LENGTH
from pat_tokens.fields import ExactCharField, NetworksField
from pat_tokens.networks import Address
from pat_tokens.querysets import (
    ActivityQuerySet,
    MissingScopeQuerySet,
    ReminderQuerySet,
    ScopeQuerySet,
    Status,
    TokenQuerySet,
)
from pat_tokens.scopes import ALL, Decision, ScopeKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


MYPY = False  # True for mypy, which never runs this line; other type checkers have no plugin for Django

MAX_NAME_LENGTH = 255  # characters
MAX_DESCRIPTION_LENGTH = 1000  # characters
MAX_NETWORKS = 50  # of a token
MAX_NETWORK_LENGTH = 43  # characters of the longest, with 8 groups of 4 digits and /128
MAX_AGENT_LENGTH = 200  # characters; the rest of a user agent is cut off


def _refuse_changes(instance: models.Model, model: type[models.Model]) -> None:
    """Raise ValidationError if a model form changes what only services may change, because they check permissions."""
    stored = model._base_manager.using(instance._state.db).filter(pk=instance.pk).first()
    if stored is None or _form_values(instance, model) != _form_values(stored, model):
        raise ValidationError(_("Tokens and their scopes can only be changed on their own pages."))


def _form_values(instance: models.Model, model: type[models.Model]) -> list[Any]:
    values = [
        field.get_prep_value(getattr(instance, field.attname))
        for field in model._meta.concrete_fields
        if field.editable
    ]
    # Form fields drop microseconds, and in some languages also seconds.
    return [value.replace(second=0, microsecond=0) if isinstance(value, datetime) else value for value in values]


class PersonalAccessToken(models.Model):
    """A token of a user. Only a digest of its secret is stored."""

    if TYPE_CHECKING and not MYPY:  # mypy's plugin infers these
        id: models.UUIDField[Any, uuid.UUID]
        name: models.CharField[Any, str]
        user: models.ForeignKey[Any, AbstractBaseUser]
        user_id: Any
        scope_set: ScopeQuerySet
        previous: PreviousSecret
        objects: ClassVar[TokenQuerySet]

    id = models.UUIDField(pgettext_lazy("pat_tokens", "ID"), primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=pgettext_lazy("pat_tokens", "user"),
        on_delete=models.CASCADE,
        related_name="personal_access_tokens",
        db_index=False,  # the unique constraint on (user, name_key) begins with it
    )
    name = models.CharField(pgettext_lazy("pat_tokens", "name"), max_length=MAX_NAME_LENGTH)
    # MariaDB can't index an expression, and databases lower-case differently, so the folded name is a column. It is a
    # digest because folding can make a name three times as long.
    name_key = models.CharField(max_length=64, editable=False)
    description = models.CharField(
        pgettext_lazy("pat_tokens", "description"), max_length=MAX_DESCRIPTION_LENGTH, blank=True, default=""
    )
    # Empty: everywhere.
    allowed_networks = NetworksField(
        pgettext_lazy("pat_tokens", "allowed networks"),
        max_length=MAX_NETWORKS * (MAX_NETWORK_LENGTH + 1),
        blank=True,
        default=(),
        db_default="",
        help_text=_("Addresses or networks, such as 10.0.0.0/8, that the token can be used from. Empty: everywhere."),
    )
    # Unique by a constraint: `unique=True` makes a second index for LIKE on PostgreSQL.
    digest = models.CharField(max_length=DIGEST_LENGTH, editable=False)
    # The pepper of the digest; empty if the digest is older than this column.
    pepper_id = models.CharField(max_length=PEPPER_ID_LENGTH, default="", db_default="", editable=False)
    hint = models.CharField(pgettext_lazy("pat_tokens", "hint"), max_length=32, editable=False)  # as `pat_…x7Qa`
    created_at = models.DateTimeField(pgettext_lazy("pat_tokens", "created at"), default=timezone.now, editable=False)
    issued_at = models.DateTimeField(
        pgettext_lazy("pat_tokens", "issued at"), default=timezone.now, editable=False, db_index=True
    )
    expires_at = models.DateTimeField(pgettext_lazy("pat_tokens", "expires at"), null=True, blank=True, db_index=True)
    revoked_at = models.DateTimeField(
        pgettext_lazy("pat_tokens", "revoked at"), null=True, blank=True, editable=False, db_index=True
    )
    # The secret is a key imported from DRF's authtoken, which works until the token expires.
    is_legacy = models.BooleanField(pgettext_lazy("pat_tokens", "legacy key"), default=False, editable=False)
    last_used_at = models.DateTimeField(
        pgettext_lazy("pat_tokens", "last used at"), null=True, blank=True, editable=False
    )
    last_used_ip = models.GenericIPAddressField(
        pgettext_lazy("pat_tokens", "last used from"), null=True, blank=True, editable=False
    )
    last_used_agent = models.CharField(
        pgettext_lazy("pat_tokens", "last used by"), max_length=MAX_AGENT_LENGTH, blank=True, default="", editable=False
    )

    # The secret that the current one replaced. It works during an overlap, and is recognized afterwards. What else is
    # known about it is in PreviousSecret: each request loads this row, and few tokens have an overlap.
    previous_digest = models.CharField(max_length=DIGEST_LENGTH, null=True, editable=False)
    # Set during an overlap, and after it ended by itself.
    rotated_at = models.DateTimeField(
        pgettext_lazy("pat_tokens", "rotated at"), null=True, editable=False, db_index=True
    )
    grace_started_at = models.DateTimeField(null=True, editable=False)  # the first use of the current secret
    # Whether the last use was of the previous secret.
    last_used_by_previous = models.BooleanField(default=False, db_default=False, editable=False)

    objects = TokenQuerySet.as_manager()

    # The decision about the current request; None on a token that wasn't loaded by authentication.
    decision: Decision | None = None
    # For each required scope, when the scope that covers it was last used; None if no scope covers it.
    scope_uses: Sequence[datetime | None] = ()
    # The digests of its secret under each pepper, where the token was found by its secret.
    candidate_digests: tuple[str, ...] = ()
    # Whether that secret is the previous one.
    is_previous = False
    # The client of the current request, where the token allows only some networks.
    client_address: Address | None = None
    # The site's user manager doesn't return the owner, for example a soft-deleted user. Then `user` isn't loaded.
    owner_is_hidden = False

    class Meta:
        verbose_name = pgettext_lazy("pat_tokens", "personal access token")
        verbose_name_plural = pgettext_lazy("pat_tokens", "personal access tokens")
        permissions = [("create_for_others", "Can create and renew tokens for other users")]
        constraints = [
            models.UniqueConstraint(fields=["user", "name_key"], name="pat_tokens_name_unique"),
            models.UniqueConstraint(fields=["digest"], name="pat_tokens_digest_unique"),
            models.UniqueConstraint(fields=["previous_digest"], name="pat_tokens_previous_digest_unique"),
            models.CheckConstraint(
                condition=Q(previous_digest__isnull=True) | ~Q(previous_digest=F("digest")),
                name="pat_tokens_secrets_differ",
            ),
            models.CheckConstraint(
                condition=Q(rotated_at__isnull=True) | Q(previous_digest__isnull=False),
                name="pat_tokens_overlap_has_secret",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="pat_tokens_name_not_empty"),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("issued_at")),
                name="pat_tokens_expires_after_issue",
            ),
            models.CheckConstraint(
                condition=Q(is_legacy=False) | Q(expires_at__isnull=False), name="pat_tokens_legacy_key_ends"
            ),
        ]
        indexes = [models.Index(fields=["user", "-issued_at"], name="pat_tokens_newest_first")]

    def __str__(self) -> str:
        return self.name

    def full_clean(self, exclude: Any = None, validate_unique: bool = True, validate_constraints: bool = True) -> None:
        """Refuse changes by model forms, such as an inline in a site's own admin. Raises ValidationError."""
        if not validate_unique:  # model forms do that later
            _refuse_changes(self, PersonalAccessToken)
        super().full_clean(exclude, validate_unique, validate_constraints)

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    @property
    def is_expired(self) -> bool:
        return self.is_expired_at(timezone.now())

    def is_expired_at(self, when: datetime) -> bool:
        return self.expires_at is not None and when >= self.expires_at

    @property
    def status(self) -> Status:
        """Revoked, else expired, else active."""
        if self.is_revoked:
            return Status.REVOKED
        return Status.EXPIRED if self.is_expired else Status.ACTIVE

    @property
    def is_active(self) -> bool:
        return self.status == Status.ACTIVE

    @property
    def previous_secret(self) -> PreviousSecret | None:
        """The previous secret while it works, or None.

        Makes a query during an overlap unless `previous` is loaded, as it is where a token was found by that secret.
        """
        return self.get_previous_secret(timezone.now())

    def get_previous_secret(self, now: datetime) -> PreviousSecret | None:
        if self.rotated_at is None or self.is_revoked:
            return None
        secret: PreviousSecret | None = getattr(self, "previous", None)
        return None if secret is None or now >= secret.expires_at else secret

    @property
    def awaits_first_use(self) -> bool:
        """Whether there is an overlap, and no use of the current secret was recorded."""
        return self.rotated_at is not None and self.grace_started_at is None


class PreviousSecret(models.Model):
    """The secret that the current one of a token replaced last. Its digest is in the row of the token."""

    token = models.OneToOneField(
        PersonalAccessToken,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="previous",
        db_constraint=False,  # the first release deletes tokens without knowing this table
    )
    pepper_id = models.CharField(max_length=PEPPER_ID_LENGTH, default="", editable=False)
    hint = models.CharField(max_length=32, editable=False)
    issued_at = models.DateTimeField(editable=False)
    original_expires_at = models.DateTimeField(
        null=True, editable=False
    )  # the token's expiration date before the rotation
    is_legacy = models.BooleanField(default=False, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, db_index=True)
    last_used_ip = models.GenericIPAddressField(null=True, editable=False)
    last_used_agent = models.CharField(max_length=MAX_AGENT_LENGTH, default="", editable=False)
    grace_period = models.CharField(max_length=MAX_LENGTH, default="", editable=False)  # as it was given
    mailed_at = models.DateTimeField(null=True, editable=False)  # when the owner was told that it is still used

    class Meta:
        verbose_name = pgettext_lazy("pat_tokens", "previous secret")
        verbose_name_plural = pgettext_lazy("pat_tokens", "previous secrets")

    def __str__(self) -> str:
        return self.hint

    @property
    def grace_started_at(self) -> datetime | None:
        """When the grace period started, with the first use of the current secret."""
        return self.token.grace_started_at

    @property
    def expires_at(self) -> datetime:
        """When the secret stops, or stopped, as things stand. Only during an overlap.

        That is the earliest of the end of the grace period, the expiration of the secret and of the token, and
        `PAT_TOKENS_MAX_OVERLAP` after the rotation.
        """
        rotated_at: Any = self.token.rotated_at
        longest = rotated_at + parse_duration(conf.max_overlap)
        ends: list[datetime | None] = [longest, self.original_expires_at, self.token.expires_at]
        if self.grace_started_at is not None:
            ends.append(self.grace_started_at + parse_duration(self.grace_period))
        return min(end for end in ends if end is not None)

    @property
    def is_used_late(self) -> bool:
        """Whether it was used in the last quarter of its grace period."""
        if self.grace_started_at is None or self.last_used_at is None:
            return False
        return self.last_used_at >= self.expires_at - (self.expires_at - self.grace_started_at) / 4


class Scope(models.Model):
    """An operation that a token can perform on one entity, or on all entities of a type."""

    id = models.UUIDField(pgettext_lazy("pat_tokens", "ID"), primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(
        PersonalAccessToken,
        verbose_name=pgettext_lazy("pat_tokens", "token"),
        on_delete=models.CASCADE,
        related_query_name="scope",
        db_index=False,  # the unique constraint begins with it
    )
    entity_type = ExactCharField(pgettext_lazy("pat_tokens", "entity type"), max_length=MAX_WORD_LENGTH)
    entity_id = ExactCharField(pgettext_lazy("pat_tokens", "entity"), max_length=MAX_ID_LENGTH)
    operation = ExactCharField(pgettext_lazy("pat_tokens", "operation"), max_length=MAX_WORD_LENGTH)
    created_at = models.DateTimeField(pgettext_lazy("pat_tokens", "created at"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(
        pgettext_lazy("pat_tokens", "last used at"), null=True, blank=True, editable=False
    )
    # When recording uses started. For older scopes, that is when the migration ran. Null if a process of the previous
    # version added the scope during a deployment: then it is `created_at`.
    watched_since = models.DateTimeField(
        pgettext_lazy("pat_tokens", "uses recorded since"), default=timezone.now, null=True, editable=False
    )

    objects = ScopeQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("pat_tokens", "scope")
        verbose_name_plural = pgettext_lazy("pat_tokens", "scopes")
        constraints = [
            # In this order it is also the index that answers "which ids for this operation?".
            models.UniqueConstraint(
                fields=["token", "entity_type", "operation", "entity_id"], name="pat_tokens_scope_unique"
            ),
            models.CheckConstraint(
                condition=~Q(entity_type="") & ~Q(entity_id="") & ~Q(operation=""),
                name="pat_tokens_scope_not_empty",
            ),
        ]

    def __str__(self) -> str:
        return str(self.key)

    def full_clean(self, exclude: Any = None, validate_unique: bool = True, validate_constraints: bool = True) -> None:
        """Refuse changes by model forms, like those of the token. Raises ValidationError."""
        if not validate_unique:
            _refuse_changes(self, Scope)
        super().full_clean(exclude, validate_unique, validate_constraints)

    @property
    def key(self) -> ScopeKey:
        return ScopeKey(self.entity_type, self.entity_id, self.operation)

    @property
    def is_for_all(self) -> bool:
        return bool(self.entity_id == ALL)


class MissingScope(models.Model):
    """A scope that a working token recently lacked, and that its owner could grant."""

    id = models.UUIDField(pgettext_lazy("pat_tokens", "ID"), primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(
        PersonalAccessToken,
        verbose_name=pgettext_lazy("pat_tokens", "token"),
        on_delete=models.CASCADE,
        related_name="missing_scopes",
        related_query_name="missing_scope",
        db_index=False,  # the unique constraint begins with it
        db_constraint=False,  # during a deployment, the previous version deletes tokens without these rows
    )
    entity_type = ExactCharField(pgettext_lazy("pat_tokens", "entity type"), max_length=MAX_WORD_LENGTH)
    entity_id = ExactCharField(pgettext_lazy("pat_tokens", "entity"), max_length=MAX_ID_LENGTH)
    operation = ExactCharField(pgettext_lazy("pat_tokens", "operation"), max_length=MAX_WORD_LENGTH)
    count = models.PositiveIntegerField(pgettext_lazy("pat_tokens", "count"), default=1)  # at least this many requests
    last_at = models.DateTimeField(pgettext_lazy("pat_tokens", "last at"), default=timezone.now, db_index=True)

    objects = MissingScopeQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("pat_tokens", "missing scope")
        verbose_name_plural = pgettext_lazy("pat_tokens", "missing scopes")
        constraints = [
            models.UniqueConstraint(
                fields=["token", "entity_type", "operation", "entity_id"], name="pat_tokens_missing_unique"
            ),
        ]

    def __str__(self) -> str:
        return str(self.key)

    @property
    def key(self) -> ScopeKey:
        return ScopeKey(self.entity_type, self.entity_id, self.operation)


class Reminder(models.Model):
    """A reminder that a token expires, once for each `issued_at` of the token and number of days."""

    id = models.UUIDField(pgettext_lazy("pat_tokens", "ID"), primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(
        PersonalAccessToken,
        verbose_name=pgettext_lazy("pat_tokens", "token"),
        on_delete=models.CASCADE,
        related_query_name="reminder",
        db_index=False,  # the unique constraint begins with it
    )
    issued_at = models.DateTimeField(
        pgettext_lazy("pat_tokens", "issued at")
    )  # of the token: regenerating it starts over
    days = models.PositiveSmallIntegerField(_("days before the end"))
    claimed_at = models.DateTimeField(pgettext_lazy("pat_tokens", "claimed at"), default=timezone.now)
    sent_at = models.DateTimeField(pgettext_lazy("pat_tokens", "sent at"), null=True, blank=True)

    objects = ReminderQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("pat_tokens", "reminder")
        verbose_name_plural = pgettext_lazy("pat_tokens", "reminders")
        constraints = [
            models.UniqueConstraint(fields=["token", "issued_at", "days"], name="pat_tokens_reminder_once"),
        ]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.days}"


class Kind(models.TextChoices):
    """What happened to a token."""

    CREATED = "created", pgettext_lazy("pat_tokens", "Created")
    IMPORTED = "imported", pgettext_lazy("pat_tokens", "Imported")
    UPDATED = "updated", pgettext_lazy("pat_tokens", "Updated")
    SCOPES_ADDED = "scopes_added", pgettext_lazy("pat_tokens", "Scopes added")
    SCOPES_DELETED = "scopes_deleted", pgettext_lazy("pat_tokens", "Scopes deleted")
    REVOKED = "revoked", pgettext_lazy("pat_tokens", "Revoked")
    REGENERATED = "regenerated", pgettext_lazy("pat_tokens", "Regenerated")
    ROTATED = "rotated", pgettext_lazy("pat_tokens", "Rotated")
    ROTATION_FINISHED = "rotation_finished", pgettext_lazy("pat_tokens", "Rotation finished")
    ROTATION_CANCELLED = "rotation_cancelled", pgettext_lazy("pat_tokens", "Rotation canceled")
    DELETED = "deleted", pgettext_lazy("pat_tokens", "Deleted")
    REMINDED = "reminded", pgettext_lazy("pat_tokens", "Reminder sent")
    LEAKED = "leaked", pgettext_lazy("pat_tokens", "Reported as leaked")
    REFUSED = "refused", pgettext_lazy("pat_tokens", "Refused")


class Via(models.TextChoices):
    """The interface with which a token was changed."""

    PAGE = "page", pgettext_lazy("pat_tokens", "Page")
    API = "api", pgettext_lazy("pat_tokens", "API")
    ADMIN = "admin", pgettext_lazy("pat_tokens", "Admin")
    COMMAND = "command", pgettext_lazy("pat_tokens", "Command")
    TOKEN = "token", pgettext_lazy("pat_tokens", "Token")
    SYSTEM = "system", pgettext_lazy("pat_tokens", "System")


class Reason(models.TextChoices):
    """Why the secret of a known token was refused."""

    REVOKED = "revoked", pgettext_lazy("pat_tokens", "Revoked")
    EXPIRED = "expired", pgettext_lazy("pat_tokens", "Expired")
    REPLACED = "replaced", pgettext_lazy("pat_tokens", "Replaced")
    NETWORK_NOT_ALLOWED = "network_not_allowed", pgettext_lazy("pat_tokens", "Network not allowed")


class Activity(models.Model):
    """A row of activity: what happened to a token, when, by whom, and with which interface.

    Rows are kept if the token or the actor is deleted, with copies of their names, and deleted with the owner. They
    never contain a secret or a digest.
    """

    if TYPE_CHECKING and not MYPY:  # mypy's plugin infers these
        owner_id: Any
        actor_id: Any
        objects: ClassVar[ActivityQuerySet]

    id = models.BigAutoField(pgettext_lazy("pat_tokens", "ID"), primary_key=True)  # in the order of the changes
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=pgettext_lazy("pat_tokens", "owner"),
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,  # two indexes begin with it
    )
    # Not a foreign key, because the row is kept when the token is deleted.
    token_id = models.UUIDField(pgettext_lazy("pat_tokens", "token ID"))
    token_name = models.CharField(pgettext_lazy("pat_tokens", "token"), max_length=MAX_NAME_LENGTH)
    kind = models.CharField(pgettext_lazy("pat_tokens", "kind"), max_length=20)
    at = models.DateTimeField(pgettext_lazy("pat_tokens", "at"), default=timezone.now)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=pgettext_lazy("pat_tokens", "actor"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    actor_name = models.CharField(
        pgettext_lazy("pat_tokens", "actor name"), max_length=MAX_NAME_LENGTH, blank=True, default=""
    )
    via = models.CharField(pgettext_lazy("pat_tokens", "via"), max_length=10)
    ip = models.GenericIPAddressField(pgettext_lazy("pat_tokens", "address"), null=True, blank=True)
    agent = models.CharField(pgettext_lazy("pat_tokens", "client"), max_length=MAX_AGENT_LENGTH, blank=True, default="")
    changes = models.JSONField(pgettext_lazy("pat_tokens", "changes"), default=dict, blank=True)
    # The rest is about refused secrets: `at` is the first of `count` requests, `ip` and `agent` are those of the last.
    reason = models.CharField(pgettext_lazy("pat_tokens", "reason"), max_length=20, blank=True, default="")
    count = models.PositiveIntegerField(pgettext_lazy("pat_tokens", "count"), null=True, blank=True)
    last_at = models.DateTimeField(pgettext_lazy("pat_tokens", "last at"), null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True, editable=False)

    widens = False  # not stored: whether an update lets the token be used from more addresses than before

    objects = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("pat_tokens", "activity")
        verbose_name_plural = pgettext_lazy("pat_tokens", "activity")
        indexes = [
            models.Index(fields=["owner", "-id"], name="pat_tokens_act_owner"),
            models.Index(fields=["owner", "kind", "-id"], name="pat_tokens_act_owner_kind"),
            models.Index(fields=["token_id", "-id"], name="pat_tokens_act_token"),
            models.Index(fields=["at"], name="pat_tokens_act_at"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.token_name}"

    @property
    def all_changes(self) -> dict[str, list[str]]:
        """What changed: names of `fields`, and `scopes_added` and `scopes_deleted` as `type:id:operation`."""
        return {name: self.changes.get(name, []) for name in ("fields", "scopes_added", "scopes_deleted")}


def owner_is_active(user: AbstractBaseUser) -> bool:
    """Return whether `user` can log in. True if the user model has no `is_active`."""
    return bool(getattr(user, "is_active", True))


__all__ = ["PersonalAccessToken", "Scope"]
