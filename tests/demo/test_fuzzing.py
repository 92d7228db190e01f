"""The demo's API against its schema: with a token, with a session, anonymously, and in sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks

from demo_project.devices.models import Channel
from pat_tokens.entities import registry
from pat_tokens.services import create_token
from tests.demo.conftest import log_in

# Names can be taken and entities missing, which schemas can't express. Tokens are refused before validation.
BEYOND_SCHEMAS = [
    checks.positive_data_acceptance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.status_code_conformance,  # the demo documents successful responses
]
APART = "/subscribe/|/schema/|/docs/"  # streams don't end and need ASGI; the others are pages
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture
def in_process() -> Iterator[WSGIHandler]:
    """Let the WSGI application use the test's connection, like Django's test client does."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield WSGIHandler()
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def api(in_process: WSGIHandler) -> Any:
    schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))
    schema.app = in_process
    return schema.exclude(path_regex=APART)


@pytest.fixture
def secret(alice: Any) -> str:
    """The secret of a token with all scopes."""
    Channel.objects.create(owner=alice, name="first")
    scopes = [(known.name, "*", operation.name) for known in registry for operation in known.operations]
    return create_token(alice, name="all", scopes=scopes)[1]


each = schemathesis.pytest.from_fixture("api").exclude(path_regex=APART)


@each.parametrize()
@settings(max_examples=3, **QUIET)
@pytest.mark.django_db
def test_token_responses_match_schema(case: Any, secret: str) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {secret}"}, excluded_checks=BEYOND_SCHEMAS)


@each.parametrize()
@settings(max_examples=3, **QUIET)
@pytest.mark.django_db
def test_anonymous_responses_match_schema(case: Any) -> None:
    case.call_and_validate(excluded_checks=BEYOND_SCHEMAS)


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["a token", "a person"])
def test_request_sequences_match_schema(api: Any, secret: str, alice: Any, who: str) -> None:
    """Requests use values of earlier responses, as the links in the schema describe."""
    session = log_in(alice).cookies["sessionid"].value
    csrf = "a" * 32

    class Requests(api.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.atomic = transaction.atomic()
            self.atomic.__enter__()

        def teardown(self) -> None:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            if who == "a token":
                return {"headers": {"Authorization": f"Bearer {secret}"}}
            return {"cookies": {"sessionid": session, "csrftoken": csrf}, "headers": {"X-CSRFToken": csrf}}

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            case.validate_response(response, excluded_checks=BEYOND_SCHEMAS)

    examples = max(10, settings().max_examples // 10)
    Requests.run(settings=settings(max_examples=examples, stateful_step_count=8, **QUIET))
