"""The routes of the site."""

from django.urls import include, path, re_path
from django.views.decorators.cache import cache_page
from rest_framework.routers import DefaultRouter, SimpleRouter
from rest_framework.urlpatterns import format_suffix_patterns
from rest_framework_nested.routers import NestedSimpleRouter

from tests.models import Channel
from tests.site import functions, views

router = DefaultRouter()
router.register("projects", views.ProjectViewSet)
router.register("channels", views.ChannelViewSet, basename="channels")
router.register("narrowed", views.NarrowedChannels, basename="narrowed")
router.register("boxes", views.ReadOnlyChannels, basename="box")
router.register("devices", views.DeviceViewSet)
router.register("pages", views.PageViewSet)
router.register("by-slug", views.ProjectBySlug, basename="by-slug")
router.register("by-name", views.ProjectByName, basename="by-name")
router.register("thermometers", views.ThermometerViewSet)
router.register("probes", views.ProbeViewSet)
router.register("badges", views.BadgeViewSet)
router.register("badges-by-id", views.BadgeById, basename="badges-by-id")
router.register("covers", views.CoverViewSet)
router.register("archive", views.ArchiveViewSet)
router.register("memos", views.MemoViewSet)
router.register("nosy", views.NosyViewSet, basename="nosy")
router.register("action-on-other", views.ActionOnOtherModel, basename="action-on-other")

tasks = NestedSimpleRouter(router, "projects", lookup="project")
tasks.register("tasks", views.NestedTasks, basename="project-tasks")
tasks.register("undeclared", views.TaskViewSet, basename="project-undeclared")

versioned = SimpleRouter(use_regex_path=False)
versioned.register("channels", views.URLPathChannels, basename="versioned")

v1 = SimpleRouter()
v1.register("channels", views.V1Channels, basename="channel")

DETAIL = {"get": "retrieve", "put": "update", "delete": "destroy"}
BULK = {"get": "list", "post": "create", "put": "update", "patch": "partial_update", "delete": "destroy"}

attacks = [
    path("own-handlers/<int:pk>/", views.HandlersOfItsOwn.as_view({"get": "get"})),
    path("own-publish/<int:pk>/", views.PublishWithoutAction.as_view({"post": "publish"})),
    path("own-handlers/", views.HandlersOfItsOwn.as_view({"get": "get"})),
    path("own-head/<int:pk>/", views.OwnHead.as_view({"head": "probe"})),
    path("options-left-out/", views.OptionsLeftOut.as_view()),
    path("head-only/", views.HeadOnly.as_view()),
    path("own-405/", views.OwnAnswerTo405.as_view()),
    path("made-up/", views.MadeUpMethods.as_view()),
    path("late-methods/<int:pk>/", views.LateMethods.as_view({"get": "retrieve", "delete": "destroy"})),
    path("late-override/<int:pk>/", views.LateMethodOverride.as_view(DETAIL)),
    path("early-override/<int:pk>/", views.EarlyMethodOverride.as_view(DETAIL)),
    path("object-from-query/<int:pk>/", views.ObjectFromQuery.as_view(DETAIL)),
    path("keywords-changed/<int:pk>/", views.KeywordsChangedEarly.as_view(DETAIL)),
    path("object-of-other/<int:pk>/", views.ObjectOfOtherModel.as_view(DETAIL)),
    path("queryset-of-other/", views.QuerysetOfOtherModel.as_view({"get": "list"})),
    path("slug-of-anybody/<str:name>/", views.SlugOfAnybody.as_view({"get": "retrieve"})),
    path("computed/", views.ComputedQueryset.as_view({"get": "list"})),
    path("computed-requirements/", views.ComputedRequirements.as_view({"get": "list"})),
    path("listed-requirements/", views.ListedRequirements.as_view({"get": "list"})),
    path("people/", views.People.as_view({"get": "list"})),
    path("computed-keyword/", views.ComputedKeyword.as_view({"get": "list"})),
    path("computed-keyword/<int:pk>/", views.ComputedKeyword.as_view({"get": "retrieve"})),
    path("computed-field/", views.ComputedField.as_view({"get": "list"})),
    path("computed-field/<int:pk>/", views.ComputedField.as_view({"get": "retrieve"})),
    path("by-owner/<str:username>/", views.ByOwner.as_view({"get": "retrieve"})),
    path("changes-its-model/", views.ChangesItsModel.as_view({"get": "list"})),
    path("two-in-one/<slug:slug>/", views.TwoInOne.as_view({"get": "retrieve"})),
    path("extra/<int:pk>/", views.ChannelViewSet.as_view(DETAIL), {"team": 5}),
    path("fixed/", views.ChannelViewSet.as_view(DETAIL), {"pk": 1}),
    re_path(r"^optional/(?:(?P<pk>\d+)/)?$", views.ChannelViewSet.as_view(BULK)),
    re_path(r"^positional/(\d+)/$", views.ChannelViewSet.as_view(BULK)),
    re_path(r"^wild/\d+/channels/$", views.ChannelViewSet.as_view(BULK)),
    path("unversioned/<str:version>/channels/", views.ChannelViewSet.as_view(BULK)),
    path("list-of-one/<int:pk>/", views.ChannelViewSet.as_view({"get": "list", "post": "create"})),
    path("one-without-a-key/", views.ChannelViewSet.as_view({"get": "retrieve"})),
    path("with-a-key/<int:pk>/export/", views.ProjectViewSet.as_view({"get": "export"})),
    path("without-a-key/share-with/", views.ProjectViewSet.as_view({"post": "share"})),
    path("said-to-be-of-one/", views.ChannelViewSet.as_view({"get": "list"}, detail=True)),
    path("said-to-be-of-all/<int:pk>/", views.ChannelViewSet.as_view({"delete": "destroy"}, detail=False)),
    path("sealed-and-changed/<int:pk>/", views.SealedAndChanged.as_view(DETAIL), name="sealed-and-changed"),
    path(
        "either/<int:pk>/",
        functions.either(
            views.ChannelViewSet.as_view({"post": "retrieve"}), views.ChannelViewSet.as_view({"post": "destroy"})
        ),
    ),
    path("twice/<int:pk>/and/<int:other>/", views.ChannelViewSet.as_view(DETAIL)),
]

urlpatterns = [
    path("bulk/", views.BulkChannels.as_view(BULK)),
    path("projects/<int:pk>/tasks-of-project/", views.TasksOfProject.as_view(DETAIL), name="tasks-of-project"),
    path("vendor/", include(([path("<int:pk>/tasks/", views.VendorTasks.as_view(DETAIL), name="tasks")], "vendor"))),
    path("configured/channels/", views.ConfigurableViewSet.as_view({"get": "list"}, queryset=Channel.objects.all())),
    path("configured/nothing/", views.ConfigurableViewSet.as_view({"get": "list"})),
    path("v/<str:version>/", include(versioned.urls)),
    path("v1/", include((v1.urls, "v1"))),
    path("accept/channels/<int:pk>/", views.AcceptHeaderChannels.as_view(DETAIL)),
    path("generic/channels/", views.ChannelList.as_view(), name="generic-list"),
    path("generic/channels/<int:channel_id>/", views.ChannelDetail.as_view()),
    path("generic/narrowed/<int:pk>/", views.NarrowedChannel.as_view()),
    path("generic/devices/<device>/", views.DeviceDetail.as_view()),
    path("generic/tasks/<slug:project>/<slug:task>/", views.TaskBySlugs.as_view()),
    path("generic/tasks-by-key/<int:project>/<slug:slug>/", views.TaskByProjectAndSlug.as_view()),
    path("paths/<path:pk>/", views.PagesByPath.as_view(DETAIL)),
    path("legacy/list/", views.LegacyChannels.as_view()),
    path("status/", views.Status.as_view()),
    path("undeclared/", views.Undeclared.as_view(), name="undeclared"),
    path("public/", views.Public.as_view()),
    path("refused/", views.Refused.as_view()),
    path("sealed/<int:pk>/", views.SealedChannels.as_view(DETAIL), name="sealed"),
    path("broken/<int:channel_id>/", views.Broken.as_view(), name="broken"),
    path("pinned/", views.Pinned.as_view()),
    path("pinned-away/", views.PinnedAway.as_view()),
    path("calls-another/<int:channel_id>/", views.CallsAnother.as_view()),
    path("cached/channels/", cache_page(60)(views.ChannelList.as_view())),
    path("counted/channels/<int:pk>/", functions.counted(views.ChannelViewSet.as_view(DETAIL))),
    path("hidden/channels/<int:pk>/", functions.hidden(views.ChannelViewSet.as_view(DETAIL)), name="hidden"),
    path("lists/searched/", views.Searched.as_view()),
    path("lists/mixed-in/", views.MixedIn.as_view()),
    path("lists/unfiltered/", views.Unfiltered.as_view()),
    path("lists/ignoring/", views.Ignoring.as_view()),
    path("lists/annotated/", views.Annotated.as_view()),
    path("lists/distinct/", views.Distinct.as_view()),
    path("lists/sliced-late/", views.SlicedLate.as_view()),
    path("lists/sliced-early/", views.SlicedEarly.as_view()),
    path("lists/united/", views.United.as_view()),
    path("lists/other-model/", views.OtherModel.as_view()),
    path("lists/tasks-by-project/", views.TasksByProject.as_view()),
    path("lists/channels-by-project/", views.ChannelsByProject.as_view()),
    path("lists/thermometers/", views.ThermometersAsChannels.as_view()),
    path("functions/ping/", functions.ping),
    path("functions/<int:channel_id>/summary/", functions.summary),
    path("functions/<int:channel_id>/undeclared/", functions.undeclared),
    path("functions/public/", functions.public),
    path("functions/<int:channel_id>/legacy/", functions.legacy),
    path("functions/<int:channel_id>/legacy-by-path/", functions.legacy_by_path),
    path("functions/<int:channel_id>/legacy-by-url/", functions.legacy_by_url, name="legacy-by-url"),
    path("functions/<int:channel_id>/own-options/", functions.own_options),
    path("functions/without-authentication/", functions.without_authentication),
    path("functions/plain/", functions.plain_django, name="plain"),
    *format_suffix_patterns(
        [path("suffixed/<int:pk>", views.ChannelViewSet.as_view(DETAIL))], allowed=["json", "html"]
    ),
    path("", include(attacks)),
    path("", include(tasks.urls)),
    path("", include(router.urls)),
]
