"""Send requests at the same time, from threads or processes, with a random delay at each statement."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

HEAD_START = 0.002  # seconds until all workers are ready
PAUSES = (0, 0, 0, 0.0003, 0.001)  # maximum delay in seconds before and after a statement
PROCESSES = 5
CROWD = 50


@dataclass(frozen=True)
class Ask:
    """A request, or with `service` a call without a route; `settings` apply in the process."""

    method: str = ""
    path: str = ""
    body: Any = None
    secret: str = ""
    session: str = ""
    times: int = 1
    service: str = ""
    kwargs: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The responses to one Ask; `times` are the times of its statements."""

    statuses: tuple[int, ...]
    body: Any
    times: tuple[float, ...]

    @property
    def status(self) -> int:
        """The status of the last response."""
        return self.statuses[-1]


class Arena:
    """Threads or processes that wait for requests; counts the orders of statements."""

    def __init__(self, pool: Executor) -> None:
        self.pool = pool
        self.orders: set[str] = set()
        self.rounds = 0
        self.random = random.Random(1)  # makes failures more reproducible

    def ask(self, *asks: Ask) -> list[Answer]:
        """Send all requests at the same time, and return the responses in the same order."""
        start = time.monotonic() + HEAD_START
        with _settings_of(*asks):  # threads share the settings of the process
            futures = [self.pool.submit(answer_alone, ask, start, self.random.getrandbits(32)) for ask in asks]
            answers = [future.result(timeout=120) for future in futures]
        self.rounds += 1
        times = ((when, name) for name, each in zip("ABCDEFGH", answers, strict=False) for when in each.times)
        self.orders.add("".join(name for _when, name in sorted(times)))
        return answers

    def ask_crowd(self, asks: Sequence[Ask]) -> list[Answer]:
        """Send all requests at the same time, each in its own thread, in this process or in several."""
        if isinstance(self.pool, ThreadPoolExecutor):
            return self.ask(*asks)
        start = time.monotonic() + HEAD_START + 0.02
        shares = [(asks[each::PROCESSES], start, self.random.getrandbits(32)) for each in range(PROCESSES)]
        futures = [self.pool.submit(answer_all, *share) for share in shares]
        self.rounds += 1
        return list(itertools.chain.from_iterable(future.result(timeout=120) for future in futures))


@contextmanager
def threads() -> Iterator[Executor]:
    """Threads of this process."""
    with ThreadPoolExecutor(CROWD) as pool, _closing():
        yield pool


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """`count` processes of the site."""
    from django.db import connection

    name = str(connection.settings_dict["NAME"])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.races.preloaded"])
    with ProcessPoolExecutor(count, mp_context=context, initializer=set_up, initargs=(name,)) as pool:
        list(pool.map(time.sleep, [0.05] * count * 4))  # wait until all have started
        yield pool


def set_up(database: str) -> None:
    """Make this process one of the site's, on the test database."""
    from django.db import connections

    import tests.races.preloaded  # noqa: F401 -- where the server could not preload it

    connections.settings["default"]["NAME"] = database
    connections.settings["default"]["CONN_MAX_AGE"] = None


_opened: set[Any] = set()


def _settings_of(*asks: Ask) -> AbstractContextManager[None]:
    from django.test import override_settings

    overrides = {name: value for ask in asks for name, value in ask.settings.items()}
    # override_settings briefly leaves `settings` empty, which other threads would see.
    return override_settings(**overrides) if overrides else nullcontext()


@contextmanager
def _closing() -> Iterator[None]:
    from django.db import connections

    age = connections.settings["default"]["CONN_MAX_AGE"]
    connections.settings["default"]["CONN_MAX_AGE"] = None
    try:
        yield
    finally:
        connections.settings["default"]["CONN_MAX_AGE"] = age
        while _opened:
            connection = _opened.pop()
            connection.inc_thread_sharing()
            connection.close()


def answer_alone(ask: Ask, start: float, seed: int) -> Answer:
    """Run `ask` at `start`; a process restores its settings afterwards."""
    with _settings_of(*([ask] if multiprocessing.parent_process() else [])):
        return answer(ask, start, seed)


def answer(ask: Ask, start: float, seed: int) -> Answer:
    """Run `ask` at `start`."""
    from django.db import connections

    connection = connections["default"]
    connection.ensure_connection()
    _opened.add(connection)
    times: list[float] = []
    rng = random.Random(seed)

    def pause() -> None:
        if seconds := rng.choice(PAUSES):
            time.sleep(seconds)

    def hold_up(execute: Callable[..., Any], *args: Any) -> Any:
        pause()
        times.append(time.monotonic())
        try:
            return execute(*args)
        finally:
            pause()

    time.sleep(max(0.0, start - time.monotonic()))
    with connection.execute_wrapper(hold_up):
        statuses, body = _serve(ask) if ask.path else _call(ask)
    return Answer(statuses, body, tuple(times))


def answer_all(asks: Sequence[Ask], start: float, seed: int) -> list[Answer]:
    """Run `asks` in as many threads at `start`."""
    with _settings_of(*asks), ThreadPoolExecutor(len(asks)) as pool, _closing():
        return list(pool.map(answer, asks, [start] * len(asks), range(seed, seed + len(asks))))


def _serve(ask: Ask) -> tuple[tuple[int, ...], Any]:
    from django.conf import settings
    from rest_framework.test import APIClient

    client = APIClient()
    if ask.session:
        client.cookies[settings.SESSION_COOKIE_NAME] = ask.session
    headers = {"authorization": f"Bearer {ask.secret}"} if ask.secret else {}
    statuses = []
    for _time in range(ask.times):
        response = client.generic(
            ask.method, ask.path, "" if ask.body is None else json.dumps(ask.body), "application/json", headers=headers
        )
        statuses.append(response.status_code)
    return tuple(statuses), getattr(response, "data", None)


def _call(ask: Ask) -> tuple[tuple[int, ...], Any]:
    from pat_tokens import services

    return (200,), getattr(services, ask.service)(**ask.kwargs)
