"""The settings of the other tests; each test starts the SDK."""

from tests.settings import *  # noqa: F403
