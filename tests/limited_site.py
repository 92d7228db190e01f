"""A test site whose views limit their lists, correctly and incorrectly, in each framework."""

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Count, Max
from django.db.models.functions import Upper
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.http import condition
from ninja import NinjaAPI, Schema
from rest_framework import generics, pagination, viewsets
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from pat_tokens.contrib.ninja.authentication import (
    AsyncPersonalAccessTokenAuthentication,
    PersonalAccessTokenAuthentication,
)
from pat_tokens.contrib.rest_framework.filters import ScopeFilterBackend
from pat_tokens.decorators import pat_requirements
from pat_tokens.filtering import alimit_to_token, limit_to_token
from pat_tokens.requirements import Requirement
from tests.models import Channel
from tests.site.serializers import ChannelSerializer

LIST = Requirement("channels", "list")


User = get_user_model()
SQL = f"SELECT * FROM {Channel._meta.db_table} ORDER BY name"


def last(*results):
    return results[-1]


def made_of(names):
    return [Channel(name=name, owner_id=0) for name in names]


def by_cursor():
    with connection.cursor() as cursor:
        cursor.execute(SQL.replace("*", "name"))
        return made_of(name for (name,) in cursor.fetchall())


# Functions from the limiting function and a queryset to a response. Two of the three channels are named "a" and "c".
KEPT = {
    "itself": lambda limit, rows: limit(rows),
    "slice": lambda limit, rows: limit(rows)[:10],
    "filtered": lambda limit, rows: limit(rows).filter(name__gt="").exclude(name="x"),
    "filtered before": lambda limit, rows: limit(rows.filter(name__gt="").annotate(n=Count("project"))),
    "annotated": lambda limit, rows: limit(rows).annotate(n=Count("project")).filter(n=0).distinct(),
    "prefetched": lambda limit, rows: limit(rows).select_related("owner").prefetch_related("project_set"),
    "deferred": lambda limit, rows: limit(rows).only("name"),
    "evaluated": lambda limit, rows: list(limit(rows)),
    "slice of the evaluated": lambda limit, rows: last(limited := limit(rows), len(limited), limited[0:2]),
    "in batches": lambda limit, rows: list(limit(rows).iterator(chunk_size=1)),
    "page": lambda limit, rows: Paginator(limit(rows), 5).page(1).object_list,
    "by key": lambda limit, rows: rows.filter(pk__in=limit(rows).values("pk")),
    "union of limited": lambda limit, rows: last(
        one := limit(rows.order_by()), one.filter(name="a").union(one.filter(name="c")).order_by("name")
    ),
    "intersection": lambda limit, rows: limit(rows.order_by()).intersection(rows.order_by()).order_by("name"),
    "limited or limited": lambda limit, rows: last(one := limit(rows), one.filter(name="a") | one.filter(name="c")),
    "beside a look-up": lambda limit, rows: last(rows.get(name="b"), limit(rows)),
    "beside a count": lambda limit, rows: last(limited := limit(rows), rows.count(), rows.exists(), limited),
}
# Allowed only if what is returned can be traced to the limited queryset.
TRACED = {"after a check of all": lambda limit, rows: last([row.owner for row in rows], limit(rows))}
EMPTY = {
    "none": lambda limit, rows: limit(rows).none(),
    "nothing": lambda limit, rows: limit(rows).filter(name__in=[]),
    "nothing before": lambda limit, rows: limit(rows.filter(name__in=[])),
    "empty page": lambda limit, rows: Paginator(limit(rows).filter(name="x"), 5).page(1).object_list,
}
LOST = {
    "never limited": lambda limit, rows: rows,
    "limited and dropped": lambda limit, rows: last(limit(rows), rows),
    "counted and dropped": lambda limit, rows: last(limit(rows).count(), rows),
    "asked for and dropped": lambda limit, rows: last(limit(rows).exists(), rows),
    "read and dropped": lambda limit, rows: last(list(limit(rows)), rows),
    "none limited": lambda limit, rows: last(list(limit(rows.none())), rows),
    "read before": lambda limit, rows: last(read := list(rows), limit(rows), read),
    "read before and counted": lambda limit, rows: last(read := list(rows), limit(rows).count(), read),
    "read before, limited and read": lambda limit, rows: last(read := list(rows), list(limit(rows)), read),
    "union": lambda limit, rows: limit(rows.order_by()).union(rows.order_by()),
    "union from the other side": lambda limit, rows: rows.order_by().union(limit(rows.order_by())),
    "or": lambda limit, rows: limit(rows) | rows,
    "or from the other side": lambda limit, rows: rows | limit(rows),
    "the others": lambda limit, rows: rows.exclude(pk__in=limit(rows).values("pk")),
    "of the same owner": lambda limit, rows: rows.filter(owner__in=limit(rows).values("owner")),
    "both": lambda limit, rows: [*limit(rows), *rows],
    "others again": lambda limit, rows: last(limit(rows).first(), list(rows)),
    # What is returned is read in another way than the limited queryset, which is read and dropped.
    "slice of one": lambda limit, rows: last(list(limit(rows)), rows[1:2]),
    "first one": lambda limit, rows: last(list(limit(rows)), rows.filter(name="b")[:1]),
    "slice of 21": lambda limit, rows: last(list(limit(rows)), rows[:21]),
    "page of one": lambda limit, rows: last(list(limit(rows)), Paginator(rows, 1).page(2).object_list),
    "of their owner": lambda limit, rows: last(
        list(limit(rows)), rows.get(name="b").owner.channel_set.order_by("name")
    ),
    "looked up": lambda limit, rows: last(limited := list(limit(rows)), [*limited, rows.get(name="b")]),
    "looked up by order": lambda limit, rows: last(list(limit(rows)), [rows.exclude(name="a").earliest("name")]),
    "raw": lambda limit, rows: last(list(limit(rows)), list(Channel.objects.raw(SQL))),
    "raw before": lambda limit, rows: last(read := list(Channel.objects.raw(SQL)), list(limit(rows)), read),
    "cursor": lambda limit, rows: last(list(limit(rows)), by_cursor()),
    "values": lambda limit, rows: last(list(limit(rows)), made_of(rows.values_list("name", flat=True))),
    "computed": lambda limit, rows: last(list(limit(rows)), made_of(rows.values_list(Upper("name"), flat=True))),
    "aggregate": lambda limit, rows: last(list(limit(rows)), made_of(rows.aggregate(name=Max("name")).values())),
    "aggregate of some": lambda limit, rows: last(
        list(limit(rows)), made_of(rows.distinct()[:2].aggregate(name=Max("name")).values())
    ),
    "of another model": lambda limit, rows: last(
        list(limit(rows)), made_of(User.objects.filter(channel__name="b").values_list("channel__name", flat=True))
    ),
    "annotated to another model": lambda limit, rows: last(
        list(limit(rows)), made_of(one.found for one in User.objects.annotate(found=Max("channel__name")))
    ),
    "in bulk": lambda limit, rows: last(list(limit(rows)), list(rows.in_bulk().values())),
    "values of a union": lambda limit, rows: last(
        list(limit(rows)), made_of(rows.order_by().union(rows.order_by()).values_list("name", flat=True))
    ),
}
MADE = {**KEPT, **TRACED, **EMPTY, **LOST}


def channels():
    return Channel.objects.order_by("name")


def make(request, limit):
    return MADE[request.GET["made"]](limit, channels())


def names(rows):
    return [row.name for row in rows]


# REST framework: with a serializer, with pagination, and by hand.


class Serialized(generics.ListAPIView):
    queryset = Channel.objects.order_by("name")
    serializer_class = ChannelSerializer
    renderer_classes = [JSONRenderer]
    filter_backends = [ScopeFilterBackend]
    pat_requirements = {"GET": LIST}

    def list(self, request, *args, **kwargs):
        return self.answer(make(request, self.filter_queryset))

    def answer(self, rows):
        return Response(self.get_serializer(rows, many=True).data)


class InPages(Serialized):
    pagination_class = type("Ten", (pagination.LimitOffsetPagination,), {"default_limit": 10})

    def answer(self, rows):
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ByHand(Serialized):
    def answer(self, rows):
        return Response([{"name": name} for name in names(rows)])


class Beside(Serialized):
    """Returns the limited list and an unlimited one."""

    def answer(self, rows):
        return Response({"mine": super().answer(rows).data, "all": [{"name": name} for name in names(channels())]})


class Widen(BaseFilterBackend):
    def filter_queryset(self, request, queryset, view):
        return channels()


class Widened(generics.ListAPIView):
    """A filter backend after ours that starts from all rows again."""

    queryset = Channel.objects.order_by("name")
    serializer_class = ChannelSerializer
    filter_backends = [ScopeFilterBackend, Widen]
    pat_requirements = {"GET": LIST}


class Cursored(Widened):
    filter_backends = [ScopeFilterBackend]
    pagination_class = type("ByName", (pagination.CursorPagination,), {"ordering": "name", "page_size": 1})


class Children(viewsets.ReadOnlyModelViewSet):
    """A list on a detail route, whose `get_object()` filters."""

    queryset = Channel.objects.order_by("name")
    serializer_class = ChannelSerializer
    filter_backends = [ScopeFilterBackend]
    pat_requirements = {"children": LIST, "siblings": LIST, "parents": LIST, "retrieve": LIST}

    @action(detail=True)
    def children(self, request, pk):
        return Response(names(self.get_object().owner.channel_set.all()))

    @action(detail=True)
    def siblings(self, request, pk):
        self.get_object()
        return Response(self.get_serializer(self.get_queryset(), many=True).data)

    @action(detail=True)
    def parents(self, request, pk):
        """Also limits its list."""
        self.get_object()
        return Response(self.get_serializer(self.filter_queryset(self.get_queryset()), many=True).data)


class OuterBefore(Serialized):
    def list(self, request, *args, **kwargs):
        found = names(channels())
        names(self.filter_queryset(channels()))
        return Response(found)


# Django.


@pat_requirements({"GET": LIST})
def plain(request):
    return JsonResponse({"results": names(make(request, lambda rows: limit_to_token(request, rows)))})


@pat_requirements({"GET": LIST})
async def asynchronous(request):
    @sync_to_async
    def answer():
        return names(make(request, lambda rows: limit_to_token(request, rows)))

    return JsonResponse({"results": await answer()})


@pat_requirements({"GET": LIST})
def streamed(request):
    def chunks():
        yield '{"results": '
        yield JSONRenderer().render(names(rows))
        yield "}"

    rows = make(request, lambda rows: limit_to_token(request, rows))
    return StreamingHttpResponse(chunks())


@pat_requirements({"GET": LIST})
async def astreamed(request):
    async def chunks():
        yield '{"results": ["'
        yield '", "'.join([row.name async for row in rows])
        yield '"]}'

    rows = await alimit_to_token(request, channels())
    return StreamingHttpResponse(chunks())


@pat_requirements({"GET": LIST})
async def aleaks(request):
    async def chunks():
        yield '{"results": ["'
        yield '", "'.join([row.name async for row in channels()])
        yield '"]}'

    await alimit_to_token(request, channels())
    return StreamingHttpResponse(chunks())


@pat_requirements({"GET": LIST})
def templated(request):
    rows = make(request, lambda rows: limit_to_token(request, rows))
    template = engines["django"].from_string(
        '{"results": [{% for row in rows %}"{{ row.name }}"{% if not forloop.last %}, {% endif %}{% endfor %}]}'
    )
    return TemplateResponse(request, template, {"rows": rows})


@pat_requirements({"GET": LIST})
def inner(request):
    return JsonResponse({"results": names(limit_to_token(request, channels()))})


@pat_requirements({"GET": LIST})
def outer_afterwards(request):
    inner(request)
    return JsonResponse({"results": names(channels())})


@pat_requirements({"GET": LIST})
def outer_before(request):
    found = names(channels())
    inner(request)
    return JsonResponse({"results": found})


@pat_requirements({"GET": LIST})
async def aouter_before(request):
    found = [row.name async for row in channels()]
    await sync_to_async(inner)(request)
    return JsonResponse({"results": found})


@pat_requirements({"GET": LIST})
def streams_before(request):
    def chunks():
        yield f'{{"results": ["{found[0]}'
        yield '"]}'

    found = names(channels())
    inner(request)
    return StreamingHttpResponse(chunks())


@pat_requirements({"GET": LIST})
def outer_limits(request):
    inner(request)
    return JsonResponse({"results": names(limit_to_token(request, channels()))})


class Unguarded:
    """Declared by its attribute, which the middleware reads."""

    def __call__(self, request):
        inner(request)
        return JsonResponse({"results": names(channels())})


unguarded = Unguarded()
unguarded.pat_requirements = {"GET": LIST}


@pat_requirements({"GET": LIST})
def nothing(request):
    return HttpResponse(status=204)


@pat_requirements({"GET": LIST})
@condition(etag_func=lambda request: '"one"')
def conditional(request):
    return JsonResponse({"results": names(limit_to_token(request, channels()))})


# Ninja.

api = NinjaAPI(urls_namespace="limited-ninja")
OURS = PersonalAccessTokenAuthentication(LIST, limits_list=True)
ASYNC = AsyncPersonalAccessTokenAuthentication(LIST, limits_list=True)


class Row(Schema):
    name: str


@api.get("/by-hand", auth=OURS)
def ninja_by_hand(request):
    return names(make(request, lambda rows: limit_to_token(request, rows)))


@api.get("/schema", auth=OURS, response=list[Row])
def ninja_schema(request):
    return make(request, lambda rows: limit_to_token(request, rows))


@api.get("/async", auth=ASYNC)
async def ninja_async(request):
    return await sync_to_async(lambda: names(make(request, lambda rows: limit_to_token(request, rows))))()


@api.get("/outer-before", auth=OURS)
def ninja_outer_before(request):
    found = names(channels())
    inner(request)
    return found


@api.get("/aouter-before", auth=ASYNC)
async def ninja_aouter_before(request):
    found = [row.name async for row in channels()]
    await sync_to_async(inner)(request)
    return found


@api.post("/posted", auth=OURS)
def ninja_posted(request):
    return names(limit_to_token(request, channels()))


urlpatterns = [
    path("rest/serialized/", Serialized.as_view()),
    path("rest/in-pages/", InPages.as_view()),
    path("rest/by-hand/", ByHand.as_view()),
    path("rest/outer-before/", OuterBefore.as_view()),
    path("rest/beside/", Beside.as_view()),
    path("rest/widened/", Widened.as_view()),
    path("rest/cursored/", Cursored.as_view()),
    path("rest/children/<int:pk>/", Children.as_view({"get": "children"})),
    path("rest/siblings/<int:pk>/", Children.as_view({"get": "siblings"})),
    path("rest/parents/<int:pk>/", Children.as_view({"get": "parents"})),
    path("rest/retrieved/<int:pk>/", Children.as_view({"get": "retrieve"})),
    path("plain/", plain),
    path("async/", asynchronous),
    path("streamed/", streamed),
    path("astreamed/", astreamed),
    path("aleaks/", aleaks),
    path("templated/", templated),
    path("outer-afterwards/", outer_afterwards),
    path("outer-before/", outer_before),
    path("aouter-before/", aouter_before),
    path("streams-before/", streams_before),
    path("outer-limits/", outer_limits),
    path("unguarded/", unguarded),
    path("nothing/", nothing),
    path("conditional/", conditional),
    path("ninja/", api.urls),
]
