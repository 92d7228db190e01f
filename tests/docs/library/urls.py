from channels.routing import URLRouter
from django.contrib import admin
from django.urls import include, path
from library.api import api
from library.lending import lend
from library.locking import LockableBookViewSet
from library.reports import Report
from library.routing import websocket_urlpatterns
from library.shelving import Merge, Swap
from library.streams import stream
from library.views import BookViewSet
from mysite.health import health
from rest_framework.routers import SimpleRouter

from pat_tokens.contrib.channels.middleware import PersonalAccessTokenMiddleware

router = SimpleRouter()
router.register("books", BookViewSet)
router.register("lockable", LockableBookViewSet, basename="lockable")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("pats/", include("pat_tokens.urls")),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
    path("api/", include(router.urls)),
    path("api/reports/<int:book_pk>/", Report.as_view()),
    path("api/lend/<int:pk>/", lend),
    path("api/swap/<int:pk>/<int:other>/", Swap.as_view()),
    path("api/merge/<int:pk>/", Merge.as_view()),
    path("ninja/", api.urls),
    path("streams/<int:pk>/", stream),
    path("health/", health),
]

websocket = PersonalAccessTokenMiddleware(URLRouter(websocket_urlpatterns))
