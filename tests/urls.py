"""The routes of the small test site."""

from django.contrib.auth.views import LoginView
from django.urls import include, path
from rest_framework.routers import DefaultRouter

from tests import views

router = DefaultRouter()
router.register("channels", views.ChannelViewSet)
router.register("devices", views.DeviceViewSet)
router.register("pages", views.PageViewSet)

urlpatterns = [
    path("accounts/login/", LoginView.as_view()),
    path("pats/", include("pat_tokens.urls")),
    path("api/undeclared/", views.UndeclaredView.as_view(), name="undeclared"),
    path("api/anything/", views.AnythingView.as_view(), name="anything"),
    path("api/by-slug/<slug:slug>/", views.ChannelBySlug.as_view({"get": "retrieve"}), name="channel-by-slug"),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
    path("api/", include(router.urls)),
]
