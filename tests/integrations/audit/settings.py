"""A site with three audit packages, configured as in our guide."""

from tests.integrations.pages import import_files_of
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE, MIGRATION_MODULES

import_files_of("how-to/audit-packages.md")

INSTALLED_APPS = [*INSTALLED_APPS, "auditlog", "simple_history", "reversion", "tests.integrations.audit"]
MIDDLEWARE = [
    "pat_tokens.middleware.PersonalAccessTokenMiddleware",
    *MIDDLEWARE,
    "mysite.auditing.TokenAuditlogMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "reversion.middleware.RevisionMiddleware",
]
ROOT_URLCONF = "tests.integrations.audit.urls"
MIGRATION_MODULES = {
    **MIGRATION_MODULES,
    "auditlog": None,
    "reversion": None,
}  # these need settings that are missing here
