"""The URLs of the pages: `path("pats/", include("pat_tokens.urls"))`."""

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.urls import path

# Not a system check, because without that app importing the views fails first, with an error about its models.
if not apps.is_installed("django.contrib.auth"):
    raise ImproperlyConfigured(
        "The pages of pat_tokens need django.contrib.auth in INSTALLED_APPS for logins. Add it, or remove "
        "pat_tokens.urls from your URLs. Tokens, the API and the commands work without it."
    )

from pat_tokens.pages import activity, confirmations, rotation, scope_use, scopes, session, tokens

app_name = "pat_tokens"

urlpatterns = [
    path("", tokens.TokenList.as_view(), name="token_list"),
    path("activity/", activity.ActivityList.as_view(), name="activity_list"),
    path("search/", tokens.TokenSearch.as_view(), name="token_search"),
    path("create/", tokens.TokenCreate.as_view(), name="token_create"),
    path("selected/delete/", confirmations.SelectedDelete.as_view(), name="selected_delete"),
    path("selected/revoke/", confirmations.SelectedRevoke.as_view(), name="selected_revoke"),
    path("delete/", confirmations.TokensDelete.as_view(), name="tokens_delete"),
    path("reauthenticate/", session.Reauthenticate.as_view(), name="reauthenticate"),
    path("columns/<slug:table>/", session.Columns.as_view(), name="columns"),
    path("entities/<slug:entity_type>/", scopes.EntityList.as_view(), name="entity_list"),
    path("<uuid:pk>/", tokens.TokenDetail.as_view(), name="token_detail"),
    path("<uuid:pk>/edit/<slug:field>/", tokens.TokenEdit.as_view(), name="token_edit"),
    path("<uuid:pk>/revoke/", confirmations.TokenRevoke.as_view(), name="token_revoke"),
    path("<uuid:pk>/regenerate/", tokens.TokenRegenerate.as_view(), name="token_regenerate"),
    path("<uuid:pk>/rotate/", rotation.TokenRotate.as_view(), name="token_rotate"),
    path("<uuid:pk>/rotate/grace-period/", rotation.RotationGracePeriod.as_view(), name="rotation_grace_period"),
    path("<uuid:pk>/rotate/finish/", rotation.RotationFinish.as_view(), name="rotation_finish"),
    path("<uuid:pk>/rotate/cancel/", rotation.RotationCancel.as_view(), name="rotation_cancel"),
    path("<uuid:pk>/delete/", confirmations.TokenDelete.as_view(), name="token_delete"),
    path("<uuid:pk>/scopes/add/", scopes.ScopesAdd.as_view(), name="scopes_add"),
    path("<uuid:pk>/scopes/delete/", confirmations.ScopesDelete.as_view(), name="scopes_delete"),
    path("<uuid:pk>/scopes/unused/", scope_use.ScopesUnused.as_view(), name="scopes_unused"),
    path("<uuid:pk>/scopes/<uuid:scope_pk>/delete/", confirmations.ScopeDelete.as_view(), name="scope_delete"),
]
