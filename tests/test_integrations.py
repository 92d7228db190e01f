"""An integration is one folder that registers itself; no module of the package names its framework."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import path

from pat_tokens.decorators import pat_requirements
from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.requirements import Requirement
from tests.tiny_framework.views import TinyView

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_integrations")]

view = TinyView(Requirement("channels", "read", "pk"))
urlpatterns = [path("tiny/<int:pk>/", view)]


def test_third_party_routes_are_reported():
    (report,) = inspect_all()
    assert (report.kind, [(method.method, method.status) for method in report.methods]) == (
        "tiny view",
        [("GET", "declared")],
    )


@pytest.mark.parametrize(("scope", "status"), [("channels:{}:read", 200), ("channels:{}:update", 403)])
def test_middleware_ignores_third_party_views(client, settings, make_token, channel, scope, status):
    settings.MIDDLEWARE = ["pat_tokens.middleware.PersonalAccessTokenMiddleware", *settings.MIDDLEWARE]
    token = make_token(scope.format(channel.pk))
    url = f"/tiny/{channel.pk}/"
    assert client.get(url, headers={"authorization": f"Bearer {token.secret}"}).status_code == status
    assert explain(token, "GET", url).status == (None if status == 200 else status)


def test_decorator_refuses_third_party_views():
    with pytest.raises(ImproperlyConfigured, match="a view of tiny"):
        pat_requirements({"GET": view.requirement})(view)
