"""Rate limits, with a clock that tests move."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pat_tokens import rate_limits
from pat_tokens.rate_limits import RateLimiter, RateLimitResult


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rate_limits, "clock", clock)
    return clock


def test_limit_applies_per_key(clock):
    rate = RateLimiter(2, 60)
    assert [rate.take("a").is_allowed for _ in range(4)] == [True, True, False, False]
    assert rate.take("b").is_allowed


def test_next_window_resets_and_reports_skipped(clock):
    rate = RateLimiter(2, 60)
    for _ in range(5):
        rate.take("a")
    clock.now += 59.9
    assert rate.take("a") == RateLimitResult(False)
    clock.now += 0.1
    assert rate.take("a") == RateLimitResult(True, 4)
    assert rate.take("a") == RateLimitResult(True)
    clock.now += 60
    assert rate.take("a") == RateLimitResult(True)


def test_forget_resets_key(clock):
    rate = RateLimiter(1, 60)
    rate.take("a"), rate.take("b")
    rate.forget("a"), rate.forget("never seen")
    assert [rate.take(key).is_allowed for key in "ab"] == [True, False]
    rate.clear()
    assert rate.take("b").is_allowed


def test_least_recent_keys_are_evicted(clock):
    rate = RateLimiter(1, 60, size=3)
    for key in ("kept", *range(2), "kept", *range(2, 4)):
        rate.take(key)
    assert len(rate._windows) == 3
    assert not rate.take("kept").is_allowed


def test_limit_holds_across_threads(clock):
    rate = RateLimiter(50, 60)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(rate.take, ["a"] * 2000))
    assert sum(one.is_allowed for one in taken) == 50
