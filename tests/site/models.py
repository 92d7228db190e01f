"""Models of the site; models with one type of key each are in `tests.models`."""

from django.conf import settings
from django.db import models

from tests.models import Channel, Page


class Project(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    watched = models.ManyToManyField(Channel)

    def __str__(self) -> str:
        return self.name


class Task(models.Model):
    """Its slug is only unique within its project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    slug = models.SlugField()

    class Meta:
        unique_together = [("project", "slug")]

    def __str__(self) -> str:
        return self.name


class Thermometer(Channel):
    """Inherits its key from another table."""

    degrees = models.IntegerField(default=20)


class ArchivedChannel(Channel):
    class Meta:
        proxy = True


class Probe(Thermometer):
    """Inherits its key over two tables."""

    depth = models.IntegerField(default=1)


class Badge(models.Model):
    """Its key is that of a project, an integer."""

    project = models.OneToOneField(Project, primary_key=True, on_delete=models.CASCADE)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Cover(models.Model):
    """Its key is that of a page, a string."""

    page = models.OneToOneField(Page, primary_key=True, on_delete=models.CASCADE)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Memo(models.Model):
    """Is the model of two entity types."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text
