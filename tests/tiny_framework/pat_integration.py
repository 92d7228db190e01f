from pat_tokens.integrations import Integration, MethodReport, RouteReport, register_integration
from pat_tokens.requirements import Resolution
from tests.tiny_framework.views import TinyView


def owns(view):
    return isinstance(view, TinyView)


def inspect(route):
    if not owns(route.view):
        return None
    return RouteReport(route, "tiny view", (MethodReport("GET", Resolution(route.view.requirement, "in the view")),))


register_integration(Integration("tiny", owns, inspect))
