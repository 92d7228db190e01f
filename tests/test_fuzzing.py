"""Any input to any interface gets a documented response, and writes nothing by accident."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from pat_tokens import crypto
from pat_tokens.models import PersonalAccessToken, Scope
from tests.contrib.rest_framework.management import snapshot

pytestmark = [pytest.mark.thorough, pytest.mark.django_db]
in_a_test = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

nasty = st.sampled_from(
    [
        "",
        "\0",
        "*",
        "%00",
        "%",
        "\ud800",
        "\ufffe",
        "'",
        '"',
        "\\",
        "-1",
        str(10**40),
        "\u202e",
        "../",
        "a" * 5000,
        "[]",
    ]
)
texts = st.one_of(nasty, st.text(max_size=40))
secrets = st.one_of(
    st.just(crypto.make_secret("pat")),
    st.text(alphabet=crypto.ALPHABET, min_size=49, max_size=49).map("pat_{}".format),
    st.text(max_size=60).map("pat_{}".format),
)
headers = st.one_of(
    texts,
    secrets,
    st.builds("{}{}{}".format, st.sampled_from(["Bearer", "bearer", "Token", "Basic", "PAT"]), texts, secrets),
    secrets.map("Bearer {}".format),
    secrets.map("Bearer  {}".format),
    st.binary(max_size=60).map(lambda raw: "Bearer pat_" + raw.decode("latin-1")),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
durations = st.one_of(json, st.builds("{}{}".format, st.integers(-5, 10**12), st.sampled_from("hdwyms")))
rows = st.one_of(
    json,
    st.fixed_dictionaries(
        {
            "entity_type": st.sampled_from(["channels", "devices", "pages"]) | json,
            "entity_id": st.just("*") | json,
            "operation": st.sampled_from(["read", "create", "list"]) | json,
        }
    ),
)
words = texts.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))


@pytest.fixture
def site(user):
    client = APIClient(raise_request_exception=True)
    client.force_login(user)
    return client


@given(header=headers)
@example(header="Bearer pat_" + "é" * 49)
@example(header="Bearer \tpat_")
@example(header="Bearer pat_" + "0" * 20_000)
@in_a_test
def test_random_header_never_authenticates(header, channel):
    before = snapshot()
    for path in (f"/api/channels/{channel.pk}/", "/api/anything/", "/api/pats/", "/api/pats/current/", "/pats/"):
        answer = Client().get(path, HTTP_AUTHORIZATION=header)
        assert answer.status_code in ((302,) if path == "/pats/" else (400, 401)), path
    assert snapshot() == before


@given(
    name=json, description=json, duration=durations, expires_at=json, scopes=st.one_of(json, st.lists(rows, max_size=4))
)
@in_a_test
def test_any_body_is_valid_or_field_error(name, description, duration, expires_at, scopes, site):
    body = {"name": name, "description": description, "duration": duration, "expires_at": expires_at, "scopes": scopes}
    body = {field: value for field, value in body.items() if value is not None}
    before = snapshot()
    answer = site.post("/api/pats/", data=_dumped(body), content_type="application/json")
    assert answer.status_code in (201, 400), answer.content
    if answer.status_code == 400:
        assert snapshot() == before
        assert isinstance(answer.json(), dict)
    else:
        token = PersonalAccessToken.objects.get(pk=answer.json()["id"])
        assert crypto.digest(answer.json()["secret"], "x") != token.digest
        assert 0 < (token.expires_at - token.issued_at).total_seconds() <= 366 * 86_400
        assert token.name == token.name.strip() != ""
        token.delete()


def _dumped(body):
    import json as module

    return module.dumps(body)


@given(rows=st.lists(rows, min_size=1, max_size=4))
@in_a_test
def test_any_scopes_are_added_all_or_none(rows, site, token):
    before = snapshot()
    answer = site.post(f"/api/pats/{token.pk}/scopes/", _dumped({"scopes": rows}), content_type="application/json")
    assert answer.status_code in (201, 400), answer.content
    if answer.status_code == 400:
        assert snapshot() == before
    assert not Scope.objects.exclude(entity_id="*").exists()  # there is no entity that the user can see
    Scope.objects.all().delete()


@given(
    keyword=words, query=st.dictionaries(words | st.sampled_from(["page", "page_size", "status", "ordering"]), words)
)
@in_a_test
def test_any_url_keyword_and_query_get_a_response(keyword, query, site, user, make_token):
    token = make_token("devices:*:read", name=f"t{PersonalAccessToken.objects.count()}")
    with_token = APIClient(headers={"authorization": f"Bearer {token.secret}"})
    part = quote(keyword, safe="")
    string = "?" + urlencode(query)
    for path in (f"/api/channels/{part}/", f"/api/devices/{part}/", f"/api/pages/{part}/", f"/api/by-slug/{part}/"):
        assert with_token.get(path + string).status_code in (403, 404), path
    for path in ("/api/pats/", f"/api/pats/{part}/", f"/api/pats/entities/{part}/", f"/api/pats/{part}/scopes/"):
        assert site.get(path + string).status_code in (200, 400, 404), path
    for path in ("/pats/", f"/pats/{token.pk}/", f"/pats/{part}/", f"/pats/entities/{part}/"):
        assert site.get(path + string).status_code in (200, 302, 404), path
    token.delete()


FORMS = {
    "/pats/create/": ["name", "description", "duration", "expires_at", "step", "entity_type", "entity", "operation"],
    "/pats/{0}/scopes/add/": ["step", "entity_type", "entity", "operation"],
    "/pats/{0}/regenerate/": ["duration", "expires_at"],
    "/pats/{0}/edit/name/": ["name"],
    "/pats/{0}/edit/description/": ["description"],
    "/pats/columns/tokens/": ["columns", "next"],
}
FIELDS = sorted(
    {f"{field}{number}" for fields in FORMS.values() for field in fields for number in ("", "-0", "-1", "_0")}
)


@given(data=st.dictionaries(st.sampled_from(FIELDS) | words, words | st.lists(words, max_size=3), max_size=8))
@in_a_test
def test_any_form_gets_a_response(data, site, token):
    for path in FORMS:
        answer = site.post(path.format(token.pk), data, format="multipart")
        assert answer.status_code in (200, 302, 400, 404), path
    assert PersonalAccessToken.objects.filter(pk=token.pk).exists()
    PersonalAccessToken.objects.exclude(pk=token.pk).delete()
