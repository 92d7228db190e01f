"""What a scope is, and the decision whether it covers a request, as a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

ALL = "*"  # as an entity id: all entities of the type, current and future


class ScopeKey(NamedTuple):
    """A scope as a value: (entity type, entity id or `*`, operation)."""

    entity_type: str
    entity_id: str
    operation: str

    def __str__(self) -> str:
        return ":".join(self)

    @classmethod
    def parse(cls, text: str) -> ScopeKey:
        """Parse the output of `str()`; ids can contain colons. Raises ValueError for anything else."""
        entity_type, _, rest = text.partition(":")
        entity_id, _, operation = rest.rpartition(":")
        if not (entity_type and entity_id and operation):
            raise ValueError("a scope is written entity type:entity id:operation")
        return cls(entity_type, entity_id, operation)

    def covers(self, other: ScopeKey) -> bool:
        """Return whether this scope includes `other`."""
        return (
            self.entity_type == other.entity_type
            and self.operation == other.operation
            and self.entity_id in (ALL, other.entity_id)
        )


class RequiredScope(NamedTuple):
    """What one request requires: a requirement with its entity ids.

    `entity_id` is `*` if the request isn't about a single entity. `filtered`: the view limits its result to the ids
    that the token has scopes for, so any scope for this type and operation is enough. `also` are further scopes that
    the same request requires.
    """

    entity_type: str
    operation: str
    entity_id: str = ALL
    filtered: bool = False
    also: tuple[ScopeKey, ...] = ()

    @property
    def scope(self) -> ScopeKey:
        """The first scope that is needed."""
        return ScopeKey(self.entity_type, self.entity_id, self.operation)

    @property
    def scopes(self) -> tuple[ScopeKey, ...]:
        """All scopes that are needed."""
        return (ScopeKey(self.entity_type, self.entity_id, self.operation), *self.also)


class Decision(NamedTuple):
    """True if the request is allowed; otherwise `missing` has the scopes that would allow it.

    `limited`: allowed only for the ids that the token has scopes for; the view's list has to be filtered.
    """

    missing: tuple[ScopeKey, ...] = ()
    limited: bool = False
    required_scope: RequiredScope | None = None

    def __bool__(self) -> bool:
        return not self.missing


def decide(scopes: Iterable[ScopeKey], required_scope: RequiredScope | None) -> Decision:
    """Return whether `scopes` cover `required_scope`; None requires no scope. Never raises."""
    if required_scope is None:
        return Decision()
    held, required = set(scopes), required_scope.scopes
    if held.issuperset(required):
        return Decision(required_scope=required_scope)
    return decide_from_facts(
        required_scope,
        covered=[needed in held or needed._replace(entity_id=ALL) in held for needed in required],
        some=required_scope.filtered
        and any(scope[::2] == (required_scope.entity_type, required_scope.operation) for scope in held),
    )


def decide_from_facts(
    required_scope: RequiredScope, *, covered: Sequence[bool] | None = None, some: bool = False
) -> Decision:
    """Return the decision about `required_scope` from facts that a database query can find.

    `covered`: for each of `required_scope.scopes`, whether a scope covers it; None if no scope does. `some`: there is a
    scope of the first type and operation, whatever its id.
    """
    if covered is not None and all(covered):
        return Decision(required_scope=required_scope)
    needed = required_scope.scopes
    missing = (
        needed
        if covered is None
        else tuple(one for one, is_covered in zip(needed, covered, strict=True) if not is_covered)
    )
    limited = required_scope.filtered and some and missing[:1] == needed[:1]
    if limited:
        missing = missing[1:]
    return Decision(tuple(dict.fromkeys(missing)), limited and not missing, required_scope)


def absorb(held: Iterable[ScopeKey], added: Iterable[ScopeKey]) -> tuple[set[ScopeKey], list[ScopeKey]]:
    """Return the scopes in `held` that `added` makes redundant, and the scopes in `added` to be written, in order."""
    held = set(held)
    added = list(dict.fromkeys(added))
    wide = {scope for scope in held.union(added) if scope.entity_id == ALL}

    def is_covered(scope: ScopeKey) -> bool:
        return scope.entity_id != ALL and scope._replace(entity_id=ALL) in wide

    redundant = {scope for scope in held if is_covered(scope)}
    return redundant, [scope for scope in added if scope not in held and not is_covered(scope)]


__all__ = ["ALL", "Decision", "RequiredScope", "ScopeKey", "decide"]
