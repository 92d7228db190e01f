import pytest
from django.core.management import call_command
from django.db import models
from django.test import Client
from django.urls import path
from ninja import ModelSchema, NinjaAPI
from ninja.pagination import paginate

from pat_tokens.checks.routes import check_routes
from pat_tokens.contrib.ninja.inspection import inspect
from pat_tokens.declarations import declare_url
from pat_tokens.entities import register_models, registry
from pat_tokens.inspection.declarations import find_lookups, propose
from pat_tokens.inspection.routes import inspect_all
from pat_tokens.integrations import Route
from pat_tokens.requirements import EntityLookup, Requirement
from tests.contrib.ninja import api as site
from tests.factories import ChannelFactory
from tests.models import Channel
from tests.site.models import Project, Task


@pytest.fixture
def reports(declarations):
    declare_url("ninja-host:foreign", {"GET": site.READ})
    return {report.route.pattern: report for report in inspect_all("tests.contrib.ninja.api")}


@pytest.mark.parametrize(
    ("route", "method", "status", "requirement"),
    [
        ("sync/<int:pk>", "GET", "declared", site.READ),
        ("sync/<int:pk>", "POST", "declared", site.PUBLISH),
        ("async/<int:pk>", "POST", "declared", site.PUBLISH),
        ("foreign/<int:pk>", "GET", "declared", site.READ),
        ("foreign/<int:pk>", "POST", "undeclared", None),
        ("undeclared/<int:pk>", "GET", "undeclared", None),
        ("router/<int:pk>", "GET", "declared", site.READ),
        ("open", "GET", "refused", None),
    ],
)
def test_reports_requirement_of_each_method(reports, route, method, status, requirement):
    report = reports[route]
    found = report.find(method)
    assert report.kind == "Ninja operation"
    assert (found.status, found.resolution.requirement) == (status, requirement)
    assert report.reads_tokens is (route != "open")


def test_reports_limited_lists(reports):
    assert reports["limited"].find("GET").limits
    assert not reports["unlimited"].find("GET").limits


def test_other_views_are_not_reported():
    assert inspect(Route("", path("", lambda request: None).callback)) is None


class TestOperationsOfOnePath:
    """Ninja adds a pattern per operation, and Django resolves the first."""

    @pytest.fixture
    def urlpatterns(self, settings, declarations):
        api = NinjaAPI(auth=site.needs(), urls_namespace="one-path")
        api.get("/one/{pk}", auth=site.needs(site.READ), url_name="read")(lambda request, pk: {})
        api.post("/one/{pk}", url_name="change")(lambda request, pk: {})
        api.put("/one/{pk}", auth=None, url_name="anybody")(lambda request, pk: {})
        settings.ROOT_URLCONF = (path("", api.urls),)

    def test_are_one_route(self, urlpatterns):
        (report,) = [report for report in inspect_all() if report.route.pattern == "one/<pk>"]
        assert [method.method for method in report.methods] == ["GET", "POST", "PUT"]
        assert report.route.url_name == "one-path:read"
        assert report.other_names == ("one-path:change", "one-path:anybody")
        assert [method.reads_tokens for method in report.methods] == [True, True, False]

    def test_are_counted_once(self, urlpatterns):
        (coverage,) = [message for message in check_routes() if message.id == "pat_tokens.W050"]
        assert coverage.msg.startswith("1 operations refuse every token")

    def test_are_declared_by_first_url_name(self, urlpatterns):
        declare_url("one-path:change", {"POST": site.READ})
        (error,) = [message for message in check_routes() if message.id == "pat_tokens.E054"]
        assert "resolve to the name 'one-path:read'" in error.msg


class ChannelSchema(ModelSchema):
    class Meta:
        model = Channel
        fields = ["id", "name"]


class ProjectSchema(ModelSchema):
    class Meta:
        model = f"{Project._meta.app_label}.Project"
        fields = ["id", "slug"]


class Abstract(models.Model):
    name = models.CharField(max_length=9)

    class Meta:
        abstract = True
        app_label = "tests"


class AbstractSchema(ModelSchema):
    class Meta:
        model = Abstract
        fields = ["name"]


class TitledSchema(ChannelSchema):
    class Meta:
        title = "Channel"


class TaskSchema(ModelSchema):
    class Meta:
        model = Task
        fields = ["id", "slug"]


class TestProposals:
    """For undeclared operations, by their schemas and URL keywords."""

    @pytest.fixture
    def api(self, declarations):
        made = register_models(Project, get_queryset=lambda model, user: model.objects.all())
        yield NinjaAPI(auth=site.needs(), urls_namespace="proposals")
        for entity_type in made:
            registry.unregister(entity_type.name)

    @pytest.fixture
    def proposals(self, settings, api):
        def proposals():
            """Return the proposals for the operations that were added to the API, by method and path."""
            settings.ROOT_URLCONF = (path("n/", api.urls),)
            reports = inspect_all()
            return {
                f"{method.method} {report.route.pattern.removeprefix('n/')}": found.proposal
                for report in reports
                for method in report.methods
                if (found := propose(report, method, find_lookups(reports)))
            }

        return proposals

    def test_schemas_without_model_say_nothing(self, api, proposals):
        api.get("/abstract", response=AbstractSchema)(lambda request: None)
        api.get("/titled", response=list[TitledSchema])(lambda request: [])
        assert [proposal.requirement for proposal in proposals().values()] == [None, None]

    def test_model_is_that_of_schema(self, api, proposals):
        api.get("/rows", response=list[ChannelSchema])(lambda request: [])
        api.post("/rows", response={201: None})(body_of(ChannelSchema))
        api.get("/pages", response=list[ChannelSchema])(paginate(lambda request: []))
        api.get("/rows/{pk}", response={404: ProjectSchema, 200: ChannelSchema | None})(lambda request, pk: None)
        api.delete("/rows/{pk}", response={204: None})(lambda request, pk: None)
        api.put("/rows/{channel_id}", response=ChannelSchema)(lambda request, channel_id: None)
        api.post("/rows/{pk}/publish", response=ChannelSchema)(lambda request, pk: None)
        api.get("/named/{channel_slug}", response=ChannelSchema)(lambda request, channel_slug: None)
        api.get("/unknown")(lambda request: None)
        found = proposals()
        assert {row: proposal.requirement for row, proposal in found.items()} == {
            "GET rows": Requirement("channels", "list"),
            "POST rows": Requirement("channels", "create"),
            "GET pages": Requirement("channels", "list"),
            "GET rows/<pk>": Requirement("channels", "read", "pk"),
            "DELETE rows/<pk>": Requirement("channels", "delete", "pk"),
            "PUT rows/<channel_id>": Requirement("channels", "update", "channel_id"),
            "POST rows/<pk>/publish": Requirement("channels", "publish", "pk"),
            "GET named/<channel_slug>": Requirement("channels", "read", EntityLookup(slug="channel_slug")),
            "GET unknown": None,
        }
        assert not any(proposal.is_certain for proposal in found.values())

    def test_key_before_another_name_is_of_that_type(self, api, proposals):
        api.get("/projects/{slug}", response=ProjectSchema)(lambda request, slug: None)
        api.get("/projects/{project_slug}/rows", response=list[ChannelSchema])(lambda request, project_slug: [])
        api.post("/projects/{project_slug}/rows", response=ChannelSchema)(lambda request, project_slug: None)
        api.post("/teams/{pk}/channels", response=ChannelSchema)(lambda request, pk: None)
        of_project = EntityLookup(slug="project_slug")
        found = proposals()
        assert {row: proposal.requirement for row, proposal in found.items()} == {
            "GET projects/<slug>": Requirement("projects", "read", EntityLookup(slug="slug")),
            "GET projects/<project_slug>/rows": Requirement("projects", "read", of_project),
            "POST projects/<project_slug>/rows": Requirement("projects", "update", of_project),
            "POST teams/<pk>/channels": Requirement("channels", "create"),
        }
        assert "pk in the URL" in found["POST teams/<pk>/channels"].reason

    def test_model_without_entity_type_is_named(self, api, proposals):
        api.get("/tasks/{pk}", response=TaskSchema)(lambda request, pk: None)
        assert proposals()["GET tasks/<pk>"].model is Task

    @pytest.mark.django_db
    def test_written_module_works(self, settings, api, capsys, make_token, user):
        def read_row(request, pk: int):
            return Channel.objects.get(pk=pk)

        def delete_row(request, pk: int):
            raise NotImplementedError

        api.get("/rows/{int:pk}", response=ChannelSchema)(read_row)
        api.delete("/rows/{int:pk}")(delete_row)
        api.get("/rows", response=list[ChannelSchema])(lambda request: [])
        settings.ROOT_URLCONF = (path("n/", api.urls),)
        before = self.statuses()
        call_command("pat_routes", "--write")
        written = capsys.readouterr().out
        assert f"{read_row.__qualname__}, {__name__}.TestProposals" in written
        assert written.count("declare_route(") == 2
        exec(written, {})
        assert self.statuses() == before
        exec(written.replace("        # ", "        "), {})
        assert set(self.statuses().values()) == {"declared"}
        channel, other = ChannelFactory.create_batch(2, owner=user)
        client = Client(headers={"Authorization": f"Bearer {make_token(f'channels:{channel.pk}:read').secret}"})
        assert client.get(f"/n/rows/{channel.pk}").json() == {"id": channel.pk, "name": channel.name}
        assert client.get(f"/n/rows/{other.pk}").json()["code"] == "insufficient_scope"
        assert client.delete(f"/n/rows/{channel.pk}").json()["missing"][0]["operation"] == "delete"

    def statuses(self):
        return {(report.route.pattern, one.method): one.status for report in inspect_all() for one in report.methods}


def body_of(schema):
    def create(request, body: schema):
        raise NotImplementedError

    return create
