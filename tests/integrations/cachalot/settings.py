"""A site whose queries django-cachalot keeps in the memory of each process."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "cachalot"]
