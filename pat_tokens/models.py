"""Fields, constraints, and facts about one row."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pat_tokens.crypto import DIGEST_LENGTH
from pat_tokens.entities import MAX_ID_LENGTH, MAX_WORD_LENGTH, EntityType, registry
from pat_tokens.fields import ExactCharField
from pat_tokens.querysets import ReminderQuerySet, ScopeQuerySet, Status, TokenQuerySet
from pat_tokens.scopes import ALL, Decision, ScopeKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


MAX_NAME_LENGTH = 255  # characters
MAX_DESCRIPTION_LENGTH = 1000  # characters
MAX_AGENT_LENGTH = 200  # characters; the rest of a user agent is cut off


class PersonalAccessToken(models.Model):
    """A token: who owns it, what it is called, how long it lives. Its secret is not here, only a digest of it."""

    id = models.UUIDField(_("ID"), primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="personal_access_tokens",
        db_index=False,  # the unique constraint on (user, name_key) begins with it
    )
    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH)
    # MariaDB has no index on an expression, and databases differ in what lower case is: so the folded name is a
    # column, a digest of it rather, since folding can make 255 characters three times as many.
    name_key = models.CharField(max_length=64, editable=False)
    description = models.CharField(_("description"), max_length=MAX_DESCRIPTION_LENGTH, blank=True, default="")
    digest = models.CharField(max_length=DIGEST_LENGTH, unique=True, editable=False)
    hint = models.CharField(_("hint"), max_length=32, editable=False)  # as `pat_…x7Qa`
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    issued_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False, db_index=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True, db_index=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False, db_index=True)
    # Its secret is a key of DRF's authtoken, which a client holds from before; it ends when the token expires.
    is_legacy = models.BooleanField(_("legacy key"), default=False, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)
    last_used_ip = models.GenericIPAddressField(_("last used from"), null=True, blank=True, editable=False)
    last_used_agent = models.CharField(
        _("last used by"), max_length=MAX_AGENT_LENGTH, blank=True, default="", editable=False
    )

    objects = TokenQuerySet.as_manager()

    # What authentication decided about the request at hand; None on a token that came from elsewhere.
    decision: Decision | None = None
    # The digests of its secret under each pepper, where the token was found by its secret.
    candidate_digests: tuple[str, ...] = ()
    # The site's user manager does not return the owner: a deleted user, say. Then `user` is not loaded.
    owner_is_hidden = False

    class Meta:
        verbose_name = _("personal access token")
        verbose_name_plural = _("personal access tokens")
        permissions = [("create_for_others", "Can create and renew tokens for other users")]
        constraints = [
            models.UniqueConstraint(fields=["user", "name_key"], name="pat_tokens_name_unique"),
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

    @property
    def is_revoked(self) -> bool:
        """Whether somebody revoked this token."""
        return self.revoked_at is not None

    @property
    def is_expired(self) -> bool:
        """Whether this token's time is over."""
        return self.is_expired_at(timezone.now())

    def is_expired_at(self, when: datetime) -> bool:
        """Whether this token's time is over at `when`."""
        return self.expires_at is not None and when >= self.expires_at

    @property
    def status(self) -> Status:
        """Revoked, else expired, else active."""
        if self.is_revoked:
            return Status.REVOKED
        return Status.EXPIRED if self.is_expired else Status.ACTIVE

    @property
    def is_active(self) -> bool:
        """Whether this token works now."""
        return self.status == Status.ACTIVE


class Scope(models.Model):
    """One thing that a token may do: an operation on one entity, or on all of a type."""

    id = models.UUIDField(_("ID"), primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(
        PersonalAccessToken,
        verbose_name=_("token"),
        on_delete=models.CASCADE,
        related_query_name="scope",
        db_index=False,  # the unique constraint begins with it
    )
    entity_type = ExactCharField(_("entity type"), max_length=MAX_WORD_LENGTH)
    entity_id = ExactCharField(_("entity"), max_length=MAX_ID_LENGTH)
    operation = ExactCharField(_("operation"), max_length=MAX_WORD_LENGTH)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    objects = ScopeQuerySet.as_manager()

    class Meta:
        verbose_name = _("scope")
        verbose_name_plural = _("scopes")
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

    @property
    def key(self) -> ScopeKey:
        """This scope without its row."""
        return ScopeKey(self.entity_type, self.entity_id, self.operation)

    @property
    def is_for_all(self) -> bool:
        """Whether this is for all entities of the type, now and in future."""
        return bool(self.entity_id == ALL)

    def get_entity_type(self) -> EntityType | None:
        """Return the registered entity type, or None where the site no longer has it."""
        return registry.get(self.entity_type)


class Reminder(models.Model):
    """That a token's owner is told of its end, once for each issue of the token and each number of days before."""

    id = models.UUIDField(_("ID"), primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(
        PersonalAccessToken,
        verbose_name=_("token"),
        on_delete=models.CASCADE,
        related_query_name="reminder",
        db_index=False,  # the unique constraint begins with it
    )
    issued_at = models.DateTimeField(_("issued at"))  # the token's: regenerated, it is reminded of anew
    days = models.PositiveSmallIntegerField(_("days before the end"))
    claimed_at = models.DateTimeField(_("claimed at"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    objects = ReminderQuerySet.as_manager()

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.UniqueConstraint(fields=["token", "issued_at", "days"], name="pat_tokens_reminder_once"),
        ]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.days}"


def owner_is_active(user: AbstractBaseUser) -> bool:
    """Whether `user` may log in; a user model without `is_active` has only such users."""
    return bool(getattr(user, "is_active", True))


__all__ = ["PersonalAccessToken", "Scope"]
