"""The list of tokens: access in short, the filter by operation, dates, and empty tabs."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django.utils.translation import override, trans_real

from pat_tokens.labels import TimeFormat
from pat_tokens.models import PersonalAccessToken, Scope

pytestmark = pytest.mark.django_db


def access_of(page):
    """Return the text of the Access column of each token by name."""
    rows = re.findall(r'<tr role="row" data-pat-href.*?</tr>', page.content.decode(), re.DOTALL)
    found = {}
    for row in rows:
        cell = re.search(r'<div class="pat-access">(.*?)</div>', row, re.DOTALL)[1]
        marked = re.sub(r'<[^>]*(pat-chip-danger|pat-danger)"[^>]*>', "!", cell)
        name = re.search(r'<a class="pat-clamp"[^>]*>(.*?)</a>', row)[1]
        found[name] = " ".join(re.sub(r"<[^>]+>", "", marked).split())
    return found


def test_access_is_short_with_dangerous_operations_first(person, make_token):
    make_token(name="none")
    make_token("channels:*:read", "channels:*:delete", name="delete")
    make_token("pages:*:read", "devices:*:update", "devices:*:delete", "channels:*:read", name="three types")
    make_token("devices:*:create", "devices:*:read", "devices:*:list", "devices:*:update", name="four operations")
    make_token(*(f"{name}:*:delete" for name in ("channels", "devices", "pages")), name="dangerous rest")
    assert access_of(person.get("/pats/")) == {
        "none": "Nothing",
        "delete": "Channels: !Delete Read",
        "three types": "Devices: !Delete Update Channels: Read +1",
        "four operations": "Devices: Create Read +2",
        "dangerous rest": "Channels: !Delete Devices: !Delete !+1",
    }


def test_access_leaves_out_what_site_no_longer_has(person, make_token):
    token = make_token("channels:*:read", name="old")
    token.scope_set.update(operation="levitate")
    Scope.objects.create(token=token, entity_type="rockets", entity_id="*", operation="delete")
    assert access_of(person.get("/pats/")) == {"old": "Nothing"}


def test_access_column_can_be_hidden(person, make_token, django_assert_num_queries):
    make_token("channels:*:read", name="deploy")
    person.post("/pats/columns/tokens/", {"columns": ["description"]})
    with django_assert_num_queries(5):  # without the operations
        page = person.get("/pats/")
    assert "pat-access" not in page.content.decode()


@pytest.mark.parametrize(("tokens", "scopes"), [(1, 1), (10, 20), pytest.param(100, 500, marks=pytest.mark.thorough)])
def test_access_of_many_scopes_takes_one_query(person, user, django_assert_num_queries, tokens, scopes):
    end = timezone.now() + timedelta(days=1)
    made = PersonalAccessToken.objects.bulk_create(
        PersonalAccessToken(user=user, name=f"t{n}", name_key=f"t{n}", digest=f"{n:064}", expires_at=end)
        for n in range(tokens)
    )
    Scope.objects.bulk_create(
        (
            Scope(token=token, entity_type="channels", entity_id=str(number), operation="read")
            for token in made
            for number in range(scopes)
        ),
        batch_size=10_000,
    )
    with django_assert_num_queries(6) as queries:
        page = person.get("/pats/?rows=100")
    assert set(access_of(page).values()) == {"Channels: Read"}
    assert len(access_of(page)) == tokens
    assert "DISTINCT" in next(query["sql"] for query in queries if "pat_tokens_scope" in query["sql"])


def test_operation_filters_list_and_delete_all(person, make_token):
    deletes = make_token("channels:*:delete", name="channel deleter")
    make_token("devices:*:delete", name="device deleter")
    make_token("channels:*:read", name="reader")

    def names(query):
        return {token.name for token in person.get(f"/pats/{query}").context["table"].rows}

    assert names("?operation=delete") == {"channel deleter", "device deleter"}
    assert names("?operation=delete&q=channel") == {"channel deleter"}
    assert names("?operation=publish") == set()
    assert names("?operation=nonsense") == {"channel deleter", "device deleter", "reader"}
    page = person.get("/pats/?operation=delete")
    assert [tab["count"] for tab in page.context["tabs"]] == [2, 0, 0, 2]
    assert '<input type="hidden" name="operation" value="delete">' in page.content.decode()
    assert str(deletes.pk) in person.get("/pats/delete/?operation=delete").context["ids"]
    assert len(person.get("/pats/delete/?operation=delete").context["ids"].split(",")) == 2
    answer = person.post("/pats/search/", {"q": "channel", "operation": "delete", "status": "all"})
    assert answer.url == "/pats/?q=channel&operation=delete&status=all"


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("", "No active tokens"),
        ("?status=expired", "No expired tokens"),
        ("?status=revoked", None),
        ("?status=all&q=zzz", "No matching tokens"),
        ("?operation=delete", "No matching tokens"),
        ("?q=zzz&in=description", "No matching tokens"),
    ],
)
def test_empty_tab_says_what_belongs_there(person, make_token, query, title):
    make_token(name="stopped")
    PersonalAccessToken.objects.update(revoked_at=timezone.now())
    page = person.get(f"/pats/{query}").content.decode()
    found = re.search(r'<div class="pat-empty">.*?<h2>(.*?)</h2>', page, re.DOTALL)
    assert (found and found[1]) == title


def test_empty_search_links_to_matching_status(person, make_token):
    make_token(name="stopped")
    make_token(name="running")
    PersonalAccessToken.objects.filter(name="stopped").update(revoked_at=timezone.now())
    page = person.get("/pats/?q=stop").content.decode()
    assert '<a class="pat-button pat-button-plain" href="?q=stop&amp;status=all">Show 1 with another status</a>' in page
    assert "with another status" not in person.get("/pats/?q=zzz").content.decode()


def test_all_rows_of_page_can_be_selected_without_script(person, make_token):
    for number in range(6):
        make_token(name=f"token {number}")
    page = person.get("/pats/?rows=5&page=2&sort=name")
    assert page.context["select_url"] == "?sort=name&rows=5&page=2&select=page"
    assert not re.search(r'aria-label="Select [^>]* checked', page.content.decode())
    page = person.get("/pats/" + page.context["select_url"])
    assert re.findall(r'aria-label="Select ([^"]*)"[^>]* checked', page.content.decode()) == ["token 5"]


def test_dates_have_one_format():
    when = datetime(2026, 11, 9, 18, 5, 59, tzinfo=UTC)
    with timezone.override(UTC):
        assert TimeFormat().date(when) == "Nov 9, 2026"
        assert TimeFormat().exact(when) == "Nov 9, 2026, 18:05 UTC"
    with timezone.override("Europe/Berlin"), override("fr"):
        assert TimeFormat().months[10] == "Nov"
        assert TimeFormat().exact(when).endswith("19:05 CET")


def test_script_gets_format_of_dates(person, make_token):
    make_token()
    page = person.get("/pats/").content.decode()
    assert 'data-pat-text-date="{month} {day}, {year}"' in page
    assert 'data-pat-text-datetime="{date}, {time} {zone}"' in page
    assert 'data-pat-text-months="Jan|Feb|Mar|' in page


def test_rows_look_up_no_translations(person, make_token, monkeypatch):
    """Labels, units and formats are looked up once for a page, not for each row."""
    looked_up = []
    monkeypatch.setattr(
        trans_real, "gettext", lambda text, real=trans_real.gettext: looked_up.append(text) or real(text)
    )
    counts = []
    for _more in range(2):
        for _number in range(5):
            make_token("channels:*:read")
        looked_up.clear()
        assert len(person.get("/pats/?rows=100").context["table"].rows) == 5 * len(counts) + 5
        counts.append(len(looked_up))
    assert counts[0] == counts[1]


def test_rows_render_few_templates(person, make_token, rendered):
    counts = []
    for _more in range(2):
        for _number in range(5):
            make_token("channels:*:read")
        rendered.clear()
        person.get("/pats/?rows=100")
        counts.append(len(rendered))
    assert (
        counts[1] - counts[0] == 5 * 5
    )  # two times, the checkbox, the menu, and its icon; “Not used yet” is rendered once
