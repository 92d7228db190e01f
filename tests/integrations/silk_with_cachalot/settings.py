"""A site that records requests with django-silk and caches queries with django-cachalot.

Both patch the same method of Django.
"""

from tests.integrations.silk.settings import *  # noqa: F403
from tests.integrations.silk.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "cachalot"]
