"""The management API alone, as the schema tests want it."""

from django.urls import include, path

urlpatterns = [path("api/pats/", include("pat_tokens.contrib.rest_framework.urls"))]
