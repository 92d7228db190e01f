"""Which services are available for the tests, and whether they are required."""

import os
import shutil
from functools import cache
from pathlib import Path

import redis
from django.conf import settings


def strict() -> bool:
    """Return whether a missing service or a skipped test is a failure."""
    return os.environ.get("PAT_TOKENS_CI") == "1"


@cache
def chromium() -> str | None:
    """Return the path of Chromium: the environment variable CHROMIUM, or an installed one."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@cache
def redis_answers() -> bool:
    """Return whether there is a Redis at REDIS_URL."""
    if not settings.REDIS_URL:
        return False
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
