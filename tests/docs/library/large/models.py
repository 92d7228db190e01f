from django.conf import settings
from django.db import models


class Branch(models.Model):
    members = models.ManyToManyField(settings.AUTH_USER_MODEL)
    slug = models.SlugField(unique=True)

    class Meta:
        verbose_name_plural = "branches"

    def __str__(self):
        return self.slug


class OfBranch(models.Model):
    branch = models.ForeignKey(Branch, on_delete=models.CASCADE)
    number = models.CharField(max_length=20)

    class Meta:
        abstract = True

    def __str__(self):
        return self.number


class Book(OfBranch):
    pass


class Invoice(OfBranch):
    pass


class Loan(OfBranch):
    pass


class Review(OfBranch):
    book = models.ForeignKey(Book, on_delete=models.CASCADE)


class Shelf(OfBranch):
    class Meta:
        verbose_name_plural = "shelves"
