"""Delete All, and selected rows: exactly the confirmed tokens are changed."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken
from tests.factories import TokenFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tokens(make_token, stranger):
    """Two active tokens, one with each other status, and one of another user."""
    made = {name: make_token(name=name) for name in ("alpha", "beta", "old", "stopped")}
    past = timezone.now() - timedelta(days=1)
    PersonalAccessToken.objects.filter(pk=made["old"].pk).update(issued_at=past - timedelta(days=1), expires_at=past)
    services.revoke_token(made["stopped"])
    made["theirs"] = TokenFactory(user=stranger, name="theirs")
    return made


def hidden(page):
    """Return the hidden fields of a form."""
    text = page.content.decode()
    return dict(re.findall(r'<input type="hidden" name="(ids|active)" value="([^"]*)">', text))


def text_of(page):
    return unescape(re.sub(r"<[^>]+>", "", page.content.decode()))


def named(page):
    """Return the names in the question, and which of them are active."""
    rows = re.findall(r"<li>\s*<bdi>(.*?)</li>", page.content.decode(), re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


def names():
    return set(PersonalAccessToken.objects.values_list("name", flat=True))


def notice(person, answer):
    assert answer.status_code == 302
    return text_of(person.get(answer.url))


EVERYTHING = {"alpha", "beta", "old", "stopped", "theirs"}


@pytest.mark.parametrize(
    ("query", "gone"),
    [
        ("", {"alpha", "beta"}),
        ("?status=active", {"alpha", "beta"}),
        ("?status=nonsense", {"alpha", "beta"}),
        ("?status=all", {"alpha", "beta", "old", "stopped"}),
        ("?status=expired", {"old"}),
        ("?status=revoked", {"stopped"}),
        ("?status=all&q=o", {"old", "stopped"}),
        ("?q=alp&in=name", {"alpha"}),
        ("?status=all&q=theirs", set()),
        ("?q=pat_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&status=all", set()),
    ],
)
def test_delete_all_deletes_listed_tokens(person, tokens, query, gone):
    listed = {token.name for token in person.get(f"/pats/{query}", follow=True).context["table"].rows}
    page = person.get(f"/pats/delete/{query}")
    if gone:
        assert listed == gone
        fields = hidden(page)
        assert set(fields["ids"].split(",")) == {str(tokens[name].pk) for name in gone}
        person.post(f"/pats/delete/{query}", {**fields, "number": len(gone)})
    else:
        assert page.status_code == 302
    assert names() == EVERYTHING - gone


def test_number_is_required_if_any_is_active(person, tokens):
    page = person.get("/pats/delete/?status=all")
    assert "Delete all 4 tokens?" in text_of(page)
    assert "the 2 active ones stop working immediately." in text_of(page)
    assert named(page) == ["alpha Active", "beta Active", "old", "stopped"]
    assert "enter the number of tokens: 4" in text_of(page)
    for number in ({}, {"number": ""}, {"number": "3"}, {"number": "four"}, {"number": "1e0"}):
        answer = person.post("/pats/delete/?status=all", {**hidden(page), **number})
        assert "This is not the number of tokens." in text_of(answer)
        assert hidden(answer) == hidden(page)
        assert names() == EVERYTHING
    answer = person.post("/pats/delete/?status=all", {**hidden(page), "number": " ٤ "})
    assert "4 tokens were deleted." in notice(person, answer)


def test_number_is_not_required_otherwise(person, tokens):
    page = person.get("/pats/delete/?status=expired")
    assert "Delete 1 of your 4 tokens?" in text_of(page)
    assert named(page) == ["old"]
    assert "enter the number" not in text_of(page)
    answer = person.post("/pats/delete/?status=expired", hidden(page))
    assert answer.url == "/pats/?status=expired"
    assert "1 token was deleted." in notice(person, answer)


def test_ten_names_are_shown_active_ones_first(person, make_token):
    for number in range(12):
        make_token(name=f"t{number:02}")
    PersonalAccessToken.objects.filter(name__in=("t00", "t01")).update(revoked_at=timezone.now())
    page = person.get("/pats/delete/?status=all")
    assert named(page) == [f"t{number:02} Active" for number in range(2, 12)]
    assert "and 2 more" in text_of(page)


def test_new_token_is_not_deleted(person, tokens, make_token):
    page = person.get("/pats/delete/")
    make_token(name="new")
    person.post("/pats/delete/", {**hidden(page), "number": 2})
    assert names() == {"new", "old", "stopped", "theirs"}


def test_reactivated_token_is_kept_and_named(person, tokens):
    page = person.get("/pats/delete/?status=all")
    services.regenerate_token(tokens["stopped"])
    answer = person.post("/pats/delete/?status=all", {**hidden(page), "number": 4})
    assert names() == {"stopped", "theirs"}
    assert "3 tokens were deleted." in notice(person, answer)
    answer = person.post("/pats/delete/?status=all", {**hidden(page), "active": "", "number": 4})
    assert "Kept, because they became active in the meantime: “stopped”." in notice(person, answer)
    assert names() == {"stopped", "theirs"}


def test_nothing_is_deleted_without_ids(case, person, tokens):
    for fields in ({}, {"number": 2}, {"ids": ""}, {"ids": "all"}, {"ids": str(tokens["theirs"].pk), "number": 1}):
        with case(fields):
            for name in ("delete/", "selected/delete/", "selected/revoke/"):
                person.post(f"/pats/{name}", fields)
            assert names() == EVERYTHING
            assert PersonalAccessToken.objects.active().count() == 3


class TestSelectedTokens:
    def test_delete(self, person, tokens):
        query = f"?id={tokens['alpha'].pk}&id={tokens['old'].pk}&id={tokens['theirs'].pk}&id=x&status=all"
        page = person.get(f"/pats/selected/delete/{query}")
        assert "Delete 2 of your 4 tokens?" in text_of(page)
        assert named(page) == ["alpha Active", "old"]
        assert "enter the number" not in text_of(page)
        answer = person.post(f"/pats/selected/delete/{query}", hidden(page))
        assert answer.url == "/pats/?status=all"
        assert names() == {"beta", "stopped", "theirs"}

    def test_revoke(self, person, tokens):
        query = "?" + "&".join(f"id={token.pk}" for token in tokens.values())
        page = person.get(f"/pats/selected/revoke/{query}")
        assert "Revoke 2 tokens?" in text_of(page)
        answer = person.post("/pats/selected/revoke/", hidden(page))
        assert "2 tokens were revoked." in notice(person, answer)
        active = PersonalAccessToken.objects.active().values_list("name", flat=True)
        assert list(active) == ["theirs"]
        assert not PersonalAccessToken.objects.get(name="old").is_revoked

    def test_no_selection_is_an_error(self, case, person, tokens):
        for name, words in (("delete", "one token first"), ("revoke", "one active token first")):
            for query in ("", "?id=", "?id=junk", f"?id={tokens['theirs'].pk}"):
                with case(name, query):
                    assert words in notice(person, person.get(f"/pats/selected/{name}/{query}"))
                    assert names() == EVERYTHING

    def test_signals_are_sent_per_token(self, person, tokens, django_capture_on_commit_callbacks):
        from pat_tokens import signals

        revoked = []
        signals.token_revoked.connect(receiver := lambda token, **_: revoked.append(token))
        try:
            with django_capture_on_commit_callbacks(execute=True):
                services.revoke_tokens(tokens["alpha"].user, PersonalAccessToken.objects.all())
        finally:
            signals.token_revoked.disconnect(receiver)
        assert {token.name for token in revoked} == {"alpha", "beta"}
        assert all(token.is_revoked for token in revoked)
