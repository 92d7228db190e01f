"""How often something may happen in this process: bounded memory, any thread, a clock that never goes back."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple

clock = time.monotonic


class RateLimitResult(NamedTuple):
    """Whether this time was within the limit, and how many were over it in the window before this one."""

    is_allowed: bool
    missed: int = 0


class RateLimiter:
    """At most `limit` times in `seconds` for each key.

    `size` keys are remembered, the longest unseen forgotten first, so that nobody fills the memory with new ones.
    """

    def __init__(self, limit: int, seconds: float, *, size: int = 1024) -> None:
        self.limit = limit
        self.seconds = seconds
        self.size = size
        self._windows: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # key to start and count
        self._lock = Lock()

    def take(self, key: Hashable) -> RateLimitResult:
        """Count one more for `key`."""
        now = clock()
        with self._lock:
            start, count = self._windows.pop(key, (now, 0))
            missed = 0
            if now - start >= self.seconds:
                missed = max(0, count - self.limit)
                start, count = now, 0
            self._windows[key] = (start, count + 1)
            while len(self._windows) > self.size:
                self._windows.popitem(last=False)
        return RateLimitResult(count < self.limit, missed)

    def forget(self, key: Hashable) -> None:
        """Begin again for `key`."""
        with self._lock:
            self._windows.pop(key, None)

    def clear(self) -> None:
        """Begin again for all."""
        with self._lock:
            self._windows.clear()
