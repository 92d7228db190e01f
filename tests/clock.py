"""A clock that tests can move."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone


class Clock:
    """Freezes `timezone.now()`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def move(self, **delta: Any) -> None:
        """Move the clock by `timedelta(**delta)`."""
        self.now += timedelta(**delta)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
