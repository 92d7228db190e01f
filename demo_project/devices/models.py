"""Entities of users: clients, channels, groups and dashboards, which can be shared."""

import uuid
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MAX_NAME_LENGTH = 255  # characters


class OwnedQuerySet(models.QuerySet):
    def visible_to(self, user: "AbstractBaseUser | AnonymousUser") -> Self:
        """Return the entities that `user` owns."""
        return self.none() if user.is_anonymous else self.filter(owner=user)


class OwnedEntity(models.Model):
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="owned_%(class)ss",
        verbose_name=_("owner"),
    )
    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ("created_at", "pk")

    def __str__(self) -> str:
        return self.name


class Client(OwnedEntity):
    """A device or a program that is connected."""

    class Meta(OwnedEntity.Meta):
        verbose_name = _("client")
        verbose_name_plural = _("clients")


class Channel(OwnedEntity):
    """A channel for messages, which aren't stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta(OwnedEntity.Meta):
        verbose_name = _("channel")
        verbose_name_plural = _("channels")


class Group(OwnedEntity):
    """A collection of clients under one name."""

    class Meta(OwnedEntity.Meta):
        verbose_name = _("group")
        verbose_name_plural = _("groups")


class DashboardQuerySet(OwnedQuerySet):
    def visible_to(self, user: "AbstractBaseUser | AnonymousUser") -> Self:
        """Return the dashboards that `user` owns, and those that are shared with them."""
        if user.is_anonymous:
            return self.none()
        # A subquery, because a join would return a dashboard once per share.
        shared = DashboardShare.objects.filter(user=user).values("dashboard")
        return self.filter(models.Q(owner=user) | models.Q(pk__in=shared))


class Dashboard(OwnedEntity):
    """An overview of devices, which its owner can share with other users."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shared_with = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        through="DashboardShare",
        related_name="shared_dashboards",
        verbose_name=_("shared with"),
    )

    objects = DashboardQuerySet.as_manager()

    class Meta(OwnedEntity.Meta):
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboards")


class DashboardShare(models.Model):
    dashboard = models.ForeignKey(Dashboard, on_delete=models.CASCADE, related_name="shares")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("share")
        verbose_name_plural = _("shares")
        constraints = [
            models.UniqueConstraint(fields=["dashboard", "user"], name="devices_share_once_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.dashboard} → {self.user}"
