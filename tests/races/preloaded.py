"""What each process of the site begins with; imported once, by the server that forks them."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import tests.urls  # noqa: E402, F401
