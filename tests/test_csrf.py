"""Pages check CSRF, whatever middleware a site has; test_middleware.py tests guarded views."""

from io import BytesIO

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import got_request_exception
from django.middleware.csrf import CsrfViewMiddleware
from django.test import AsyncClient, Client, RequestFactory
from django.urls import reverse

from pat_tokens.models import PersonalAccessToken
from tests.factories import UserFactory
from tests.interfaces import admin_url

pytestmark = pytest.mark.django_db

CSRF = "django.middleware.csrf.CsrfViewMiddleware"
SWITCH = "tests.plain_site.csrf_switch"
MIDDLEWARE = django_settings.MIDDLEWARE
WITHOUT = [name for name in MIDDLEWARE if name != CSRF]
OF_SEVERAL = ("tokens_delete", "selected_delete", "selected_revoke")
PAGES = [
    ("token_create", {"name": "stolen", "duration": "7d"}),
    *((name, {}) for name in OF_SEVERAL),
    ("token_revoke", {}),
    ("token_regenerate", {"duration": "7d"}),
    ("token_delete", {}),
    ("scopes_add", {"scopes-0-entity_type": "channels", "scopes-0-entity_id": "*", "scopes-0-operations": "read"}),
    ("scopes_delete", {}),
]


class TrustingMiddleware(CsrfViewMiddleware):
    """A subclass that determines trusted origins at run time."""

    def _origin_verified(self, request):
        return request.META["HTTP_ORIGIN"] == "https://trusted.example"


class LoggingMiddleware(CsrfViewMiddleware):
    """A subclass that only logs what it would refuse."""

    def _reject(self, request, reason):
        return None


class ExemptingMiddleware(CsrfViewMiddleware):
    """A subclass that doesn't check some requests."""

    def _check_token(self, request):
        return None

    def process_view(self, *args):
        return None


LENIENT = [
    [f"tests.test_csrf.{name}" if one == CSRF else one for one in MIDDLEWARE]
    for name in ("LoggingMiddleware", "ExemptingMiddleware")
]


def state():
    return list(PersonalAccessToken.objects.values_list("pk", "digest", "revoked_at", "scope__operation"))


@pytest.mark.parametrize(
    "middleware", [MIDDLEWARE, WITHOUT, [SWITCH, *MIDDLEWARE], [*MIDDLEWARE, SWITCH], [*WITHOUT, SWITCH], *LENIENT]
)
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_forged_request_changes_nothing(settings, user, make_token, middleware, client_class):
    settings.MIDDLEWARE = middleware
    client = client_class(enforce_csrf_checks=True)
    client.force_login(user)
    token = make_token("channels:*:list")
    before = state()
    for name, fields in PAGES:
        if name in OF_SEVERAL:
            fields = {"ids": str(token.pk), "active": str(token.pk), "number": 1}
        path = reverse(f"pat_tokens:{name}", args=[] if name in ("token_create", *OF_SEVERAL) else [token.pk])
        post = async_to_sync(client.post) if client_class is AsyncClient else client.post
        assert post(path, fields).status_code == 403, name
        assert post(path, fields, headers={"origin": "https://evil.example"}).status_code == 403, name
    assert state() == before


@pytest.mark.urls("tests.test_admin")
@pytest.mark.parametrize("middleware", [WITHOUT, [*MIDDLEWARE, SWITCH], [*WITHOUT, SWITCH]])
def test_forged_request_changes_nothing_in_the_admin(settings, make_token, middleware):
    settings.MIDDLEWARE = middleware
    boss = UserFactory(is_staff=True, is_superuser=True)
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    token = make_token("channels:*:list")
    before = state()
    for page, fields in (
        ("add", {"user": boss.pk, "name": "stolen", "duration": "30d"}),
        ("change", {"name": "other"}),
        ("delete", {"post": "yes"}),
        ("changelist", {"action": "revoke_selected", "_selected_action": str(token.pk)}),
        ("revoke", {}),
        ("regenerate", {"duration": "7d"}),
        ("rotate", {"duration": "7d"}),
    ):
        args = [] if page in ("add", "changelist") else [token.pk]
        assert client.post(admin_url(page, *args), fields).status_code == 403, page
    assert state() == before
    path = admin_url("revoke", token.pk)
    typed = {"csrfmiddlewaretoken": str(client.get(path).context["csrf_token"])}
    assert client.post(path, typed).status_code == 302
    assert state() != before


def test_test_client_in_use_exempts_no_other_request(settings, user, token):
    settings.MIDDLEWARE = WITHOUT
    session = Client()
    session.force_login(user)
    waiting = Client()  # as in a thread that the site has started
    got_request_exception.connect(waiting.store_exc_info)
    path = reverse("pat_tokens:token_revoke", args=[token.pk])
    forged = RequestFactory(headers={"cookie": f"sessionid={session.cookies['sessionid'].value}"}).post(path)
    received = WSGIRequest({**forged.environ, "wsgi.input": BytesIO()})
    try:
        assert WSGIHandler().get_response(received).status_code == 403
    finally:
        got_request_exception.disconnect(waiting.store_exc_info)
    token.refresh_from_db()
    assert token.revoked_at is None


@pytest.mark.parametrize("middleware", [MIDDLEWARE, WITHOUT, [*WITHOUT, SWITCH], *LENIENT])
def test_own_form_works(settings, user, middleware):
    settings.MIDDLEWARE = middleware
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    token = str(client.get("/pats/create/").context["csrf_token"])
    typed = {"name": "mine", "duration": "7d", "csrfmiddlewaretoken": token}
    assert client.post("/pats/create/", typed).status_code == 302


def test_origins_trusted_by_site_middleware(settings, user):
    settings.MIDDLEWARE = ["tests.test_csrf.TrustingMiddleware" if name == CSRF else name for name in MIDDLEWARE]
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    token = str(client.get("/pats/create/").context["csrf_token"])
    typed = {"name": "mine", "duration": "7d", "csrfmiddlewaretoken": token}
    for origin, status in (("https://evil.example", 403), ("https://trusted.example", 302)):
        assert client.post("/pats/create/", typed, headers={"origin": origin}).status_code == status


@pytest.mark.parametrize("middleware", [MIDDLEWARE, WITHOUT])
def test_plain_test_client_is_not_checked(settings, user, token, middleware):
    settings.MIDDLEWARE = middleware
    client, async_client = Client(), AsyncClient()
    client.force_login(user)
    async_client.force_login(user)
    path = reverse("pat_tokens:token_revoke", args=[token.pk])
    assert client.post(path).status_code == 302
    assert async_to_sync(async_client.post)(path).status_code == 302
