"""Columns of the models: strings with exact comparisons on every database, and networks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.text import capfirst

from pat_tokens.crypto import SecretText


class ExactCharField(models.CharField):  # type: ignore[type-arg]  # Django cannot subscript it at run time
    """A CharField that distinguishes `a` from `A`, `á` and `a ` on MySQL and MariaDB too.

    Their default collations don't, so a scope on the entity `a` would also allow the entity `A`.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """Add an exact collation if the default isn't exact; even `utf8mb4_bin` ignores trailing spaces."""
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


class NetworksField(models.CharField):  # type: ignore[type-arg]
    """A tuple of networks in CIDR notation. The column has them as text, with spaces between them."""

    def from_db_value(self, value: str, expression: Any, connection: BaseDatabaseWrapper) -> tuple[str, ...]:
        return tuple(value.split())

    def to_python(self, value: Any) -> tuple[str, ...]:
        """Return the networks in a text, such as that of a serialized token."""
        return tuple(value.split() if isinstance(value, str) else value or ())

    def get_prep_value(self, value: Any) -> str:
        return " ".join(self.to_python(value))

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))

    def formfield(self, **kwargs: Any) -> Any:
        kwargs.pop("widget", None)
        return NetworksFormField(label=capfirst(self.verbose_name), required=False, help_text=self.help_text)


class NetworksFormField(forms.Field):
    """Networks, one per line. The services validate them."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"})

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else "\n".join(value or ())

    def to_python(self, value: Any) -> list[str]:
        """Return what stands between spaces, commas and line breaks, hidden from error reports."""
        return list(map(SecretText, str(value or "").replace(",", " ").split()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(self.prepare_value(initial)) != self.to_python(data)
