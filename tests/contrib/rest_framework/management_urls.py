"""A URLconf with only the management API, for the schema tests."""

from django.urls import include, path

urlpatterns = [path("api/pats/", include("pat_tokens.contrib.rest_framework.urls"))]
