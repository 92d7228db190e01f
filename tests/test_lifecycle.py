"""Services and requests together against a simple model of the lifecycle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rest_framework.test import APIClient

from pat_tokens import services
from pat_tokens.exceptions import InvalidInput
from pat_tokens.models import PersonalAccessToken
from tests.factories import ChannelFactory, UserFactory

OPERATIONS = ("read", "update", "publish")
MAX_TOKENS = 4
REQUESTS = {"read": "get", "update": "patch", "publish": "post"}
ids = st.sampled_from(("*", "0", "1"))
operations = st.sampled_from(OPERATIONS)
rows_of_scopes = st.tuples(ids, operations)


@dataclass(eq=False)
class Model:
    """The expected state of a token: its secrets, the last of which can work."""

    token: PersonalAccessToken
    secrets: list[str]
    expires_at: datetime
    scopes: set[tuple[str, str]] = field(default_factory=set)
    is_revoked: bool = False
    died_at: datetime | None = None

    def add(self, rows: list[tuple[str, str]]) -> None:
        self.scopes |= set(rows)
        self.scopes = {(i, o) for i, o in self.scopes if i == "*" or ("*", o) not in self.scopes}


class Lifecycle(RuleBasedStateMachine):
    """A user with two channels, and tokens that are created and changed while the clock moves."""

    tokens = Bundle("tokens")

    @initialize()
    def begin(self) -> None:
        self.user = UserFactory()
        self.channels = ChannelFactory.create_batch(2, owner=self.user)
        self.now = timezone.now()
        self.models: list[Model] = []
        self.names = 0
        self.clock = mock.patch.object(timezone, "now", side_effect=lambda: self.now)
        self.clock.start()
        self.site = APIClient()
        self.site.force_authenticate(self.user)

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            self.clock.stop()

    def scope(self, entity_id: str, operation: str) -> dict[str, str]:
        entity_id = entity_id if entity_id == "*" else str(self.channels[int(entity_id)].pk)
        return {"entity_type": "channels", "entity_id": entity_id, "operation": operation}

    def manage(self, method: str, *parts: object, body: Any = None) -> Any:
        path = "/api/pats/" + "".join(f"{part}/" for part in parts)
        return getattr(self.site, method)(path, body, format="json")

    @rule(target=tokens, rows=st.lists(rows_of_scopes, max_size=3), hours=st.integers(1, 72), http=st.booleans())
    def create(self, rows: list[tuple[str, str]], hours: int, http: bool) -> Any:
        self.names += 1
        body = {"name": f"{self.names}", "duration": f"{hours}h", "scopes": [self.scope(*row) for row in rows]}
        fits = len(self.models) < MAX_TOKENS
        if http:
            answer = self.manage("post", body=body)
            assert answer.status_code == (201 if fits else 400)
            made = answer.json() if fits else {}
        else:
            try:
                token, secret = services.create_token(self.user, **body)
            except InvalidInput:
                assert not fits
                made = {}
            else:
                assert fits
                made = {"id": token.pk, "secret": secret}
        if not made:
            return Model(mock.Mock(), [], self.now, died_at=self.now)  # unused
        token = PersonalAccessToken.objects.get(pk=made["id"])
        model = Model(token, [made["secret"]], self.now + timedelta(hours=hours))
        model.add(rows)
        self.models.append(model)
        return model

    def is_there(self, model: Model) -> bool:
        return model in self.models

    @rule(model=tokens, channel=st.integers(0, 1), operation=operations)
    def use(self, model: Model, channel: int, operation: str) -> None:
        for number in range(len(model.secrets))[-2:]:
            self.use_secret(model, number, channel, operation)

    def use_secret(self, model: Model, number: int, channel: int, operation: str) -> None:
        client = APIClient(headers={"authorization": f"Bearer {model.secrets[number]}"})
        path = f"/api/channels/{self.channels[channel].pk}/" + ("publish/" if operation == "publish" else "")
        answer = getattr(client, REQUESTS[operation])(path, {"name": "x"} if operation == "update" else None)
        works = self.is_alive(model) and number == len(model.secrets) - 1 and self.user.is_active
        allowed = bool({("*", operation), (str(channel), operation)} & model.scopes)
        assert answer.status_code == (401 if not works else 200 if allowed else 403)

    def is_alive(self, model: Model) -> bool:
        return self.is_there(model) and not model.is_revoked and self.now < model.expires_at

    @rule(hours=st.sampled_from((1, 5, 23, 24, 71, 1000, -1, -30)))
    def move_the_clock(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(model=tokens)
    def move_the_clock_to_the_end_of(self, model: Model) -> None:
        self.now = model.expires_at
        self.use(model, 0, "read")

    @rule(model=tokens, http=st.booleans())
    def revoke(self, model: Model, http: bool) -> None:
        if not self.is_there(model):
            return
        if http:
            assert self.manage("post", model.token.pk, "revoke").status_code == 200
        else:
            services.revoke_token(model.token)
        if not model.is_revoked:
            model.is_revoked, model.died_at = True, self.now
        self.use(model, 0, "read")

    @rule(model=tokens)
    def revoke_itself(self, model: Model) -> None:
        if not model.secrets:
            return
        works = self.is_alive(model) and self.user.is_active
        client = APIClient(headers={"authorization": f"Bearer {model.secrets[-1]}"})
        assert client.post("/api/pats/current/revoke/").status_code == (204 if works else 401)
        if works:
            model.is_revoked, model.died_at = True, self.now

    @rule(model=tokens, hours=st.integers(1, 72), http=st.booleans())
    def regenerate(self, model: Model, hours: int, http: bool) -> None:
        if not self.is_there(model):
            return
        if http:
            answer = self.manage("post", model.token.pk, "regenerate", body={"duration": f"{hours}h"})
            secret = answer.json()["secret"]
        else:
            _token, secret = services.regenerate_token(model.token, duration=f"{hours}h")
        model.secrets.append(secret)
        model.is_revoked, model.died_at = False, None
        model.expires_at = self.now + timedelta(hours=hours)
        self.use(model, 0, "read")

    @rule(model=tokens, rows=st.lists(rows_of_scopes, min_size=1, max_size=4), http=st.booleans())
    def add_scopes(self, model: Model, rows: list[tuple[str, str]], http: bool) -> None:
        if not self.is_there(model):
            return
        body = [self.scope(*row) for row in rows]
        if http:
            assert self.manage("post", model.token.pk, "scopes", body={"scopes": body}).status_code == 201
        else:
            services.add_scopes(model.token, body)
        model.add(rows)

    @rule(model=tokens, http=st.booleans(), which=st.integers(0, 9))
    def delete_a_scope(self, model: Model, http: bool, which: int) -> None:
        if not self.is_there(model) or not model.scopes:
            return
        row = sorted(model.scopes)[which % len(model.scopes)]
        found = model.token.scope_set.get(**self.scope(*row))
        if http:
            assert self.manage("delete", model.token.pk, "scopes", found.pk).status_code == 204
        else:
            services.delete_scope(found)
        model.scopes.discard(row)

    @rule(model=tokens, http=st.booleans())
    def delete_all_scopes(self, model: Model, http: bool) -> None:
        if not self.is_there(model):
            return
        if http:
            assert self.manage("delete", model.token.pk, "scopes").json() == {"deleted": len(model.scopes)}
        else:
            assert services.delete_scopes(model.token) == len(model.scopes)
        model.scopes.clear()

    @rule(model=tokens, http=st.booleans())
    def delete(self, model: Model, http: bool) -> None:
        if not self.is_there(model):
            return
        if http:
            assert self.manage("delete", model.token.pk).status_code == 204
        else:
            services.delete_token(model.token)
        self.models.remove(model)

    @rule(model=consumes(tokens))
    def what_is_gone_is_not_found(self, model: Model) -> None:
        if model.secrets and not self.is_there(model):
            for method, *rest in (("get",), ("post", "revoke"), ("post", "regenerate"), ("delete", "scopes")):
                assert self.manage(method, model.token.pk, *rest).status_code == 404

    @precondition(lambda self: len(self.models) == MAX_TOKENS)
    @rule(http=st.booleans())
    def delete_all(self, http: bool) -> None:
        count = len(self.models)
        if http:
            assert self.manage("delete").json() == {"deleted": count}
        else:
            assert services.delete_tokens(self.user) == count
        self.models.clear()

    @precondition(lambda self: len(self.models) > 1)
    @rule(days=st.integers(0, 40))
    def prune(self, days: int) -> None:
        when = self.now - timedelta(days=days)
        dead = [m for m in self.models if (m.died_at and m.died_at <= when) or m.expires_at <= when]
        assert services.prune_tokens(inactive_for=timedelta(days=days)) == len(dead)
        for model in dead:
            self.models.remove(model)

    @rule(is_active=st.booleans())
    def let_the_user_in_or_lock_it_out(self, is_active: bool) -> None:
        self.user.is_active = is_active
        self.user.save()
        for model in self.models:
            self.use(model, 1, "publish")

    @precondition(lambda self: hasattr(self, "models"))
    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        found = {token.pk: token for token in PersonalAccessToken.objects.prefetch_related("scope_set")}
        assert set(found) == {model.token.pk for model in self.models}
        for model in self.models:
            token = found[model.token.pk]
            assert token.is_active == self.is_alive(model)
            assert token.is_revoked == model.is_revoked
            held = {(scope.entity_id, scope.operation) for scope in token.scope_set.all()}
            wanted = {self.scope(*row)["entity_id"] for row in model.scopes}
            assert {entity_id for entity_id, _operation in held} == wanted
            assert len(held) == len(model.scopes)


@pytest.mark.thorough
@pytest.mark.django_db
def test_lifecycle_matches_model(settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = MAX_TOKENS

    class InTransaction(Lifecycle):
        def __init__(self) -> None:
            super().__init__()
            self.atomic = transaction.atomic()
            self.atomic.__enter__()

        def teardown(self) -> None:
            super().teardown()
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    examples = max(25, hypothesis_settings().max_examples // 5)  # each example is long, so there are fewer
    run_state_machine_as_test(
        InTransaction, settings=hypothesis_settings(max_examples=examples, stateful_step_count=40)
    )
