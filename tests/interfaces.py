"""The interfaces that manage tokens. Each function returns the message if it is refused, or an empty string."""

import json
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from rest_framework.authtoken.models import Token

from pat_tokens.models import PersonalAccessToken
from tests.contrib.rest_framework.management import PATS, row, session_client
from tests.contrib.rest_framework.management import url as api_url
from tests.factories import UserFactory

Create = Callable[..., str]
Act = Callable[..., str]


def browser(user: Any, **kwargs: Any) -> Client:
    """Return the browser of `user`, who is logged in."""
    client = Client(**kwargs)
    client.force_login(user)
    return client


def admin_url(page: str, *args: object) -> str:
    return reverse(f"admin:pat_tokens_personalaccesstoken_{page}", args=args)


def colleague() -> Any:
    """Return a superuser who works in the admin."""
    return UserFactory(is_staff=True, is_superuser=True)


def by_page(user: Any, *, scope: str = "", networks: Any = (), **fields: Any) -> str:
    data = {"name": "new", "allowed_networks": "\n".join(networks), **_scope_fields(scope), **fields}
    return _page_text(browser(user).post("/pats/create/", data))


def by_api(user: Any, *, scope: str = "", networks: Any = (), **fields: Any) -> str:
    data = {"name": "new", "scopes": [row(scope)] if scope else [], "allowed_networks": [*networks], **fields}
    return _api_text(session_client(user).post(PATS, data))


def by_admin(user: Any, *, scope: str = "", networks: Any = (), **fields: Any) -> str:
    data = {"user": user.pk, "name": "new", "description": "", "duration": "7d", "scopes": scope}
    data["allowed_networks"] = " ".join(networks)
    return _page_text(browser(colleague()).post(admin_url("add"), {**data, **fields}))


def by_command(user: Any, *, scope: str = "", networks: Any = (), **fields: Any) -> str:
    options = {"name": "new", "scopes": [scope] if scope else [], "allowed_networks": [*networks], **fields}
    return run("pat_create", user.username, **options)


def by_import(user: Any, *, scope: str = "channels:*:list", networks: Any = (), **fields: Any) -> str:
    """Import a key of authtoken. The site has to allow such keys."""
    Token.objects.get_or_create(user=user)
    options = {"name": "new", "scopes": [scope], "allowed_networks": [*networks], **fields}
    return run("pat_import_authtoken", users=[user.username], **options)


CREATE: Mapping[str, Create] = {"page": by_page, "api": by_api, "admin": by_admin, "command": by_command}


def renew_by_page(token: PersonalAccessToken, act: str, **fields: Any) -> str:
    return _page_text(browser(token.user).post(reverse(f"pat_tokens:token_{act}", args=[token.pk]), fields))


def renew_by_api(token: PersonalAccessToken, act: str, **fields: Any) -> str:
    return _api_text(session_client(token.user).post(api_url(token, act), fields))


def renew_by_admin(token: PersonalAccessToken, act: str, **fields: Any) -> str:
    return _page_text(browser(colleague()).post(admin_url(act, token.pk), {"duration": "", **fields}))


def renew_by_command(token: PersonalAccessToken, act: str, **fields: Any) -> str:
    return run(f"pat_{act}", str(token.pk), **fields)


# Each takes a token, and "regenerate" or "rotate".
RENEW: Mapping[str, Act] = {
    "page": renew_by_page,
    "api": renew_by_api,
    "admin": renew_by_admin,
    "command": renew_by_command,
}


def limit_by_page(token: PersonalAccessToken, networks: Any) -> str:
    url = reverse("pat_tokens:token_edit", args=[token.pk, "allowed_networks"])
    return _page_text(browser(token.user).post(url, {"allowed_networks": "\n".join(networks)}))


def limit_by_api(token: PersonalAccessToken, networks: Any) -> str:
    return _api_text(session_client(token.user).patch(api_url(token), {"allowed_networks": [*networks]}))


def limit_by_admin(token: PersonalAccessToken, networks: Any) -> str:
    data = {"name": token.name, "description": "", "allowed_networks": " ".join(networks)}
    return _page_text(browser(colleague()).post(admin_url("change", token.pk), data))


# Each takes a token and its new networks.
LIMIT: Mapping[str, Act] = {"page": limit_by_page, "api": limit_by_api, "admin": limit_by_admin}


def widen_by_page(token: PersonalAccessToken, scope: str) -> str:
    url = reverse("pat_tokens:scopes_add", args=[token.pk])
    return _page_text(browser(token.user).post(url, _scope_fields(scope)))


def widen_by_api(token: PersonalAccessToken, scope: str) -> str:
    return _api_text(session_client(token.user).post(api_url(token, "scopes"), {"scopes": [row(scope)]}))


# Each takes a token and a scope. Neither the admin nor a command adds scopes to a token.
WIDEN: Mapping[str, Act] = {"page": widen_by_page, "api": widen_by_api}


def run(*args: Any, **options: Any) -> str:
    """Run a command, and return its errors."""
    output = StringIO()
    try:
        call_command(*args, **options, stdout=StringIO(), stderr=output)
    except CommandError as error:
        return f"{output.getvalue()}{error}"
    return ""


def _scope_fields(scope: str) -> dict[str, Any]:
    names = ("entity_type", "entity_id", "operations")
    return {f"scopes-0-{name}": part for name, part in zip(names, scope.split(":"), strict=True)} if scope else {}


def _page_text(response: HttpResponse) -> str:
    return "" if response.status_code == 302 else response.content.decode().replace("&#x27;", "'")


def _api_text(response: Any) -> str:
    return "" if response.status_code in (200, 201) else json.dumps(response.json(), ensure_ascii=False)
