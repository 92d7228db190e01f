"""A site that records its requests with django-silk and keeps its queries with django-cachalot.

Both replace the same method of Django.
"""

from tests.integrations.silk.settings import *  # noqa: F403
from tests.integrations.silk.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "cachalot"]
