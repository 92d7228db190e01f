"""Secret to token, owner and decision in one SELECT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed
from django.db import connections, router

from pat_tokens.compiled import Slot, Statement, compile_queryset
from pat_tokens.models import PersonalAccessToken
from pat_tokens.scopes import Decision, RequiredScope, decide_from_facts

if TYPE_CHECKING:
    from pat_tokens.querysets import TokenQuerySet

_ENTITY_TYPE, _OPERATION, _ENTITY_ID = Slot("entity type"), Slot("operation"), Slot("entity id")
# The forms of SQL that there are: which facts about a need are asked for decides the form.
_NO_REQUIRED_SCOPE = 0
_ANY_OPERATION = 1
_ONE_OPERATION = 2
_FILTERED = 3
_EXAMPLES: dict[int, tuple[RequiredScope | None, tuple[Slot, ...]]] = {
    _NO_REQUIRED_SCOPE: (None, ()),
    _ANY_OPERATION: (RequiredScope(_ENTITY_TYPE, None), (_ENTITY_TYPE,)),
    _ONE_OPERATION: (RequiredScope(_ENTITY_TYPE, _OPERATION, _ENTITY_ID), (_ENTITY_TYPE, _OPERATION, _ENTITY_ID)),
    _FILTERED: (
        RequiredScope(_ENTITY_TYPE, _OPERATION, _ENTITY_ID, filtered=True),
        (_ENTITY_TYPE, _OPERATION, _ENTITY_ID),
    ),
}

_statements: dict[tuple[Any, ...], Statement | None] = {}


def find_token(digests: Sequence[str], required_scope: RequiredScope | None) -> PersonalAccessToken | None:
    """Return the token with one of these digests, its `user` loaded and its `decision` about `required_scope` set."""
    alias = router.db_for_read(PersonalAccessToken)
    connection = connections[alias]
    values: tuple[str, ...]
    if required_scope is None:
        form, values = _NO_REQUIRED_SCOPE, tuple(digests)
    elif required_scope.operation is None:
        form, values = _ANY_OPERATION, (*digests, required_scope.entity_type)
    else:
        form = _FILTERED if required_scope.filtered else _ONE_OPERATION
        values = (*digests, required_scope.entity_type, required_scope.operation, required_scope.entity_id)
    key = (alias, type(connection), form, len(digests))
    try:
        statement = _statements[key]
    except KeyError:
        statement = _statements[key] = _compile(alias, form, len(digests))
    if statement is None:
        return find_token_by_orm(digests, required_scope)
    return _with_decision(statement.fetch(connection, values), required_scope)


def find_token_by_orm(digests: Sequence[str], required_scope: RequiredScope | None) -> PersonalAccessToken | None:
    """Do what `find_token` does by the plain ORM: its definition, and its way out where SQL cannot be used again."""
    alias = router.db_for_read(PersonalAccessToken)
    return _with_decision(next(iter(_queryset(alias, digests, required_scope)), None), required_scope)


def decide_for_token(token: PersonalAccessToken, required_scope: RequiredScope) -> Decision:
    """Decide about another `required_scope` of a token that is already known, in one query."""
    tokens = PersonalAccessToken.objects.using(token._state.db).filter(pk=token.pk)
    row = tokens.with_facts(required_scope).first()
    return decide_from_facts(required_scope) if row is None else _decide_from_facts(required_scope, vars(row))


def _compile(alias: str, form: int, count: int) -> Statement | None:
    digests = [Slot(f"digest {number}") for number in range(count)]
    required_scope, slots = _EXAMPLES[form]
    relation: Any = PersonalAccessToken._meta.get_field("user")
    return compile_queryset(_queryset(alias, digests, required_scope), relation=relation, slots=(*digests, *slots))


def _queryset(alias: str, digests: Sequence[str], required_scope: RequiredScope | None) -> TokenQuerySet:
    # Neither ordered nor sliced: a digest is unique, and two of them under two peppers are of one secret.
    tokens = PersonalAccessToken.objects.using(alias).with_digest(list(digests)).with_facts(required_scope)
    return tokens.select_related("user").order_by()


def _with_decision(token: Any, required_scope: RequiredScope | None) -> PersonalAccessToken | None:
    if token is None:
        return None
    token.decision = Decision() if required_scope is None else _decide_from_facts(required_scope, vars(token))
    found: PersonalAccessToken = token
    return found


def _decide_from_facts(required_scope: RequiredScope, facts: dict[str, Any]) -> Decision:
    return decide_from_facts(
        required_scope, covered=facts.pop("scope_covered", False), some=facts.pop("scope_some", False)
    )


def _forget_statements(**_kwargs: object) -> None:
    # Settings change in tests alone; the databases and the use of time zones are among them.
    _statements.clear()


setting_changed.connect(_forget_statements, dispatch_uid="pat_tokens.lookup")
