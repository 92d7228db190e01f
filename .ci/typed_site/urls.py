"""Routes of the typed site."""

from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver
from views import ApiView, MixedView, show

urlpatterns: list[URLPattern | URLResolver] = [
    path("show/<int:pk>/", show),
    path("mixed/", MixedView.as_view()),
    path("api/", ApiView.as_view()),
    path("pats/", include("pat_tokens.urls")),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
]
