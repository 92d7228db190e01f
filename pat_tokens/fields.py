"""A text column whose comparisons are exact on every database."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg]  # Django cannot subscript it at run time
    """A CharField that tells `a` from `A`, from `á` and from `a ` on MySQL and MariaDB too.

    Their usual collations do not, so a scope on the entity `a` would have let a token reach the entity `A`.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """Add an exact collation where the database's own is not; even `utf8mb4_bin` overlooks spaces at the end."""
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters
