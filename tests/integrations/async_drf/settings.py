"""A site with an async API, with adrf."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "adrf"]
ROOT_URLCONF = "tests.integrations.async_drf.urls"
