"""A model for scopes."""

from django.conf import settings
from django.db import models


class Channel(models.Model):
    """Has an owner and a name."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name
