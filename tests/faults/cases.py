"""A call of each service, and a summary of the site's tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import router
from django.utils import timezone

from pat_tokens import crypto, services
from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory, TokenFactory, UserFactory

View = dict[str, list[Any]]
OLD_PEPPER = "old"


class Scene:
    """Two tokens of one user with two scopes each, and one that expired long ago."""

    def __init__(self) -> None:
        for model in (Scope, PersonalAccessToken):
            model.objects.all()._raw_delete(router.db_for_write(model))
        self.user = UserFactory()
        channel = ChannelFactory(owner=self.user)
        scopes = [("channels", str(channel.pk), "read"), ("channels", "*", "update")]
        self.token = TokenFactory(user=self.user, name="one", scopes=scopes)
        self.other = TokenFactory(user=self.user, name="two", scopes=scopes)
        dead = TokenFactory(user=self.user, name="dead", scopes=scopes)
        long_ago = timezone.now() - timedelta(days=90)
        PersonalAccessToken.objects.filter(pk=dead.pk).update(issued_at=long_ago, expires_at=long_ago + timedelta(1))
        self.digests = set(PersonalAccessToken.objects.values_list("digest", flat=True))

    def view(self) -> View:
        """Return the rows by name, without random values and times."""
        rows = PersonalAccessToken.objects.order_by("name", "pk")
        return {
            token.name: [
                token.description,
                token.is_revoked,
                token.is_expired,
                token.is_legacy,
                token.digest in self.digests,
                token.last_used_at is not None,
                sorted(
                    str(scope.key._replace(entity_id="*" if scope.is_for_all else "1"))
                    for scope in token.scope_set.all()
                ),
            ]
            for token in rows
        } | {"scopes": [Scope.objects.count()], "ids": [rows.count()]}


def _redigest(scene: Scene) -> None:
    services.redigest_token(scene.token, crypto.digest(scene.token.secret, OLD_PEPPER))


SERVICES: dict[str, Callable[[Scene], Any]] = {
    "create": lambda scene: services.create_token(
        scene.user, name="new", scopes=[("channels", "*", "read"), ("devices", "*", "list")]
    ),
    "import": lambda scene: services.import_token(
        scene.user, "0123456789abcdef" * 2 + "01234567", name="new", scopes=[("channels", "*", "read")]
    ),
    "regenerate": lambda scene: services.regenerate_token(scene.token, duration="7d"),
    "revoke": lambda scene: services.revoke_token(scene.token),
    "update": lambda scene: services.update_token(scene.token, name="other", description="text"),
    "delete": lambda scene: services.delete_token(scene.token),
    "delete all": lambda scene: services.delete_tokens(scene.user),
    "add scopes": lambda scene: services.add_scopes(scene.token, [("devices", "*", "read"), ("devices", "*", "list")]),
    "add a scope that absorbs": lambda scene: services.add_scopes(scene.token, [("channels", "*", "read")]),
    "delete a scope": lambda scene: services.delete_scope(scene.token.scope_set.first()),
    "delete all scopes": lambda scene: services.delete_scopes(scene.token),
    "prune": lambda scene: services.prune_tokens(inactive_for=timedelta(days=10)),
    "record use": lambda scene: services.record_use(scene.token),
    "redigest": _redigest,
}
