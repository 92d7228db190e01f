"""A site with DRF and django-filter settings that differ from what the management API needs."""

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.response import Response

from tests.settings import *  # noqa: F403
from tests.settings import REST_FRAMEWORK as BASE

HERE = __name__


class FirstComeNegotiation(BaseContentNegotiation):
    """Ignores the content type and the Accept header."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[-1], "text/plain"


def handle(exc: Exception, context: Any) -> Response:
    """Return errors in another format."""
    return Response({"error": str(exc)}, status=getattr(exc, "status_code", 500))


REST_FRAMEWORK = {
    **BASE,
    "COMPACT_JSON": False,
    "DATETIME_FORMAT": "%d.%m.%Y",
    "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{HERE}.FirstComeNegotiation",
    "DEFAULT_FILTER_BACKENDS": [*BASE["DEFAULT_FILTER_BACKENDS"], "rest_framework.filters.SearchFilter"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.StaticHTMLRenderer"],
    "DEFAULT_SCHEMA_CLASS": "rest_framework.schemas.openapi.AutoSchema",
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.QueryParameterVersioning",
    "ALLOWED_VERSIONS": ["9"],
    "DEFAULT_VERSION": "8",
    "EXCEPTION_HANDLER": f"{HERE}.handle",
    "NON_FIELD_ERRORS_KEY": "errors",
    "PAGE_SIZE": 2,
    "STRICT_JSON": False,
    "UNAUTHENTICATED_USER": None,
    "UNICODE_JSON": False,
    "URL_FORMAT_OVERRIDE": "output",
}
FILTERS_DEFAULT_LOOKUP_EXPR = "istartswith"
FILTERS_EMPTY_CHOICE_LABEL = "all"
FILTERS_NULL_CHOICE_LABEL = "none"
FILTERS_NULL_CHOICE_VALUE = "null"
TIME_ZONE = "Pacific/Auckland"
USE_I18N = False
