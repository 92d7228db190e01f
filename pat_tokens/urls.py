"""The pages: `path("pats/", include("pat_tokens.urls"))`."""

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.urls import path

# Not a system check: without that app, importing the views fails, and `check` with it, in words about its models.
if not apps.is_installed("django.contrib.auth"):
    raise ImproperlyConfigured(
        "The pages of pat_tokens need django.contrib.auth in INSTALLED_APPS, by which people log in. Add it, or take "
        "pat_tokens.urls out of your URLs: tokens, the API and the commands do without."
    )

from pat_tokens.pages import views

app_name = "pat_tokens"

urlpatterns = [
    path("", views.TokenList.as_view(), name="token_list"),
    path("search/", views.TokenSearch.as_view(), name="token_search"),
    path("create/", views.TokenCreate.as_view(), name="token_create"),
    path("delete/", views.TokensDelete.as_view(), name="tokens_delete"),
    path("reauthenticate/", views.Reauthenticate.as_view(), name="reauthenticate"),
    path("columns/<slug:table>/", views.Columns.as_view(), name="columns"),
    path("entities/<slug:entity_type>/", views.EntityList.as_view(), name="entity_list"),
    path("<uuid:pk>/", views.TokenDetail.as_view(), name="token_detail"),
    path("<uuid:pk>/edit/<slug:field>/", views.TokenEdit.as_view(), name="token_edit"),
    path("<uuid:pk>/revoke/", views.TokenRevoke.as_view(), name="token_revoke"),
    path("<uuid:pk>/regenerate/", views.TokenRegenerate.as_view(), name="token_regenerate"),
    path("<uuid:pk>/delete/", views.TokenDelete.as_view(), name="token_delete"),
    path("<uuid:pk>/scopes/add/", views.ScopesAdd.as_view(), name="scopes_add"),
    path("<uuid:pk>/scopes/delete/", views.ScopesDelete.as_view(), name="scopes_delete"),
    path("<uuid:pk>/scopes/<uuid:scope_pk>/delete/", views.ScopeDelete.as_view(), name="scope_delete"),
]
