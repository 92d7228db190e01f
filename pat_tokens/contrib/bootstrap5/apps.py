"""The app configuration."""

from django.apps import AppConfig


class Bootstrap5Config(AppConfig):
    """The app; its label doesn't collide with apps called `bootstrap5`."""

    name = "pat_tokens.contrib.bootstrap5"
    label = "pat_tokens_bootstrap5"
