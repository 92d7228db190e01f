"""Explain step by step why a token is allowed to make a request, without running or writing anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from django.urls import Resolver404, URLResolver, get_resolver, get_script_prefix, resolve
from django.utils.translation import gettext as _

from pat_tokens import links, lookup
from pat_tokens.authentication import find_entity_id, find_held_scopes, need_of
from pat_tokens.declarations import plain_route
from pat_tokens.entities import LIST
from pat_tokens.exceptions import InsufficientScope, InvalidToken, NetworkNotAllowed, ScopeNotDeclared
from pat_tokens.http import SAFE_METHODS
from pat_tokens.inspection.declarations import find_lookups, propose
from pat_tokens.inspection.middleware import CSRF, LOGIN_REQUIRED, middleware_that_refuses
from pat_tokens.inspection.proposals import Lookups
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.integrations import MethodReport, Route, RouteReport, inspect, integration_of
from pat_tokens.labels import TimeFormat
from pat_tokens.models import owner_is_active
from pat_tokens.policy import get_policy, is_overridden
from pat_tokens.querysets import Status
from pat_tokens.requirements import (
    ANY_TOKEN,
    Requirement,
    Resolution,
    names_unknown_entity,
    required_scope_from_url,
)
from pat_tokens.scopes import ALL, Decision, RequiredScope, ScopeKey, decide

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.models import PersonalAccessToken

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_NEAREST = 5  # scopes that are similar to the missing one


@dataclass(frozen=True)
class Step:
    """One step; `ok` is None if it depends on the request itself."""

    name: str  # token, network, route, middleware, requirement, scope, owner
    ok: bool | None
    text: str


@dataclass
class Explanation:
    """The steps and the resulting response; `status` is None if the view decides."""

    allowed: bool = True
    status: int | None = None
    code: str | None = None
    requirement: str | None = None
    missing: tuple[ScopeKey, ...] = ()
    suggested: tuple[ScopeKey, ...] = ()  # what would be enough in any case
    fix_url: str | None = None  # where the owner adds what is missing; a path if the site's address is unknown
    is_fixable: bool = True  # False if the URL names no entity that the owner can see
    steps: list[Step] = field(default_factory=list)

    def add(self, name: str, ok: bool | None, text: str) -> None:
        self.steps.append(Step(name, ok, text))

    def refuse(self, status: int, code: str) -> None:
        """Set the response, unless an earlier step has set it."""
        self.allowed = False
        if self.status is None:
            self.status, self.code = status, code

    def as_dict(self) -> dict[str, Any]:
        return {
            "allowed": self.allowed,
            "status": self.status,
            "code": self.code,
            "requirement": self.requirement,
            "missing": [scope._asdict() for scope in self.missing],
            "fix_url": self.fix_url,
            "steps": [{"step": step.name, "ok": step.ok, "text": step.text} for step in self.steps],
        }


def explain(token: PersonalAccessToken, method: str, path: str, *, request: HttpRequest | None = None) -> Explanation:
    """Explain whether `token` can send `method` to `path`, a path or URL of this site."""
    alias = lookup.token_database()
    if token._state.db != alias:  # a replica can lag behind
        token.refresh_from_db(using=alias)
    explanation = _explain(token, method, path)
    wanted = explanation.missing or explanation.suggested
    if wanted and explanation.is_fixable and links.can_add(token, wanted):
        explanation.fix_url = links.scopes_add_url(token, wanted, request=request) or links.page_path(
            "scopes_add", token.pk, query=links.scope_query(wanted)
        )
    return explanation


def _explain(token: PersonalAccessToken, method: str, path: str) -> Explanation:
    explanation = Explanation()
    _explain_token(explanation, token)
    method = method.upper()
    found = _explain_route(explanation, path)
    if found is None:
        return explanation
    report, kwargs = found
    asked = report.find(method)
    _explain_middleware(explanation, method, report)
    if not report.reads_tokens or not (asked is None or asked.reads_tokens):
        why = report.note or (asked.resolution.origin if asked else "")
        explanation.add("requirement", None, _("Tokens are not read: %(why)s.") % {"why": why})
        # The view handles the request as if there were no token.
        explanation.allowed, explanation.status, explanation.code = False, None, None
        return explanation
    if method == "OPTIONS" and asked is None and report.has_options:
        _explain_options(explanation, token, report, kwargs)
        return explanation
    if asked is None and not report.has_all_methods:
        asked = MethodReport(method, Resolution(None, report.note or f"not declared: no requirement for {method}"))
    if asked is None:
        explanation.add("requirement", False, _("The view does not support %(method)s.") % {"method": method})
        explanation.refuse(405, "method_not_allowed")
        return explanation
    requirement = asked.resolution.requirement
    if requirement is None:
        explanation.add("requirement", False, _("Every token is refused: %(why)s.") % {"why": asked.resolution.origin})
        _explain_declaration(explanation, report, asked)
        explanation.refuse(403, ScopeNotDeclared.code)
        return explanation
    explanation.requirement = str(requirement)
    texts = {"requirement": requirement, "origin": asked.resolution.origin}
    explanation.add("requirement", True, _("It requires %(requirement)s (%(origin)s).") % texts)
    required_scope = _explain_scope(explanation, token, requirement, kwargs, asked)
    _explain_owner(explanation, token, method, requirement, required_scope, report)
    return explanation


def _explain_token(explanation: Explanation, token: PersonalAccessToken) -> None:
    if token.revoked_at:
        texts = {"name": token.name, "revoked": TimeFormat().exact(token.revoked_at)}
        explanation.add("token", False, _("The token “%(name)s” was revoked on %(revoked)s.") % texts)
    elif token.expires_at and token.status == Status.EXPIRED:
        texts = {"name": token.name, "expires": TimeFormat().exact(token.expires_at)}
        explanation.add("token", False, _("The token “%(name)s” expired on %(expires)s.") % texts)
    else:
        explanation.add("token", True, _("The token “%(name)s” is active.") % {"name": token.name})
    if not owner_is_active(token.user):
        explanation.add("token", False, _("Its owner can't log in."))
    if not get_policy().can_have_tokens(token.user):
        explanation.add("token", False, _("Its owner can't have tokens on this site."))
    if is_overridden("refuse_token"):
        explanation.add("token", None, _("This site has its own rules, which can refuse the token at each request."))
    if any(step.ok is False for step in explanation.steps):
        explanation.refuse(401, InvalidToken.code)
    if token.allowed_networks:
        networks = ", ".join(map(str, token.allowed_networks))
        text = _("It only works from %(networks)s. Requests from other addresses get a 403, %(code)s.")
        explanation.add("network", None, text % {"networks": networks, "code": NetworkNotAllowed.code})


def _explain_route(explanation: Explanation, path: str) -> tuple[RouteReport, dict[str, Any]] | None:
    try:
        path = unquote(urlsplit(path).path)
    except ValueError:
        path = ""
    script = get_script_prefix()
    if script != "/" and path.startswith(script):
        path = f"/{path.removeprefix(script)}"
    try:
        match = resolve(path)
    except Resolver404:
        text = _("The site has no URL %(path)s.") % {"path": path}
        if _exists(f"{path}/"):
            text = _("The site has no URL %(path)s, but it has one with a trailing slash.") % {"path": path}
        explanation.add("route", False, text)
        explanation.refuse(404, "not_found")
        return None
    route = Route.of(match)
    report = inspect(route)
    texts = {"view": route.view_name, "kind": report.kind, "route": f"/{plain_route(route.pattern)}"}
    explanation.add("route", True, _("%(route)s leads to %(view)s (%(kind)s).") % texts)
    return report, match.kwargs


def _explain_middleware(explanation: Explanation, method: str, report: RouteReport) -> None:
    is_ours = integration_of(report.route.view) is None
    login = getattr(report.route.view, "login_required", True) and middleware_that_refuses(
        LOGIN_REQUIRED, is_ours=is_ours
    )
    forgery = not getattr(report.route.view, "csrf_exempt", False) and middleware_that_refuses(CSRF, is_ours=is_ours)
    if login:
        text = _("%(middleware)s redirects to the login page before the token is read.") % {"middleware": login}
        explanation.add("middleware", False, text)
        explanation.refuse(302, "login_required")
    elif forgery and method not in SAFE_METHODS:
        text = _("%(middleware)s refuses the request before the token is read, because it has no CSRF token.")
        explanation.add("middleware", False, text % {"middleware": forgery})
        explanation.refuse(403, "csrf_failed")


def _exists(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


@lru_cache(maxsize=8)
def _lookups_of(resolver: URLResolver) -> Lookups:
    # Cached, because it inspects all routes of the site.
    return find_lookups(inspect_all(resolver.urlconf_name))


def _explain_declaration(explanation: Explanation, report: RouteReport, asked: MethodReport) -> None:
    operation = propose(report, asked, _lookups_of(get_resolver()))
    if operation is None or operation.proposal.requirement is None:
        return
    texts = {"line": operation.as_call(), "why": operation.proposal.reason}
    if operation.proposal.is_certain:
        text = _("To allow it, write %(line)s in pat_entities.py (%(why)s).")
    else:
        text = _("If it is right, write %(line)s in pat_entities.py. This is a guess: %(why)s.")
    explanation.add("requirement", None, text % texts)


def _explain_options(
    explanation: Explanation, token: PersonalAccessToken, report: RouteReport, kwargs: dict[str, Any]
) -> None:
    asked = [method.resolution.requirement for method in report.methods if method.resolution.requirement is not None]
    if not asked:
        explanation.add("requirement", False, _("The view declares no requirements."))
        explanation.refuse(403, ScopeNotDeclared.code)
        return
    keys = find_held_scopes(token)
    is_allowed = ANY_TOKEN in asked or any(decide(keys, need_of(one, kwargs, token.user)) for one in asked)
    explanation.add("scope", is_allowed, _("OPTIONS needs a scope that allows another method of the same URL."))
    if not is_allowed:
        explanation.refuse(403, InsufficientScope.code)


def _explain_scope(
    explanation: Explanation,
    token: PersonalAccessToken,
    requirement: Requirement,
    kwargs: dict[str, Any],
    asked: MethodReport,
) -> RequiredScope | None:
    if requirement is ANY_TOKEN:
        explanation.add("scope", True, _("Any valid token is accepted."))
        return None
    required_scope = required_scope_from_url(
        requirement,
        kwargs,
        filtered=asked.may_limit,
        find_id=lambda part: find_entity_id(part, kwargs, token.user),
    )
    if any(
        part.entity is not None and scope.entity_id == ALL
        for part, scope in zip(requirement.parts, required_scope.scopes, strict=True)
    ):
        explanation.add("scope", None, _("The URL names no entity that the token's owner can see."))
    decision: Decision = lookup.decide_again(token, required_scope).decision  # type: ignore[assignment]  # it has one
    keys = find_held_scopes(token)
    for scope in required_scope.scopes:
        if scope in decision.missing:
            explanation.add("scope", False, _missing_text(scope, keys))
            continue
        matched = next((key for key in keys if key.covers(scope)), None)
        if matched is not None:
            explanation.add("scope", True, _("The scope %(scope)s allows it.") % {"scope": matched})
        elif asked.limits:
            text = _("The token has the operation for single entities, and the list is limited to them.")
            explanation.add("scope", True, text)
        else:
            text = _(
                "The token has the operation for single entities. The response is refused, unless the view returns "
                "rows of a list that it has limited to them. The scope %(scope)s is enough in any case."
            )
            explanation.add("scope", None, text % {"scope": scope})
            explanation.suggested = (scope,)
    if not decision:
        explanation.missing = decision.missing
        explanation.is_fixable = not names_unknown_entity(requirement, decision.missing)
        explanation.refuse(403, InsufficientScope.code)
    return required_scope


def _missing_text(missing: ScopeKey, keys: list[ScopeKey]) -> str:
    text = _("The scope %(scope)s is missing.") % {"scope": missing}
    nearest = _nearest(keys, missing)
    if nearest:
        return f"{text} " + _("The nearest that the token has: %(nearest)s.") % {
            "nearest": ", ".join(map(str, nearest))
        }
    if keys:
        return f"{text} " + _("The token has no scope on %(type)s.") % {"type": missing.entity_type}
    return f"{text} " + _("The token has no scopes.")


def _nearest(keys: list[ScopeKey], missing: ScopeKey) -> list[ScopeKey]:
    def distance(key: ScopeKey) -> tuple[bool, bool, ScopeKey]:
        return key.entity_id not in (ALL, missing.entity_id), key.operation != missing.operation, key

    return sorted((key for key in keys if key.entity_type == missing.entity_type), key=distance)[:MAX_NEAREST]


def _explain_owner(
    explanation: Explanation,
    token: PersonalAccessToken,
    method: str,
    requirement: Requirement,
    required_scope: RequiredScope | None,
    report: RouteReport,
) -> None:
    scopes = () if required_scope is None else required_scope.scopes
    for part, scope in zip(requirement.parts, scopes, strict=False):
        if scope.entity_id == ALL:
            continue
        texts = {"type": scope.entity_type, "id": scope.entity_id}
        if part.get_entity_type().get_visible(token.user, [scope.entity_id]):
            explanation.add("owner", True, _("The owner can see %(type)s:%(id)s.") % texts)
        else:
            text = _("The owner can't see %(type)s:%(id)s, so the view may respond with 404.") % texts
            explanation.add("owner", None, text)
    if required_scope is not None and required_scope.scope[1:] == (ALL, LIST.name):
        explanation.add("owner", None, _("The list contains what the owner can see."))
    for name, allows in report.permissions:
        ok = allows(token.user, method, requirement)
        if ok is False:
            explanation.refuse(403, "permission_denied")
        texts = {"name": name}
        text = {
            True: _("The view's permission %(name)s allows the owner.") % texts,
            False: _("The view's permission %(name)s refuses the owner.") % texts,
            None: _("The result of the view's permission %(name)s depends on the request.") % texts,
        }[ok]
        explanation.add("owner", ok, text)
