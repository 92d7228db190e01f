from channels.routing import URLRouter
from django.contrib import admin
from django.urls import include, path
from library.consumers import BookConsumer
from library.drf_function import lend
from library.drf_report import Report
from library.drf_viewset import LockableBookViewSet
from library.ninja_lists import api
from library.plain_class import BookDetail
from library.plain_function import book
from library.plain_list import books
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
    path("ninja/", api.urls),
    path("plain/", books),
    path("plain/<int:pk>/", book),
    path("plain/<int:pk>/detail/", BookDetail.as_view(template_name="book.html")),
    path("health/", health),
    path("plain/undeclared/", lambda request: None),
]

websocket = PersonalAccessTokenMiddleware(URLRouter([path("books/<int:pk>/", BookConsumer.as_asgi())]))
