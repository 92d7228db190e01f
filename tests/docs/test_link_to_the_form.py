"""What the page for makers of client tools says, done by such a tool."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import read_blocks

pytestmark = [pytest.mark.docs, pytest.mark.django_db(transaction=True)]

PAGE = "how-to/link-to-the-form.md"


def python_blocks() -> list[str]:
    return [block.text for block in read_blocks(PAGE) if block.language == "python"]


def test_link_fills_in_form(client: Any, user: Any) -> None:
    names: dict[str, Any] = {}
    exec(python_blocks()[0], names)
    client.force_login(user)
    page = client.get("/pats/create/?" + urlsplit(names["url"]).query)
    assert page.context["prefill"].left_out == []
    assert page.context["form"]["name"].value() == "Pump sensor"
    assert page.context["form"]["duration"].value() == "7d"
    forms = [(form.values["entity_id"], form.values["operations"]) for form in page.context["formset"]]
    assert forms == [([], ["publish"]), (["*"], ["list"])]


def test_refusal_is_printed_with_link(live_server: Any, token: Any, channel: Any, capsys: Any) -> None:
    names: dict[str, Any] = {}
    exec(python_blocks()[1], names)
    assert names["call"]("GET", f"{live_server.url}/api/channels/{channel.pk}/", token.secret).status_code == 403
    link = f"{live_server.url}/pats/{token.pk}/scopes/add/?scope=channels:{channel.pk}:read"
    assert f"To allow it, open {link}\n" in capsys.readouterr().out
