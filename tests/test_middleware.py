import asyncio
import subprocess
import sys
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.views.debug import ExceptionReporter

from pat_tokens import crypto, lookup, services, signals
from pat_tokens.declarations import declare_url, declare_view
from pat_tokens.middleware import PersonalAccessTokenMiddleware
from pat_tokens.requirements import ANY_TOKEN, Requirement
from tests import plain_site
from tests.factories import ChannelFactory, DeviceFactory, UserFactory
from tests.plain_client import GET_TABLE, LOGIN_REQUIRED, OURS, POST_TABLE, SERVERS, Asker, expire
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.plain_site")]

MIDDLEWARE = django_settings.MIDDLEWARE


def with_ours(middleware=MIDDLEWARE):
    place = middleware.index("django.middleware.csrf.CsrfViewMiddleware")
    return [*middleware[:place], OURS, *middleware[place:]]


WITHOUT_CSRF = [name for name in with_ours() if "csrf" not in name]
SWITCH = "tests.plain_site.csrf_switch"


@pytest.fixture(autouse=True)
def middleware(settings):
    settings.MIDDLEWARE = with_ours()


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """Declare views that a site can't edit."""
    from pat_tokens.declarations import _declared

    for name in ("by_view", "by_path", "by_url_name"):
        monkeypatch.setattr(_declared, name, {})
    declare_view("tests.plain_site.foreign", plain_site.REQUIREMENTS)
    declare_view(plain_site.ForeignView, plain_site.REQUIREMENTS)
    declare_url("plain-foreign", plain_site.REQUIREMENTS)


@pytest.fixture(autouse=True)
def calls():
    plain_site.calls.clear()
    return plain_site.calls


@pytest.fixture(params=SERVERS)
def ask(request):
    """Return a client for WSGI and one for ASGI."""
    return lambda *args, **kwargs: Asker(request.param, *args, **kwargs)


OPEN = ["async-class", "dispatch", "async-dispatch", "foreign-class", "foreign-url", "undeclared", "async-undeclared"]
KINDS = [*plain_site.GUARDED, *plain_site.DECLARED]


@pytest.fixture
def entities(user):
    """A channel, its neighbor, and a device."""
    return ChannelFactory(owner=user).pk, ChannelFactory(owner=user).pk, DeviceFactory(owner=user).pk


def test_scopes_are_enforced(case, ask, make_token, entities, calls):
    tokens = {text: make_token(*text.format(*entities).split()) for text in [*GET_TABLE, *POST_TABLE]}
    for method in ["GET", "HEAD", "POST"]:
        for kind in KINDS:
            with case(kind, method):
                for text, status in (POST_TABLE if method == "POST" else GET_TABLE).items():
                    token = tokens[text]
                    calls.clear()
                    response = ask(token.secret)(f"/{kind}/{entities[0]}/", method)
                    assert response.status_code == status, (kind, method, text)
                    assert "Authorization" in response["Vary"]
                    assert len(calls) == (status == 200)
                    if status == 200 and method != "HEAD":
                        assert response.json()["user"] == "owner"
                        assert response.json()["token"] == token.name
                    if status == 403 and method != "HEAD":
                        operation = "publish" if method == "POST" else "read"
                        missing = {"entity_type": "channels", "entity_id": str(entities[0]), "operation": operation}
                        assert response.json()["code"] == "insufficient_scope"
                        assert response.json()["missing"] == [missing]
                        assert f'scope="channels:{entities[0]}:{operation}"' in response["WWW-Authenticate"]


def test_undeclared_methods_are_refused(case, ask, make_token, channel, calls):
    for kind in KINDS:
        with case(kind):
            token = make_token("channels:*:read", "channels:*:delete", "channels:*:update", "channels:*:publish")
            for method in ("DELETE", "PUT", "PATCH", "TRACE"):
                response = ask(token.secret)(f"/{kind}/{channel.pk}/", method)
                assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
            assert not calls


def test_options_needs_scope_and_runs_no_view(case, ask, make_token, user, channel, calls):
    for kind in KINDS:
        with case(kind):
            other = ChannelFactory(owner=user)
            response = ask(make_token(f"channels:{channel.pk}:publish").secret)(f"/{kind}/{channel.pk}/", "OPTIONS")
            assert (response.status_code, response["Allow"]) == (200, "GET, POST, HEAD, OPTIONS")
            for scope in (f"channels:{other.pk}:read", f"channels:{channel.pk}:update", "devices:*:read"):
                response = ask(make_token(scope).secret)(f"/{kind}/{channel.pk}/", "OPTIONS")
                assert (response.status_code, list(response.json())) == (403, ["detail", "code"])
            assert not calls


def test_inactive_and_malformed_secrets_are_refused(case, ask, make_token, channel, calls):
    def detail(kind, secret):
        response = ask(secret)(f"/{kind}/{channel.pk}/", "POST")
        assert response.status_code == 401
        assert 'error="invalid_token"' in response["WWW-Authenticate"]
        assert response["Content-Type"] == "application/json"
        return response.json()["detail"]

    expired, revoked = make_token("channels:*:publish"), make_token("channels:*:publish")
    expire(expired)
    services.revoke_token(revoked)
    malformed = ("pat_", "pat_\0", "pat_" + "x" * 100_000, expired.secret[:-1])
    for kind in [*KINDS, "undeclared", "async-undeclared"]:
        with case(kind):
            assert "expired" in detail(kind, expired.secret)
            assert "revoked" in detail(kind, revoked.secret)
            unknown = detail(kind, crypto.make_secret("pat"))
            assert {detail(kind, secret) for secret in malformed} == {unknown}
            assert not calls


def test_scopes_limit_superusers(case, ask, make_token, channel):
    for kind in KINDS:
        with case(kind):
            token = make_token(user=UserFactory(is_superuser=True, is_staff=True))
            assert ask(token.secret)(f"/{kind}/{channel.pk}/").status_code == 403


def test_undeclared_view_refuses_tokens(case, ask, make_token, calls):
    for kind in ["undeclared", "async-undeclared", "admin-like"]:
        with case(kind):
            token = make_token("channels:*:read")
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                response = ask(token.secret)(f"/{kind}/1/", method)
                assert response.status_code == 403
                assert method == "HEAD" or response.json()["code"] == "scope_not_declared"
                assert "scope_not_declared" in response["WWW-Authenticate"]
            assert not calls


def test_request_without_token_is_unchanged(case, ask, user, channel):
    for kind in [*KINDS, "undeclared", "async-undeclared"]:
        with case(kind):
            for header in (None, "Basic dXNlcjpwYXNz", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "Token pat"):
                asker = ask() if header is None else ask(authorization=header)
                response = asker(f"/{kind}/{channel.pk}/")
                if kind in OPEN:
                    assert (response.status_code, response.json()["user"]) == (200, "")
                else:
                    assert response.status_code == 302
                    assert response["Location"].startswith(("/accounts/login/?next=", "/elsewhere/?next="))
            asker.client.force_login(user)
            response = asker(f"/{kind}/{channel.pk}/")
            assert (response.status_code, response.json()["user"], response.json()["token"]) == (200, "owner", None)
            assert ("Authorization" in response["Vary"]) is ("undeclared" not in kind)
            assert asker(f"/{kind}/{channel.pk}/", "OPTIONS").status_code in (200, 405)


class TestCSRF:
    """Requests with a valid token and no session don't need a CSRF token; all others do."""

    def test_session_needs_csrf_token(self, case, ask, user, channel, make_token, calls):
        for kind in KINDS:
            with case(kind):
                secret = make_token("channels:*:publish").secret
                asker, both = ask(), ask(secret)
                asker.client.force_login(user)
                both.client.force_login(user)
                for client in (asker, both):
                    response = client(f"/{kind}/{channel.pk}/", "POST")
                    assert (response.status_code, response["Content-Type"]) == (403, "text/html; charset=utf-8")
                    assert not calls
                    client.client.cookies["csrftoken"] = "x" * 32
                    response = client(f"/{kind}/{channel.pk}/", "POST", {"csrfmiddlewaretoken": "x" * 32})
                    assert response.status_code == 200
                    calls.clear()

    def test_anonymous_user_needs_csrf_token(self, case, ask, channel, calls):
        for kind in KINDS:
            with case(kind):
                assert ask()(f"/{kind}/{channel.pk}/", "POST").status_code == 403
                assert not calls

    def test_login_without_cookie_counts_as_session(self, ask, settings, user, make_token, channel, calls):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.RemoteUserMiddleware"]
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
        asker = Asker("wsgi", make_token("channels:*:publish").secret)
        assert asker(f"/function/{channel.pk}/", "POST", REMOTE_USER="owner").status_code == 403
        assert not calls

    @pytest.mark.parametrize("middleware", [with_ours(), WITHOUT_CSRF, with_ours([*MIDDLEWARE, SWITCH])])
    def test_csrf_exempt_is_respected(self, ask, settings, user, middleware):
        settings.MIDDLEWARE = middleware
        for path in ("/exempt-inside/", "/exempt-outside/"):
            asker = ask()
            asker.client.force_login(user)
            assert asker(path, "POST").status_code == 200

    @pytest.mark.parametrize("middleware", [WITHOUT_CSRF, [SWITCH, *with_ours()], [*WITHOUT_CSRF, SWITCH]])
    @pytest.mark.parametrize("kind", ["function", "async-class", "attribute", "foreign-url", "csrf-protected"])
    def test_session_alone_is_not_trusted(self, ask, settings, user, make_token, channel, calls, middleware, kind):
        settings.MIDDLEWARE = middleware
        path = f"/{kind}/{channel.pk}/"
        asker = ask()
        asker.client.force_login(user)
        assert asker(path, "POST").status_code == 403
        assert not calls
        asker.client.cookies["csrftoken"] = "x" * 32
        assert asker(path, "POST", {"csrfmiddlewaretoken": "x" * 32}).status_code == 200
        assert ask(make_token("channels:*:publish").secret)(path, "POST").status_code == 200

    @pytest.mark.parametrize("middleware", [WITHOUT_CSRF, with_ours()])
    def test_form_gets_csrf_cookie(self, ask, settings, user, channel, middleware):
        settings.MIDDLEWARE = middleware
        asker = ask()
        asker.client.force_login(user)
        typed = {"csrfmiddlewaretoken": asker("/form/").content.decode()}
        assert asker("/form/", "POST", typed).status_code == 200

    def test_test_client_checks_only_if_enforced(self, settings, user, channel):
        settings.MIDDLEWARE = WITHOUT_CSRF
        client = Client()
        client.force_login(user)
        assert client.post(f"/function/{channel.pk}/").status_code == 200
        async_client = AsyncClient()
        async_client.force_login(user)
        assert async_to_sync(async_client.post)(f"/function/{channel.pk}/").status_code == 200


class TestLoginPages:
    """A token is never redirected to a login page."""

    def test_login_required_middleware_accepts_token(self, ask, settings, make_token, channel):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
        asker = ask(make_token("channels:*:read").secret)
        for kind in KINDS:
            assert asker(f"/{kind}/{channel.pk}/").status_code == 200, kind
            assert ask()(f"/{kind}/{channel.pk}/").status_code == 302, kind
        assert asker("/undeclared/1/").status_code == 403

    def test_login_not_required_is_respected(self, ask, settings, token):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
        assert ask()("/open/").status_code == 200

    @pytest.mark.parametrize("path", ["/denied/", "/async-denied/", "/needs-permission/"])
    def test_permission_denied_is_403_json(self, ask, token, path, user):
        response = ask(token.secret)(path)
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        session = ask()
        session.client.force_login(user)
        response = session(path)
        assert response.status_code == (302 if "needs" in path else 403)
        assert response["Content-Type"].startswith("text/html")

    def test_other_redirects_are_kept(self, case, ask, token):
        rows = [
            ("/accounts/login/", 403),
            ("/sso/?next=/redirects/?to=x", 302),
            ("/sso/?next=http%3A%2F%2Ftestserver%2Fredirects%2F", 302),
            ("/elsewhere/", 302),
            ("/elsewhere/?next=/other/", 302),
            ("/sso/?next=http://[", 302),
            ("/sso/?next=//%5B::1/&next=/redirects/?to=x", 302),
        ]
        for target, status in rows:
            with case(target, status):
                assert ask(token.secret)(f"/redirects/?to={quote(target)}").status_code == status

    @pytest.mark.parametrize("host", ["", "http://testserver"])
    def test_login_page_elsewhere_is_detected(self, ask, token, host):
        response = ask(token.secret)(f"/redirects-back/?to={host}")
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")

    def test_invalid_login_url_is_ignored(self, ask, token, settings):
        settings.LOGIN_URL = "no such name"
        assert ask(token.secret)("/redirects/?to=/elsewhere/").status_code == 302


class TestLists:
    """A list that is limited to ids is filtered by the view, or refused."""

    @pytest.fixture
    def rows(self, user):
        return [ChannelFactory(owner=user, name=name) for name in "abc"]

    @pytest.mark.parametrize("path", ["/limited/", "/async-limited/"])
    def test_limited_list_is_returned(self, ask, make_token, rows, path, user):
        def seen(*scopes):
            return ask(make_token(*scopes).secret)(path).json()["names"]

        assert seen(f"channels:{rows[0].pk}:list", f"channels:{rows[2].pk}:list") == ["a", "c"]
        assert seen("channels:*:list") == ["a", "b", "c"]
        last = make_token("channels:*:list")
        last.scope_set.update(entity_id="99999999999999999999")
        assert ask(last.secret)(path).json()["names"] == []
        asker = ask()
        asker.client.force_login(user)
        assert asker(path).json()["names"] == ["a", "b", "c"]

    def test_unlimited_list_needs_scope_on_all(self, case, ask, make_token, rows):
        for path in ["/unlimited/", "/async-unlimited/", "/limits-too-late/", "/limits-another-model/"]:
            with case(path):
                response = ask(make_token(f"channels:{rows[0].pk}:list").secret)(path)
                assert response.status_code == 403
                assert response.json()["missing"] == [
                    {"entity_type": "channels", "entity_id": "*", "operation": "list"}
                ]
                assert ask(make_token("channels:*:list").secret)(path).status_code == 200

    def test_only_get_and_head_can_be_limited(self, ask, make_token, rows):
        asker = ask(make_token(f"channels:{rows[0].pk}:list").secret)
        assert asker("/limited/", "POST").status_code == 403

    def test_limiting_makes_one_more_query(self, make_token, rows, django_assert_num_queries):
        asker = Asker("wsgi", make_token(f"channels:{rows[0].pk}:list").secret)
        asker("/limited/")
        with django_assert_num_queries(3):
            asker("/limited/")


def test_entity_is_found_by_slug(ask, make_token, user):
    mine, other = ChannelFactory(owner=user, slug="mine"), ChannelFactory(owner=user, slug="other")
    asker = ask(make_token(f"channels:{mine.pk}:read").secret)
    assert [asker(f"/by-slug/{slug}/").status_code for slug in ("mine", "other", "none")] == [200, 403, 403]
    assert other.pk


def test_as_view_accepts_declaration(ask, token, channel):
    assert ask(token.secret)(f"/as-view/{channel.pk}/").status_code == 200
    assert ask(token.secret)(f"/attribute/{channel.pk}/").status_code == 403


def test_declare_url_takes_precedence(ask, token, channel):
    declare_url("plain-foreign", {"GET": ANY_TOKEN})
    assert ask(token.secret)(f"/foreign-url/{channel.pk}/").status_code == 200


def test_invalid_declaration_refuses(ask, make_token, channel, monkeypatch):
    token = make_token("channels:*:read")
    for wrong in ({"GET": Requirement("nothings", "read")}, {"GET": "channels:*:read"}, "GET", ANY_TOKEN):
        monkeypatch.setattr(plain_site.AttributeView, "pat_requirements", wrong)
        response = ask(token.secret)(f"/attribute/{channel.pk}/")
        assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")


def test_drf_and_ninja_views_are_left_alone(ask, make_token, channel):
    # Only the DRF integration can infer what a ViewSet requires.
    assert ask(make_token("channels:*:read").secret)(f"/rest/{channel.pk}/").status_code == 200
    token = make_token()
    assert ask(token.secret)(f"/rest/{channel.pk}/").json()["code"] == "insufficient_scope"
    response = ask(token.secret)("/rest/")
    assert (response.status_code, response.json()) == (200, {"user": "owner"})
    assert ask("pat_garbage")("/rest/").status_code == 401
    response = ask(token.secret)("/ninja/open")
    assert (response.status_code, response.json()) == (200, {"user": ""})


def test_missing_page_is_404(ask, token):
    assert ask(token.secret)("/nothing/").status_code == 404


def test_view_errors_are_not_hidden(ask, token):
    with pytest.raises(ValueError, match="of the view's own"):
        ask(token.secret)("/breaks/")


def test_responses_to_tokens_are_not_cached(ask, make_token, user, channel, settings):
    ours = settings.MIDDLEWARE
    caching = "django.middleware.cache.{}CacheMiddleware"
    settings.MIDDLEWARE = [caching.format("Update"), *ours, caching.format("FetchFrom")]
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "middleware"}
    }
    token = make_token("channels:*:read")
    cache.clear()
    paths = f"/function/{channel.pk}/", f"/attribute/{channel.pk}/", "/rest/"
    for path in paths:
        response = ask(token.secret)(path)
        assert (response.status_code, response["Cache-Control"]) == (200, "private")
    services.revoke_token(token)
    for path in paths:
        assert ask(token.secret)(path).status_code == 401
    # Responses that need no token can be cached.
    assert ask()("/rest/")["Cache-Control"] == "max-age=600"


def test_exception_report_has_no_secret(make_token, channel, monkeypatch, settings):
    settings.DEBUG = False

    def fail(*args):
        raise DatabaseError("the database has gone")

    monkeypatch.setattr(lookup, "find_token", fail)
    secret = make_token("channels:*:read").secret
    for path in (f"/function/{channel.pk}/", f"/attribute/{channel.pk}/", "/by-slug/x/", "/ninja/closed", "/rest/"):
        asker = Asker("wsgi", secret)
        with pytest.raises(DatabaseError) as raised:
            asker(path)
        frames = raised.tb
        while "django/core/handlers/" not in frames.tb_frame.f_code.co_filename:
            frames = frames.tb_next  # frames between the test, which knows the secret, and the site
        request = RequestFactory().get(path, headers=asker.headers)
        report = ExceptionReporter(request, raised.type, raised.value, frames)
        assert "find_by_secret" in report.get_traceback_html()
        assert secret not in report.get_traceback_html() + report.get_traceback_text()


@pytest.mark.parametrize("server", SERVERS)
def test_authentication_makes_one_query(case, make_token, channel, server, django_assert_num_queries):
    for kind in ["function", "async-function", "attribute", "class", "async-class"]:
        with case(kind):
            asker = Asker(server, make_token("channels:*:read").secret)
            asker(f"/{kind}/{channel.pk}/")  # records the first use
            asker(f"/{kind}/{channel.pk}/", "POST")  # records what is missing
            with django_assert_num_queries(1):
                assert asker(f"/{kind}/{channel.pk}/").status_code == 200
            with django_assert_num_queries(1):
                assert asker(f"/{kind}/{channel.pk}/", "POST").status_code == 403
            with django_assert_num_queries(0):
                assert Asker(server)("/undeclared/1/").status_code == 200


@pytest.mark.processes
def test_declarations_import_without_models():
    integrations = "decorators", "mixins"
    code = "from django.conf import settings; settings.configure();" + "".join(
        f"import pat_tokens.{integration};" for integration in integrations
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestHooks:
    """Signals are sent once per request, and the site can refuse tokens."""

    @pytest.fixture
    def heard(self):
        heard = []

        def listen(signal, **facts):
            heard.append((facts.get("reason", "authenticated"), facts["token"], facts["request"].path))

        signals.token_authenticated.connect(listen)
        signals.token_refused.connect(listen)
        yield heard
        signals.token_authenticated.disconnect(listen)
        signals.token_refused.disconnect(listen)

    def test_signals_are_sent(self, case, ask, make_token, channel, heard):
        for kind in KINDS:
            with case(kind):
                heard.clear()
                path = f"/{kind}/{channel.pk}/"
                token = make_token("channels:*:read")
                ask(token.secret)(path)
                ask(token.secret)(path, "POST")
                ask(token.secret)(path, "PUT")
                ask("pat_garbage")(path)
                ask()(path)
                reasons = [reason for reason, _token, _path in heard]
                assert reasons == ["authenticated", "insufficient_scope", "scope_not_declared", "malformed"]
                assert [token for _reason, token, _path in heard] == [token, token, token, None]
                assert {path for _reason, _token, path in heard} == {path}

    @pytest.mark.parametrize("path", ["/async-denied/", "/denied/"])
    def test_refusal_after_view_is_signaled(self, ask, token, heard, path):
        ask(token.secret)(path)
        assert [reason for reason, _token, _path in heard] == ["authenticated", "owner_not_allowed"]

    def test_site_can_refuse(self, case, ask, make_token, channel, settings):
        for kind in KINDS:
            with case(kind):
                settings.PAT_TOKENS_POLICY = policy_with(refuse_token=lambda token, request: f"not at {request.path}")
                path = f"/{kind}/{channel.pk}/"
                response = ask(make_token("channels:*:read").secret)(path)
                assert (response.status_code, response.json()["detail"]) == (401, f"not at {path}")


class TestModes:
    """The middleware is sync between sync middleware, and async between async middleware."""

    def test_mode_matches_wrapped_view(self):
        async def asynchronous(request):
            return HttpResponse()

        assert iscoroutinefunction(PersonalAccessTokenMiddleware(asynchronous))
        assert iscoroutinefunction(PersonalAccessTokenMiddleware(asynchronous).process_view)
        assert not iscoroutinefunction(PersonalAccessTokenMiddleware(lambda request: HttpResponse()))
        assert not iscoroutinefunction(PersonalAccessTokenMiddleware(lambda request: HttpResponse()).process_view)

    def test_sync_middleware_under_asgi(self, settings, make_token, channel):
        settings.MIDDLEWARE = [*with_ours(), "tests.test_middleware.sync_only"]
        asker = Asker("asgi", make_token("channels:*:read").secret)
        assert asker(f"/async-function/{channel.pk}/").status_code == 200
        assert asker(f"/async-function/{channel.pk}/", "POST").status_code == 403

    def test_event_loop_is_not_blocked(self, make_token, channel, monkeypatch):
        token = make_token("channels:*:read")
        threads_with_a_loop = []
        real = services.is_use_due

        def spy(*args):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                threads_with_a_loop.append(False)
            else:
                threads_with_a_loop.append(True)
            return real(*args)

        monkeypatch.setattr(services, "is_use_due", spy)
        for kind in KINDS:
            Asker("asgi", token.secret)(f"/{kind}/{channel.pk}/")
        assert threads_with_a_loop
        assert not any(threads_with_a_loop)

    def test_request_without_token_needs_no_thread(self, monkeypatch):
        async def view(request):
            return HttpResponse()

        def fail(*args, **kwargs):
            raise AssertionError

        monkeypatch.setattr("pat_tokens.middleware.sync_to_async", fail)
        middleware = PersonalAccessTokenMiddleware(view)
        request = AsyncRequestFactory().get("/")
        assert async_to_sync(middleware.process_view)(request, view, (), {}) is None
        assert async_to_sync(middleware)(request).status_code == 200

    def test_exceptions_without_token_are_unchanged(self, rf):
        middleware = PersonalAccessTokenMiddleware(lambda request: HttpResponse())
        assert middleware.process_exception(rf.get("/"), PermissionDenied()) is None


def sync_only(get_response):
    def middleware(request):
        return get_response(request)

    return middleware
