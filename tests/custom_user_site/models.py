"""Users who log in with a link in an email, and their objects."""

import uuid

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    """Has a UUID and an email, and no other field of Django's own user."""

    password = None
    last_login = None
    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    blocked = models.BooleanField(default=False)

    USERNAME_FIELD = "email"
    objects = BaseUserManager()

    @property
    def is_active(self):
        return not self.blocked

    @property
    def is_in_office(self):
        return self.email.endswith("@office.example.org")

    def has_perm(self, perm, obj=None):
        return self.is_in_office

    def has_module_perms(self, app_label):
        return self.is_in_office


class Folder(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.title


class Paper(models.Model):
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()

    def __str__(self) -> str:
        return str(self.number)
