"""Rounds in which all candidates take turns, so that a slow machine affects all of them."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Name = TypeVar("Name")


@dataclass(frozen=True)
class Effort:
    """How much is measured: each round sends `laps` times `repeats` requests to each candidate, in random order."""

    rounds: int = 9
    laps: int = 10
    repeats: int = 20
    warm_up: int = 100


QUICK = Effort(rounds=3, laps=3, repeats=10, warm_up=20)
ONCE = Effort(rounds=1, laps=1, repeats=1, warm_up=0)


@dataclass(frozen=True)
class Cost:
    """The time of one round of one candidate, in seconds per request."""

    cpu: float  # of this process, all of its threads
    wall: float


@dataclass(frozen=True)
class Spread:
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(min(values), statistics.median(values), max(values))


def measure(asks: Mapping[Name, Callable[[int], None]], effort: Effort) -> dict[Name, list[Cost]]:
    """Return the cost of each of `asks` in each round; it is called with the number of requests."""
    for ask in asks.values():
        ask(effort.warm_up)
    costs: dict[Name, list[Cost]] = {name: [] for name in asks}
    for _ in range(effort.rounds):
        gc.collect()
        cpu, wall = dict.fromkeys(asks, 0.0), dict.fromkeys(asks, 0.0)
        for _ in range(effort.laps):
            for name in random.sample(list(asks), len(asks)):
                cpu_before, wall_before = time.process_time(), time.perf_counter()
                asks[name](effort.repeats)
                wall[name] += time.perf_counter() - wall_before
                cpu[name] += time.process_time() - cpu_before
        count = effort.laps * effort.repeats
        for name in asks:
            costs[name].append(Cost(cpu[name] / count, wall[name] / count))
    return costs


def ratios(costs: list[Cost], to: list[Cost]) -> tuple[Spread, Spread]:
    """Return the CPU and wall time of one candidate, as multiples of another's in the same round."""
    cpu = [one.cpu / other.cpu for one, other in zip(costs, to, strict=True)]
    return Spread.of(cpu), Spread.of([one.wall / other.wall for one, other in zip(costs, to, strict=True)])
