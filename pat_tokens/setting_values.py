"""Validate setting values, which can be of any type."""

from __future__ import annotations

import re
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string


def matches(pattern: re.Pattern[str], value: object) -> bool:
    """Return whether `value` is a string that matches `pattern` completely."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_integer(value: object) -> bool:
    """Return whether `value` is an integer; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_list_of_strings(value: object, *, may_be_empty: bool = False) -> bool:
    """Return whether `value` is a list or tuple of strings, none of them empty."""
    if not isinstance(value, list | tuple):
        return False
    return (may_be_empty or bool(value)) and all(isinstance(text, str) and text for text in value)


def is_class(value: object, *bases: type[Any]) -> bool:
    """Return whether `value` is a class, or the dotted path of one, that inherits one of `bases`."""
    try:
        target = import_string(value) if isinstance(value, str) else value
    except ImportError:
        return False
    return isinstance(target, type) and issubclass(target, bases)


def has_url(name: str) -> bool:
    try:
        reverse(name)
    except NoReverseMatch:
        return False
    return True
