"""Imported once by the server that forks the processes of the site."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import tests.urls  # noqa: E402, F401
