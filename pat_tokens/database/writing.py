"""Refuse writes that change or choose the primary key of an entity.

Saving a model instance with a changed key writes another row, and so does saving a new instance with an existing key. A
token is allowed neither, so both are refused before they happen: `save()` when it starts, and a write by a queryset
just before its statement is executed. `update_or_create()` with the key of another row is refused too.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import finalize

from django.db.models import Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.signals import post_init, post_save, pre_save
from django.db.models.sql import InsertQuery, Query, UpdateQuery
from django.utils.functional import LazyObject

from pat_tokens.database.statements import Observer, Statement, find_frames, observe, observers
from pat_tokens.entities import CREATE
from pat_tokens.exceptions import KeyNotAllowed
from pat_tokens.http import SAFE_METHODS
from pat_tokens.scopes import ALL

if TYPE_CHECKING:
    from pat_tokens.entities import EntityType
    from pat_tokens.models import PersonalAccessToken
    from pat_tokens.requirements import Requirement

_KEYS = "_pat_tokens_keys"  # of the state of an instance, which copies and pickles of the instance have too
_lock = Lock()
_running: set[int] = set()


class WriteGuard(Observer):
    """Checks what one view writes to the entities that its requirement is about."""

    def __init__(self, entities: Iterable[tuple[EntityType, str]], created: Collection[type[Model]] = ()) -> None:
        self.entities = [(entity_type, entity_id) for entity_type, entity_id in entities if entity_type.model]
        self.created = created  # models whose rows the view creates, so that it can't update one instead
        self._free: set[tuple[type[Model], Any]] = set()  # keys that no row had

    def executes(self, statement: Statement) -> None:
        """Raise KeyNotAllowed if `statement` changes the key of an entity, or updates an entity by another key."""
        query = statement.query
        model: Any = getattr(query, "model", None)
        if isinstance(query, UpdateQuery) and self.is_about(model):
            self._check_update(query, statement)
        elif isinstance(query, InsertQuery) and self.is_about(model):
            self._check_insert(query, statement)

    def _check_update(self, query: Any, statement: Statement) -> None:
        if any(field.primary_key and _moves(query, value, statement.using) for field, _, value in query.values):
            raise KeyNotAllowed
        saved = statement.saved
        if isinstance(saved, query.model):
            # If the key has a default, Django only sends an UPDATE for save(force_update=True).
            self._check_new(saved, statement.using, [(query.model, vars(saved).get(query.model._meta.pk.attname))])
        for instance in statement.bulk_updated:
            self._check_known(instance)

    def _check_insert(self, query: Any, statement: Statement) -> None:
        if query.on_conflict is OnConflict.UPDATE:
            for instance in query.objs:
                self._check_loaded(instance)
                self._check_new(instance, statement.using, zip(_key_models(instance), _keys_of(instance), strict=True))

    def close(self) -> None:
        super().close()
        with _lock:
            _running.discard(id(self))
            if not _running:
                for signal in (post_init, post_save, pre_save):
                    signal.disconnect(dispatch_uid="pat_tokens.writing")

    def check_save(self, instance: Model, using: str) -> None:
        """Raise KeyNotAllowed if saving `instance` would write a row other than the one it was loaded from."""
        if self.is_about(type(instance)):
            self._check_loaded(instance)
            self._check_new(instance, using, _chosen(instance))
            if _is_found_by_key(instance) and (self._is_created(instance) or self._is_other(instance)):
                raise KeyNotAllowed

    def is_about(self, model: type[Model]) -> bool:
        """Return whether a row of `model` is a row of an entity, or a part of one."""
        return any(_is_about(model, entity_type.model) for entity_type, _id in self.entities)

    def _is_created(self, instance: Model) -> bool:
        return any(_is_about(type(instance), model) for model in self.created)

    def _check_new(self, instance: Model, using: str, keys: Iterable[tuple[type[Model], Any]]) -> None:
        if not instance._state.adding:
            return
        for model, key in keys:
            if key is None or (model, key) in self._free:
                continue
            if model._base_manager.using(using).filter(pk=key).exists():
                raise KeyNotAllowed
            self._free.add((model, key))

    def _check_loaded(self, instance: Model) -> None:
        if not instance._state.adding:
            self._check_known(instance)

    def _check_known(self, instance: Model) -> None:
        known = getattr(instance._state, _KEYS, ()) if not instance._state.adding else ()
        now = tuple(_keys_of(instance))
        if not known or None in known:  # not loaded by this request
            if self._is_other(instance):
                raise KeyNotAllowed
        # Without a key, the instance is a copy that gets a new key.
        elif any(key not in (None, before) for before, key in zip(known, now, strict=False)):
            raise KeyNotAllowed

    def _is_other(self, instance: Model) -> bool:
        ids = set()
        for entity_type, entity_id in self.entities:
            if entity_id != ALL and _is_about(type(instance), entity_type.model):
                key = vars(instance).get(entity_type.model._meta.pk.attname, instance.pk)
                if key is None or entity_type.to_id(key) == entity_id:
                    return False
                ids.add(entity_id)
        return bool(ids)


def guard_writes(
    method: str, token: PersonalAccessToken, requirement: Requirement, *places: object
) -> WriteGuard | None:
    """From now on, refuse writes that change or choose the key of an entity that `requirement` is about.

    `places` are objects that can already hold instances, such as the request. Writes are checked until the
    result is closed, which is when the request ends at the latest.
    """
    if method in SAFE_METHODS:
        return None
    required = token.decision.required_scope if token.decision is not None else None
    ids = [scope.entity_id for scope in required.scopes] if required is not None else [ALL] * len(requirement.parts)
    entities = zip([part.get_entity_type() for part in requirement.parts], ids, strict=True)
    created = [part.get_entity_type().model for part in requirement.parts if part.operation == CREATE.name]
    guard = WriteGuard(entities, created)
    number = id(guard)
    with _lock:
        if not _running:
            post_init.connect(_remember, dispatch_uid="pat_tokens.writing")
            post_save.connect(_remember, dispatch_uid="pat_tokens.writing")
            pre_save.connect(_check, dispatch_uid="pat_tokens.writing")
        _running.add(number)
    # Must not take a lock: the garbage collector can run while any lock is held, including that of a signal.
    finalize(guard, _running.discard, number)
    observe(guard)
    for value in (token.user, *(value for place in places for value in list(vars(place).values()))):
        found = vars(value).get("_wrapped") if issubclass(type(value), LazyObject) else value  # without loading it
        if issubclass(type(found), Model):
            _remember(type(found), found)
    return guard


def _current() -> Iterator[WriteGuard]:
    return (one for one in observers() if isinstance(one, WriteGuard))


def _is_about(one: type[Model], model: type[Model]) -> bool:
    # A row of a child model has a row in its parent's table, so saving one writes the other.
    concrete, other = one._meta.concrete_model, model._meta.concrete_model
    return concrete is not None and other is not None and (issubclass(concrete, other) or issubclass(other, concrete))


def _remember(sender: Any, instance: Model, **kwargs: Any) -> None:
    if any(guard.is_about(type(instance)) for guard in _current()):
        setattr(instance._state, _KEYS, tuple(_keys_of(instance)))


def _check(sender: Any, instance: Model, using: str, **kwargs: Any) -> None:
    for guard in _current():
        guard.check_save(instance, using)


def _is_found_by_key(instance: Model) -> bool:
    # Whether update_or_create() is updating this row because its key was passed. Views can save other rows.
    for frame in find_frames(sys._getframe(1), "update_or_create"):
        if isinstance(frame.f_locals.get("self"), QuerySet) and frame.f_locals.get("obj") is instance:
            keys = (model._meta.pk for model in _key_models(instance))
            names = {"pk", *(name for key in keys for name in (key.name, key.attname))}
            return not (frame.f_locals.get("created") or names.isdisjoint(frame.f_locals.get("kwargs", ())))
    return False


def _key_models(instance: Model) -> Iterator[type[Model]]:
    concrete = type(instance)._meta.concrete_model
    if concrete is not None:
        yield concrete
    yield from type(instance)._meta.get_parent_list()


def _keys_of(instance: Model) -> Iterator[Any]:
    own = vars(instance)  # doesn't load deferred keys
    for model in _key_models(instance):
        yield own.get(model._meta.pk.attname)


def _chosen(instance: Model) -> Iterator[tuple[type[Model], Any]]:
    # For default keys, Django inserts a row and doesn't update an existing one unless it has to.
    for model, key in zip(_key_models(instance), _keys_of(instance), strict=True):
        if not (model._meta.pk.has_default() and model._meta.pk.default):
            yield model, key


def _moves(query: UpdateQuery, value: Any, using: str) -> bool:
    if hasattr(value, "resolve_expression"):
        return True
    rows: QuerySet[Any] = QuerySet(query.model, query=query.chain(Query), using=using)
    return rows.exclude(pk=value).exists()
