"""Requests with tokens to the code of the how-to guides."""

import asyncio

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.core.management import call_command
from django.test import RequestFactory

from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import get_policy


def test_system_checks_pass(db):
    call_command("check", fail_level="WARNING")


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("get", "/api/reports/{}/", "read"),
        ("get", "/api/lockable/{}/", "read"),
        ("get", "/api/lockable/{}/lock/", "read"),
        ("post", "/api/lockable/{}/lock/", "update"),
        ("post", "/api/lend/{}/", "lend"),
        ("get", "/ninja/books/{}", "read"),
    ],
)
def test_token_reads_entity_of_scope(pat_client, alice, emma, other, method, path, operation):
    ask = getattr(pat_client(alice, f"books:{emma.pk}:{operation}"), method)
    assert ask(path.format(emma.pk)).status_code == 200
    assert ask(path.format(other.pk)).json()["missing"] == [
        {"entity_type": "books", "entity_id": str(other.pk), "operation": operation}
    ]
    without = getattr(pat_client(alice), method)
    assert without(path.format(emma.pk)).status_code == 403


@pytest.mark.parametrize(("view", "operation"), [("swap/{}/{}/", "update"), ("merge/{}/", "delete")])
def test_both_entities_need_a_scope(pat_client, alice, emma, other, view, operation):
    path, scope = f"/api/{view.format(emma.pk, other.pk)}", f"books:{emma.pk}:update"
    assert pat_client(alice, scope, f"books:{other.pk}:{operation}").post(path, {"other": other.pk}).status_code == 200
    refused = pat_client(alice, scope).post(path, {"other": other.pk})
    assert refused.json()["missing"] == [{"entity_type": "books", "entity_id": str(other.pk), "operation": operation}]


@pytest.mark.parametrize("path", ["/api/books/", "/ninja/books"])
def test_list_is_limited_to_scopes(pat_client, alice, emma, other, path):
    limited = pat_client(alice, f"books:{emma.pk}:list").get(path).content.decode()
    assert ("Emma" in limited, "Persuasion" in limited) == (True, False)
    everything = pat_client(alice, "books:*:list").get(path).content.decode()
    assert ("Emma" in everything, "Persuasion" in everything) == (True, True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("operation", "first"), [("read", "websocket.accept"), ("list", "websocket.close")])
def test_consumer_accepts_token(make_pat_token, alice, emma, operation, first):
    from mysite.urls import websocket

    _token, secret = make_pat_token(alice, f"books:{emma.pk if operation == 'read' else '*'}:{operation}")

    async def talk():
        scope = {
            "type": "websocket",
            "path": f"/ws/books/{emma.pk}/",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {secret}".encode())],
            "subprotocols": [],
        }
        communicator = ApplicationCommunicator(websocket, scope)
        await communicator.send_input({"type": "websocket.connect"})
        answers = [await communicator.receive_output(10)]
        if first == "websocket.accept":
            answers.append(await communicator.receive_output(10))
            await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
            await communicator.wait(10)
        return answers

    answers = asyncio.run(talk())
    assert answers[0]["type"] == first
    assert operation == "list" or '"user": "alice"' in answers[1]["text"]


def test_channels_asgi_application():
    from mysite import asgi

    assert set(asgi.application.application_mapping) == {"http", "websocket"}


@pytest.mark.django_db(transaction=True)  # the use is recorded after the request's transaction
def test_address_is_read_from_proxy(pat_client, alice, emma):
    client = pat_client(alice, f"books:{emma.pk}:read")
    client.get(f"/api/books/{emma.pk}/", headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.7"})
    client.pat_token.refresh_from_db()
    assert client.pat_token.last_used_ip == "192.0.2.7"

    assert get_policy().get_client_ip(RequestFactory().get("/")) is None


def test_rate_is_that_of_the_page(pat_client, alice, emma):
    assert settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] == {"pat": "1000/hour"}
    assert pat_client(alice, f"books:{emma.pk}:read").get(f"/api/books/{emma.pk}/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_stream_ends_with_token(make_pat_token, alice):
    from library.streams import ticks

    token, _secret = make_pat_token(alice, "books:*:read")

    async def read():
        seen = []
        async for tick in ticks(token):
            seen.append(tick)
            await asyncio.to_thread(PersonalAccessToken.objects.all().delete)
        return seen

    assert set(asyncio.run(asyncio.wait_for(read(), 20))) == {b"data: tick\n\n"}


@pytest.mark.django_db(transaction=True)
def test_stream_requires_token(make_pat_token, async_client, client, alice, emma):
    _token, secret = make_pat_token(alice, f"books:{emma.pk}:read")

    async def read():
        answer = await async_client.get(f"/streams/{emma.pk}/", headers={"Authorization": f"Bearer {secret}"})
        return answer.status_code, await anext(aiter(answer.streaming_content))

    assert asyncio.run(read()) == (200, b"data: tick\n\n")
    assert client.get(f"/streams/{emma.pk}/").status_code == 401


def test_health_endpoint(client, db):
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()["ok"]) == (200, True), answer.json()
