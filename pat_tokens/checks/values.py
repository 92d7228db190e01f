"""Validate setting values, which can be of any type."""

from __future__ import annotations

import re


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
