from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken
from pat_tokens.scopes import RequiredScope, decide, decide_from_facts
from tests.factories import TokenFactory

pytestmark = [pytest.mark.sql, pytest.mark.django_db]

NOW = timezone.now()
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "status"),
    [
        (FUTURE, None, "active"),
        (None, None, "active"),
        (PAST, None, "expired"),
        (FUTURE, PAST, "revoked"),
        (PAST, PAST, "revoked"),
        (None, PAST, "revoked"),
    ],
)
def test_row_and_queryset_agree_on_status(user, expires_at, revoked_at, status):
    token = TokenFactory(user=user)
    fields = {"issued_at": NOW - timedelta(days=1), "expires_at": expires_at, "revoked_at": revoked_at}
    PersonalAccessToken.objects.filter(pk=token.pk).update(**fields)
    token.refresh_from_db()
    assert token.status == status
    assert token.is_active == (status == "active")
    for other in ("active", "expired", "revoked"):
        assert PersonalAccessToken.objects.with_status(other).exists() == (other == status)


def test_row_and_queryset_agree_at_expiration(token):
    tokens, end = PersonalAccessToken.objects, token.expires_at
    for when, is_over in ((end - timedelta(microseconds=1), False), (end, True)):
        assert token.is_expired_at(when) == is_over
        assert tokens.expired(when).exists() == is_over
        assert tokens.active(when).exists() != is_over


def test_documented_queries_and_attributes(user, make_token, channel):
    used, unused = make_token("channels:*:read"), make_token(f"channels:{channel.pk}:read")
    expired, revoked = make_token(), make_token()
    tokens = PersonalAccessToken.objects.for_user(user)
    tokens.filter(pk=used.pk).update(last_used_at=NOW)
    tokens.filter(pk=expired.pk).update(issued_at=PAST - timedelta(hours=1), expires_at=PAST)
    tokens.filter(pk=revoked.pk).update(revoked_at=PAST)
    assert list(tokens.active().never_used()) == [unused]
    assert list(tokens.expired()) == [expired]
    assert list(tokens.revoked()) == [revoked]
    assert set(tokens.inactive_since(NOW)) == {expired, revoked}
    assert [token.scope_set.get().is_for_all for token in (used, unused)] == [True, False]


def test_unknown_status_is_an_error():
    with pytest.raises(ValueError, match="asleep"):
        PersonalAccessToken.objects.with_status("asleep")


def test_search_in_name_and_description(user):
    one = TokenFactory(user=user, name="Deploy", description="from the pipeline")
    TokenFactory(user=user, name="other")
    for term in ("deploy", "PIPE"):
        assert list(PersonalAccessToken.objects.search(term)) == [one]


def test_with_scope_matches_one_scope(make_token):
    token = make_token("channels:*:read", "devices:*:delete")
    tokens = PersonalAccessToken.objects
    assert list(tokens.with_scope(entity_type="channels", operation="read")) == [token]
    assert list(tokens.with_scope(entity_type="channels", operation="delete")) == []


@pytest.mark.parametrize("operation", ["read", "list"])
@pytest.mark.parametrize("entity_id", ["*", "1"])
@pytest.mark.parametrize("filtered", [True, False])
def test_database_facts_match_decide(make_token, channel, operation, entity_id, filtered):
    scopes = [
        [],
        ["channels:*:read"],
        [f"channels:{channel.pk}:read", f"channels:{channel.pk}:list"],
        ["devices:*:read"],
    ]
    required_scope = RequiredScope("channels", operation, entity_id if entity_id == "*" else str(channel.pk), filtered)
    for granted in scopes:
        token = make_token(*granted)
        row = PersonalAccessToken.objects.filter(pk=token.pk).with_facts(required_scope).get()
        facts = {"covered": [row.scope_use_0 is not None], "some": getattr(row, "scope_some", False)}
        judged = decide_from_facts(required_scope, **facts)
        assert judged == decide(token.scope_set.keys(), required_scope)


def test_never_used_tokens(make_token, django_capture_on_commit_callbacks):
    used, unused = make_token(), make_token()
    with django_capture_on_commit_callbacks(execute=True):
        services.record_use(used)
    assert list(PersonalAccessToken.objects.never_used()) == [unused]


def test_str_of_token_and_scope(make_token):
    token = make_token("channels:*:read", name="deploy")
    assert str(token) == "deploy"
    assert str(token.scope_set.get()) == "channels:*:read"


def test_attributes_do_not_clash_with_packages(token):
    for name in ("team", "organizer", "write_enabled", "scopes", "allow_scopes", "scope"):
        assert not hasattr(token, name)


def test_digest_has_one_index():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, PersonalAccessToken._meta.db_table)
    assert [facts["unique"] for facts in found.values() if facts["columns"] == ["digest"]] == [True]
