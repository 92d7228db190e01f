"""A string column with exact comparisons on every database."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


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
