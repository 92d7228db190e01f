import asyncio
from contextlib import nullcontext
from copy import copy
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.utils import timezone

from pat_tokens import crypto, lookup, services, signals
from pat_tokens.authentication import (
    aauthenticate,
    allow,
    authenticate,
    authenticate_for_scope,
    find_entity_id,
    read_secret,
    require_entity,
)
from pat_tokens.exceptions import (
    ExpiredToken,
    InactiveOwner,
    InsufficientScope,
    MalformedHeader,
    MalformedToken,
    RefusedToken,
    ReplacedToken,
    RevokedToken,
    ScopeNotDeclared,
    TemporarilyUnavailable,
    UnknownToken,
)
from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import Policy
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.factories import ChannelFactory
from tests.policies import policy_with

pytestmark = pytest.mark.django_db
READ = Requirement("channels", "read", "pk")
BY_SLUG = Requirement("channels", "read", EntityLookup(slug="slug"))
KEY_ROTATION = ["the key in use: long enough to be taken", "the key before it: long enough too"]


def expire(token, **delta):
    expired = timezone.now() - timedelta(**delta)
    PersonalAccessToken.objects.filter(pk=token.pk).update(issued_at=expired - timedelta(days=1), expires_at=expired)


def test_one_query_loads_token_owner_and_decision(make_token, channel, django_assert_num_queries):
    token = make_token(f"channels:{channel.pk}:read")
    with django_assert_num_queries(1):
        found = authenticate(token.secret, READ, {"pk": str(channel.pk)})
        assert (found, found.user, bool(found.decision)) == (token, token.user, True)


def test_well_formed_secret_without_token_is_unknown(db, django_assert_num_queries):
    # Also looked up as a previous secret.
    with django_assert_num_queries(2), pytest.raises(UnknownToken):
        authenticate(crypto.make_secret("pat"), ANY_TOKEN)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s[:-1] + "!", lambda s: "pat_" + "a" * 49, lambda s: "pat_"]
)
def test_malformed_secret_costs_no_query(token, change, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(MalformedToken):
        authenticate(change(token.secret), ANY_TOKEN)


def test_third_party_only_if_requested(db):
    with pytest.raises(UnknownToken):
        authenticate_for_scope(crypto.make_secret("pat"), None)


def test_lookup_without_keyword_makes_no_query(user, django_assert_num_queries):
    requirement = Requirement("channels", "read", EntityLookup(slug="slug", name="name"))
    for kwargs in ({}, {"slug": "x"}, {"slug": None, "name": "x"}, {"slug": "x", "name": "a\0b"}):
        with django_assert_num_queries(0):
            assert find_entity_id(requirement, kwargs, user) is None


def test_revoked_token_is_refused_immediately(token):
    authenticate(token.secret, ANY_TOKEN)
    services.revoke_token(token)
    with pytest.raises(RevokedToken):
        authenticate(token.secret, ANY_TOKEN)


def test_change_by_other_process_is_effective(make_token, channel, django_capture_on_commit_callbacks):
    token = make_token("channels:*:read")
    for _ in range(2):  # the second request doesn't record a use
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(token.secret, READ, {"pk": str(channel.pk)})
    rows = PersonalAccessToken.objects.filter(pk=token.pk)
    rows.update(revoked_at=timezone.now())  # not written by a service of this process
    with pytest.raises(RevokedToken):
        authenticate(token.secret, READ, {"pk": str(channel.pk)})
    rows.update(revoked_at=None)
    token.scope_set.update(operation="list")
    with pytest.raises(InsufficientScope):
        authenticate(token.secret, READ, {"pk": str(channel.pk)})


def test_revoked_takes_precedence_over_expired(token):
    expire(token, days=1)
    services.revoke_token(token)
    with pytest.raises(RevokedToken):
        authenticate(token.secret, ANY_TOKEN)


def test_token_expires_exactly_at_expiration(token, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: token.expires_at - timedelta(microseconds=1))
    authenticate(token.secret, ANY_TOKEN)
    monkeypatch.setattr(timezone, "now", lambda: token.expires_at)
    with pytest.raises(ExpiredToken) as caught:
        authenticate(token.secret, ANY_TOKEN)
    assert caught.type is ExpiredToken, "and not that of an imported key"


def test_old_secret_is_refused_after_regenerate(make_token, channel):
    token = make_token(f"channels:{channel.pk}:read")
    _token, secret = services.regenerate_token(token)
    with pytest.raises(ReplacedToken):
        authenticate(token.secret, ANY_TOKEN)
    assert authenticate(secret, READ, {"pk": channel.pk}) == token


def test_token_of_inactive_owner_is_refused(token):
    token.user.is_active = False
    token.user.save()
    with pytest.raises(InactiveOwner):
        authenticate(token.secret, ANY_TOKEN)


@pytest.mark.parametrize("state", ["active", "revoked", "expired"])
def test_row_with_wrong_digest_is_unknown(token, monkeypatch, state):
    """Databases can compare loosely; a row with another digest must reveal nothing."""
    match state:
        case "revoked":
            services.revoke_token(token)
        case "expired":
            expire(token, days=1)
    found = lookup.find_token([token.digest], None)
    assert found.status == state
    monkeypatch.setattr(lookup, "find_token", lambda digests, required_scope: found)
    with pytest.raises(UnknownToken):
        authenticate(crypto.make_secret("pat"), ANY_TOKEN)


def test_refusals_look_alike():
    assert UnknownToken().message == MalformedToken().message == InactiveOwner().message


def test_undeclared_view_refuses_all_scopes(make_token):
    with pytest.raises(ScopeNotDeclared):
        authenticate(make_token("channels:*:read").secret, None)


def test_scopes_limit_superusers(make_token, channel, user):
    user.is_superuser = user.is_staff = True
    user.save()
    with pytest.raises(InsufficientScope):
        authenticate(make_token("channels:*:list").secret, READ, {"pk": channel.pk})


def test_decision_uses_requirement_and_keywords(case, make_token, channel):
    rows = [
        ("channels:{}:read", READ, {"pk": "{}"}, True),
        ("channels:*:read", READ, {"pk": "{}"}, True),
        ("channels:{}:update", READ, {"pk": "{}"}, False),
        ("devices:*:read", READ, {"pk": "{}"}, False),
        ("channels:{}:read", READ, {"pk": "0"}, False),
        ("channels:{}:read", READ, {"id": "{}"}, False),
        ("channels:{}:read", READ, {}, False),
        ("channels:{}:read", READ, {"pk": "*"}, False),
        ("channels:{}:read", READ, {"pk": "x"}, False),
        ("channels:*:read", READ, {"pk": "x"}, True),
        ("channels:{}:list", Requirement("channels", "list"), {}, False),
        ("channels:*:list", Requirement("channels", "list"), {}, True),
        ("channels:*:create", Requirement("channels", "create"), {}, True),
        ("channels:{}:read", ANY_TOKEN, {}, True),
    ]
    for scope, requirement, kwargs, allowed in rows:
        with case(scope, requirement, kwargs, allowed):
            token = make_token(scope.format(channel.pk))
            kwargs = {keyword: value.format(channel.pk) for keyword, value in kwargs.items()}
            with nullcontext() if allowed else pytest.raises(InsufficientScope):
                authenticate(token.secret, requirement, kwargs)


def test_limited_list_needs_filtering_view(make_token, channel):
    secret = make_token(f"channels:{channel.pk}:list").secret
    requirement = Requirement("channels", "list")
    assert authenticate(secret, requirement, filtered=True).decision.limited
    with pytest.raises(InsufficientScope):
        authenticate(secret, requirement)


def test_entity_lookup_compares_key(make_token, user, stranger):
    mine = ChannelFactory(owner=user, slug="mine")
    ChannelFactory(owner=stranger, slug="theirs")
    requirement = Requirement("channels", "read", EntityLookup(slug="slug", owner__username="name"))
    secret = make_token(f"channels:{mine.pk}:read").secret
    assert authenticate(secret, requirement, {"slug": "mine", "name": user.username})
    for kwargs in (
        {"slug": "mine", "name": "stranger"},
        {"slug": "theirs", "name": "stranger"},
        {"slug": "none", "name": "owner"},
        {"slug": "mine\0", "name": "owner"},
        {"slug": "mine"},
    ):
        with pytest.raises(InsufficientScope) as caught:
            authenticate(secret, requirement, kwargs)
        assert [str(scope) for scope in caught.value.missing] == ["channels:*:read"]


def test_ambiguous_lookup_finds_nothing(make_token, user):
    twins = ChannelFactory.create_batch(2, owner=user, name="twin")
    token = make_token(*[f"channels:{twin.pk}:read" for twin in twins])
    with pytest.raises(InsufficientScope):
        authenticate(token.secret, Requirement("channels", "read", EntityLookup(name="name")), {"name": "twin"})


class TestPeppers:
    def test_rotating_secret_key_keeps_tokens(self, token, settings, django_capture_on_commit_callbacks):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = KEY_ROTATION[0]
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(token.secret, ANY_TOKEN)
        settings.SECRET_KEY_FALLBACKS = []
        assert authenticate(token.secret, ANY_TOKEN) == token  # its digest was renewed on use

    def test_removed_key_verifies_nothing(self, token, settings):
        settings.SECRET_KEY = KEY_ROTATION[0]
        with pytest.raises(UnknownToken):
            authenticate(token.secret, ANY_TOKEN)

    def test_own_peppers_replace_secret_key(self, token, settings, django_capture_on_commit_callbacks):
        settings.PAT_TOKENS_PEPPERS = [*KEY_ROTATION, django_settings.SECRET_KEY]
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(token.secret, ANY_TOKEN)
        token.refresh_from_db()
        assert token.digest == crypto.digest(token.secret, KEY_ROTATION[0])

    @pytest.mark.parametrize("place", [0, 2])  # of the pepper that the token was made under
    def test_several_peppers_are_one_query(self, token, settings, django_assert_num_queries, place):
        peppers = list(KEY_ROTATION)
        peppers.insert(place, settings.SECRET_KEY)
        settings.PAT_TOKENS_PEPPERS = peppers
        with django_assert_num_queries(1):
            assert authenticate(token.secret, ANY_TOKEN) == token

    def test_digest_in_upper_case_is_unknown(self, token):
        PersonalAccessToken.objects.filter(pk=token.pk).update(digest=token.digest.upper())
        if token.digest.upper() != token.digest:
            with pytest.raises(UnknownToken):
                authenticate(token.secret, ANY_TOKEN)


class TestHooks:
    def test_site_can_refuse(self, token, settings):
        settings.PAT_TOKENS_POLICY = policy_with(
            refuse_token=lambda token, request: "Not on Sundays." if token.name == "deploy" else None
        )
        with pytest.raises(RefusedToken) as caught:
            authenticate(token.secret, ANY_TOKEN)
        assert caught.value.message == "Not on Sundays."

    def test_site_can_refuse_by_request(self, token, settings, rf):
        settings.PAT_TOKENS_POLICY = policy_with(
            refuse_token=lambda token, request: request.META["REMOTE_ADDR"] == "10.0.0.9"
        )
        by_lookup = Requirement("channels", "read", EntityLookup(slug="slug"))
        for ask in (authenticate, async_to_sync(aauthenticate)):
            for requirement in (ANY_TOKEN, by_lookup):
                with pytest.raises(RefusedToken) as caught:
                    ask(token.secret, requirement, request=rf.get("/", REMOTE_ADDR="10.0.0.9"))
                assert caught.value.message == RefusedToken().message
        authenticate(token.secret, ANY_TOKEN, request=rf.get("/", REMOTE_ADDR="10.0.0.8"))

    def test_signals_are_sent_for_each_result(self, make_token, channel, settings):
        told = []
        receivers = {
            signals.token_authenticated: lambda sender, token, request, **_: told.append((token.name, "yes")),
            signals.token_refused: lambda sender, reason, token, request, **_: told.append(
                (token and token.name, reason)
            ),
        }
        for signal, receiver in receivers.items():
            signal.connect(receiver)
        try:
            token = make_token(name="deploy")
            authenticate(token.secret, ANY_TOKEN)
            for secret, requirement in ((token.secret, None), (token.secret, READ), ("pat_", ANY_TOKEN)):
                with pytest.raises((ScopeNotDeclared, InsufficientScope, MalformedToken)):
                    authenticate(secret, requirement, {"pk": channel.pk})
            settings.PAT_TOKENS_POLICY = policy_with(refuse_token=lambda token, request: token.name == "deploy")
            with pytest.raises(RefusedToken):
                authenticate(token.secret, ANY_TOKEN)
            services.revoke_token(token)
            with pytest.raises(RevokedToken):
                authenticate(token.secret, ANY_TOKEN)
            ended = make_token(name="ended")
            expire(ended, seconds=1)
            with pytest.raises(ExpiredToken):
                authenticate(ended.secret, ANY_TOKEN)
            type(ended.user).objects.update(is_active=False)
            with pytest.raises(InactiveOwner):
                authenticate(make_token(name="orphan").secret, ANY_TOKEN)
            with pytest.raises(UnknownToken):
                authenticate(crypto.make_secret("pat"), ANY_TOKEN)
        finally:
            for signal, receiver in receivers.items():
                signal.disconnect(receiver)
        assert told == [
            ("deploy", "yes"), ("deploy", "scope_not_declared"), ("deploy", "insufficient_scope"), (None, "malformed"),
            ("deploy", "refused"), ("deploy", "revoked"), ("ended", "expired"), ("orphan", "inactive_owner"),
            (None, "unknown"),
        ]  # fmt: skip


def test_request_is_looked_up_once(token, rf, django_assert_num_queries):
    request = rf.get("/")
    with django_assert_num_queries(1):
        first = authenticate(token.secret, ANY_TOKEN, request=request)
        assert authenticate(token.secret, ANY_TOKEN, request=request) is first


@pytest.mark.parametrize("requirement", [ANY_TOKEN, BY_SLUG], ids=str)
def test_use_is_recorded_with_client(make_token, user, rf, requirement, settings, django_capture_on_commit_callbacks):
    channel = ChannelFactory(owner=user, slug="mine")
    token = make_token(f"channels:{channel.pk}:read")
    request = rf.get("/", headers={"user-agent": "curl/8", "x-client": "10.9.9.9"}, REMOTE_ADDR="10.1.2.3")
    by_header = policy_with(get_client_ip=lambda request: request.headers["x-client"])
    for policy, ip in ((Policy, "10.1.2.3"), (by_header, "10.9.9.9")):
        settings.PAT_TOKENS_POLICY = policy
        PersonalAccessToken.objects.update(last_used_at=None)
        with django_capture_on_commit_callbacks(execute=True):
            authenticate(token.secret, requirement, {"slug": channel.slug}, request=copy(request))
        token.refresh_from_db()
        assert (token.last_used_ip, token.last_used_agent) == (ip, "curl/8")


@pytest.fixture
def heard():
    """The signals about uses and refusals, with their arguments."""
    told = []

    def hear(sender, signal, **facts):
        told.append(facts)

    listened = [(signals.token_authenticated, PersonalAccessToken)]
    listened += [
        (signals.token_refused, error) for error in (InsufficientScope, MalformedHeader, TemporarilyUnavailable)
    ]
    for signal, sender in listened:
        signal.connect(hear, sender=sender)
    yield told
    for signal, sender in listened:
        signal.disconnect(hear, sender=sender)


def test_receivers_get_token_and_request(make_token, channel, rf, heard):
    request, token = rf.get("/"), make_token(f"channels:{channel.pk}:read")
    authenticate(token.secret, READ, {"pk": channel.pk}, request=request)
    assert heard == [{"token": token, "request": request}]
    with pytest.raises(InsufficientScope):
        authenticate(token.secret, READ, {"pk": channel.pk + 1}, request=request)
    assert heard[1:] == [{"reason": "insufficient_scope", "token": token, "request": request}]
    malformed = rf.get("/", headers={"authorization": "pat_without_keyword"})
    with pytest.raises(MalformedToken):
        read_secret(malformed)
    assert heard[2:] == [{"reason": "malformed", "token": None, "request": malformed}]


def test_receivers_get_token_of_outage(make_token, user, rf, heard, monkeypatch, settings):
    channel = ChannelFactory(owner=user, slug="mine")

    def fail(*args):
        raise OperationalError

    request, token = rf.get("/"), make_token(f"channels:{channel.pk}:read")
    allowed = authenticate(token.secret, READ, {"pk": channel.pk}, request=request)
    monkeypatch.setattr(lookup, "decide_again", fail)
    with pytest.raises(TemporarilyUnavailable):
        require_entity(allowed, str(channel.pk + 1), request=request)
    with pytest.raises(TemporarilyUnavailable):
        authenticate(token.secret, BY_SLUG, {"slug": channel.slug}, request=request)
    settings.PAT_TOKENS_POLICY = policy_with(refuse_token=fail)
    with pytest.raises(TemporarilyUnavailable):
        authenticate(token.secret, ANY_TOKEN, request=request)
    assert heard[1:] == [{"reason": "unavailable", "token": token, "request": request}] * 3


def test_token_without_decision_is_not_allowed(token):
    with pytest.raises(InsufficientScope) as caught:
        allow(token)
    assert caught.value.missing == ()


def test_refused_request_is_not_a_use(token, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ScopeNotDeclared):
        authenticate(token.secret, None)
    token.refresh_from_db()
    assert token.last_used_at is None


def test_only_configured_header_is_read(settings):
    settings.PAT_TOKENS_HEADER, settings.PAT_TOKENS_KEYWORDS = "X-Api-Token", ["Token"]
    secret = crypto.make_secret("pat")
    make = RequestFactory().post
    assert read_secret(make("/", headers={"x-api-token": f"Token {secret}"})) == secret
    assert read_secret(make("/", headers={"authorization": f"Bearer {secret}"})) is None
    assert read_secret(make(f"/?access_token={secret}", {"access_token": secret})) is None


def test_async_authentication_is_the_same(token):
    assert async_to_sync(aauthenticate)(token.secret, ANY_TOKEN) == token
    with pytest.raises(ScopeNotDeclared):
        async_to_sync(aauthenticate)(token.secret, None)


@pytest.mark.django_db(transaction=True)
def test_async_code_closes_stale_connections(token, rf):
    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    async_to_sync(aauthenticate)(token.secret, ANY_TOKEN, request=rf.get("/"))
    assert connection.connection is not None
    async_to_sync(aauthenticate)(token.secret, ANY_TOKEN)
    assert connection.connection is None
    with pytest.raises(ScopeNotDeclared):
        async_to_sync(aauthenticate)(token.secret, None)
    assert connection.connection is None


def test_async_code_does_not_block_event_loop(token, monkeypatch):
    running = []

    def spy(*args):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            running.append(False)
        else:
            running.append(True)
        return find_token(*args)

    find_token = lookup.find_token
    monkeypatch.setattr(lookup, "find_token", spy)
    async_to_sync(aauthenticate)(token.secret, ANY_TOKEN)
    assert running == [False]


def test_async_signature_matches(make_token, channel):
    token = make_token(f"channels:{channel.pk}:read", f"channels:{channel.pk}:list")
    ask = async_to_sync(aauthenticate)
    assert ask(token.secret, READ, {"pk": channel.pk}) == token
    with pytest.raises(InsufficientScope):
        ask(token.secret, READ, {"pk": channel.pk + 1})
    everything = Requirement("channels", "list")
    assert ask(token.secret, everything, filtered=True).decision.limited
    with pytest.raises(InsufficientScope):
        ask(token.secret, everything)


def test_other_entity_needs_its_own_scope(make_token, channel, rf, heard):
    token = authenticate(make_token(f"channels:{channel.pk}:read").secret, READ, {"pk": channel.pk})
    assert require_entity(token, str(channel.pk)) is None
    request = rf.get("/")
    with pytest.raises(InsufficientScope) as caught:
        require_entity(token, str(channel.pk + 1), request=request)
    assert caught.value.missing == (("channels", str(channel.pk + 1), "read"),)
    assert heard[1:] == [{"reason": "insufficient_scope", "token": token, "request": request}]


def test_limited_list_allows_only_its_entities(make_token, channel):
    token = authenticate(
        make_token(f"channels:{channel.pk}:list").secret, Requirement("channels", "list"), filtered=True
    )
    require_entity(token, str(channel.pk))
    with pytest.raises(InsufficientScope):
        require_entity(token, str(channel.pk + 1))


def test_any_token_needs_no_scope_for_entity(make_token, django_assert_num_queries):
    token = authenticate(make_token().secret, ANY_TOKEN)
    token_from_elsewhere = PersonalAccessToken()
    with django_assert_num_queries(0):
        require_entity(token, "1")
        require_entity(token_from_elsewhere, "1")
