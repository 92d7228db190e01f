"""Plain Django views are bound to the entity that was decided about: by their keywords, and by what they load."""

import copy
import pickle
from contextlib import suppress

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.forms import Form, ModelForm
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.generic import DeleteView, DetailView, FormView, ListView, TemplateView, UpdateView

from pat_tokens.declarations import declare_route, declare_url, declare_view
from pat_tokens.decorators import pat_requirements
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import EntityLookup, Requirement
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.plain_client import OURS, SERVERS, Asker
from tests.site.models import ArchivedChannel, Badge, Project, Task, Thermometer

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__), pytest.mark.usefixtures("entity_types")]

READ = {"GET": Requirement("channels", "read", "pk")}
TASK = {"GET": Requirement("tasks", "read", EntityLookup(slug="slug", project__slug="project"))}


@pytest.fixture(autouse=True)
def middleware(settings):
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]


class Answers:
    """Shows the key of what the view has loaded."""

    def render_to_response(self, context):
        if "object_list" in context:
            return JsonResponse({"id": [row.pk for row in context["object_list"]]})
        return JsonResponse(self.object if isinstance(self.object, dict) else {"id": self.object.pk})


class AsyncAnswers(Answers):
    """Loads its object like an async view."""

    async def get(self, request, *args, **kwargs):
        self.object = await sync_to_async(self.get_object)()
        return self.render_to_response({})


# Views that inherit a requirement about channels.


class Named(PersonalAccessTokenMixin, Answers, DetailView):
    model = Channel
    pat_requirements = READ


class Unnamed(PersonalAccessTokenMixin, Answers, DetailView):
    """Names its model in a method only."""

    pat_requirements = READ

    def get_queryset(self):
        return Channel.objects.all()


class ByHand(Unnamed):
    """Loads its object without get_object()."""

    def get(self, request, pk):
        return JsonResponse({"id": get_object_or_404(self.get_queryset(), pk=pk).pk})


class Attribute(Answers, DetailView):
    """Only the middleware reads its declaration."""

    pat_requirements = READ


@method_decorator(pat_requirements(READ), name="dispatch")
class Dispatched(Answers, DetailView):
    pass


class AsyncUnnamed(PersonalAccessTokenMixin, AsyncAnswers, DetailView):
    pat_requirements = READ


class Deletes(PersonalAccessTokenMixin, DeleteView):
    pat_requirements = {"POST": Requirement("channels", "delete", "pk")}
    success_url = "/done/"

    def get_queryset(self):
        return Channel.objects.all()


class NameForm(ModelForm):
    class Meta:
        model = Project
        fields = ("name",)


class Updates(PersonalAccessTokenMixin, UpdateView):
    pat_requirements = {"POST": Requirement("channels", "update", "pk")}
    success_url = "/done/"


class Lists(PersonalAccessTokenMixin, Answers, ListView):
    pat_requirements = {"GET": Requirement("channels", "list")}

    def get_queryset(self):
        return Channel.objects.order_by("pk")


class OfProjects:
    """Loads another model by the same key."""

    def get_queryset(self):
        return Project.objects.order_by("pk")


class ListOfProjects:
    def get_queryset(self):
        return list(Project.objects.order_by("pk"))


class OneProject:
    def get_object(self, queryset=None):
        return Project.objects.get(pk=self.kwargs["pk"])


class AsyncProject:
    async def get_object(self, queryset=None):
        return await Project.objects.aget(pk=self.kwargs["pk"])

    async def get(self, request, *args, **kwargs):
        self.object = await self.get_object()
        return self.render_to_response({})


def child(parent, *bases, **attributes):
    return type(parent.__name__, (*bases, parent), {"__module__": __name__, **attributes}).as_view()


FOREIGN = {
    **{
        f"{parent.__name__.lower()}-{base.__name__.lower()}": child(parent, base)
        for parent in (Named, Unnamed, Attribute, Dispatched, AsyncUnnamed)
        for base in (OfProjects, OneProject)
    },
    "named-async": child(Named, AsyncProject),
    "unnamed-async": child(Unnamed, AsyncProject),
    "decorated": login_required(never_cache(child(Unnamed, OfProjects))),
    "by-attribute": child(Attribute, queryset=Project.objects.all()),
    "deletes": child(Deletes, OfProjects),
    "reads": child(
        Unnamed, OfProjects, get=lambda view, request, pk: JsonResponse({"id": view.get_queryset().get(pk=pk).pk})
    ),
    "updates": child(Updates, OfProjects, form_class=NameForm),
}


class OfThermometers:
    def get_queryset(self):
        return Thermometer.objects.all()


class OfArchive:
    def get_queryset(self):
        return ArchivedChannel.objects.all()


class Owner:
    """Returns an object that the channel belongs to."""

    def get_object(self, queryset=None):
        return Channel.objects.get(pk=self.kwargs["pk"]).owner


class Watching:
    """Returns an object that refers to the channel."""

    def get_object(self, queryset=None):
        return Project.objects.filter(watched=self.kwargs["pk"]).first()


class Facts:
    def get_object(self, queryset=None):
        return {"id": int(self.kwargs["pk"])}


class OwnDeclaration(OfProjects, Unnamed):
    pat_requirements = {"GET": Requirement("projects", "read", "pk")}


class OfBadges(PersonalAccessTokenMixin, Answers, DetailView):
    pat_requirements = {"GET": Requirement("projects", "read", "pk")}


class Badges(OfBadges):
    """Its key is that of a project."""

    model = Badge


SAME = {
    "named": Named.as_view(),
    "unnamed": Unnamed.as_view(),
    "by-hand": ByHand.as_view(),
    "thermometers": child(Unnamed, OfThermometers),
    "archive": child(Attribute, OfArchive),
    "owner": child(Unnamed, Owner),
    "owner-of-named": child(Named, Owner),
    "watching": child(Unnamed, Watching),
    "facts": child(Named, Facts),
}


# Views that load another object than the one in the URL.


class LooksUp(Answers, DetailView):
    """Forgets the project that is also in the URL."""

    def get_object(self, queryset=None):
        return Task.objects.filter(slug=self.kwargs["slug"]).order_by("-pk").first()


class Mixed(PersonalAccessTokenMixin, LooksUp):
    pat_requirements = TASK


class AttributeOnly(LooksUp):
    pat_requirements = TASK


@method_decorator(pat_requirements(TASK), name="dispatch")
class OnDispatch(LooksUp):
    pass


class Asynchronous(AsyncAnswers, Mixed):
    pat_requirements = TASK


class AsyncMethod(Mixed):
    pat_requirements = TASK

    async def aget_object(self):
        return await Task.objects.filter(slug=self.kwargs["slug"]).order_by("-pk").afirst()

    async def get(self, request, *args, **kwargs):
        self.object = await self.aget_object()
        return self.render_to_response({})


class WithoutModel(PersonalAccessTokenMixin, View):
    """Has a method of that name, but none of Django's classes."""

    pat_requirements = TASK
    get_object = LooksUp.get_object

    def get(self, request, project, slug):
        return JsonResponse({"id": self.get_object().pk})


class Outer(PersonalAccessTokenMixin, View):
    """Calls another view, as Django's documentation does for forms."""

    pat_requirements = TASK

    def get(self, request, *args, **kwargs):
        return LooksUp.as_view()(request, *args, **kwargs)


@pat_requirements(TASK)
def outer_function(request, **kwargs):
    return LooksUp.as_view()(request, **kwargs)


class DeclaredView(LooksUp):
    pass


class DeclaredURL(LooksUp):
    pass


class DeclaredRoute(LooksUp):
    pass


OTHERS = {
    "mixed": Mixed.as_view(),
    "attribute-only": AttributeOnly.as_view(),
    "on-dispatch": OnDispatch.as_view(),
    "asynchronous": Asynchronous.as_view(),
    "async-method": AsyncMethod.as_view(),
    "without-model": WithoutModel.as_view(),
    "outer": Outer.as_view(),
    "outer-function": outer_function,
    "declared-view": DeclaredView.as_view(),
    "declared-url": login_required(DeclaredURL.as_view()),
    "declared-route": DeclaredRoute.as_view(),
    "decorated": never_cache(login_required(Mixed.as_view())),
}


class FromQuery(PersonalAccessTokenMixin, DeleteView):
    """Deletes the channel in the query string."""

    pat_requirements = {"POST": Requirement("channels", "delete", "pk")}
    success_url = "/done/"

    def get_object(self, queryset=None):
        return get_object_or_404(Channel, pk=self.request.GET.get("pk", self.kwargs["pk"]))


class ChangesItself(PersonalAccessTokenMixin, DeleteView):
    """Changes its own keywords."""

    pat_requirements = FromQuery.pat_requirements
    success_url = "/done/"
    model = Channel

    def dispatch(self, request, *args, **kwargs):
        self.kwargs["pk"] = request.GET.get("pk", self.kwargs["pk"])
        return super().dispatch(request, *args, **kwargs)


# Views whose keywords others change.


@pat_requirements(READ)
def function(request, pk):
    return JsonResponse({"id": pk})


@pat_requirements(READ)
async def async_function(request, pk):
    return JsonResponse({"id": pk})


def declared_function(request, pk):
    return JsonResponse({"id": pk})


def declared_by_url(request, pk):
    return JsonResponse({"id": pk})


class Template(PersonalAccessTokenMixin, TemplateView):
    pat_requirements = READ

    def render_to_response(self, context):
        return JsonResponse({"id": context["pk"]})


class AsyncView(PersonalAccessTokenMixin, View):
    pat_requirements = READ

    async def get(self, request, pk):
        return JsonResponse({"id": pk})


class CallsAnother(PersonalAccessTokenMixin, View):
    """Calls a view whose keyword of the same name is about something else."""

    pat_requirements = READ

    def get(self, request, pk):
        return Template.as_view()(request, pk="the first")


class Filled(PersonalAccessTokenMixin, FormView):
    pat_requirements = {"POST": Requirement("channels", "publish", "pk")}
    form_class = Form

    def form_valid(self, form):
        return JsonResponse({"id": self.kwargs["pk"]})


def changing(view):
    """Decorate a view so that it gets another keyword."""

    @login_required
    def changed(request, pk):
        return view(request, pk=request.GET.get("other", pk))

    changed.__dict__.update(view.__dict__)
    return changed


CHANGED = {
    "function": function,
    "async-function": async_function,
    "declared-function": declared_function,
    "by-url": declared_by_url,
    "template": Template.as_view(),
    "async-view": AsyncView.as_view(),
    "detail": Named.as_view(),
}


class Changes:
    """Changes the keywords of a URL, in the way that a header names."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        value = request.headers.get("X-Value")
        match request.headers.get("X-Way"):
            case "item":
                kwargs["pk"] = value
            case "update":
                kwargs.update({"pk": value})
            case "or":
                kwargs |= {"pk": value}
            case "setdefault":
                kwargs.pop("pk")
                kwargs.setdefault("pk", value)
            case "match":
                request.resolver_match.kwargs["pk"] = value
            case "caught":
                with suppress(PermissionDenied):
                    kwargs["pk"] = value
            case "copied":
                pickle.loads(pickle.dumps(kwargs))["pk"] = value
                copy.deepcopy(kwargs)["pk"] = value
            case "other":
                kwargs.pop("other")


def routes(prefix, views, route):
    return [path(f"{prefix}/{name}/{route}", view, name=f"{prefix}-{name}") for name, view in views.items()]


urlpatterns = [
    *routes("foreign", FOREIGN, "<int:pk>/"),
    *routes("same", SAME, "<int:pk>/"),
    *routes("others", OTHERS, "<slug:project>/<slug:slug>/"),
    *routes("changed", CHANGED, "<int:pk>/"),
    path("badges/<int:pk>/", Badges.as_view()),
    path("own/<int:pk>/", OwnDeclaration.as_view()),
    path("lists/", Lists.as_view()),
    path("lists-foreign/", child(Lists, OfProjects)),
    path("lists-foreign-rows/", child(Lists, ListOfProjects)),
    path("calls-another/<int:pk>/", CallsAnother.as_view()),
    path("filled/<int:pk>/", Filled.as_view()),
    path("from-query/<int:pk>/", FromQuery.as_view()),
    path("changes-itself/<int:pk>/", ChangesItself.as_view()),
    path("changing/<int:pk>/", changing(Template.as_view())),
    path("children/<int:parent>/<int:pk>/", child(Attribute, model=Channel), name="children"),
    path("two/<slug:other>/<int:pk>/", function, name="two"),
]


@pytest.fixture(autouse=True)
def declared(declarations):
    declare_view(DeclaredView, TASK)
    declare_url("others-declared-url", TASK)
    declare_route("others/declared-route/<project>/<slug>/", TASK)
    declare_view(declared_function, READ)
    declare_url("changed-by-url", READ)
    declare_url("children", {"GET": Requirement("channels", "read", "parent")})


def project_and_channel(user):
    """Return a project and a channel with the same key."""
    channel = ChannelFactory(owner=user)
    project = Project.objects.create(owner=user, name="one", slug="one", pk=channel.pk)
    return project, channel


@pytest.mark.parametrize("server", SERVERS)
def test_inherited_requirement_is_for_same_model(case, make_token, user, server):
    project, _channel = project_and_channel(user)
    for scope in ("{}", "*"):
        scopes = [f"channels:{scope.format(project.pk)}:{operation}" for operation in ("read", "update", "delete")]
        ask = Asker(server, make_token(*scopes).secret)
        for name in FOREIGN:
            with case(name, scope):
                method = "POST" if name in ("deletes", "updates") else "GET"
                response = ask(f"/foreign/{name}/{project.pk}/", method, {"name": "x"} if method == "POST" else None)
                assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
                assert "has to declare its own pat_requirements" in response.json()["detail"]
    project.refresh_from_db()
    assert project.name == "one"


@pytest.mark.parametrize("name", ["lists-foreign", "lists-foreign-rows"])
def test_inherited_list_is_of_same_model(make_token, user, name):
    _project, channel = project_and_channel(user)
    ask = Asker("wsgi", make_token("channels:*:list").secret)
    assert ask("/lists/").json() == {"id": [channel.pk]}
    response = ask(f"/{name}/")
    assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
    assert "has to declare its own pat_requirements" in response.json()["detail"]


@pytest.mark.parametrize("server", SERVERS)
def test_inherited_requirement_allows_related_objects(case, make_token, user, server):
    thermometer = Thermometer.objects.create(owner=user, name="one")
    project = Project.objects.create(owner=user, name="one", slug="one", pk=thermometer.pk + 1)
    project.watched.add(thermometer)
    expected = {"owner": user.pk, "owner-of-named": user.pk, "watching": project.pk}
    for scope in (thermometer.pk, "*"):
        ask = Asker(server, make_token(f"channels:{scope}:read", f"projects:{project.pk}:read").secret)
        for name in SAME:
            with case(name, scope):
                response = ask(f"/same/{name}/{thermometer.pk}/")
                assert response.json() == {"id": expected.get(name, thermometer.pk)}
    Badge.objects.create(project=project, owner=user, name="one")
    assert ask(f"/badges/{project.pk}/").status_code == 200
    assert ask(f"/own/{project.pk}/").status_code == 200


@pytest.mark.parametrize("server", SERVERS)
def test_object_must_be_the_one_of_all_keywords(case, make_token, user, server):
    one, two = (Project.objects.create(owner=user, name=word, slug=word) for word in ("one", "two"))
    mine = Task.objects.create(project=one, name="a", slug="a")
    token = make_token(f"tasks:{mine.pk}:read")
    for name in OTHERS:
        with case(name, "the same"):
            assert Asker(server, token.secret)(f"/others/{name}/one/a/").json() == {"id": mine.pk}
    theirs = Task.objects.create(project=two, name="a", slug="a")
    for name in OTHERS:
        with case(name, "another"):
            response = Asker(server, token.secret)(f"/others/{name}/one/a/")
            assert response.status_code == 403
            missing = {"entity_type": "tasks", "entity_id": str(theirs.pk), "operation": "read"}
            assert response.json()["missing"] == [missing]
    for scope in (f"tasks:{theirs.pk}:read", "tasks:*:read"):
        both = make_token(scope, *([] if "*" in scope else [f"tasks:{mine.pk}:read"]))
        for name in OTHERS:
            with case(name, scope):
                assert Asker(server, both.secret)(f"/others/{name}/one/a/").json() == {"id": theirs.pk}


@pytest.mark.parametrize("name", ["from-query", "changes-itself"])
def test_write_is_refused_before_it_happens(make_token, user, name):
    mine, theirs, third = (ChannelFactory(owner=user) for _number in range(3))
    ask = Asker("wsgi", make_token(f"channels:{mine.pk}:delete", f"channels:{theirs.pk}:read").secret)
    response = ask(f"/{name}/{mine.pk}/?pk={theirs.pk}", "POST")
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert Channel.objects.count() == 3
    assert ask(f"/{name}/{mine.pk}/", "POST").status_code == 302
    assert set(Channel.objects.values_list("pk", flat=True)) == {theirs.pk, third.pk}


def test_object_that_belongs_to_entity_is_not_compared(make_token, user):
    """The requirement is about the parent, which has the same model."""
    parent, kid = ChannelFactory(owner=user), ChannelFactory(owner=user)
    ask = Asker("wsgi", make_token(f"channels:{parent.pk}:read").secret)
    assert ask(f"/children/{parent.pk}/{kid.pk}/").json() == {"id": kid.pk}
    assert ask(f"/children/{kid.pk}/{parent.pk}/").status_code == 403


@pytest.mark.parametrize("server", SERVERS)
def test_later_middleware_cannot_change_entity(case, make_token, user, settings, server):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Changes"]
    mine, theirs = ChannelFactory(owner=user), ChannelFactory(owner=user)
    secret = make_token(f"channels:{mine.pk}:read", f"channels:{mine.pk}:publish").secret
    paths = [(f"/changed/{name}/", "GET") for name in CHANGED] + [("/filled/", "POST")]
    for prefix, method in paths:
        for way in ("item", "update", "or", "setdefault", "match", "caught"):
            with case(prefix, way):
                ask = Asker(server, secret, **{"X-Way": way, "X-Value": str(theirs.pk)})
                response = ask(f"{prefix}{mine.pk}/", method)
                assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
                assert "has to come before PersonalAccessTokenMiddleware" in response.json()["detail"]
        with case(prefix, "the same"):
            ask = Asker(server, secret, **{"X-Way": "item", "X-Value": str(mine.pk)})
            assert ask(f"{prefix}{mine.pk}/", method).json()["id"] in (mine.pk, str(mine.pk))
    ask = Asker(server, secret, **{"X-Way": "copied", "X-Value": str(theirs.pk)})
    assert ask(f"/changed/function/{mine.pk}/").json() == {"id": mine.pk}
    response = Asker(server, secret, **{"X-Way": "other"})(f"/two/x/{mine.pk}/")
    assert response.json() == {"id": mine.pk}


@pytest.mark.parametrize("server", SERVERS)
def test_earlier_middleware_can_change_entity(case, make_token, user, settings, server):
    settings.MIDDLEWARE = [f"{__name__}.Changes", *settings.MIDDLEWARE]
    mine, theirs = ChannelFactory(owner=user), ChannelFactory(owner=user)
    for name in CHANGED:
        with case(name):
            headers = {"X-Way": "item", "X-Value": str(theirs.pk)}
            ask = Asker(server, make_token(f"channels:{theirs.pk}:read").secret, **headers)
            assert ask(f"/changed/{name}/{mine.pk}/").status_code == 200
            ask = Asker(server, make_token(f"channels:{mine.pk}:read").secret, **headers)
            assert ask(f"/changed/{name}/{mine.pk}/").json()["code"] == "insufficient_scope"


def test_decorator_cannot_change_entity(make_token, user):
    mine, theirs = ChannelFactory(owner=user), ChannelFactory(owner=user)
    ask = Asker("wsgi", make_token(f"channels:{mine.pk}:read").secret)
    assert ask(f"/changing/{mine.pk}/").json() == {"id": mine.pk}
    response = ask(f"/changing/{mine.pk}/?other={theirs.pk}")
    assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")


def test_view_can_call_another_with_other_keywords(make_token, user):
    channel = ChannelFactory(owner=user)
    ask = Asker("wsgi", make_token(f"channels:{channel.pk}:read").secret)
    assert ask(f"/calls-another/{channel.pk}/").json() == {"id": "the first"}


def test_sessions_are_not_bound(client, user, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Changes"]
    client.force_login(user)
    project, channel = project_and_channel(user)
    theirs = ChannelFactory(owner=user)
    headers = {"X-Way": "item", "X-Value": str(theirs.pk)}
    assert client.get(f"/changed/function/{channel.pk}/", headers=headers).json() == {"id": str(theirs.pk)}
    assert client.get(f"/foreign/unnamed-ofprojects/{project.pk}/").status_code == 200
    assert client.get(f"/changing/{channel.pk}/?other={theirs.pk}").status_code == 200


def test_checks_make_no_query(make_token, user, django_assert_num_queries):
    channel = ChannelFactory(owner=user)
    ask = Asker("wsgi", make_token(f"channels:{channel.pk}:read").secret)
    ask(f"/same/unnamed/{channel.pk}/")  # records its use
    with django_assert_num_queries(2):  # the token and the channel
        assert ask(f"/same/unnamed/{channel.pk}/").status_code == 200
