"""The tenant of the current request, by its host name."""

from contextvars import ContextVar

SCHEMA = ContextVar("SCHEMA", default="")


class TenantMiddleware:
    """Chooses the schema, as middleware of a multi-tenant site does."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        before = SCHEMA.set(request.get_host().partition(".")[0])
        try:
            return self.get_response(request)
        finally:
            SCHEMA.reset(before)
