"""The site for race tests: one user, a channel, and helpers."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from rest_framework.test import APIClient

from pat_tokens import services
from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory, UserFactory
from tests.races.runner import Ask

PATS = "/api/pats/"


class Site:
    """One user's tokens, seen from outside."""

    def __init__(self) -> None:
        self.user = UserFactory(username="owner")
        self.channels = ChannelFactory.create_batch(3, owner=self.user)
        self.path = f"/api/channels/{self.channels[0].pk}/"
        client = APIClient()
        client.force_login(self.user)
        self.session = client.cookies["sessionid"].value
        self.numbers = itertools.count()

    def token(self, *scopes: str, **fields: Any) -> tuple[PersonalAccessToken, str]:
        """Create a token that can read the channel, and return it with its secret."""
        keys = [scope.split(":") for scope in scopes or ("channels:*:read",)]
        fields = {"name": f"token {next(self.numbers)}", **fields}
        return services.create_token(self.user, scopes=keys, **fields)

    def manage(self, method: str, *parts: object, body: Any = None, **rest: Any) -> Ask:
        """Return a request of the user to the management API."""
        path = PATS + "".join(f"{getattr(part, 'pk', part)}/" for part in parts)
        return Ask(method, path, body, session=self.session, **rest)

    def create(self, **rest: Any) -> Ask:
        """Return a request that creates a token with a scope to read the channel."""
        name = f"new {next(self.numbers)}"
        body = {"name": name, "scopes": [{"entity_type": "channels", "entity_id": "*", "operation": "read"}]}
        return self.manage("POST", body={**body, **rest})

    def use(self, secret: str, **rest: Any) -> Ask:
        """Return a request that reads the channel with a token."""
        return Ask("GET", self.path, secret=secret, **rest)

    def status(self, secret: str) -> int:
        """Return the status of reading the channel with this secret."""
        client = APIClient(headers={"authorization": f"Bearer {secret}"})
        return int(client.get(self.path).status_code)

    def works(self, *secrets: str) -> list[str]:
        """Return those of `secrets` that work."""
        return [secret for secret in secrets if self.status(secret) == 200]

    def row(self, token: PersonalAccessToken) -> PersonalAccessToken | None:
        """Return the stored row of a token."""
        return PersonalAccessToken.objects.filter(pk=token.pk).first()

    def scopes(self, token: PersonalAccessToken) -> set[str]:
        """Return the stored scopes of a token."""
        return {str(scope) for scope in Scope.objects.filter(token=token.pk)}

    def ids(self) -> set[uuid.UUID]:
        return set(PersonalAccessToken.objects.values_list("pk", flat=True))

    def clear(self) -> None:
        Scope.objects.all()._raw_delete("default")
        PersonalAccessToken.objects.all()._raw_delete("default")
