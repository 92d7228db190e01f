"""Staff who can edit tokens get no secret of anybody with more rights, by any URL, form or action of the admin."""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, reverse

from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import TokenFactory, UserFactory
from tests.test_departures import staff_site

pytestmark = [pytest.mark.thorough, pytest.mark.django_db, pytest.mark.urls("tests.test_departures")]

CODES = [
    *(f"{verb}_personalaccesstoken" for verb in ("view", "add", "change", "delete")),
    *("create_for_others", "view_user"),
]
SECRET = re.compile(rb"pat_[0-9A-Za-z]{40,}")


def urls(site: AdminSite, token: PersonalAccessToken) -> Iterator[str]:
    """Return each URL of the site, about `token` or its owner where it is about one object."""
    model_urls = [(model, admin.get_urls()) for model, admin in site._registry.items()]
    for model, patterns in model_urls:
        key = token.pk if model is PersonalAccessToken else token.user.pk
        for pattern in patterns:
            if not isinstance(pattern, URLPattern) or pattern.name is None:
                continue  # a redirect from an old URL of Django
            names = pattern.pattern.converters
            values = {name: token.user.pk if name in ("user_id", "id") else key for name in names}
            yield reverse(f"{site.name}:{pattern.name}", kwargs=values)


def forms(owner: Any, token: PersonalAccessToken) -> Iterator[dict[str, Any]]:
    """Return what the forms and actions of the admin send, and what they don't offer."""
    fields = {
        "user": owner.pk,
        "owner": owner.pk,
        "name": "stolen",
        "description": "",
        "duration": "7d",
        "grace_period": "1h",
        "scopes": "channels:*:read",
        "allowed_networks": "",
        "post": "yes",
        "_selected_action": [token.pk],
    }
    yield {**fields, "_save": "1"}
    yield {**fields, "_saveasnew": "1", "_popup": "1"}
    yield {**fields, "_addanother": "1", "_to_field": "id", "select_across": "1"}
    for action in ("revoke_selected", "delete_selected", "regenerate", "rotate"):
        yield {**fields, "action": action, "index": "0"}


def powers() -> list[tuple[Any, ...]]:
    """Return what decides which secrets work, for whom, from where and for what."""
    tokens = PersonalAccessToken.objects.order_by("pk").values_list("pk", "user", "digest", "allowed_networks")
    return [*tokens, *Scope.objects.order_by("pk").values_list("token", "entity_type", "entity_id", "operation")]


def walk(codes: tuple[str, ...], owner: Any) -> list[str]:
    """Send everything to everywhere as staff with these permissions, and return what gave them power over `owner`."""
    staff = UserFactory(is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=codes))
    client = Client()
    client.force_login(staff)
    token = TokenFactory(user=owner, allowed_networks=["10.0.0.0/8"])
    before, found = set(powers()), []
    for url in urls(staff_site, token):
        for data in (None, *forms(owner, token)):
            with transaction.atomic():
                response = client.get(url, {"owner": owner.pk}) if data is None else client.post(url, data)
                if response.status_code == 302 and response["Location"].startswith("/"):
                    response = client.get(response["Location"])
                if SECRET.search(response.content) or not before.issuperset(powers()):
                    found.append(f"{url} {data}")
                transaction.set_rollback(True)
    return found


def test_superuser_is_never_reached(case):
    # A permission opens more, never less, so smaller sets reach nothing that these don't.
    for codes in (tuple(CODES), *combinations(CODES, len(CODES) - 1)):
        with case(*codes):
            assert walk(codes, UserFactory(is_superuser=True)) == []


def test_owner_with_another_permission_is_never_reached(user):
    user.user_permissions.set(Permission.objects.filter(codename="delete_user"))
    assert walk(tuple(CODES), user) == []


def test_tokens_of_others_need_own_permission(user):
    assert walk(tuple(code for code in CODES if code != "create_for_others"), user) == []


def test_walk_finds_what_is_allowed(user):
    found = walk(tuple(CODES), user)
    for part in ("/add/", "/regenerate/", "/rotate/", "/change/"):
        assert [line for line in found if part in line], part
