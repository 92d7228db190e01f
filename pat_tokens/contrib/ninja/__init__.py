"""Django Ninja's room; a site that uses it has its operations in `pat_routes`, too."""

from pat_tokens.contrib.ninja.inspection import inspect
from pat_tokens.inspection.routes import register_inspector

register_inspector(inspect)
