"""The pages, without a script."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import include, path, reverse
from django.utils import timezone

from pat_tokens.authentication import authenticate
from pat_tokens.entities import registry
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.requirements import ANY_TOKEN
from tests.factories import ChannelFactory
from tests.models import Channel


def url(name: str, token: PersonalAccessToken, *args: Any) -> str:
    return reverse(f"pat_tokens:{name}", args=[token.pk, *args])


def test_create_shows_secret_once(person, channel):
    rows = {
        "scopes-0-entity_type": "channels",
        "scopes-0-entity_id": str(channel.pk),
        "scopes-0-operations": ["publish", "read"],
        "scopes-1-entity_type": "channels",
        "scopes-1-entity_id": "*",
        "scopes-1-operations": ["list"],
    }
    answer = person.post("/pats/create/", {"name": "publisher", "duration": "24h", **rows})
    token = PersonalAccessToken.objects.get()
    assert answer.status_code == 302
    assert answer.url == url("token_detail", token)
    assert sorted(map(str, token.scope_set.all())) == [
        "channels:*:list",
        f"channels:{channel.pk}:publish",
        f"channels:{channel.pk}:read",
    ]

    page = person.get(answer.url)
    assert "no-store" in page.headers["Cache-Control"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    secret = str(page.context["revealed"].secret)
    assert secret.startswith("pat_")
    assert secret in page.content.decode()

    again = person.get(answer.url)
    assert "pat_" in again.content.decode()  # the hint
    assert secret not in again.content.decode()


def test_empty_scope_row_has_labels(person, token):
    for address in ("/pats/create/", url("scopes_add", token)):
        page = person.get(address).content.decode().partition("<template")[0]
        assert [label in page for label in (">Entity Type <", ">Entity <", ">Operation <")] == [True] * 3


PAGES = ["token_detail", "token_revoke", "token_regenerate", "token_delete", "scopes_add", "scopes_delete"]
LISTS = ["/pats/", "/pats/create/", "/pats/delete/", "/pats/entities/channels/"]


@pytest.mark.parametrize("name", PAGES)
def test_token_pages_require_owner(client, user, stranger, token, name):
    target = url(name, token)
    assert client.get(target).url.startswith("/accounts/login/")
    client.force_login(stranger)
    assert client.get(target).status_code == 404
    assert client.post(target).status_code in (404, 405)
    client.force_login(user)
    assert client.get(target).status_code == 200
    assert PersonalAccessToken.objects.filter(pk=token.pk, revoked_at=None).exists()


@pytest.mark.parametrize("name", [*PAGES, "token_edit"])
def test_missing_and_foreign_tokens_look_alike(person, make_token, stranger, name):
    args = ["name"] if name == "token_edit" else []
    deleted, foreign = make_token("channels:*:read"), make_token("channels:*:read", user=stranger)
    urls = [url(name, token, *args) for token in (deleted, foreign)]
    deleted.delete()
    urls.append(reverse(f"pat_tokens:{name}", args=[uuid.uuid4(), *args]))
    methods = ["get"] if name == "token_detail" else ["get", "post"]
    answers = [getattr(person, method)(target) for target in urls for method in methods]
    assert {answer.status_code for answer in answers} == {404}
    (text,) = {answer.content.decode() for answer in answers}
    assert "Token not found" in text
    assert "It may have been deleted, possibly in another window." in text
    assert 'href="/pats/">Go to your tokens</a>' in text
    assert {answer.headers["X-Frame-Options"] for answer in answers} == {"DENY"}
    assert all("no-store" in answer.headers["Cache-Control"] for answer in answers)


def test_deleted_scope_is_reported(person, make_token):
    token = make_token("channels:*:read", "channels:*:list", name="deploy")
    scope = token.scope_set.first()
    target = url("scope_delete", token, scope.pk)
    person.post(target)
    for answer in (person.get(target), person.post(target)):
        assert answer.status_code == 404
        assert "“deploy” does not have this scope." in answer.content.decode()
        assert f'href="{url("token_detail", token)}">Go to the token</a>' in answer.content.decode()
    token.delete()
    assert "Token not found" in person.get(target).content.decode()


def test_other_pages_use_404_of_site(person, token):
    for target in ("/pats/entities/nonsense/", url("token_edit", token, "digest")):
        answer = person.get(target)
        assert answer.status_code == 404
        assert "Token not found" not in answer.content.decode()


@pytest.mark.parametrize("target", LISTS)
def test_other_pages_need_session(client, user, token, target):
    assert client.get(target).status_code == 302
    assert client.get(target, headers={"accept": "application/json"}).status_code == 401
    client.force_login(user)
    assert client.get(target).status_code == 200


@pytest.mark.parametrize("name", ["token_is_user", "token_is_cached_user"])
def test_pages_refuse_tokens_set_by_middleware(client, make_token, stranger, settings, name):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"tests.pages.test_views.{name}"]
    token = make_token("channels:*:read")
    headers = {"authorization": f"Bearer {token.secret}"}
    assert client.get("/pats/", headers=headers).status_code == 302
    assert client.post("/pats/create/", {"name": "x"}, headers=headers)["Location"].startswith("/accounts/login/")
    client.force_login(stranger)
    assert token.name not in client.get("/pats/", headers=headers).content.decode()
    assert client.post(url("token_revoke", token), headers=headers).status_code == 404


def token_is_user(get_response: Any) -> Any:
    """Middleware of a site that sets the user for a token."""

    def middleware(request: Any) -> Any:
        request.user = PersonalAccessToken.objects.get().user
        return get_response(request)

    return middleware


def token_is_cached_user(get_response: Any) -> Any:
    """Middleware that also sets what Django's middleware finds in the session."""

    def middleware(request: Any) -> Any:
        request.user = request._cached_user = PersonalAccessToken.objects.get().user
        return get_response(request)

    return middleware


@pytest.mark.parametrize("name", ["token_revoke", "token_regenerate", "token_delete", "scopes_delete", "scopes_add"])
def test_changes_need_csrf_token(user, token, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(url(name, token)).status_code == 403


def test_other_users_scope_is_not_found(person, make_token, token):
    scope = make_token("channels:*:read").scope_set.get()
    assert person.post(url("scope_delete", token, scope.pk)).status_code == 404
    assert type(scope).objects.filter(pk=scope.pk).exists()


def test_regenerate_keeps_everything_but_secret(person, make_token):
    token = make_token("channels:*:read", name="deploy")
    assert "deploy" in person.get(url("token_revoke", token)).content.decode()
    assert person.post(url("token_revoke", token)).url == url("token_detail", token)
    assert "Revoked" in person.get(url("token_detail", token)).content.decode()
    answer = person.post(url("token_regenerate", token), {"duration": "7d"})
    page = person.get(answer.url)
    assert str(page.context["revealed"].secret) != token.secret
    token.refresh_from_db()
    assert token.is_active
    assert token.scope_set.count() == 1


def test_lost_cookie_suggests_regenerate(person, token):
    answer = person.post(url("token_regenerate", token), {"duration": "7d"})
    del person.cookies["pat_tokens_reveal"]
    text = person.get(answer.url).content.decode()
    assert "could not be shown" in text
    assert "could not be shown" not in person.get(answer.url).content.decode()


def focused(page: Any) -> list[str]:
    return re.findall(r'name="([^"]+)"[^>]* autofocus', page.content.decode())


def test_name_or_first_wrong_field_is_focused(person, token):
    assert focused(person.get("/pats/create/")) == ["name"]
    assert focused(person.get("/pats/create/?name=filled")) == []  # the banner comes first
    row = {"scopes-0-entity_type": "channels", "scopes-0-operations": "read"}
    for data, expected in (
        ({"name": token.name, "duration": "9999d", **row}, ["name"]),
        ({"name": "new", "duration": "date", **row}, ["expires_on"]),
        ({"name": "new", "step": "add", **row}, []),
    ):
        assert focused(person.post("/pats/create/", data)) == expected
    for name in ("token_regenerate", "token_rotate"):
        assert focused(person.post(url(name, token), {"duration": "9999d"})) == ["duration"]


def test_several_entities_in_one_block(person, user):
    pks = [str(ChannelFactory(owner=user).pk) for _ in range(10)]
    row = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": [*pks, ""], "scopes-0-operations": "publish"}
    page = person.post("/pats/create/", {"name": "x", **row, "step": "add"}).content.decode()
    assert page.count('name="scopes-0-entity_id"') == 11  # a checkbox for each, and the select
    assert 'name="scopes-1-entity_id"' in page
    assert person.post("/pats/create/", {"name": "x", "duration": "7d", **row}).status_code == 302
    scopes = PersonalAccessToken.objects.get().scope_set.all()
    assert {str(scope) for scope in scopes} == {f"channels:{pk}:publish" for pk in pks}


def test_preview_explains_redundant_scopes(person, make_token, user):
    channel = ChannelFactory(owner=user, name="Pump")
    token = make_token(f"channels:{channel.pk}:read", f"channels:{channel.pk}:list")
    row = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": ["*", str(channel.pk)]}
    row["scopes-0-operations"] = ["read", "publish"]
    page = person.post(url("scopes_add", token), {**row, "step": "preview"}).content.decode()
    summary = " ".join(re.sub("<[^>]+>", " ", page.split("data-pat-summary")[1].split("</section>")[0]).split())
    assert "Not added, because a scope for all entities includes them: Publish – Pump" in summary
    assert "Replaced by a scope for all entities, which includes them: Read – Pump" in summary
    assert token.scope_set.count() == 2
    person.post(url("scopes_add", token), row)
    held = {str(scope) for scope in token.scope_set.all()}
    assert held == {"channels:*:read", "channels:*:publish", f"channels:{channel.pk}:list"}


def test_duplicate_name_links_to_token(person, make_token, stranger):
    """Without our script, a double click creates the token first, and then reports a duplicate name."""
    typed = {"name": "Publisher", "duration": "7d"}
    made = person.post("/pats/create/", typed).url
    make_token(user=stranger, name="other")
    page = person.post("/pats/create/", {**typed, "name": "publisher"}).content.decode()
    assert "There is already a token with this name." in page
    assert f'<a href="{made}">Go to “Publisher”</a>' in page
    renamed = person.post(url("token_edit", make_token(name="second"), "name"), {"name": "publisher"}).content.decode()
    assert f'<a href="{made}">Go to “Publisher”</a>' in renamed
    assert person.post("/pats/create/", {**typed, "name": "other"}).status_code == 302


def test_all_form_errors_are_shown_together(person, token):
    typed = {"name": token.name, "duration": "date", "scopes-0-entity_type": "channels", "scopes-0-entity_id": "1"}
    context = person.post("/pats/create/", {**typed, "description": "x" * 9999}).context
    assert set(context["form"].errors) == {"name", "expires_on", "description"}
    assert context["formset"].errors[0].keys() == {"operations"}
    assert PersonalAccessToken.objects.count() == 1


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "signed_cookies"])
def test_secret_is_shown_with_any_session_backend(user, settings, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    person = Client()
    person.force_login(user)
    answer = person.post("/pats/create/", {"name": "publisher", "duration": "7d"})
    secret = str(person.get(answer.url).context["revealed"].secret)
    assert authenticate(secret, ANY_TOKEN) == PersonalAccessToken.objects.get()


def test_deleting_twice_is_reported(person, make_token):
    token = make_token("channels:*:read")
    for text in ("1 scope was deleted.", "There were no scopes to delete."):
        assert text in person.get(person.post(url("scopes_delete", token)).url).content.decode()
    for text in ("1 token was deleted.", "No tokens were deleted."):
        answer = person.post("/pats/delete/", {"ids": token.pk, "active": token.pk, "number": 1})
        assert text in person.get(answer.url).content.decode()


def test_session_has_no_secret(person, token):
    answer = person.post(url("token_regenerate", token), {"duration": "7d"})
    before = str(dict(person.session.items()))
    secret = str(person.get(answer.url).context["revealed"].secret)
    assert secret not in before + str(dict(person.session.items()))


def test_add_and_delete_scopes(person, token, channel):
    rows = {"scopes-0-entity_type": "channels", "scopes-0-entity_id": str(channel.pk)}
    person.post(url("scopes_add", token), {**rows, "scopes-0-operations": ["read", "publish", "update"]})
    assert token.scope_set.count() == 3
    scope = token.scope_set.get(operation="read")
    assert channel.name in person.get(url("scope_delete", token, scope.pk)).content.decode()
    person.post(url("scope_delete", token, scope.pk))
    assert {scope.operation for scope in token.scope_set.all()} == {"publish", "update"}
    person.post(url("scopes_delete", token))
    assert token.scope_set.count() == 0


def test_delete_token(person, make_token):
    tokens = [make_token() for _number in range(2)]
    person.post(url("token_delete", tokens[0]))
    assert list(PersonalAccessToken.objects.all()) == tokens[1:]


def test_edit_name_and_description(person, token, make_token):
    make_token(name="taken")
    person.post(url("token_edit", token, "description"), {"description": "for the printer"})
    page = person.post(url("token_edit", token, "name"), {"name": "Taken"})
    assert 'value="Taken"' in page.content.decode()
    assert 'aria-describedby="id_name_helptext id_name_error"' in page.content.decode()
    token.refresh_from_db()
    assert (token.name, token.description) == ("deploy", "for the printer")
    for field in ("digest", "nonsense", "0"):
        assert person.get(url("token_edit", token, field)).status_code == 404
        assert person.post(url("token_edit", token, field), {field: "x"}).status_code == 404


def test_scope_rows_without_script(person, channel):
    typed = {"name": "kept", "scopes-0-entity_type": "channels"}
    page = person.post("/pats/create/", {**typed, "step": "choose-0"}).content.decode()
    assert 'value="kept"' in page
    assert f'<option value="{channel.pk}">{channel.name}</option>' in page
    assert 'name="scopes-0-operations" value="publish"' in page
    page = person.post("/pats/create/", {**typed, "step": "add"}).content.decode()
    assert 'name="scopes-1-entity_type"' in page
    page = person.post("/pats/create/", {**typed, "step": "remove-0"}).content.decode()
    assert 'name="scopes-0-entity_type"' not in page
    page = person.post("/pats/create/", {**typed, "scopes-0-term": "zzz", "step": "find-0"}).content.decode()
    assert channel.name not in page
    assert not PersonalAccessToken.objects.exists()


def test_errors_are_shown_and_input_is_kept(person):
    page = person.post(
        "/pats/create/",
        {
            "name": " ",
            "description": "kept text",
            "duration": "9999d",
            "scopes-0-entity_type": "channels",
            "scopes-0-entity_id": "12345",
            "scopes-0-operations": ["read", "create"],
        },
    )
    text = page.content.decode()
    assert page.status_code == 200
    for part in ("kept text", "id_name_error", "id_duration_error", "id_scopes-0-entity_id_error"):
        assert part in text
    assert 'aria-describedby="id_scopes-0-entity_id_error"' in text
    assert not PersonalAccessToken.objects.exists()


JUNK = ["\0", "-1", "99999999999999999999999", "abc", "١", "' OR 1=1 --", "ü" * 3000]


@pytest.mark.parametrize("junk", JUNK)
def test_junk_never_breaks_page(person, make_token, junk):
    token = make_token("channels:*:read")
    query = dict.fromkeys(("page", "rows", "sort", "q", "status", "next"), junk)
    for target in ["/pats/", url("token_detail", token), "/pats/entities/channels/"]:
        assert person.get(target, query).status_code == 200
    person.cookies["pat_tokens_hidden_tokens"] = "name.description.nonsense"
    assert "deploy" not in person.get("/pats/").content.decode()
    data = dict.fromkeys(("name", "description", "duration", "expires_on", "timezone", "scopes-0-entity_type"), junk)
    data |= {"scopes-0-entity_id": junk, "scopes-0-operations": junk}
    assert person.post("/pats/create/", data).status_code == 200
    assert person.post("/pats/create/", {**data, "step": junk}).status_code == 200
    data["scopes-0-entity_type"] = "channels"
    assert person.post(url("scopes_add", token), {**data, "step": "find-0"}).status_code == 200
    assert person.post(url("scopes_add", token), data).status_code == 200
    assert person.post(url("token_regenerate", token), data).status_code == 200


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2020-02-30"])
@pytest.mark.parametrize("zone", ["", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_extreme_dates_never_break_page(person, token, day, zone):
    data = {"duration": "date", "expires_on": day, "timezone": zone}
    assert person.post(url("token_regenerate", token), data).status_code == 200


def test_ten_thousand_rows_are_refused(person, settings):
    rows = {f"scopes-{number}-entity_type": "channels" for number in range(10_000)}
    assert person.post("/pats/create/", {"name": "x", **rows}).status_code == 400
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = None
    settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 20
    page = person.post("/pats/create/", {"name": "x", "duration": "7d", **rows})
    assert page.status_code == 200
    assert "at most 20 scopes" in page.content.decode()


def many_tokens(user: Any, count: int) -> list[PersonalAccessToken]:
    """Create rows directly, because these tests aren't about the service."""
    end = timezone.now() + timedelta(days=1)
    return PersonalAccessToken.objects.bulk_create(
        PersonalAccessToken(user=user, name=f"t{number}", name_key=f"t{number}", digest=f"{number:064}", expires_at=end)
        for number in range(count)
    )


@pytest.mark.parametrize("count", [1, 2000])
def test_list_makes_constant_queries(person, user, count, django_assert_num_queries):
    many_tokens(user, count)
    for query in ("?rows=100&status=all", "?q=t&sort=last_used_at&page=2"):
        with django_assert_num_queries(6):  # session, user, counts, rows, their operations, refused secrets
            person.get("/pats/" + query)
    for query in ("?q=t&in=description", "?q=nonsense&in=id"):
        with django_assert_num_queries(4):  # no query for rows, because the counts are zero
            person.get("/pats/" + query)
    with django_assert_num_queries(4):  # session, user, counts, names
        assert person.get("/pats/delete/").status_code == 200


@pytest.mark.parametrize("count", [1, 499])
def test_token_page_makes_constant_queries(person, make_token, user, count, django_assert_num_queries):
    names = [f"c{number}" for number in range(count)]
    Channel.objects.bulk_create(Channel(owner=user, name=name) for name in names)
    token = make_token("devices:*:list")
    token.scope_set.bulk_create(
        Scope(token=token, entity_type="channels", entity_id=str(pk), operation="read")
        for pk in Channel.objects.values_list("pk", flat=True)
    )
    for sort in ("entity_type", "-entity", "operation"):
        # session, user, token, scopes, names of channels, activity, refused secrets, missing scopes
        with django_assert_num_queries(8):
            person.get(url("token_detail", token), {"rows": 100, "sort": sort})
    for name in ("scopes_delete", "scopes_add", "token_delete", "token_revoke"):
        with django_assert_num_queries(4 if name == "scopes_delete" else 3):
            person.get(url(name, token))


@pytest.mark.parametrize("count", [32, 100_000])
def test_picker_reads_few_rows(person, user, count, django_assert_num_queries):
    ChannelFactory(owner=user, name="pump")
    table = Channel._meta.db_table
    with connection.cursor() as cursor:
        while Channel.objects.count() < count:  # doubled with SQL
            cursor.execute(f"INSERT INTO {table} (owner_id, name) SELECT owner_id, name FROM {table}")
    ChannelFactory(owner=user, name="needle")
    for term, found in (("", 20), ("PUM", 20), ("needle", 1), ("nonsense", 0)):
        with django_assert_num_queries(3) as queries:  # session, user, suggestions
            answer = person.get("/pats/entities/channels/", {"q": term}).json()
        assert queries[-1]["sql"].endswith("LIMIT 21")
        assert (len(answer["results"]), answer["has_more"]) == (found, found == 20)


@pytest.mark.parametrize("count", [1, 30])
def test_form_makes_constant_queries(person, user, count, django_assert_num_queries):
    channel = ChannelFactory(owner=user)
    rows = {}
    for number in range(count):
        rows |= {f"scopes-{number}-entity_type": "channels", f"scopes-{number}-entity_id": str(channel.pk)}
    with django_assert_num_queries(4):  # session, user, suggestions, names of what was chosen
        person.post("/pats/create/", {"name": "x", "step": "add", **rows})


def test_scope_of_deleted_entity_has_no_effect(person, make_token, channel):
    token = make_token(f"channels:{channel.pk}:read", "channels:*:list")
    channel.delete()
    text = person.get(url("token_detail", token)).content.decode()
    assert text.count("No effect") == 1


def test_scope_of_lost_entity_has_no_effect(person, make_token, channel, stranger):
    token = make_token(f"channels:{channel.pk}:publish", "channels:*:list")
    Channel.objects.filter(pk=channel.pk).update(owner=stranger)
    page = person.get(url("token_detail", token)).content.decode()
    assert page.count("No effect: the entity was deleted, or the owner can no longer see it.") == 1
    assert channel.name not in page
    question = person.get(url("scope_delete", token, token.scope_set.get(operation="publish").pk)).content.decode()
    assert "nothing stops working" in question


def test_scopes_are_sorted_by_label(person, make_token, user):
    zoo, ant = ChannelFactory(owner=user, name="Zoo"), ChannelFactory(owner=user, name="ant")
    token = make_token(f"channels:{zoo.pk}:read", f"channels:{ant.pk}:read", "pages:*:list", "channels:*:list")

    def shown(sort: str) -> list[str]:
        rows = person.get(url("token_detail", token), {"sort": sort}).context["table"].rows
        return [f"{row.operation} {row.entity}" for row in rows]

    assert shown("") == [
        "List All Channels, now and in future",
        "Read ant",
        "Read Zoo",
        "List All Pages, now and in future",
    ]
    assert shown("-entity")[:2] == ["Read Zoo", "Read ant"]
    assert [row.split()[0] for row in shown("-operation")] == ["Read", "Read", "List", "List"]
    with modify_label("channels", "Signals"):  # now sorts after Pages
        assert shown("entity_type")[0] == "List All Pages, now and in future"


@contextmanager
def modify_label(name: str, label: str) -> Iterator[None]:
    """Temporarily change the label of an entity type."""
    known = registry.get(name)
    before = known.label
    known.label = label
    yield
    known.label = before


def test_list_is_filtered_sorted_and_paginated(person, make_token):
    for name in ("alpha", "Beta", "gamma"):
        make_token(name=name)
    PersonalAccessToken.objects.filter(name="gamma").update(revoked_at=timezone.now())

    def names(query: str) -> list[str]:
        return [token.name for token in person.get("/pats/" + query).context["table"].rows]

    assert names("") == ["Beta", "alpha"]
    assert names("?status=revoked") == ["gamma"]
    assert names("?status=expired") == []
    assert names("?status=all&sort=-name") == ["gamma", "Beta", "alpha"]
    assert names("?q=BET") == ["Beta"]
    assert "No matching tokens" in person.get("/pats/?q=zzz").content.decode()


def test_list_has_first_previous_next_and_last_page(case, person, make_token):
    for number in range(12):
        make_token(name=f"t{number:02}")
    for page, rows, urls in (
        ("1", [0, 1, 2, 3, 4], {"first": "", "previous": "", "next": "2", "last": "3"}),
        ("2", [5, 6, 7, 8, 9], {"first": "1", "previous": "1", "next": "3", "last": "3"}),
        ("3", [10, 11], {"first": "1", "previous": "2", "next": "", "last": ""}),
        ("9", [10, 11], {"first": "1", "previous": "2", "next": "", "last": ""}),
        ("junk", [0, 1, 2, 3, 4], {"first": "", "previous": "", "next": "2", "last": "3"}),
    ):
        with case(page):
            answer = person.get(f"/pats/?sort=name&rows=5&page={page}")
            table = answer.context["table"]
            assert [token.name for token in table.rows] == [f"t{number:02}" for number in rows]
            expected = {name: f"?sort=name&rows=5&page={number}" if number else "" for name, number in urls.items()}
            assert table.page_urls == expected
            for link in filter(None, expected.values()):
                assert f'href="{link.replace("&", "&amp;")}"' in answer.content.decode()


def test_search_uses_chosen_field(person, make_token):
    for name in ("alpha", "beta"):
        make_token(name=name, description=f"for the {name[::-1]} printer")
    alpha = PersonalAccessToken.objects.get(name="alpha")

    def names(term: Any, field: str) -> list[str]:
        return [token.name for token in person.get("/pats/", {"q": term, "in": field}).context["table"].rows]

    assert names("PRINTER", "description") == ["beta", "alpha"]
    assert names("printer", "name") == names("printer", "nonsense") == []
    assert names(alpha.pk, "id") == names(alpha.pk.hex, "id") == ["alpha"]
    assert names(str(alpha.pk)[:8], "id") == []
    page = person.get("/pats/", {"q": "zzz", "in": "id", "rows": 5})
    assert '<a class="pat-button pat-button-plain" href="?rows=5">Clear the search</a>' in page.content.decode()
    assert 'value="id" selected' in page.content.decode()


def test_recent_times_are_just_now(person, token):
    for _revoke in range(2):
        person.post(url("token_revoke", token))
    page = person.get(url("token_detail", token)).content.decode()
    assert "Revoked just now" in page
    assert ">just now</time>" in page
    assert "0 s" not in page


def test_columns_are_stored_in_cookie(person, token):
    answer = person.post("/pats/columns/tokens/", {"columns": ["issued_at"], "next": "https://evil.example/"})
    assert answer.url == "/pats/"
    headings = [heading.column.name for heading in person.get("/pats/").context["table"].headings]
    assert headings == ["name", "issued_at"]
    assert person.get("/pats/columns/tokens/").status_code == 405
    assert person.post("/pats/columns/nonsense/").status_code == 404


def test_entity_suggestions_are_json(person, user, stranger):
    ChannelFactory(owner=user, name="Kitchen")
    ChannelFactory(owner=stranger, name="Kitchen of somebody else")
    answer = person.get("/pats/entities/channels/", {"q": "kitch"}).json()
    assert [found["label"] for found in answer["results"]] == ["Kitchen"]
    assert person.get("/pats/entities/nonsense/").status_code == 404


def test_script_gets_redirect_url(person, token):
    answer = person.post(url("token_revoke", token), headers={"accept": "application/json, text/html"})
    assert answer.json()["location"] == url("token_detail", token)
    assert "deploy" in answer.json()["notice"]
    answer = person.post(url("token_regenerate", token), {"duration": "7d"}, headers={"accept": "application/json"})
    assert answer.json() == {"location": url("token_detail", token), "visit": True}
    assert person.get(url("token_detail", token)).context["revealed"].secret


@pytest.mark.parametrize("has_i18n", [True, False])
def test_notice_without_messages_framework(person, token, settings, has_i18n):
    settings.USE_I18N = has_i18n
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app not in ("django.contrib.messages", "django.contrib.admin")
    ]
    settings.ROOT_URLCONF = "tests.pages.test_views"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]
    target = person.post(url("token_revoke", token)).url
    assert re.search(r'pat-alert-good"[^>]*>\s*“deploy” was revoked', person.get(target).content.decode())
    assert "was revoked" not in person.get(target).content.decode()
    person.get(url("token_rotate", token))
    assert re.search(r'pat-alert-warning"[^>]*>\s*Only active tokens', person.get(target).content.decode())


@pytest.mark.parametrize("name", ["rotation_cancel", "scopes_delete", "scopes_unused", "token_search"])
def test_notice_that_nothing_was_done_is_warning(person, token, name):
    target = reverse(f"pat_tokens:{name}", args=[] if name == "token_search" else [token.pk])
    page = person.post(target, {"q": f"pat_{'x' * 40}"}, follow=True).content.decode()
    assert "pat-alert-warning" in page
    assert "pat-alert-good" not in page


def test_long_name_leaves_room_for_title_and_notice(person, make_token):
    token = make_token(name="n" * 255)
    question = person.get(url("token_revoke", token)).content.decode()
    assert f"Revoke “{'n' * 59}…”?</h1>" in question
    assert f"{'n' * 255}</bdi>" in question
    page = person.post(url("token_revoke", token), follow=True).content.decode()
    assert f"“{'n' * 59}…” was revoked." in page
    assert f"{'n' * 59}…</h1>" in page
    assert "</bdi>" not in person.get(url("token_revoke", make_token(name="n" * 60))).content.decode().split("</h1>")[1]


def test_question_about_scope_names_its_whole_entity(person, user, make_token):
    channel = ChannelFactory(owner=user, name="c" * 100)
    token = make_token(f"channels:{channel.pk}:read", name="n" * 255)
    page = person.get(reverse("pat_tokens:scope_delete", args=[token.pk, token.scope_set.get().pk])).content.decode()
    assert f"Read: {'c' * 100}”?</h1>" in page
    assert f"“{'n' * 255}”" in page


urlpatterns = [path("pats/", include("pat_tokens.urls"))]
