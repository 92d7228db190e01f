"""The settings of the other tests; each test sets its own exception handler."""

from tests.settings import *  # noqa: F403
