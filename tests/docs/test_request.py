"""The diagram of how a request is decided: the response of each step, their order, and the queries."""

import re
from typing import Any

import pytest

from pat_tokens import services
from pat_tokens.crypto import make_secret
from pat_tokens.signals import token_refused
from tests.docs.pages import DOCS, ROOT

PAGE = DOCS / "explanation/request.md"

pytestmark = [pytest.mark.docs, pytest.mark.django_db]


def drawn() -> list[tuple[int, str]]:
    """Return each response in the diagram, as status and code or reason."""
    return [(int(status), word) for status, word in re.findall(r"▶ (\d{3})  (\w+)", PAGE.read_text())]


def test_responses_follow_documented_order(
    site: Any, make_token: Any, client: Any, django_assert_num_queries: Any
) -> None:
    reasons: list[str] = []

    def note(sender: Any, reason: str, **facts: Any) -> None:
        reasons.append(reason)

    token_refused.connect(note)
    path, undeclared = f"/channels/{site.channel.pk}/", f"/functions/{site.channel.pk}/undeclared/"

    def ask(secret: str, path: str, queries: int) -> tuple[int, str]:
        with django_assert_num_queries(queries):
            answer = client.get(path, headers={"authorization": f"Bearer {secret}"})
        return answer.status_code, reasons[-1]

    # Each of these would also be refused by all later steps.
    revoked = make_token("channels:*:list")
    services.revoke_token(revoked)
    elsewhere = make_token("channels:*:list", allowed_networks=["192.0.2.0/24"])
    narrow = make_token("channels:*:list")
    for token in (revoked, elsewhere, narrow):  # which is recorded once a minute
        client.get(path, headers={"authorization": f"Bearer {token.secret}"})
    reasons.clear()
    answers = [
        ask(f'"{revoked.secret}"', undeclared, 0),
        ask("pat_short", undeclared, 0),
        ask(make_secret("pat"), undeclared, 2),  # it could be a previous secret
        ask(revoked.secret, undeclared, 1),
        ask(elsewhere.secret, undeclared, 1),
        ask(narrow.secret, undeclared, 1),
        ask(narrow.secret, path, 1),
    ]
    token_refused.disconnect(note)
    assert answers == [
        (401, "malformed"),
        (401, "malformed"),
        (401, "unknown"),
        (401, "revoked"),
        (403, "network_not_allowed"),
        (403, "scope_not_declared"),
        (403, "insufficient_scope"),
    ]
    unavailable = (503, "unavailable")  # can't be tested in the same way on each database
    assert [answer for answer in drawn() if answer != unavailable] == [
        (status, "says" if reason == "revoked" else reason) for status, reason in answers
    ]


def test_modules_of_steps_exist() -> None:
    table = PAGE.read_text().partition("## Where each step is")[2]
    names = re.findall(r"`((?:contrib/\w+/)?[a-z_]+)(?:\.\w+)?`", table)
    missing = [name for name in names if name != "exceptions" and not (ROOT / f"pat_tokens/{name}.py").exists()]
    assert names
    assert missing == ["pat_explain"]  # which is a command
