"""Which services this machine has for the tests, and whether it must have them."""

import os
import shutil
from functools import cache
from pathlib import Path

import redis
from django.conf import settings


def strict() -> bool:
    """Whether a missing service or a skipped test is a failure."""
    return os.environ.get("PAT_TOKENS_CI") == "1"


@cache
def chromium() -> str | None:
    """The path of a Chromium: that of the environment variable CHROMIUM, or else one that is installed."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@cache
def redis_answers() -> bool:
    """Whether there is a Redis at REDIS_URL."""
    if not settings.REDIS_URL:
        return False
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
