"""Refuse writes that change or choose the primary key of an entity.

Saving a model instance with a changed key writes another row, and so does saving a new instance with an existing key. A
token is allowed neither, so both are refused before they happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import finalize, ref

from django.core.signals import request_finished
from django.db.models import Model
from django.db.models.signals import post_init, pre_save

from pat_tokens.exceptions import KeyNotAllowed
from pat_tokens.request_state import state_of

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.entities import EntityType

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")

_current: ContextVar[ref[Writes] | None] = ContextVar("pat_tokens_writes", default=None)
_lock = Lock()
_running: set[int] = set()


class Writes:
    """What one request with a token writes to one model."""

    def __init__(self, model: type[Model]) -> None:
        self.models = [model]
        self.keys: dict[int, tuple[Any, ...]] = {}  # the keys of each instance since it was created, by id()


def watch_writes(request: HttpRequest, method: str, entity_type: EntityType) -> None:
    """Refuse saves during `request` that change or choose the key of one of these entities."""
    model = entity_type.model._meta.concrete_model
    if method in SAFE_METHODS or model is None:
        return
    state = state_of(request)
    if state.writes is not None:
        if model not in state.writes.models:
            state.writes.models.append(model)
        return
    writes = state.writes = Writes(model)
    number = id(writes)
    with _lock:
        if not _running:
            post_init.connect(_remember, dispatch_uid="pat_tokens.writing")
            pre_save.connect(_check, dispatch_uid="pat_tokens.writing")
        _running.add(number)
    # Nothing else, because the garbage collector can run while any lock is held, including that of a signal.
    finalize(writes, _running.discard, number)
    _current.set(ref(writes))


def end_writes(request: HttpRequest) -> None:
    """Stop checking what `request` writes."""
    state = state_of(request)
    if state.writes is not None:
        _end(id(state.writes))
        state.writes = None
        _current.set(None)


def _end_with_request(**kwargs: Any) -> None:
    # If it wasn't called, for example after an unhandled exception.
    current = _current.get()
    if current is not None:
        writes = current()
        if writes is not None:
            _end(id(writes))
        _current.set(None)


request_finished.connect(_end_with_request, dispatch_uid="pat_tokens.writing")


def _end(number: int) -> None:
    with _lock:
        _running.discard(number)
        if not _running:
            post_init.disconnect(dispatch_uid="pat_tokens.writing")
            pre_save.disconnect(dispatch_uid="pat_tokens.writing")


def _writes_of(instance: Model) -> Writes | None:
    current = _current.get()
    writes = current() if current is not None else None
    if writes is None or not any(_is_about(type(instance), model) for model in writes.models):
        return None
    return writes


def _is_about(one: type[Model], model: type[Model]) -> bool:
    # A row of a child model has a row in its parent's table, so saving one writes the other.
    concrete = one._meta.concrete_model
    return concrete is not None and (issubclass(concrete, model) or issubclass(model, concrete))


def _remember(sender: Any, instance: Model, **kwargs: Any) -> None:
    writes = _writes_of(instance)
    if writes is not None:
        writes.keys[id(instance)] = tuple(_keys_of(instance))


def _check(sender: Any, instance: Model, using: str, raw: bool, **kwargs: Any) -> None:
    writes = _writes_of(instance)
    if writes is None or raw:
        return
    if instance._state.adding:
        if any(_exists(model, key, using) for model, key in _chosen(instance)):
            raise KeyNotAllowed
    elif any(
        None not in (before, now) and before != now  # without a key, the instance is a copy that gets a new key
        for before, now in zip(writes.keys.get(id(instance), ()), _keys_of(instance), strict=False)
    ):
        raise KeyNotAllowed


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
    # For default keys, Django inserts a row and never updates an existing one.
    for model, key in zip(_key_models(instance), _keys_of(instance), strict=True):
        if key is not None and not (model._meta.pk.has_default() and model._meta.pk.default):
            yield model, key


def _exists(model: type[Model], key: Any, using: str) -> bool:
    return model._base_manager.using(using).filter(pk=key).exists()
