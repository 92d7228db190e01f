"""Explanations, compared with the responses to the same requests, for every route of the test sites."""

import re

import pytest
from django.db import transaction
from django.test import Client

from pat_tokens.entities import registry
from pat_tokens.inspection.explain import METHODS, explain
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.requirements import ANY_TOKEN, is_list
from tests.factories import TokenFactory
from tests.plain_client import LOGIN_REQUIRED, OURS

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

CODES = {"insufficient_scope", "scope_not_declared", "invalid_token", "csrf_failed"}
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
# These only show during a request that they don't do what their code says.
SURPRISING = re.compile(
    r"hidden\.<locals>|\.(CallsAnother|SlicedEarly|United|OtherModel|MadeUpMethods|LateMethods|ObjectOfOtherModel"
    r"|QuerysetOfOtherModel|ChangesItsModel|denied|async_denied|needs_permission|Beside|Widened)$"
)
SURPRISING_ROUTES = re.compile("limits-too-late|limits-another-model|badges/|rest/siblings|unguarded|outer|nothing")
WORDS = {"version": "v2", "format": "json", "slug": "one", "name": "one", "username": "owner", "task": "one"}


@pytest.fixture
def find_differences(user):
    """Compare every method of every route with several tokens, and return what differs."""

    def find_differences(client, keys, **fields):
        tokens = {}
        for report in inspect_all():
            if SURPRISING.search(report.route.view_name) or SURPRISING_ROUTES.search(report.route.pattern):
                continue
            asked = [one.resolution.requirement for one in report.methods if one.resolution.requirement]
            key = keys.get(asked[0].entity_type if asked else None, keys["channels"])
            values = {**WORDS, **keys, "pk": key}
            path = path_of(report.route.pattern, values)
            for method in METHODS:
                found = report.find(method)
                for scopes in scopes_for(found.resolution.requirement if found else None, values):
                    if scopes not in tokens:
                        split = [scope.split(":") for scope in scopes]
                        tokens[scopes] = TokenFactory(user=user, scopes=split, **fields)
                    with transaction.atomic():
                        difference = compare(client, tokens[scopes], method, path)
                        transaction.set_rollback(True)
                    if difference:
                        yield f"{method} {path} with {', '.join(scopes) or 'no scopes'}: {difference}"

    return find_differences


def path_of(pattern, values):
    text = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", pattern)
    text = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values.get(match[1], values["pk"])), text)
    text = text.replace(r"(\d+)", str(values["pk"])).replace(r"\d+", "5").replace("(?:", "").replace(")?", "")
    return "/" + text.strip("^$").replace(r"\Z", "").replace("/?", "").replace("\\", "")


def scopes_for(requirement, values):
    """Return no scopes, each that is needed alone, all that are needed for all entities, and for those of the URL."""
    yield ()
    if requirement is None or requirement is ANY_TOKEN:
        yield tuple(f"{one.name}:*:{operation.name}" for one in registry for operation in one.operations)
        return
    for part in requirement.parts if requirement.also else ():
        yield (f"{part.entity_type}:*:{part.operation}",)
    yield tuple(f"{part.entity_type}:*:{part.operation}" for part in requirement.parts)
    if is_list(requirement) or all(isinstance(part.entity, str) for part in requirement.parts):
        keys = [values.get(part.entity, values["pk"]) for part in requirement.parts]
        yield tuple(
            f"{part.entity_type}:{key}:{part.operation}" for part, key in zip(requirement.parts, keys, strict=True)
        )


def compare(client, token, method, path):
    """Return how the response differs from what is explained, or None."""
    explanation = explain(token, method, path)
    response = client.generic(method, path, headers={"authorization": f"Bearer {token.secret}"})
    is_json = response.headers.get("Content-Type") == "application/json" and not response.streaming
    body = response.json() if is_json and response.content else None
    code = body.get("code") if isinstance(body, dict) else None
    if response.status_code == 403 and b"CSRF" in getattr(response, "content", b""):
        code = "csrf_failed"
    got = f"{response.status_code} {code}, not {explanation.as_dict()}"
    if explanation.allowed:
        depends = explanation.suggested or any(step.name == "network" for step in explanation.steps)
        return None if depends or (code not in CODES and response.status_code != 401) else got
    if explanation.status is None:  # the view doesn't read tokens
        return None if code in (None, "csrf_failed") else got
    has_same_code = code == explanation.code or method == "HEAD" or explanation.code not in CODES
    return None if response.status_code == explanation.status and has_same_code else got


@pytest.fixture
def client(settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1000
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


def test_rest_framework(site, client, find_differences):
    kinds = ("channel", "device", "page", "project", "badge", "cover", "thermometer", "probe", "memo", "task")
    keys = {f"{kind}s": getattr(site, kind).pk for kind in kinds}
    keys |= {"archive": site.archived.pk, "project_pk": site.project.pk, "project": "one"}
    assert not list(find_differences(client, keys))


@pytest.mark.parametrize(
    ("urlconf", "middleware"),
    [
        ("tests.plain_site", [OURS, CSRF]),
        ("tests.plain_site", [OURS, CSRF, LOGIN_REQUIRED]),
        ("tests.plain_site", [CSRF, OURS]),
        ("tests.plain_site", [LOGIN_REQUIRED, OURS]),
        ("tests.plain_site", [CSRF]),
        ("tests.contrib.ninja.api", [OURS]),
        ("tests.contrib.ninja.api", [OURS, LOGIN_REQUIRED]),
        ("tests.limited_site", [OURS]),
        ("tests.test_two_scopes", [OURS]),
    ],
)
def test_explanation_matches_on_other_sites(
    settings, declarations, client, channel, find_differences, urlconf, middleware
):
    sessions = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    settings.ROOT_URLCONF, settings.MIDDLEWARE = urlconf, [*sessions, *middleware]
    assert not list(find_differences(client, {"channels": channel.pk}))


def test_networks(settings, declarations, client, channel, make_token):
    settings.ROOT_URLCONF = "tests.plain_site"
    settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]
    token = make_token("channels:*:read", allowed_networks=["10.0.0.0/8"])
    (step,) = [step for step in explain(token, "GET", f"/function/{channel.pk}/").steps if step.name == "network"]
    assert "10.0.0.0/8" in step.text
    response = client.get(f"/function/{channel.pk}/", headers={"authorization": f"Bearer {token.secret}"})
    assert response.json()["code"] in step.text
