"""From the first release to now: tokens keep working, and both versions can run at the same time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from rest_framework.test import APIClient

from pat_tokens import crypto, scope_usage, services
from pat_tokens.models import MissingScope, PersonalAccessToken, PreviousSecret, Scope
from pat_tokens.scopes import ScopeKey
from tests.factories import ChannelFactory, UserFactory

APP = "pat_tokens"
FIRST = "0001_create_tokens_and_scopes"  # the first release
BEFORE = "0008_record_scope_use"  # previous secrets were in the rows of tokens

pytestmark = [pytest.mark.sql, pytest.mark.django_db(transaction=True)]

# Created with the first release. These values are in databases of sites, and have to stay valid.
PEPPER = "the pepper of a site that was there from the beginning"
SECRETS = {
    "pat_5YvH2m9QpXcR7sKdLw3NzTbF8aEjU6gVoI1hGyC4xqW2tg5LZ": (
        "6c2e2903c41e6f1d80634d60a67f5503a1cbb2778ab6e73f315413bd20242841"
    ),
    "pat_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v0LMtVK": (
        "40517d7e8eba026f8fb5396097455a70fd7cfc4aa4ec6bb47ccbc7c78b840cfc"
    ),
}


@pytest.fixture
def first_models(transactional_db):
    """The models of the first release."""
    return MigrationExecutor(connection).loader.project_state((APP, FIRST)).apps.get_model


@pytest.fixture
def at_first(first_models, settings):
    """The tables of the first release, which are migrated again at the end."""
    call_command("migrate", APP, "zero", verbosity=0)
    call_command("migrate", APP, FIRST, verbosity=0)
    yield first_models
    call_command("migrate", APP, verbosity=0)


def fill(get_model, owner_id, channel_id):
    """Write an active, a revoked and an expired token with scopes, with the models of the first release."""
    now = timezone.now()
    (active, digest), (revoked, revoked_digest) = SECRETS.items()
    rows = [
        {"name": "active", "digest": digest, "expires_at": now + timedelta(days=9)},
        {"name": "revoked", "digest": revoked_digest, "expires_at": None, "revoked_at": now},
        {"name": "expired", "digest": "0" * 64, "expires_at": now - timedelta(days=1)},
    ]
    for row in rows:
        token = get_model(APP, "PersonalAccessToken").objects.create(
            user_id=owner_id, name_key=row["name"], hint="pat_…dfSh", issued_at=now - timedelta(days=2), **row
        )
        get_model(APP, "Scope").objects.create(
            token=token, entity_type="channels", entity_id=str(channel_id), operation="read"
        )
    return active, revoked


def status(secret, channel):
    client = APIClient(headers={"authorization": f"Bearer {secret}"})
    return client.get(f"/api/channels/{channel.pk}/").status_code


@pytest.fixture
def channel(settings, transactional_db):
    settings.PAT_TOKENS_PEPPERS = [PEPPER]
    return ChannelFactory(owner=UserFactory())


def test_old_token_works_after_migrations(channel, at_first):
    active, revoked = fill(at_first, channel.owner.pk, channel.pk)
    migrated_at = timezone.now()
    call_command("migrate", APP, verbosity=0)
    assert status(active, channel) == 200
    assert status(revoked, channel) == 401
    other = ChannelFactory(owner=channel.owner)
    assert status(active, other) == 403
    assert {token.name: token.status for token in PersonalAccessToken.objects.all()} == {
        "active": "active", "revoked": "revoked", "expired": "expired",
    }  # fmt: skip
    assert Scope.objects.count() == 3
    # Scopes that are older than the record of their uses are watched from now on.
    for scope in Scope.objects.all():
        assert (scope.last_used_at is None) == (scope.token.name != "active")
        assert scope.created_at < migrated_at <= scope.watched_since <= timezone.now()
    # These tokens support all actions.
    token = PersonalAccessToken.objects.get(name="active")
    assert token.last_used_at is not None
    services.update_token(token, name="other", description="still there")
    services.add_scopes(token, [("channels", str(other.pk), "read")])
    assert status(active, other) == 200
    _token, secret = services.regenerate_token(token)
    assert (status(active, other), status(secret, other)) == (401, 200)
    _token, newer = services.rotate_token(token)
    assert (status(secret, other), status(newer, other)) == (200, 200)
    assert services.finish_rotation(token).previous_secret is None
    assert (status(secret, other), status(newer, other)) == (401, 200)
    services.revoke_token(token)
    assert status(newer, other) == 401
    assert services.delete_tokens(channel.owner) == 3


def test_first_release_works_with_new_tables(channel, first_models):
    """During a deployment the old version doesn't know new columns, so they can't be required."""
    active, _revoked = fill(first_models, channel.owner.pk, channel.pk)
    assert status(active, channel) == 200
    tokens = first_models(APP, "PersonalAccessToken").objects
    token = tokens.get(name="active")
    token.description = "by the first release"
    token.save()
    assert status(active, channel) == 200
    made, secret = services.create_token(channel.owner, name="new", scopes=[("channels", "*", "read")])
    assert tokens.get(pk=made.pk).name == "new"
    tokens.filter(pk=made.pk).update(revoked_at=timezone.now())
    assert status(secret, channel) == 401
    # The old version also works while a token has two secrets.
    _token, newer = services.rotate_token(PersonalAccessToken.objects.get(pk=token.pk))
    assert (status(active, channel), status(newer, channel)) == (200, 200)
    tokens.filter(pk=token.pk).update(revoked_at=timezone.now())
    assert (status(active, channel), status(newer, channel)) == (401, 401)
    scope_usage.record_missing(PersonalAccessToken.objects.get(pk=token.pk), [ScopeKey("channels", "*", "update")])
    assert MissingScope.objects.count() == 1
    tokens.get(pk=token.pk).delete()
    assert status(active, channel) == 401


def test_digest_of_first_release_is_stable():
    for secret, digest in SECRETS.items():
        assert crypto.is_well_formed(secret, "pat")
        assert crypto.digest(secret, PEPPER) == digest


def test_previous_secrets_move_to_their_table_and_back(channel):
    (first, first_digest), (second, digest) = SECRETS.items()
    now = timezone.now()
    # The columns of the token and, in the same order, those of the new table.
    columns = {
        "previous_pepper_id": crypto.pepper_id(PEPPER), "previous_hint": "pat_…5LZa",
        "previous_issued_at": now - timedelta(days=3), "previous_expires_at": now + timedelta(days=4),
        "previous_is_legacy": True, "previous_last_used_at": now - timedelta(minutes=5),
        "previous_last_used_ip": "10.0.0.7", "previous_last_used_agent": "curl", "grace_period": "6h",
        "overlap_mailed_at": now - timedelta(minutes=6),
    }  # fmt: skip
    moved = dict(zip(
        ("pepper_id", "hint", "issued_at", "original_expires_at", "is_legacy", "last_used_at", "last_used_ip",
         "last_used_agent", "grace_period", "mailed_at"),
        columns.values(), strict=True,
    ))  # fmt: skip
    common = {"user_id": channel.owner.pk, "hint": "pat_…dfSh"}
    call_command("migrate", APP, BEFORE, verbosity=0)
    try:
        get_model = MigrationExecutor(connection).loader.project_state((APP, BEFORE)).apps.get_model
        tokens = get_model(APP, "PersonalAccessToken").objects
        rotated = tokens.create(
            name="rotated", name_key="rotated", digest=digest, previous_digest=first_digest, rotated_at=now,
            grace_started_at=now, last_used_at=columns["previous_last_used_at"], **columns, **common,
        )  # fmt: skip
        finished = tokens.create(
            name="finished", name_key="finished", digest="1" * 64, previous_digest="2" * 64, last_used_at=now,
            **{**columns, "grace_period": ""}, **common,
        )  # fmt: skip
        new = tokens.create(name="new", name_key="new", digest="3" * 64, **common)
        get_model(APP, "Scope").objects.create(
            token=rotated, entity_type="channels", entity_id=str(channel.pk), operation="read"
        )
        call_command("migrate", APP, verbosity=0)
        rows = PreviousSecret.objects.in_bulk()
        assert rows.keys() == {rotated.pk, finished.pk}
        assert {name: getattr(rows[rotated.pk], name) for name in moved} == moved
        assert PersonalAccessToken.objects.get(pk=rotated.pk).previous_secret.expires_at == now + timedelta(hours=6)
        uses = dict(PersonalAccessToken.objects.values_list("pk", "last_used_by_previous"))
        assert uses == {rotated.pk: True, finished.pk: False, new.pk: False}
        rows[finished.pk].delete()
        PersonalAccessToken.objects.filter(pk=finished.pk).update(rotated_at=now)
        call_command("migrate", APP, BEFORE, verbosity=0)
        assert tokens.filter(pk=rotated.pk).values(*columns).get() == columns
        assert tokens.get(pk=finished.pk).rotated_at is None, "its previous secret is unknown"
    finally:
        call_command("migrate", APP, verbosity=0)
    assert (status(first, channel), status(second, channel)) == (200, 200)
