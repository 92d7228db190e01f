"""Checks of registered entity types: E020 to E029 and W020 to W029."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldError
from django.db import models

from pat_tokens.entities import ASK, MAX_ID_LENGTH, EntityType, Preset, registry
from pat_tokens.scopes import ALL
from pat_tokens.setting_values import is_list_of_strings


def check_entity_types(**kwargs: Any) -> Iterator[CheckMessage]:
    if not len(registry):
        yield checks.Warning(
            "No entity type is registered, so tokens can't have scopes.",
            hint="Add a module pat_entities.py to one of your apps, with a subclass of pat_tokens.entities.EntityType "
            "that has a name, a model and get_queryset(self, user), and is decorated with @register.",
            id="pat_tokens.W020",
        )
    for entity_type in registry:
        yield from _check_entity_type(entity_type)
    yield from _check_models_are_named_once(registry)
    for preset in registry.presets:
        yield from _check_preset(preset)


def _check_entity_type(entity_type: EntityType) -> Iterator[CheckMessage]:
    where = type(entity_type)
    if where.get_queryset is EntityType.get_queryset:
        yield Error(
            f"The entity type {entity_type.name!r} doesn't define which entities a user can choose.",
            hint="Define get_queryset(self, user) and return only what this user can see.",
            obj=where,
            id="pat_tokens.E020",
        )
    if not _is_concrete_model(entity_type.model):
        yield Error(
            f"The model of the entity type {entity_type.name!r} is {entity_type.model!r}, which isn't an installed, "
            "concrete model.",
            hint="Use a model class that is installed and neither abstract nor swapped out.",
            obj=where,
            id="pat_tokens.E021",
        )
        return
    key = entity_type.model._meta.pk
    if isinstance(key, getattr(models, "CompositePrimaryKey", ())):
        yield Error(
            f"The model of the entity type {entity_type.name!r} has a composite primary key.",
            hint="A scope has a single key. Register a model with a primary key of one field.",
            obj=where,
            id="pat_tokens.E022",
        )
    elif (length := entity_type.key_field.max_length or 0) > MAX_ID_LENGTH:
        yield checks.Warning(
            f"Primary keys of the entity type {entity_type.name!r} can have up to {length} characters.",
            hint=f"A scope stores up to {MAX_ID_LENGTH} characters. Entities with longer keys need a scope on *.",
            obj=where,
            id="pat_tokens.W022",
        )
    if not is_list_of_strings(entity_type.search_fields, may_be_empty=True):
        yield Error(
            f"search_fields of the entity type {entity_type.name!r} is {entity_type.search_fields!r}, "
            "which is not a list of field names.",
            hint="Use a tuple or list, such as ('name', 'owner__email'). A tuple with one item needs a comma.",
            obj=where,
            id="pat_tokens.E023",
        )
        return
    for field in entity_type.search_fields:
        try:
            entity_type.model._base_manager.filter(**{f"{field}__icontains": "x"})
        except FieldError as error:
            yield Error(
                f"search_fields of the entity type {entity_type.name!r} contains {field!r}, which can't be searched: "
                f"{error}",
                hint="Use text fields of the model, or of a related model, such as 'owner__email'.",
                obj=where,
                id="pat_tokens.E024",
            )


def _check_preset(preset: Preset) -> Iterator[CheckMessage]:
    for scope in preset.scopes:
        entity_type = registry.get(scope.entity_type)
        operation = entity_type.get_operation(scope.operation) if entity_type else None
        if entity_type is None or operation is None:
            what = f"operation {scope.operation!r} of {scope.entity_type!r}" if entity_type else "entity type"
            yield Error(
                f"The preset {preset.name!r} has the scope {scope}, whose {what} is not registered.",
                hint="Correct the scope, or register what it names.",
                id="pat_tokens.E025",
            )
        elif scope.entity_id == ASK and not operation.per_entity:
            yield Error(
                f"The preset {preset.name!r} asks for an entity in the scope {scope}, but {scope.operation!r} is not "
                "about a single entity.",
                hint=f"Write {scope._replace(entity_id=ALL)}.",
                id="pat_tokens.E026",
            )


def _check_models_are_named_once(entity_types: Iterable[EntityType]) -> Iterator[CheckMessage]:
    by_model: dict[Any, list[str]] = {}
    for entity_type in entity_types:
        by_model.setdefault(entity_type.model, []).append(entity_type.name)
    for model, names in by_model.items():
        if len(names) > 1:
            yield checks.Warning(
                f"The entity types {', '.join(names)} have the same model, so the requirements of its ViewSets can't "
                "be inferred, and they refuse tokens.",
                hint="Declare the requirements of these views, or remove an entity type with "
                "registry.unregister(name).",
                obj=model,
                id="pat_tokens.W021",
            )


def _is_concrete_model(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, models.Model)
        and not value._meta.abstract
        and not value._meta.swapped
    )
