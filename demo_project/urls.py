from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import DefaultRouter

from demo_project.devices import views as devices
from demo_project.views import ApiDocs, ChannelPage, Home, Login

router = DefaultRouter()
router.register("clients", devices.ClientViewSet)
router.register("channels", devices.ChannelViewSet)
router.register("groups", devices.GroupViewSet)
router.register("dashboards", devices.DashboardViewSet)

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("channels/<uuid:pk>/", ChannelPage.as_view(), name="channel"),
    path("accounts/login/", Login.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("pats/", include("pat_tokens.urls")),
    path("api/status/", devices.StatusView.as_view(), name="status"),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", ApiDocs.as_view(), name="docs"),
    path("api/", include(router.urls)),
]
