"""The check of views that list another authentication class before ours, however they list it."""

from functools import partial

import pytest
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.mixins import PersonalAccessTokenMixin
from pat_tokens.inspection.routes import inspect_all

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SESSION_FIRST = [SessionAuthentication, PersonalAccessTokenAuthentication]
OURS_FIRST = [PersonalAccessTokenAuthentication, SessionAuthentication]


class View(APIView):
    permission_classes = []

    def get(self, request, **kwargs):
        return Response({"user": str(request.user)})


class SessionFirstMixin:
    authentication_classes = SESSION_FIRST


class FromMixin(SessionFirstMixin, View):
    pass


class Property(View):
    @property
    def authentication_classes(self):
        return OURS_FIRST if self.request.method == "POST" else SESSION_FIRST


class Overridden(View):
    def get_authenticators(self):
        return [SessionAuthentication(), *super().get_authenticators()]


class OverridesOurMixin(PersonalAccessTokenMixin, View):
    def get_authenticators(self):
        return [SessionAuthentication(), *super().get_authenticators()]


class ByHeader(View):
    authentication_classes = OURS_FIRST

    def get_authenticators(self):
        found = super().get_authenticators()
        return found[::-1] if self.request.headers.get("Authorization") else found


class Partial(View):
    authentication_classes = [partial(SessionAuthentication), PersonalAccessTokenAuthentication]


class Prepared(View):
    authentication_classes = OURS_FIRST

    def initialize_request(self, request, *args, **kwargs):
        prepared = super().initialize_request(request, *args, **kwargs)
        prepared.authenticators = prepared.authenticators[::-1]
        return prepared


class Actions(ViewSet):
    authentication_classes = OURS_FIRST
    permission_classes = []

    @action(detail=False, authentication_classes=SESSION_FIRST)
    def own(self, request):
        return Response({"user": str(request.user)})


class ActionsByName(ViewSet):
    permission_classes = []

    def initialize_request(self, request, *args, **kwargs):
        self.action = self.action_map[request.method.lower()]
        return super().initialize_request(request, *args, **kwargs)

    @property
    def authentication_classes(self):
        return SESSION_FIRST if self.action == "list" else OURS_FIRST

    def list(self, request):
        return Response({"user": str(request.user)})

    def retrieve(self, request):
        return self.list(request)


@api_view(["GET"])
@authentication_classes(SESSION_FIRST)
def function(request):
    return Response({"user": str(request.user)})


class OursFirst(View):
    @property
    def authentication_classes(self):
        return OURS_FIRST


class WithOurMixin(PersonalAccessTokenMixin, View):
    @property
    def authentication_classes(self):
        return [SessionAuthentication]


class OursAdded(View):
    def get_authenticators(self):
        return [PersonalAccessTokenAuthentication(), *super().get_authenticators()]


class SessionOnly(View):
    def get_authenticators(self):
        return [SessionAuthentication()]


class Unknown(View):
    @property
    def authentication_classes(self):
        return SESSION_FIRST if self.kwargs["kind"] == "session" else OURS_FIRST


SESSION_DECIDES = {
    "argument/": View.as_view(authentication_classes=SESSION_FIRST),
    "mixin/": FromMixin.as_view(),
    "property/": Property.as_view(),
    "overridden/": Overridden.as_view(),
    "overrides-our-mixin/": OverridesOurMixin.as_view(),
    "by-header/": ByHeader.as_view(),
    "partial/": Partial.as_view(),
    "prepared/": Prepared.as_view(),
    "action/": Actions.as_view({"get": "own"}, **Actions.own.kwargs),
    "action-by-name/": ActionsByName.as_view({"get": "list"}),
    "function/": function,
}
TOKEN_DECIDES = {
    "ours-first/": OursFirst.as_view(),
    "with-our-mixin/": WithOurMixin.as_view(),
    "ours-added/": OursAdded.as_view(),
    "without-argument/": Actions.as_view({"get": "own"}),
    "other-action/": ActionsByName.as_view({"get": "retrieve"}),
}
urlpatterns = [
    *(path(route, view) for route, view in (SESSION_DECIDES | TOKEN_DECIDES).items()),
    path("session-only/", SessionOnly.as_view()),
    path("unknown/<str:kind>/", Unknown.as_view()),
]


def test_check_names_views_where_a_session_decides(person, user):
    headers = {"authorization": "Bearer pat_bad"}
    for route in SESSION_DECIDES:
        assert person.get(f"/{route}", headers=headers).json() == {"user": str(user)}, route
    for route in TOKEN_DECIDES:
        assert person.get(f"/{route}", headers=headers).status_code == 401, route
    text = "\n".join(message.msg for message in check_routes() if message.id == "pat_tokens.W054")
    assert [route for route in SESSION_DECIDES if f"(/{route})" not in text] == []
    assert [route for route in (*TOKEN_DECIDES, "session-only/", "unknown/") if f"/{route}" in text] == []


def test_computed_classes_can_read_tokens():
    """The classes can depend on more of a request than the check knows."""
    reads = {report.route.pattern: report.reads_tokens for report in inspect_all()}
    assert [route for route, reading in reads.items() if not reading] == []
