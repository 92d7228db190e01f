"""A clock that tests move."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone


class Clock:
    """The time of `timezone.now()`, which stands still until `move()`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def move(self, **delta: Any) -> None:
        """Let `timedelta(**delta)` pass."""
        self.now += timedelta(**delta)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
