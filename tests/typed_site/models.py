from django.contrib.auth.models import User
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=100)
    owner = models.ForeignKey(User, on_delete=models.CASCADE)

    objects = models.Manager["Book"]()

    def __str__(self) -> str:
        return str(self.title)


class Film(models.Model):
    owner = models.ForeignKey(User, on_delete=models.CASCADE)

    objects = models.Manager["Film"]()

    def __str__(self) -> str:
        return f"Film {self.pk}"
