"""A test site with one plain Django view of each kind; they don't check scopes themselves."""

from urllib.parse import quote

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.decorators import (
    login_not_required,
    login_required,
    permission_required,
    user_passes_test,
)
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.urls import include, path
from django.utils.decorators import method_decorator, sync_and_async_middleware
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from ninja import NinjaAPI
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.decorators import pat_requirements
from pat_tokens.filtering import alimit_to_token, limit_to_token
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.models import Channel, Device
from tests.views import ChannelViewSet

REQUIREMENTS = {
    "GET": Requirement("channels", "read", "pk"),
    "POST": Requirement("channels", "publish", "pk"),
    "DELETE": None,
}
LIST = {"GET": Requirement("channels", "list"), "POST": Requirement("channels", "list")}
calls = []  # the requests that reached a view


def answer(request, user, **facts):
    calls.append(request)
    token = getattr(request, "auth", None)
    return JsonResponse({"user": user.get_username(), "token": token and token.name, "method": request.method, **facts})


@pat_requirements(REQUIREMENTS)
@login_required
def function(request, pk):
    return answer(request, request.user, pk=pk)


@pat_requirements(REQUIREMENTS)
@login_required
async def async_function(request, pk):
    return answer(request, await request.auser(), pk=pk)


class ClassView(LoginRequiredMixin, PersonalAccessTokenMixin, View):
    pat_requirements = REQUIREMENTS

    def get(self, request, pk):
        return answer(request, request.user, pk=pk)

    post = delete = put = get


class AsyncClassView(PersonalAccessTokenMixin, View):
    """Without LoginRequiredMixin, which reads the session and can't be used in async views."""

    pat_requirements = REQUIREMENTS

    async def get(self, request, pk):
        return answer(request, await request.auser(), pk=pk)

    post = delete = put = get


@method_decorator(pat_requirements(REQUIREMENTS), name="dispatch")
class DispatchView(View):
    def get(self, request, pk):
        return answer(request, request.user, pk=pk)

    post = delete = put = get


@method_decorator(pat_requirements(REQUIREMENTS), name="dispatch")
class AsyncDispatchView(View):
    async def get(self, request, pk):
        return answer(request, await request.auser(), pk=pk)

    post = delete = put = get


class AttributeView(LoginRequiredMixin, View):
    """Has only the attribute, which the middleware reads."""

    pat_requirements = REQUIREMENTS

    def get(self, request, pk):
        return answer(request, request.user, pk=pk)

    post = delete = put = get


@login_required
@pat_requirements(REQUIREMENTS)
def inside_out(request, pk):
    return answer(request, request.user, pk=pk)


@login_required
@pat_requirements(REQUIREMENTS)
async def async_inside_out(request, pk):
    return answer(request, await request.auser(), pk=pk)


@user_passes_test(lambda user: user.is_active, login_url="/elsewhere/")
@never_cache
@pat_requirements(REQUIREMENTS)
def far_inside(request, pk):
    return answer(request, request.user, pk=pk)


@login_required
def foreign(request, pk):
    """Declared with `declare_view`."""
    return answer(request, request.user, pk=pk)


class ForeignView(View):
    """Declared with `declare_view`."""

    def get(self, request, pk):
        return answer(request, request.user, pk=pk)

    post = delete = put = get


def undeclared(request, pk=None):
    return answer(request, request.user, pk=pk)


async def async_undeclared(request, pk=None):
    return answer(request, await request.auser(), pk=pk)


@csrf_exempt
@pat_requirements({"POST": ANY_TOKEN})
def exempt_outside(request):
    return answer(request, request.user)


@pat_requirements({"POST": ANY_TOKEN})
@csrf_exempt
def exempt_inside(request):
    return answer(request, request.user)


@login_not_required
@pat_requirements({"GET": ANY_TOKEN})
def open_to_all(request):
    return answer(request, request.user)


@pat_requirements({"GET": Requirement("channels", "read", EntityLookup(slug="slug"))})
def by_slug(request, slug):
    return answer(request, request.user, slug=slug)


def names(request, rows):
    return JsonResponse({"names": [row.name for row in rows]})


@pat_requirements(LIST)
def limited(request):
    return names(request, limit_to_token(request, Channel.objects.order_by("pk")))


@pat_requirements(LIST)
async def async_limited(request):
    rows = await alimit_to_token(request, Channel.objects.order_by("pk"))
    return JsonResponse({"names": [row.name async for row in rows]})


@pat_requirements(LIST)
def unlimited(request):
    return names(request, Channel.objects.all())


@pat_requirements(LIST)
async def async_unlimited(request):
    return JsonResponse({"names": [row.name async for row in Channel.objects.order_by("pk")]})


@pat_requirements(LIST)
def limits_too_late(request):
    return names(request, limit_to_token(request, Channel.objects.order_by("pk")[:10]))


@pat_requirements(LIST)
def limits_another_model(request):
    return names(request, limit_to_token(request, Device.objects.all()))


@pat_requirements({"GET": ANY_TOKEN})
def denied(request):
    raise PermissionDenied


@pat_requirements({"GET": ANY_TOKEN})
async def async_denied(request):
    raise PermissionDenied


@pat_requirements({"GET": ANY_TOKEN})
@permission_required("tests.add_channel")
def needs_permission(request):
    return answer(request, request.user)


@pat_requirements({"GET": ANY_TOKEN})
def redirects(request):
    return HttpResponseRedirect(request.GET["to"])


@pat_requirements({"GET": ANY_TOKEN})
def redirects_back(request):
    back = quote(request.GET["to"] + request.get_full_path())
    return HttpResponseRedirect(f"https://sso.example/?next={back}")


@pat_requirements({"GET": ANY_TOKEN})
def breaks(request):
    raise ValueError("a mistake of the view's own")


@pat_requirements({"GET": ANY_TOKEN, "POST": ANY_TOKEN})
def form(request):
    return HttpResponse(get_token(request))


@csrf_protect
@pat_requirements(REQUIREMENTS)
def csrf_protected(request, pk):
    return answer(request, request.user, pk=pk)


@sync_and_async_middleware
def csrf_switch(get_response):
    """Middleware that disables Django's CSRF check, like some do for their own credentials."""

    async def aswitch(request):
        request._dont_enforce_csrf_checks = request.csrf_processing_done = True
        return await get_response(request)

    def switch(request):
        request._dont_enforce_csrf_checks = request.csrf_processing_done = True
        return get_response(request)

    return aswitch if iscoroutinefunction(get_response) else switch


class Rest(APIView):
    permission_classes = []
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({"user": request.user.get_username()})


api = NinjaAPI(urls_namespace="plain-ninja")


@api.get("/open")
def ninja_open(request):
    return {"user": request.user.get_username()}


@api.get("/closed", auth=PersonalAccessTokenAuthentication(ANY_TOKEN))
def ninja_closed(request):
    return {"user": request.user.get_username()}


def login(request):
    return HttpResponse("a form")


# Views by route; the second group is declared in ways that only the middleware supports.
GUARDED = ["function", "async-function", "class", "async-class", "dispatch", "async-dispatch"]
INSIDE_OUT = ["inside-out", "async-inside-out", "far-inside", "class-inside"]
DECLARED = ["attribute", *INSIDE_OUT, "foreign", "foreign-class", "foreign-url", "wrapped"]

urlpatterns = [
    path("function/<int:pk>/", function),
    path("async-function/<int:pk>/", async_function),
    path("class/<int:pk>/", ClassView.as_view()),
    path("async-class/<int:pk>/", AsyncClassView.as_view()),
    path("dispatch/<int:pk>/", DispatchView.as_view()),
    path("async-dispatch/<int:pk>/", AsyncDispatchView.as_view()),
    path("attribute/<int:pk>/", AttributeView.as_view()),
    path("inside-out/<int:pk>/", inside_out),
    path("async-inside-out/<int:pk>/", async_inside_out),
    path("far-inside/<int:pk>/", far_inside),
    path("class-inside/<int:pk>/", login_required(ClassView.as_view())),
    path("foreign/<int:pk>/", foreign),
    path("foreign-class/<int:pk>/", ForeignView.as_view()),
    path("wrapped/<int:pk>/", never_cache(foreign)),
    path("foreign-url/<int:pk>/", undeclared, name="plain-foreign"),
    path("undeclared/<int:pk>/", undeclared),
    path("async-undeclared/<int:pk>/", async_undeclared),
    path("as-view/<int:pk>/", AttributeView.as_view(pat_requirements={"GET": ANY_TOKEN})),
    path("by-slug/<slug:slug>/", by_slug),
    path("exempt-outside/", exempt_outside),
    path("exempt-inside/", exempt_inside),
    path("open/", open_to_all),
    path("limited/", limited),
    path("async-limited/", async_limited),
    path("unlimited/", unlimited),
    path("async-unlimited/", async_unlimited),
    path("limits-too-late/", limits_too_late),
    path("limits-another-model/", limits_another_model),
    path("denied/", denied),
    path("async-denied/", async_denied),
    path("needs-permission/", needs_permission),
    path("redirects/", redirects),
    path("redirects-back/", redirects_back),
    path("breaks/", breaks),
    path("form/", form),
    path("csrf-protected/<int:pk>/", csrf_protected),
    path("rest/", Rest.as_view()),
    path("rest/<int:pk>/", ChannelViewSet.as_view({"get": "retrieve"})),
    path("ninja/", api.urls),
    path("accounts/login/", login, name="login"),
    path("admin-like/", include(([path("<int:pk>/", undeclared, name="page")], "adminlike"))),
]
