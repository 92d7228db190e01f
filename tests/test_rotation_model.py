"""Random steps of a rotation, compared with a model of two secrets, a clock and writes that get lost."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, transaction
from django.test import TestCase
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pat_tokens import deferred_writes, services
from pat_tokens.authentication import authenticate
from pat_tokens.exceptions import Conflict, InvalidToken
from pat_tokens.models import PersonalAccessToken
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests.factories import ChannelFactory, UserFactory

pytestmark = [pytest.mark.thorough, pytest.mark.django_db]

READ = Requirement("channels", "read", "pk")
GRACE_PERIODS = {"0": 0, "1h": 1, "24h": 24, "7d": 7 * 24}  # hours
OVERLAP = timedelta(days=30)


class Rotation:
    """A token as the documentation describes it, next to one in the database.

    The model is `current` and `previous`, each a secret and its expiration, `rotated`, `started` and `grace`, and
    whether the token is revoked. What it says is compared after each step.
    """

    def __init__(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.now = timezone.now()
        self.clock = mock.patch.object(timezone, "now", side_effect=lambda: self.now)
        self.clock.start()
        deferred_writes.forget_failures()

    def teardown(self) -> None:
        self.clock.stop()
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def create(self, days: int) -> None:
        self.channel = ChannelFactory(owner=UserFactory())
        token, secret = services.create_token(
            self.channel.owner, name="deploy", scopes=[("channels", "*", "read")], duration=f"{days}d"
        )
        self.pk, self.retired = token.pk, []
        self.current: Any = (secret, token.expires_at, token.hint)
        self.previous: Any = None
        self.life = timedelta(days=days)
        self.issued: Any = self.now
        self.rotated: Any = None
        self.started: Any = None
        self.grace = ""
        self.is_revoked = False

    # The model

    @property
    def is_active(self) -> bool:
        return not self.is_revoked and self.now < self.current[1]

    @property
    def end(self) -> Any:
        ends = [self.rotated + OVERLAP, self.previous[1], self.current[1]]
        if self.started is not None:
            ends.append(self.started + timedelta(hours=GRACE_PERIODS[self.grace]))
        return min(ends)

    @property
    def has_overlap(self) -> bool:
        return self.is_active and self.previous is not None and self.now < self.end

    def forget(self) -> None:
        if self.previous is not None:
            self.retired.append(self.previous[0])
        self.previous = self.rotated = self.started = None
        self.grace = ""

    # Steps

    def stored(self) -> PersonalAccessToken:
        return PersonalAccessToken.objects.select_related("user").get(pk=self.pk)

    def attempt(self, code: str | None, act: Any) -> Any:
        """Do `act`, and assert that it is refused with this code, or allowed if there is none."""
        if code is None:
            return act(self.stored())
        with pytest.raises(Conflict) as caught:
            act(self.stored())
        assert caught.value.code == code
        return None

    def rotate(self, grace: str, days: int | None) -> None:
        code = None if self.is_active else "not_active"
        if self.has_overlap:
            code = "rotation_in_progress"
        duration = None if days is None else f"{days}d"
        done = self.attempt(code, lambda token: services.rotate_token(token, grace_period=grace, duration=duration))
        if done:
            self.forget()
            token, secret = done
            self.life = self.life if days is None else timedelta(days=days)
            was = self.current
            self.current = (secret, self.now + self.life, token.hint)
            if grace == "0":
                self.retired.append(was[0])
            else:
                self.previous, self.rotated, self.grace = (*was, self.issued), self.now, grace
            self.issued = self.now

    def finish(self) -> None:
        if self.attempt(None if self.has_overlap else "no_rotation", services.finish_rotation):
            self.forget()

    def cancel(self) -> None:
        code = None if self.has_overlap else "no_rotation"
        if self.has_overlap and self.started is not None:
            code = "rotation_in_use"
        if self.attempt(code, services.cancel_rotation):
            self.retired.append(self.current[0])
            self.current, self.issued = self.previous[:3], self.previous[3]
            self.life = self.current[1] - self.issued
            self.previous = None
            self.forget()

    def change_grace_period(self, grace: str) -> None:
        done = self.attempt(
            None if self.has_overlap else "no_rotation", lambda token: services.set_grace_period(token, grace)
        )
        if done and grace == "0":
            self.forget()
        elif done:
            self.grace = grace

    def regenerate(self, days: int) -> None:
        self.retired.append(self.current[0])
        self.forget()
        token, secret = services.regenerate_token(self.stored(), duration=f"{days}d")
        self.current, self.life, self.issued = (
            (secret, self.now + timedelta(days=days), token.hint),
            timedelta(days),
            self.now,
        )
        self.is_revoked = False

    def revoke(self) -> None:
        services.revoke_token(self.stored())
        self.is_revoked = True

    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    def use_current(self, kind: str, is_lost: bool) -> None:
        if not self.is_active:
            return
        self.use(self.current[0], kind, is_lost)
        if kind == "scope" and not is_lost and self.previous is not None and self.started is None:
            self.started = self.now

    def use_previous(self, is_lost: bool) -> None:
        if self.has_overlap:
            self.use(self.previous[0], "scope", is_lost)

    def use(self, secret: str, kind: str, is_lost: bool) -> None:
        with self.writes(is_lost), TestCase.captureOnCommitCallbacks(execute=True):
            if kind == "refused":
                with pytest.raises(Exception, match="lacks the scope"):
                    authenticate(secret, Requirement("channels", "update", "pk"), {"pk": str(self.channel.pk)})
            elif kind == "scope":
                authenticate(secret, READ, {"pk": str(self.channel.pk)})
            else:
                authenticate(secret, ANY_TOKEN)

    @contextmanager
    def writes(self, is_lost: bool) -> Any:
        """Let what a request writes afterwards get lost, as by a read-only database or a killed process."""
        if not is_lost:
            yield  # also after a failure, when other writes pause
            return

        def fail(queryset: Any) -> Any:
            raise DatabaseError("lost")

        with (
            mock.patch.object(deferred_writes, "lock_or_skip", fail),
            mock.patch.object(services.connections["default"].features, "has_select_for_update", True),
        ):
            yield

    # What holds after each step

    @staticmethod
    def works(secret: str) -> bool:
        try:
            authenticate(secret, ANY_TOKEN)
        except InvalidToken:
            return False
        return True

    def same_secrets_work(self) -> None:
        expected = {self.current[0]: self.is_active}
        if self.previous is not None:
            expected[self.previous[0]] = self.has_overlap
        expected |= dict.fromkeys(self.retired, False)
        assert {secret: self.works(secret) for secret in expected} == expected
        assert sum(expected.values()) <= 2

    def same_end_is_shown(self) -> None:
        token = self.stored()
        assert (token.hint, token.expires_at, token.issued_at) == (self.current[2], self.current[1], self.issued)
        shown = token.previous_secret
        assert (shown is not None) == self.has_overlap
        if shown is not None:
            assert (shown.hint, shown.expires_at) == (self.previous[2], self.end)
            assert (shown.grace_period, shown.grace_started_at) == (self.grace, self.started)
            assert token.digest != token.previous_digest


GRACES, LOST = st.sampled_from(list(GRACE_PERIODS)), st.booleans()
STEPS = st.one_of(
    st.tuples(st.just("rotate"), GRACES, st.sampled_from([None, 1, 60])),
    st.tuples(st.just("finish")),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("change_grace_period"), GRACES),
    st.tuples(st.just("regenerate"), st.sampled_from([1, 60])),
    st.tuples(st.just("revoke")),
    st.tuples(st.just("wait"), st.sampled_from([1, 23, 24, 7 * 24 - 1, 29 * 24])),
    st.tuples(st.just("use_current"), st.sampled_from(["scope", "current/", "refused"]), LOST),
    st.tuples(st.just("use_previous"), LOST),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(days=st.sampled_from([1, 30, 90]), steps=st.lists(STEPS, min_size=5, max_size=20))
@example(90, [("rotate", "24h", 60), ("use_current", "scope", True), ("use_current", "scope", False), ("wait", 24)])
@example(90, [("rotate", "7d", 60), ("use_current", "current/", False), ("cancel",), ("rotate", "1h", None)])
@example(90, [("rotate", "7d", 60), ("wait", 29 * 24), ("wait", 24), ("use_current", "scope", False), ("cancel",)])
@example(90, [("rotate", "7d", 60), ("use_current", "scope", False), ("cancel",), ("rotate", "0", None), ("finish",)])
@example(1, [("rotate", "7d", 60), ("wait", 24), ("rotate", "7d", 1), ("revoke",), ("regenerate", 60)])
@example(90, [("rotate", "7d", 1), ("use_current", "scope", False), ("wait", 1), ("use_current", "scope", False)])
@example(90, [("rotate", "7d", 60), ("regenerate", 60), ("rotate", "7d", 60), ("revoke",), ("finish",)])
@example(90, [("rotate", "7d", 60), ("use_previous", False), ("change_grace_period", "0"), ("cancel",)])
def test_rotation_matches_model(db, days, steps):
    model = Rotation()
    try:
        model.create(days)
        for name, *args in steps:
            getattr(model, name)(*args)
            model.same_secrets_work()
            model.same_end_is_shown()
    finally:
        model.teardown()
