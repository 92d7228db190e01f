"""Proposals of `pat_routes` for undeclared views, and the module that `--write` prints."""

from types import ModuleType

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import path
from rest_framework import generics, serializers
from rest_framework.decorators import action, api_view
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

from pat_tokens.entities import register_models, registry
from pat_tokens.inspection.declarations import find_lookups, propose, write_module
from pat_tokens.inspection.explain import explain
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.requirements import EntityLookup, Requirement
from tests.models import Guest, Person
from tests.site.models import Channel, Project, Task


class ChannelSerializer(serializers.ModelSerializer):
    class Meta:
        model = Channel
        fields = ["id", "name"]


class TaskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Task
        fields = ["id"]


class Channels(generics.ListCreateAPIView):
    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer


class OneChannel(generics.RetrieveUpdateDestroyAPIView):
    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer


class OwnDelete(OneChannel):
    def delete(self, request, *args, **kwargs):
        raise NotImplementedError


class Computed(ModelViewSet):
    serializer_class = ChannelSerializer

    def get_queryset(self):
        raise NotImplementedError


class Tasks(generics.ListAPIView):
    queryset = Task.objects.all()
    serializer_class = TaskSerializer


class OneTask(generics.RetrieveAPIView):
    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    lookup_field = "slug"


class OnePermission(generics.RetrieveAPIView):
    queryset = Permission.objects.all()
    lookup_field = "codename"


class Projects(ReadOnlyModelViewSet):
    queryset = Project.objects.all()
    lookup_field = "slug"
    lookup_url_kwarg = "project"


class Guests(ReadOnlyModelViewSet):
    """Of a proxy."""

    queryset = Guest.objects.all()

    @action(detail=True)
    def seat(self, request, pk):
        raise NotImplementedError


class Purged(ModelViewSet):
    queryset = Channel.objects.all()

    @action(detail=False, methods=["post"])
    def purge(self, request):
        raise NotImplementedError


class Anything(APIView):
    def get(self, request, **kwargs):
        raise NotImplementedError

    post = get


class OwnOptions(Anything):
    def options(self, request, **kwargs):
        raise NotImplementedError


class Unread(Anything):
    authentication_classes = ()


@api_view(["POST"])
def publish(request, **kwargs):
    raise NotImplementedError


@pytest.fixture
def proposals(settings, declarations):
    """Return the proposals for a site with these patterns, by method and pattern."""

    def proposals(*patterns):
        settings.ROOT_URLCONF = ModuleType("urls_of_a_test")
        settings.ROOT_URLCONF.urlpatterns = list(patterns)
        return {
            f"{method.method} {report.route.pattern}": found.proposal
            for report in inspect_all()
            for method in report.methods
            if (found := propose(report, method, find_lookups(inspect_all())))
        }

    return proposals


@pytest.fixture
def more_types():
    """Entity types of three more models."""
    made = register_models(Project, Task, Permission, get_queryset=lambda model, user: model.objects.all())
    yield
    for entity_type in made:
        registry.unregister(entity_type.name)


CERTAIN = {
    "GET c/": Requirement("channels", "list"),
    "POST c/": Requirement("channels", "create"),
    "GET c/<int:pk>/": Requirement("channels", "read", "pk"),
    "PUT c/<int:pk>/": Requirement("channels", "update", "pk"),
    "PATCH c/<int:pk>/": Requirement("channels", "update", "pk"),
    "DELETE c/<int:pk>/": Requirement("channels", "delete", "pk"),
}


def test_proposals_for_generic_views_are_certain(proposals):
    found = proposals(path("c/", Channels.as_view()), path("c/<int:pk>/", OneChannel.as_view()))
    assert {row: proposal.requirement for row, proposal in found.items()} == CERTAIN
    assert all(proposal.is_certain for proposal in found.values())


def test_uncertain_proposals_are_marked(proposals):
    found = proposals(
        path("own/<int:pk>/", OwnDelete.as_view()),
        path("teams/<int:team_pk>/c/<int:pk>/", OneChannel.as_view()),
        path("named/<str:name>/", OneChannel.as_view(lookup_field="name")),
        path("computed/<int:pk>/", Computed.as_view({"get": "retrieve"})),
        path("api/channels/<int:key>/publish/", publish),
        path("api/channels/", Anything.as_view()),
        path("api/channels/<int:key>/", Anything.as_view()),
    )
    requirements = {
        "DELETE own/<int:pk>/": Requirement("channels", "delete", "pk"),
        "GET teams/<int:team_pk>/c/<int:pk>/": Requirement("channels", "read", "pk"),
        "GET named/<str:name>/": Requirement("channels", "read", EntityLookup(name="name")),
        "GET computed/<int:pk>/": Requirement("channels", "read", "pk"),
        "POST api/channels/<int:key>/publish/": Requirement("channels", "publish", "key"),
        "POST api/channels/<int:key>/": Requirement("channels", "update", "key"),
        "GET api/channels/": Requirement("channels", "list"),
        "POST api/channels/": Requirement("channels", "create"),
        "GET api/channels/<int:key>/": Requirement("channels", "read", "key"),
    }
    for row, requirement in requirements.items():
        assert (row, found[row].requirement) == (row, requirement)
        assert not found[row].is_certain, row


def test_key_belongs_to_the_type_before_it(proposals, more_types):
    found = proposals(
        path("projects/<int:pk>/tasks/", generics.ListCreateAPIView.as_view(queryset=Task.objects.all())),
        path("projects/<int:pk>/tasks/<slug:slug>/", OneTask.as_view()),
        path("projects/<int:pk>/", generics.RetrieveAPIView.as_view(queryset=Task.objects.all())),
    )
    assert {row: proposal.requirement for row, proposal in found.items()} == {
        "GET projects/<int:pk>/tasks/": Requirement("projects", "read", "pk"),
        "POST projects/<int:pk>/tasks/": Requirement("projects", "update", "pk"),
        "GET projects/<int:pk>/tasks/<slug:slug>/": Requirement("tasks", "read", EntityLookup(slug="slug")),
        "GET projects/<int:pk>/": Requirement("tasks", "read", "pk"),
    }


def test_last_key_belongs_to_the_type_before_it(proposals, more_types):
    """If the view's own keyword isn't in the URL."""
    found = proposals(
        path("projects/<slug:project>/", Projects.as_view({"get": "retrieve"})),
        path("projects/<slug:project>/channels/", Channels.as_view()),
        path(
            "projects/<slug:project>/channels/remove/", generics.CreateAPIView.as_view(queryset=Channel.objects.all())
        ),
        path("users/<int:user>/channels/", Channels.as_view()),
    )
    of_project = EntityLookup(slug="project")
    assert {row: proposal.requirement for row, proposal in found.items()} == {
        "GET projects/<slug:project>/channels/": Requirement("projects", "read", of_project),
        "POST projects/<slug:project>/channels/": Requirement("projects", "update", of_project),
        "POST projects/<slug:project>/channels/remove/": Requirement("projects", "update", of_project),
        "GET users/<int:user>/channels/": Requirement("channels", "list"),
        "POST users/<int:user>/channels/": Requirement("channels", "create"),
    }


def test_last_type_with_a_key_counts(proposals, more_types):
    """If the view names no model."""
    found = proposals(
        path("projects/<int:key>/channels/", generics.ListAPIView.as_view()),
        path("projects/<int:key>/channels/new/", generics.CreateAPIView.as_view()),
        path("projects/<int:key>/channels/add/", publish),
        path("projects/all/channels/add/", publish),
        path("projects/<int:key>/", generics.ListAPIView.as_view()),
    )
    assert {row: proposal.requirement for row, proposal in found.items()} == {
        "GET projects/<int:key>/channels/": Requirement("projects", "read", "key"),
        "POST projects/<int:key>/channels/new/": Requirement("projects", "update", "key"),
        "POST projects/<int:key>/channels/add/": Requirement("projects", "update", "key"),
        "POST projects/all/channels/add/": Requirement("channels", "create"),
        "GET projects/<int:key>/": Requirement("projects", "list"),
    }


def test_writing_below_an_entity_updates_it(proposals):
    found = proposals(
        path("c/<int:pk>/picture/", OwnDelete.as_view()),
        path("api/channels/<int:key>/picture/", OwnDelete.as_view(lookup_url_kwarg="key")),
        path("api/channels/purge/", Purged.as_view({"post": "purge"})),
    )
    for row in ("DELETE c/<int:pk>/picture/", "DELETE api/channels/<int:key>/picture/", "POST api/channels/purge/"):
        assert found[row].requirement.operation == "update", row


def test_deleting_is_not_guessed_as_updating(proposals):
    (made,) = register_models(
        Permission, get_queryset=lambda model, user: model.objects.all(), operations=("read", "update", "list")
    )
    view = generics.RetrieveDestroyAPIView.as_view(queryset=Permission.objects.all())
    try:
        found = proposals(path("permissions/<int:pk>/", view))
    finally:
        registry.unregister(made.name)
    assert found["GET permissions/<int:pk>/"].requirement.operation == "read"
    assert found["DELETE permissions/<int:pk>/"].requirement is None


def test_parents_are_looked_up_like_in_their_own_views(proposals, more_types):
    project = Projects.as_view({"get": "retrieve"})
    found = proposals(
        path("api/projects/<slug:project>/", project),
        path("api/projects/<slug:project>/settings/", Anything.as_view()),
        path("projects/<slug:project>/tasks/<slug:slug>/", OneTask.as_view()),
        path("<owner_username>/<slug:project>/tasks/<slug:slug>/", OneTask.as_view()),
        path("types/<int:content_type_pk>/permissions/<codename>/", OnePermission.as_view()),
    )
    assert {row: proposal.requirement.entity for row, proposal in found.items() if row.startswith("GET")} == {
        "GET api/projects/<slug:project>/settings/": EntityLookup(slug="project"),
        "GET projects/<slug:project>/tasks/<slug:slug>/": EntityLookup(slug="slug", project__slug="project"),
        "GET <owner_username>/<slug:project>/tasks/<slug:slug>/": EntityLookup(
            slug="slug", project__slug="project", project__owner__username="owner_username"
        ),
        "GET types/<int:content_type_pk>/permissions/<codename>/": EntityLookup(
            codename="codename", content_type__pk="content_type_pk"
        ),
    }


def test_parents_with_conflicting_lookups_are_left_out(proposals, more_types):
    projects = [
        path(f"{field}/<project>/", Projects.as_view({"get": "retrieve"}, lookup_field=field))
        for field in ("slug", "name")
    ]
    found = proposals(*projects, path("<slug:project>/tasks/<slug:slug>/", OneTask.as_view()))
    proposal = found["GET <slug:project>/tasks/<slug:slug>/"]
    assert proposal.requirement == Requirement("tasks", "read", EntityLookup(slug="slug"))
    assert proposal.reason.endswith("for project in the URL")


def test_no_proposal_with_a_field_that_the_model_lacks(proposals):
    found = proposals(path("<str:full_name>/", OneChannel.as_view(lookup_field="full_name")))
    for proposal in found.values():
        assert proposal.requirement is None
        assert proposal.reason.startswith("Channel can't be looked up by full_name")


def test_proxy_model_can_have_entity_type(proposals):
    route = path("guests/<int:pk>/seat/", Guests.as_view({"get": "seat"}))
    made = register_models(Guest, Person, get_queryset=lambda model, user: model.objects.all())
    try:
        assert proposals(route)["GET guests/<int:pk>/seat/"].requirement == Requirement("guests", "read", "pk")
        registry.unregister("guests")
        assert proposals(route)["GET guests/<int:pk>/seat/"].requirement == Requirement("persons", "read", "pk")
    finally:
        for entity_type in made:
            if registry.get(entity_type.name):
                registry.unregister(entity_type.name)


def test_unexplained_url_keywords_are_named(proposals):
    found = proposals(path("channels/of/<owner>/<name>/", Anything.as_view()))
    assert {row: (proposal.requirement, proposal.reason) for row, proposal in found.items()} == {
        "GET channels/of/<owner>/<name>/": (
            Requirement("channels", "list"),
            "the right scope may be for name, owner in the URL",
        ),
        "POST channels/of/<owner>/<name>/": (
            Requirement("channels", "create"),
            "the right scope may be for name, owner in the URL",
        ),
    }
    found = proposals(path("channels/of/<owner>/", OwnDelete.as_view()))
    assert found["DELETE channels/of/<owner>/"].reason == "the right scope may be for owner in the URL"


def test_no_proposal_for_options(proposals):
    found = proposals(path("api/channels/<int:key>/", OwnOptions.as_view()))
    assert found["GET api/channels/<int:key>/"].requirement is not None
    assert found["OPTIONS api/channels/<int:key>/"].requirement is None


def test_no_proposal_without_enough_information(proposals):
    found = proposals(path("tasks/", Tasks.as_view()), path("anything/", Anything.as_view()))
    assert found["GET tasks/"].model is Task
    assert {proposal.requirement for proposal in found.values()} == {None}


@pytest.mark.parametrize("urlconf", ["tests.site.urls", "tests.urls"])
def test_module_declares_only_certain_proposals(settings, declarations, urlconf):
    settings.ROOT_URLCONF = urlconf
    before, reports = statuses(), inspect_all()
    lookups = find_lookups(reports)
    certain = {
        (report.route.pattern, method.method)
        for report in reports
        for method in report.methods
        if (found := propose(report, method, lookups)) and found.proposal.is_certain
    }
    exec(write_module(reports, lookups), {})
    opened = {row for row, status in statuses().items() if status != before[row]}
    assert opened <= certain
    assert (not certain) or opened


def statuses():
    return {
        (report.route.pattern, method.method): method.status for report in inspect_all() for method in report.methods
    }


def test_routes_of_one_view_are_distinguished(settings, proposals, capsys):
    proposals(path("channels/", Anything.as_view()), path("channels/<int:key>/", Anything.as_view()))
    call_command("pat_routes", "--write")
    written = capsys.readouterr().out
    assert 'declare_route(\n    "channels/<key>/",' in written
    assert '# "GET": Requirement("channels", "read", "key"),  # a guess\n' in written
    assert "declare_view(" not in written


def test_certain_line_does_not_open_another_route(proposals, capsys):
    """A view on a plain route and on one with another keyword: only the first is certain."""
    proposals(path("channels/", Channels.as_view()), path("teams/<int:team>/channels/", Channels.as_view()))
    call_command("pat_routes", "--write")
    exec(capsys.readouterr().out, {})
    assert statuses() == {
        (route, method): status
        for route, status in (("channels/", "declared"), ("teams/<int:team>/channels/", "undeclared"))
        for method in ("GET", "POST")
    }


def test_module_counts_unread_operations(proposals, capsys):
    proposals(path("channels/", Anything.as_view()), path("unread/", Unread.as_view()))
    call_command("pat_routes", "--write")
    assert "# 2 operations don't read tokens, so" in capsys.readouterr().out
    proposals(path("channels/", Anything.as_view()))
    call_command("pat_routes", "--write")
    assert "don't read tokens" not in capsys.readouterr().out


def test_models_to_register_are_listed(proposals, capsys):
    proposals(path("tasks/", Tasks.as_view()))
    call_command("pat_routes", "--write")
    assert f"pat_entities.py: {Task._meta.label}" in capsys.readouterr().out


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "/channels/1/",
            'To allow it, write declare_route("channels/<pk>/", {"GET": Requirement("channels", "read", "pk")}) in',
        ),
        (
            "/teams/1/channels/1/",
            'If it is right, write declare_route("teams/<team_pk>/channels/<pk>/", '
            '{"GET": Requirement("channels", "read", "pk")}) in',
        ),
        ("/anything/", None),
    ],
)
def test_an_explanation_has_the_line_to_write(proposals, make_token, url, told):
    proposals(
        path("channels/<int:pk>/", OneChannel.as_view()),
        path("teams/<int:team_pk>/channels/<int:pk>/", OneChannel.as_view()),
        path("anything/", Anything.as_view()),
    )
    steps = [step.text for step in explain(make_token("channels:*:read"), "GET", url).steps]
    assert [step for step in steps if "declare" in step and "Requirement(" in step] == (
        [] if told is None else [next(step for step in steps if step.startswith(told))]
    )
