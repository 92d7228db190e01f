"""Views that use another object, method or list than the decision was about."""

import pytest
from django.core.cache import cache

from pat_tokens.services import revoke_token
from tests.factories import ChannelFactory
from tests.models import Channel

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(site, make_token, client_with):
    """A client that can read one channel."""
    return client_with(make_token(f"channels:{site.channel.pk}:read"))


@pytest.fixture
def reader(site, make_token, client_with):
    """A client that can read all channels."""
    return client_with(make_token("channels:*:read"))


def test_object_from_query_string_is_refused(site, client, reader):
    path = f"/object-from-query/{site.channel.pk}/"
    assert client.get(path).status_code == 200
    answer = client.get(path, {"id": site.other_channel.pk})
    assert answer.status_code == 403
    assert answer.json()["missing"] == [
        {"entity_type": "channels", "entity_id": str(site.other_channel.pk), "operation": "read"}
    ]
    assert reader.get(path, {"id": site.other_channel.pk}).json()["id"] == site.other_channel.pk


def test_delete_without_get_object_is_refused(site, make_token, client_with):
    client = client_with(make_token(f"channels:{site.channel.pk}:delete"))
    assert client.delete(f"/object-from-query/{site.channel.pk}/?id={site.other_channel.pk}").status_code == 403
    assert Channel.objects.filter(pk=site.other_channel.pk).exists()
    assert client.delete(f"/object-from-query/{site.channel.pk}/").status_code == 204


def test_ambiguous_name_is_refused(site, client, reader, stranger):
    # The entity type finds the owner's channel with this name, the view that of the stranger.
    theirs = ChannelFactory(owner=stranger, name=site.channel.name)
    path = f"/slug-of-anybody/{site.channel.name}/"
    assert client.get(path).status_code == 403
    assert reader.get(path).json()["id"] == theirs.pk


@pytest.mark.parametrize("path", ["late-override", "early-override"])
@pytest.mark.parametrize("scopes", [["read"], ["read", "update"], ["update", "delete"]])
def test_method_override_header_is_refused(site, make_token, client_with, path, scopes):
    client = client_with(make_token(*[f"channels:{site.channel.pk}:{operation}" for operation in scopes]))
    answer = client.get(f"/{path}/{site.channel.pk}/", headers={"x-http-method-override": "DELETE"})
    if path == "early-override" and "delete" in scopes:
        assert answer.status_code == 204
    else:
        assert answer.status_code in (403, 405)
        assert Channel.objects.filter(pk=site.channel.pk).exists()


@pytest.mark.parametrize("path", ["late-override", "early-override"])
def test_method_override_of_options_is_refused(site, make_token, client_with, path):
    client = client_with(make_token(f"channels:{site.channel.pk}:read"))
    answer = client.options(f"/{path}/{site.channel.pk}/", headers={"x-http-method-override": "DELETE"})
    assert answer.status_code == 403
    assert Channel.objects.filter(pk=site.channel.pk).exists()
    answer = client.options(f"/{path}/{site.channel.pk}/")
    assert answer.json()["renders"]
    assert "DELETE" in answer["Allow"]


def test_view_that_changes_model_is_refused(site, make_token, client_with):
    client = client_with(make_token("channels:*:list"))
    # Twice, because the first result could be cached.
    for _time in range(2):
        assert client.get("/changes-its-model/").status_code == 200
        assert client.get("/changes-its-model/?devices").status_code == 403


def test_changed_keywords_are_refused(site, client):
    assert client.get(f"/keywords-changed/{site.channel.pk}/").status_code == 200
    assert client.get(f"/keywords-changed/{site.channel.pk}/?id={site.other_channel.pk}").status_code == 403


def test_view_that_calls_another_view(site, client, make_token, client_with):
    path = "/calls-another/{}/"
    assert client.get(path.format(site.channel.pk), {"detail": ""}).json() == {"id": site.channel.pk, "name": "one"}
    assert client.get(path.format(site.other_channel.pk), {"detail": ""}).json()["code"] == "insufficient_scope"
    assert client.get(path.format(site.channel.pk)).json()["code"] == "scope_not_declared"


def test_state_is_not_shared_between_requests(site, client, reader):
    path = f"/two-in-one/{site.channel.slug}/"
    assert client.get(path).status_code == 200
    assert client.get(path, {"then": site.other_channel.slug}).status_code == 403
    assert client.get(path, {"all": ""}).status_code == 403
    assert reader.get(path, {"all": ""}).status_code == 200


class TestLists:
    @pytest.fixture
    def client(self, site, make_token, client_with):
        return client_with(make_token(f"projects:{site.project.pk}:list"))

    @pytest.mark.parametrize("name", ["annotated", "distinct", "sliced-late"])
    def test_limited(self, client, site, name):
        assert [row["id"] for row in client.get(f"/lists/{name}/").json()] == [site.project.pk]

    @pytest.mark.parametrize("name", ["ignoring", "unfiltered", "sliced-early", "united"])
    def test_refused(self, client, site, name):
        answer = client.get(f"/lists/{name}/")
        assert answer.status_code == 403
        assert answer.json()["missing"] == [{"entity_type": "projects", "entity_id": "*", "operation": "list"}]

    def test_refused_before_unlimited_view_runs(self, client, django_assert_num_queries):
        client.get("/lists/unfiltered/")  # records what is missing
        with django_assert_num_queries(1):  # the token
            assert client.get("/lists/unfiltered/").status_code == 403

    def test_search_order_and_pages(self, client, site, make_token, client_with):
        more = [type(site.project).objects.create(owner=site.owner, name=f"one {n}", slug=f"n{n}") for n in range(3)]
        assert client.get("/lists/searched/?search=one&ordering=-name").json()["count"] == 1
        assert client.get("/lists/searched/?page=2").status_code == 404
        wide = client_with(make_token(*[f"projects:{project.pk}:list" for project in (*more, site.project)]))
        answer = wide.get("/lists/searched/?search=one&ordering=-name").json()
        assert answer["count"] == 4
        assert [row["id"] for row in answer["results"]] == [more[2].pk, more[1].pk]
        assert wide.get("/lists/searched/?search=other").json()["count"] == 0

    def test_filter_mixin(self, client, site):
        assert [row["id"] for row in client.get("/lists/mixed-in/?search=one").json()] == [site.project.pk]
        assert client.get("/lists/mixed-in/?search=other").json() == []

    def test_by_another_model(self, client, site):
        assert [row["id"] for row in client.get("/lists/tasks-by-project/").json()] == [site.task.pk]

    def test_rows_are_not_duplicated(self, make_token, client_with, site):
        for project in (site.project, site.other_project):
            project.watched.add(site.channel)
        client = client_with(make_token(*[f"projects:{p.pk}:list" for p in (site.project, site.other_project)]))
        assert [row["id"] for row in client.get("/lists/channels-by-project/").json()] == [site.channel.pk]

    def test_child_model(self, make_token, client_with, site):
        client = client_with(make_token(f"channels:{site.thermometer.pk}:list"))
        assert [row["id"] for row in client.get("/lists/thermometers/").json()] == [site.thermometer.pk]

    @pytest.mark.parametrize(
        ("path", "kind", "row"),
        [
            ("channels", "channels", "channel"),
            ("devices", "devices", "device"),
            ("pages", "pages", "page"),
            ("thermometers", "thermometers", "thermometer"),
            ("probes", "probes", "probe"),
            ("badges", "badges", "badge"),
            ("covers", "covers", "cover"),
            ("archive", "archive", "archived"),
        ],
    )
    def test_each_type_of_key(self, make_token, client_with, site, path, kind, row):
        entity = getattr(site, row)
        answer = client_with(make_token(f"{kind}:{entity.pk}:list")).get(f"/{path}/").json()
        assert [str(next(each[name] for name in ("id", "path", "pk") if name in each)) for each in answer] == [
            str(entity.pk)
        ]

    def test_thousands_of_ids(self, make_token, client_with, site, settings, django_assert_num_queries):
        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 5000
        Channel.objects.bulk_create(Channel(owner=site.owner, name=f"c{n}") for n in range(3000))
        ids = list(Channel.objects.filter(name__startswith="c").values_list("pk", flat=True))
        client = client_with(make_token(*[f"channels:{pk}:list" for pk in ids[:2500]]))
        client.get("/channels/")  # so that the use is already recorded
        with django_assert_num_queries(3):  # token, ids, list
            answer = client.get("/channels/").json()
        assert [row["id"] for row in answer] == ids[:2500]

    def test_list_without_token_is_not_limited(self, client, site):
        client.credentials()
        client.defaults.clear()
        client.force_login(site.owner)
        assert len(client.get("/lists/annotated/").json()) == 2


class TestOptions:
    def test_url_declaration_applies(self, site, make_token, client_with):
        path = f"/functions/{site.channel.pk}/legacy-by-url/"
        assert client_with(make_token(f"channels:{site.channel.pk}:delete")).options(path).status_code == 200
        assert client_with(make_token("channels:*:read")).options(path).json()["code"] == "insufficient_scope"

    def test_undeclared_views_refuse_it(self, site, make_token, client_with):
        answer = client_with(make_token("channels:*:read")).options("/undeclared/")
        assert answer.json()["code"] == "scope_not_declared"

    @pytest.mark.parametrize("path", ["/channels/", "/status/", "/undeclared/"])
    def test_inactive_token_gets_no_description(self, site, make_token, client_with, path):
        token = make_token("channels:*:read")
        revoke_token(token)
        answer = client_with(token).options(path)
        assert answer.status_code == 401
        assert list(answer.json()) == ["detail", "code"]

    def test_site_class_with_same_name_as_drf(self, site, make_token, client_with, settings):
        settings.ROOT_URLCONF = "tests.site.confusing"
        answer = client_with(make_token("channels:*:read")).options("/confusing/")
        assert answer.status_code == 403


class TestCaches:
    @pytest.fixture(autouse=True)
    def empty(self):
        cache.clear()
        yield
        cache.clear()

    def test_response_to_token_is_not_cached(self, site, make_token, client_with):
        token = make_token("channels:*:list")
        client = client_with(token)
        answer = client.get("/cached/channels/")
        assert answer.status_code == 200
        assert "private" in answer["Cache-Control"]
        assert client_with(make_token()).get("/cached/channels/").status_code == 403
        revoke_token(token)
        assert client.get("/cached/channels/").status_code == 401

    def test_response_to_session_is_not_served_to_token(self, site, make_token, client_with):
        person = client_with(make_token())
        person.defaults.clear()
        person.force_login(site.owner)
        answer = person.get("/cached/channels/")
        assert answer.status_code == 200
        assert "authorization" in answer["Vary"].lower()
        assert client_with(make_token()).get("/cached/channels/").status_code == 403


class TestBrowsableAPI:
    def test_shows_no_forms(self, site, make_token, client_with):
        site.project.members.add(site.owner)
        page = client_with(make_token("channels:*:list")).get("/generic/channels/", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert b"<form" not in page.content.replace(b'<form id="get-form"', b"")

    def test_shows_no_forms_for_options(self, site, make_token, client_with):
        """Forms contain the names of all choices."""
        client = client_with(make_token(f"projects:{site.project.pk}:read"))
        path = f"/projects/{site.project.pk}/tasks/"
        person = type(client)()
        person.force_login(site.owner)
        form = b'<select class="form-control" name="project"'
        assert form in person.options(path, headers={"accept": "text/html"}).content
        page = client.options(path, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert form not in page.content
        assert b'data-method="OPTIONS"' not in page.content
        assert b'data-method="POST"' not in page.content
        assert b"<select" not in page.content


def test_refused_token_is_not_passed_to_other_classes(site, make_token, client_with):
    client = client_with(make_token())
    client.force_login(site.owner)
    assert client.get("/channels/").status_code == 403
    assert client.get("/undeclared/").status_code == 403


def test_view_without_our_class_ignores_tokens(site, make_token, client_with):
    client = client_with(make_token("channels:*:read"))
    assert client.get("/pinned-away/").status_code == 401
    assert client.get("/functions/without-authentication/").json() == {"user": "AnonymousUser"}
    assert client.get("/functions/plain/").status_code == 200
