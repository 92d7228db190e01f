"""Writes for a token that would change an entity's key, or use an existing one, are refused."""

import copy
import json
import pickle

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core import serializers as fixtures
from django.core.signals import request_finished
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_init, pre_save
from django.http import JsonResponse
from django.urls import path
from ninja import NinjaAPI
from rest_framework import generics, serializers, viewsets
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.decorators import pat_requirements
from pat_tokens.requirements import Requirement
from tests.factories import ChannelFactory, DeviceFactory, PageFactory
from tests.models import Channel, Device, Page
from tests.plain_client import OURS, SERVERS, Asker
from tests.site.models import Thermometer

pytestmark = [
    pytest.mark.sql,
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("entity_types"),
]

UPDATE = {"PATCH": Requirement("pages", "update", "pk"), "POST": Requirement("pages", "create")}
User = get_user_model()
SQL = f"SELECT * FROM {Page._meta.db_table} WHERE path = %s"


class PageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Page
        fields = "__all__"
        read_only_fields = ["owner"]


class Loose(serializers.Serializer):
    """Accepts a key, and saves itself."""

    id = serializers.IntegerField(required=False)
    path = serializers.CharField(required=False)
    name = serializers.CharField(required=False)

    def update(self, instance, validated_data):
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save()
        return instance

    def create(self, validated_data):
        made = self.context["view"].queryset.model(**validated_data)
        made.save()
        return made


class ChannelSerializer(serializers.ModelSerializer):
    id = serializers.IntegerField(required=False)

    class Meta:
        model = Channel
        fields = ["id", "name"]


class ThermometerSerializer(ChannelSerializer):
    class Meta:
        model = Thermometer
        fields = ["id", "name"]


class Owned:
    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


class Pages(Owned, viewsets.ModelViewSet):
    queryset = Page.objects.order_by("pk")
    serializer_class = PageSerializer


class LoosePages(Pages):
    serializer_class = Loose


class Upserts(LoosePages):
    """Updates the row with the given key, if there is one."""

    pat_requirements = {"all": Requirement("pages", "update")}

    def perform_create(self, serializer):
        path, owner = self.request.data["path"], self.request.user
        serializer.instance, _made = Page.objects.update_or_create(path=path, defaults={"owner": owner})

    def all(self, request):
        self.perform_create(self.get_serializer())
        return Response({})


class Channels(Owned, viewsets.ModelViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer


class LooseChannels(Channels):
    serializer_class = Loose


class Thermometers(Channels):
    queryset = Thermometer.objects.order_by("pk")
    serializer_class = ThermometerSerializer


class Generic(generics.RetrieveUpdateAPIView):
    queryset = Page.objects.order_by("pk")
    serializer_class = PageSerializer
    pat_requirements = UPDATE


class ByHand(APIView):
    pat_requirements = UPDATE

    def patch(self, request, pk):
        serializer = PageSerializer(Page.objects.get(pk=pk), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)


class Swallows(ByHand):
    """Catches every exception."""

    def patch(self, request, pk):
        try:
            return super().patch(request, pk)
        except Exception:  # noqa: BLE001
            return Response({})


class MovesOthers(ByHand):
    """Also saves the neighbor, and a copy."""

    def patch(self, request, pk):
        page = Page.objects.get(pk=pk)
        for other in Page.objects.exclude(pk=pk):
            other.save()
        Page(pk=f"{pk}-copy", owner=page.owner).save()
        page.save()
        page.save(update_fields=["owner"])
        return Response({})


def unique(name):
    return {} if connection.vendor == "mysql" else {"unique_fields": [name]}


def changed(page, key, *, made=lambda page: page):
    page = made(page)
    page.path = key
    return page


def deserialized(page, key):
    text = fixtures.serialize("json", [page]).replace('"pk": "a"', f'"pk": "{key}"')
    for one in fixtures.deserialize("json", text):
        one.save()


def reloaded(page, key):
    page.path = key
    page.refresh_from_db()
    page.save()


def upsert(rows, name="owner", key="path", *, create=Page.objects.bulk_create):
    return create(rows, update_conflicts=True, update_fields=[name], **unique(key))


# What writes the row of another key; with the key of the page itself, all of it is allowed.
WRITES = {
    "update": lambda page, key: Page.objects.filter(pk=page.pk).update(path=key),
    "update of all": lambda page, key: Page.objects.filter(owner=page.owner).update(path=key),
    "base manager": lambda page, key: Page._base_manager.filter(pk=page.pk).update(path=key),
    "upsert": lambda page, key: upsert([changed(page, key)]),
    "bulk update": lambda page, key: Page.objects.bulk_update([changed(page, key)], ["owner"]),
    "bulk update of new": lambda page, key: Page.objects.bulk_update([Page(path=key, owner=page.owner)], ["owner"]),
    "force update": lambda page, key: changed(page, key).save(force_update=True),
    "only one field": lambda page, key: changed(page, key).save(update_fields=["owner"]),
    "copy": lambda page, key: changed(page, key, made=copy.copy).save(),
    "deep copy": lambda page, key: changed(page, key, made=copy.deepcopy).save(),
    "pickle": lambda page, key: changed(page, key, made=lambda page: pickle.loads(pickle.dumps(page))).save(),
    "base save": lambda page, key: changed(page, key).save_base(),
    "raw": lambda page, key: changed(page, key).save_base(raw=True),
    "related manager": lambda page, key: page.owner.page_set.add(changed(page, key), bulk=False),
    "loaded by SQL": lambda page, key: changed(Page.objects.raw(SQL, [page.pk])[0], key).save(),
    "loaded in batches": lambda page, key: changed(next(Page.objects.filter(pk=page.pk).iterator()), key).save(),
}
# What is refused only for keys that another row has.
NEW = {
    "upsert of new": lambda page, key: upsert([Page(path=key, owner=page.owner)]),
    "new, force update": lambda page, key: Page(path=key, owner=page.owner).save(force_update=True),
    "update or create": lambda page, key: Page.objects.update_or_create(pk=key, defaults={"owner": page.owner}),
    "update or create by name": lambda page, key: Page.objects.select_related("owner").update_or_create(
        {"owner": page.owner}, path=key
    ),
    "new": lambda page, key: Page(path=key, owner=page.owner).save(),
    "deserialized": deserialized,
    "loaded again": reloaded,
}
# Of models whose keys have a default, which Django inserts without looking for an existing row.
DEVICES = {
    "force update": lambda mine, key: Device(pk=key, name="x", owner=mine.owner).save(force_update=True),
    "raw": lambda mine, key: Device(pk=key, name="x", owner=mine.owner).save_base(raw=True),
    "upsert": lambda mine, key: upsert(
        [Device(pk=key, name="x", owner=mine.owner)], "name", "id", create=Device.objects.bulk_create
    ),
}


@transaction.atomic
def write(request, pk):
    if "device" in request.GET:
        DEVICES[request.GET["device"]](Device.objects.get(pk=pk), request.GET["key"])
    else:
        {**WRITES, **NEW}[request.GET["how"]](Page.objects.get(pk=pk), request.GET["key"])
    return JsonResponse({})


@pat_requirements({"PATCH": UPDATE["PATCH"], "PUT": Requirement("devices", "update", "pk")})
def plain_writes(request, pk):
    return write(request, pk)


class Writes(APIView):
    pat_requirements = UPDATE

    def patch(self, request, pk):
        write(request, pk)
        return Response({})


class Preloads(Writes):
    """Loads the page before the token is authenticated."""

    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.page = Page.objects.get(pk=kwargs["pk"])

    def patch(self, request, pk):
        with transaction.atomic():
            WRITES[request.GET["how"]](self.page, request.GET["key"])
        return Response({})


class Outer(Writes):
    """Calls another view before it writes."""

    def patch(self, request, pk):
        inner = ByHand.as_view()(request._request, pk=pk)
        assert inner.status_code == 200
        return super().patch(request, pk)


@pat_requirements(UPDATE)
async def awrites(request, pk):
    page, key = await Page.objects.aget(pk=pk), request.GET["key"]
    how = request.GET["how"]
    if how == "update":
        await Page.objects.filter(pk=pk).aupdate(path=key)
    elif how == "bulk update":
        await Page.objects.abulk_update([changed(page, key)], ["owner"])
    elif how == "upsert":
        await upsert([changed(page, key)], create=Page.objects.abulk_create)
    else:
        await changed(page, key, made=copy.copy).asave(force_update=how == "force update")
    return JsonResponse({})


def change(request, pk):
    page = Page.objects.get(pk=pk)
    page.path = json.loads(request.body)["path"]
    page.save()
    return JsonResponse({})


@pat_requirements(UPDATE)
def plain(request, pk):
    return change(request, pk)


@pat_requirements(UPDATE)
async def asynchronous(request, pk):
    page = await Page.objects.aget(pk=pk)
    page.path = json.loads(request.body)["path"]
    await page.asave()
    return JsonResponse({})


api = NinjaAPI(urls_namespace="writing-ninja")


@api.patch("/{pk}/", auth=PersonalAccessTokenAuthentication(UPDATE["PATCH"]))
def ninja(request, pk: str):
    return json.loads(change(request, pk).content)


LISTED, DETAIL = {"post": "create"}, {"put": "update", "patch": "partial_update"}
urlpatterns = [
    path("pages/", Pages.as_view(LISTED)),
    path("pages/<pk>/", Pages.as_view(DETAIL)),
    path("loose-pages/", LoosePages.as_view(LISTED)),
    path("upserts/", Upserts.as_view({**LISTED, "put": "all"})),
    path("loose-pages/<pk>/", LoosePages.as_view(DETAIL)),
    path("channels/", Channels.as_view(LISTED)),
    path("channels/<pk>/", Channels.as_view(DETAIL)),
    path("loose-channels/", LooseChannels.as_view(LISTED)),
    path("loose-channels/<pk>/", LooseChannels.as_view(DETAIL)),
    path("thermometers/", Thermometers.as_view(LISTED)),
    path("generic/<pk>/", Generic.as_view()),
    path("by-hand/<pk>/", ByHand.as_view()),
    path("swallows/<pk>/", Swallows.as_view()),
    path("moves-others/<pk>/", MovesOthers.as_view()),
    path("plain/<pk>/", plain),
    path("async/<pk>/", asynchronous),
    path("ninja/", api.urls),
    path("plain-writes/<pk>/", plain_writes),
    path("writes/<pk>/", Writes.as_view()),
    path("preloads/<pk>/", Preloads.as_view()),
    path("outer/<pk>/", Outer.as_view()),
    path("awrites/<pk>/", awrites),
]
OF_PAGES = ["pages", "loose-pages", "generic", "by-hand", "swallows", "plain", "async", "ninja"]


@pytest.fixture(autouse=True)
def installed(settings):
    settings.MIDDLEWARE = [OURS, *django_settings.MIDDLEWARE]


@pytest.fixture
def pages(user, stranger):
    return PageFactory(owner=user, path="a"), PageFactory(owner=stranger, path="b")


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    request_finished.send(None)
    assert not pre_save.has_listeners(Page)
    assert not post_init.has_listeners(Page)


def send(server, token, url, method, /, **data):
    return Asker(server, token.secret)(url, method, json.dumps(data), content_type="application/json")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", OF_PAGES)
@pytest.mark.parametrize("scope", ["pages:a:update", "pages:*:update"])
def test_changed_key_is_refused_before_write(pages, make_token, stranger, name, server, scope):
    token = make_token(scope)
    for key in ("b", "new"):
        response = send(server, token, f"/{name}/a/", "PATCH", path=key)
        if key == "new" and name != "swallows":  # the serializer's validator can detect the duplicate first
            assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
        assert response.status_code in (200, 400, 403)
        assert Page.objects.get(path="b").owner == stranger
        assert set(Page.objects.values_list("path", flat=True)) == {"a", "b"}
    assert send(server, token, f"/{name}/a/", "PATCH", path="a").status_code == 200


@pytest.mark.parametrize("name", ["channels", "loose-channels"])
def test_integer_key_is_checked(user, make_token, name):
    one, other = ChannelFactory(owner=user, name="one"), ChannelFactory(owner=user, name="other")
    token = make_token(f"channels:{one.pk}:update", "channels:*:create")
    assert send("wsgi", token, f"/{name}/{one.pk}/", "PATCH", id=other.pk, name="x").status_code == 403
    assert send("wsgi", token, f"/{name}/", "POST", id=other.pk, name="x").status_code == 403
    other.refresh_from_db()
    assert other.name == "other"
    assert send("wsgi", token, f"/{name}/{one.pk}/", "PATCH", id=one.pk, name="x").status_code == 200
    assert send("wsgi", token, f"/{name}/", "POST", id=other.pk + 1000, name="x").status_code == 201
    assert send("wsgi", token, f"/{name}/", "POST", name="y").status_code == 201


@pytest.mark.parametrize("name", ["loose-pages", "upserts"])
def test_new_row_with_existing_key_is_refused(pages, make_token, stranger, name):
    token = make_token("pages:*:create")
    assert send("wsgi", token, f"/{name}/", "POST", path="b").status_code == 403
    assert Page.objects.get(path="b").owner == stranger
    assert send("wsgi", token, f"/{name}/", "POST", path="c").status_code == 201


def test_scope_on_all_allows_update_or_create(pages, make_token, user):
    token = make_token("pages:*:update")
    assert send("wsgi", token, "/upserts/", "PUT", path="b").status_code == 200
    assert Page.objects.get(path="b").owner == user


def test_child_row_with_existing_parent_is_refused(user, make_token):
    channel = ChannelFactory(owner=user, name="one")
    token = make_token("thermometers:*:create")
    assert send("wsgi", token, "/thermometers/", "POST", id=channel.pk, name="x").status_code == 403
    assert Channel.objects.get(pk=channel.pk).name == "one"
    assert send("wsgi", token, "/thermometers/", "POST", name="y").status_code == 201


def test_other_saves_are_allowed(pages, make_token):
    token = make_token("pages:a:update")
    assert send("wsgi", token, "/moves-others/a/", "PATCH").status_code == 200
    assert Page.objects.filter(path="a-copy").exists()


def test_sessions_can_change_keys(pages, user, client):
    client.force_login(user)
    for name in ("pages", "generic"):
        response = client.patch(f"/{name}/a/", json.dumps({"path": name}), content_type="application/json")
        assert response.status_code == 200
    assert Page.objects.filter(path="pages").exists()


@pytest.mark.parametrize("name", ["plain-writes", "writes", "preloads", "outer"])
def test_every_way_to_write_is_checked(pages, make_token, user, stranger, name):
    for scope in ("pages:a:update", "pages:*:update"):
        token = make_token(scope)
        for how in WRITES if name == "preloads" else [*WRITES, *NEW]:
            url = f"/{name}/a/?how={how}&key="
            for key in ("b", "new") if how in WRITES else ("b",):
                response = send("wsgi", token, url + key, "PATCH", path="a")
                assert (response.status_code, how, key) == (403, how, key)
                assert response.json()["code"] == "scope_not_declared"
            assert dict(Page.objects.values_list("path", "owner")) == {"a": user.pk, "b": stranger.pk}, how
            if how in WRITES:
                assert send("wsgi", token, url + "a", "PATCH", path="a").status_code == 200, how
            elif how not in ("new, force update", "loaded again"):  # which need a row
                assert send("wsgi", token, url + "new", "PATCH", path="a").status_code == 200, how
                Page.objects.filter(pk="new").delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("how", ["update", "bulk update", "upsert", "force update", "copy"])
def test_async_writes_are_checked(pages, make_token, user, stranger, server, how):
    token = make_token("pages:a:update")
    for key, status in (("b", 403), ("new", 403), ("a", 200)):
        assert send(server, token, f"/awrites/a/?how={how}&key={key}", "PATCH").status_code == status, key
        assert dict(Page.objects.values_list("path", "owner")) == {"a": user.pk, "b": stranger.pk}


@pytest.mark.parametrize("how", DEVICES)
def test_keys_with_default_are_checked(user, stranger, make_token, how):
    mine, theirs = DeviceFactory(owner=user), DeviceFactory(owner=stranger, name="theirs")
    token = make_token(f"devices:{mine.pk}:update")
    url = f"/plain-writes/{mine.pk}/?device={how}&key="
    assert send("wsgi", token, f"{url}{theirs.pk}", "PUT").status_code == 403
    theirs.refresh_from_db()
    assert (theirs.name, theirs.owner) == ("theirs", stranger)


def test_computed_key_is_refused(pages, make_token, monkeypatch):
    def computed(page, key):
        return Page.objects.filter(pk=page.pk).update(path=Concat(F("path"), Value(key)))

    monkeypatch.setitem(WRITES, "computed", computed)
    assert send("wsgi", make_token("pages:a:update"), "/writes/a/?how=computed&key=x", "PATCH").status_code == 403


def test_writes_without_token_are_not_checked(pages, user, client):
    client.force_login(user)
    for how, old, new in (("update", "a", "c"), ("copy", "c", "b"), ("new", "c", "b")):
        assert client.patch(f"/plain-writes/{old}/?how={how}&key={new}").status_code == 200
    assert set(Page.objects.values_list("path", "owner")) == {("c", user.pk), ("b", user.pk)}
