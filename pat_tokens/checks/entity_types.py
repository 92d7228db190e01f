"""Checks of the entity types that a site registers: E020 to E029 and W020 to W029."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldError
from django.db import models

from pat_tokens.checks.values import is_list_of_strings
from pat_tokens.entities import MAX_ID_LENGTH, EntityType, registry


def check_entity_types(**kwargs: Any) -> Iterator[CheckMessage]:
    """What the site registered in its `pat_entities` modules."""
    if not len(registry):
        yield checks.Warning(
            "No entity type is registered, so no token can be given a scope.",
            hint="Write a module pat_entities.py in one of your apps: a subclass of pat_tokens.entities.EntityType "
            "with name, model and get_queryset(self, user), decorated with @register.",
            id="pat_tokens.W020",
        )
    for entity_type in registry:
        yield from _check_entity_type(entity_type)
    yield from _check_models_are_named_once(registry)


def _check_entity_type(entity_type: EntityType) -> Iterator[CheckMessage]:
    where = type(entity_type)
    if where.get_queryset is EntityType.get_queryset:
        yield Error(
            f"The entity type {entity_type.name!r} does not say what a user may pick.",
            hint="Define get_queryset(self, user) and return what this user may see, and nothing else.",
            obj=where,
            id="pat_tokens.E020",
        )
    if not _is_concrete_model(entity_type.model):
        yield Error(
            f"The entity type {entity_type.name!r} has the model {entity_type.model!r}, which has no rows of its own.",
            hint="Give a model class that is installed and neither abstract nor swapped out.",
            obj=where,
            id="pat_tokens.E021",
        )
        return
    key = entity_type.model._meta.pk
    if isinstance(key, getattr(models, "CompositePrimaryKey", ())):
        yield Error(
            f"The entity type {entity_type.name!r} has a model whose primary key is made of several fields.",
            hint="A scope names one key. Register a model with a single primary key.",
            obj=where,
            id="pat_tokens.E022",
        )
    elif (length := entity_type.key_field.max_length or 0) > MAX_ID_LENGTH:
        yield checks.Warning(
            f"The primary key of the entity type {entity_type.name!r} may have {length} characters.",
            hint=f"A scope holds {MAX_ID_LENGTH} of them; entities with longer keys can only be reached by a scope "
            "for all.",
            obj=where,
            id="pat_tokens.W022",
        )
    if not is_list_of_strings(entity_type.search_fields, may_be_empty=True):
        yield Error(
            f"search_fields of the entity type {entity_type.name!r} is {entity_type.search_fields!r}, "
            "which is not a list of field names.",
            hint="Give a tuple or list, as ('name', 'owner__email'); a tuple of one needs a comma.",
            obj=where,
            id="pat_tokens.E023",
        )
        return
    for field in entity_type.search_fields:
        try:
            entity_type.model._base_manager.filter(**{f"{field}__icontains": "x"})
        except FieldError as error:
            yield Error(
                f"search_fields of the entity type {entity_type.name!r} names {field!r}, which cannot be searched: "
                f"{error}",
                hint="Name text fields of the model, or of a related one with two underscores, as 'owner__email'.",
                obj=where,
                id="pat_tokens.E024",
            )


def _check_models_are_named_once(entity_types: Iterable[EntityType]) -> Iterator[CheckMessage]:
    by_model: dict[Any, list[str]] = {}
    for entity_type in entity_types:
        by_model.setdefault(entity_type.model, []).append(entity_type.name)
    for model, names in by_model.items():
        if len(names) > 1:
            yield checks.Warning(
                f"The entity types {', '.join(names)} have the same model, so nothing is known about its ViewSets by "
                "themselves, and tokens are refused there.",
                hint="Declare on these views which entity type they are about, or take one type out with "
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
