"""The URLs of the management API: `path("api/pats/", include("pat_tokens.contrib.rest_framework.urls"))`."""

from django.urls import path

from pat_tokens.contrib.rest_framework import views

app_name = "pat_tokens_api"

urlpatterns = [
    path("", views.TokenViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_all"}), name="token-list"),
    # Before the routes of tokens, which match any string: UUIDs in any spelling are accepted, and the rest is a 404.
    path("entities/", views.EntityTypeViewSet.as_view({"get": "list"}), name="entity-type-list"),
    path("entities/<str:entity_type>/", views.EntityViewSet.as_view({"get": "list"}), name="entity-list"),
    path("activity/", views.ActivityViewSet.as_view({"get": "list"}), name="activity-list"),
    path("current/", views.CurrentTokenViewSet.as_view({"get": "retrieve"}), name="current-token"),
    path("current/revoke/", views.CurrentTokenViewSet.as_view({"post": "revoke"}), name="current-token-revoke"),
    path(
        "<str:token_id>/",
        views.TokenViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="token-detail",
    ),
    path("<str:token_id>/revoke/", views.TokenViewSet.as_view({"post": "revoke"}), name="token-revoke"),
    path("<str:token_id>/regenerate/", views.TokenViewSet.as_view({"post": "regenerate"}), name="token-regenerate"),
    path(
        "<str:token_id>/activity/",
        views.ActivityViewSet.as_view({"get": "list_for_token"}),
        name="token-activity",
    ),
    path("<str:token_id>/missing/", views.MissingScopeViewSet.as_view({"get": "list"}), name="token-missing"),
    path("<str:token_id>/rotate/", views.TokenViewSet.as_view({"post": "rotate"}), name="token-rotate"),
    path(
        "<str:token_id>/rotate/finish/",
        views.TokenViewSet.as_view({"post": "finish_rotation"}),
        name="token-finish-rotation",
    ),
    path(
        "<str:token_id>/rotate/cancel/",
        views.TokenViewSet.as_view({"post": "cancel_rotation"}),
        name="token-cancel-rotation",
    ),
    path("<str:token_id>/explain/", views.TokenViewSet.as_view({"get": "explain"}), name="token-explain"),
    path(
        "<str:token_id>/scopes/",
        views.ScopeViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_all"}),
        name="scope-list",
    ),
    path(
        "<str:token_id>/scopes/<str:scope_id>/", views.ScopeViewSet.as_view({"delete": "destroy"}), name="scope-detail"
    ),
]
