"""The routes of the site."""

from django.urls import include, path

from benchmarks.site import streams, views

urlpatterns = [
    path("anonymous/<int:pk>/", views.Anonymous.as_view()),
    path("ours/<int:pk>/", views.Ours.as_view()),
    path("select/<int:pk>/", views.Select.as_view()),
    path("instances/<int:pk>/", views.Instances.as_view()),
    path("authtoken/<int:pk>/", views.AuthToken.as_view()),
    path("knox/<int:pk>/", views.Knox.as_view()),
    path("simplejwt/<int:pk>/", views.SimpleJWT.as_view()),
    path("api-key/<int:pk>/", views.APIKey.as_view()),
    path("oauth-toolkit/<int:pk>/", views.OAuth.as_view()),
    path("streams/<int:pk>/", streams.Stream.as_view()),
    path("pats/", include("pat_tokens.urls")),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
]
