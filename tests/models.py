"""Entities of the small test site, one for each type of key."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models


class Channel(models.Model):
    """Has an integer key."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100, null=True, unique=True)

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """Has a UUID key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Page(models.Model):
    """Has a text key."""

    path = models.CharField(primary_key=True, max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return self.path


class BackwardsField(models.CharField):  # type: ignore[type-arg]
    """Stores its string reversed: a custom field with a converter."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return value if value is None else f"{connection.vendor}:{value[::-1]}"

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else str(value)[::-1]


class Person(models.Model):
    """Has a column of each type that needs a converter on some database."""

    nickname = BackwardsField(max_length=100)
    born = models.DateField(null=True)
    seen_at = models.DateTimeField(null=True)
    wakes_at = models.TimeField(null=True)
    nap = models.DurationField(null=True)
    balance = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    is_member = models.BooleanField(default=False)
    likes = models.JSONField(default=dict)
    key = models.UUIDField(default=uuid.uuid4)
    doubled = models.GeneratedField(
        expression=models.F("balance") * 2,
        output_field=models.DecimalField(max_digits=14, decimal_places=3),
        db_persist=True,
    )

    def __str__(self) -> str:
        return str(self.nickname)


class Member(Person):
    """Inherits from a table, and overrides how it is loaded."""

    number = models.IntegerField()
    loaded_from: tuple[str | None, tuple[str, ...]]

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **kwargs: Any) -> Self:
        member = super().from_db(db, field_names, values, **kwargs)
        member.loaded_from = (db, tuple(field_names))
        return member


class Guest(Person):
    """A proxy."""

    class Meta:
        proxy = True


class Ticket(models.Model):
    """Refers to each kind of Person."""

    code = models.CharField(max_length=100, unique=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="+")
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return self.code


class Reading(models.Model):
    """Has a key that databases store differently."""

    level = models.FloatField(primary_key=True)

    def __str__(self) -> str:
        return str(self.level)


class Host(models.Model):
    """Has an IP address as its key."""

    address = models.GenericIPAddressField(primary_key=True)

    def __str__(self) -> str:
        return str(self.address)


class Shift(models.Model):
    """Has a key that can be out of range."""

    length = models.DurationField(primary_key=True)

    def __str__(self) -> str:
        return str(self.length)
