"""Rate limits in memory, per process: of bounded size, thread-safe, with a monotonic clock."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple
from weakref import WeakSet

clock = time.monotonic


class RateLimitResult(NamedTuple):
    """Whether this event is within the limit, and how many were over it in the previous window."""

    is_allowed: bool
    missed: int = 0


_limiters: WeakSet[RateLimiter] = WeakSet()


class RateLimiter:
    """At most `limit` events in `seconds` per key.

    At most `size` keys are stored, and the least recently used is removed first, so that memory is bounded.
    """

    def __init__(self, limit: int, seconds: float, *, size: int = 1024) -> None:
        self.limit = limit
        self.seconds = seconds
        self.size = size
        self._windows: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # key to start and count
        self._lock = Lock()
        _limiters.add(self)

    def take(self, key: Hashable) -> RateLimitResult:
        """Count an event for `key`."""
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

    def count(self, key: Hashable) -> int:
        """Return the number of events for `key` in its current window."""
        with self._lock:
            start, count = self._windows.get(key, (0.0, 0))
            return count if clock() - start < self.seconds else 0

    def forget(self, key: Hashable) -> None:
        with self._lock:
            self._windows.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._windows.clear()


def clear_all() -> None:
    """Reset all limiters of this process. For tests."""
    for limiter in _limiters:
        limiter.clear()
