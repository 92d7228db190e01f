import pytest
from django.core.exceptions import ImproperlyConfigured
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.operation import PathView

from pat_tokens import crypto, services, signals
from pat_tokens.contrib.ninja import authentication
from pat_tokens.contrib.ninja.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.ninja.exceptions import TokenRefused
from pat_tokens.contrib.ninja.lists import find_operation
from pat_tokens.declarations import declare_url
from tests.contrib.ninja import api as site
from tests.factories import ChannelFactory, DeviceFactory, UserFactory
from tests.plain_client import GET_TABLE, OURS, POST_TABLE, SERVERS, Asker, expire
from tests.policies import policy_with

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.ninja.api")]
KINDS = ["sync", "async", "mixed", "foreign"]


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Declare one operation with `declare_url`, and start without calls."""
    from pat_tokens.declarations import _declared

    monkeypatch.setattr(_declared, "by_url_name", {})
    declare_url("ninja-host:foreign", {"GET": site.READ, "POST": site.PUBLISH})
    site.calls.clear()
    return site.calls


@pytest.fixture(params=["alone", "with the middleware"])
def installed(request, settings):
    """The site, with and without the middleware, which ignores these views."""
    if request.param != "alone":
        settings.MIDDLEWARE = [OURS, *settings.MIDDLEWARE]


@pytest.fixture(params=SERVERS)
def ask(request):
    """Return a client for WSGI and one for ASGI."""
    return lambda *args, **kwargs: Asker(request.param, *args, **kwargs)


@pytest.mark.usefixtures("installed")
def test_scopes_are_enforced(case, ask, make_token, user, calls):
    for method in ["GET", "POST"]:
        for kind in KINDS:
            with case(kind, method):
                entities = ChannelFactory(owner=user).pk, ChannelFactory(owner=user).pk, DeviceFactory(owner=user).pk
                for text, status in (POST_TABLE if method == "POST" else GET_TABLE).items():
                    token = make_token(*text.format(*entities).split())
                    calls.clear()
                    response = ask(token.secret)(f"/{kind}/{entities[0]}", method)
                    assert response.status_code == status, (kind, method, text)
                    assert len(calls) == (status == 200)
                    if status == 200:
                        assert response.json() == {"user": "owner", "auth": token.name}
                    else:
                        operation = "publish" if method == "POST" else "read"
                        missing = {"entity_type": "channels", "entity_id": str(entities[0]), "operation": operation}
                        assert response.json()["code"] == "insufficient_scope"
                        assert response.json()["missing"] == [missing]
                        assert f'scope="channels:{entities[0]}:{operation}"' in response["WWW-Authenticate"]
                        assert "Authorization" in response["Vary"]


def test_inactive_and_malformed_secrets_are_refused(case, ask, make_token, user, channel, calls):
    for method in ["GET", "POST"]:
        for kind in [*KINDS, "undeclared"]:
            with case(kind, method):
                expired, revoked = (make_token("channels:*:read", "channels:*:publish") for _ in range(2))
                expire(expired)
                services.revoke_token(revoked)
                for secret in (
                    expired.secret,
                    revoked.secret,
                    "pat_garbage",
                    "pat_",
                    "pat_\0",
                    crypto.make_secret("pat"),
                ):
                    asker = ask(secret)
                    asker.client.force_login(user)  # a bad token never falls through to a session
                    response = asker(f"/{kind}/{channel.pk}", method)
                    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
                    assert 'error="invalid_token"' in response["WWW-Authenticate"]
                assert not calls


def test_scopes_limit_superusers(ask, make_token, channel):
    token = make_token(user=UserFactory(is_superuser=True))
    assert ask(token.secret)(f"/sync/{channel.pk}").status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_undeclared_operation_refuses_tokens(ask, make_token, method, calls):
    response = ask(make_token("channels:*:read").secret)("/undeclared/1", method)
    assert (response.status_code, response.json()["code"]) == (403, "scope_not_declared")
    assert not calls


@pytest.mark.usefixtures("installed")
def test_request_without_token_is_passed_on(case, ask, user, channel):
    for kind in [*KINDS, "undeclared"]:
        with case(kind):
            for header in ({}, {"authorization": "Basic dXNlcjpwYXNz"}, {"authorization": "Bearer eyJ0eXAi.e30.x"}):
                asker = ask(**header)
                assert asker(f"/{kind}/{channel.pk}").status_code == 401
                asker.client.force_login(user)
                assert asker(f"/{kind}/{channel.pk}").json()["user"] == "owner"
            assert ask()("/open").status_code == 200


def test_keys_are_compared_as_keys(ask, make_token, user):
    channel = ChannelFactory(owner=user)
    asker = ask(make_token(f"channels:{channel.pk}:read").secret)
    assert asker(f"/text/{channel.pk}").status_code == 200
    assert asker(f"/text/0{channel.pk}").status_code == 200
    assert asker("/text/x").status_code == 403


def test_entity_is_found_by_slug(ask, make_token, user):
    mine, _other = ChannelFactory(owner=user, slug="mine"), ChannelFactory(owner=user, slug="other")
    asker = ask(make_token(f"channels:{mine.pk}:read").secret)
    assert [asker(f"/by-slug/{slug}").status_code for slug in ("mine", "other", "none")] == [200, 403, 403]


def test_router_auth_applies_to_operations(ask, make_token, channel):
    assert ask(make_token(f"channels:{channel.pk}:read").secret)(f"/router/{channel.pk}").status_code == 200
    assert ask(make_token(f"channels:{channel.pk}:update").secret)(f"/router/{channel.pk}").status_code == 403


def test_declare_url_takes_precedence(ask, make_token, channel):
    declare_url("ninja-host:read", {"GET": None})
    assert ask(make_token("channels:*:read").secret)(f"/sync/{channel.pk}").json()["code"] == "scope_not_declared"


def test_lists_are_limited(ask, make_token, user):
    first, _second = ChannelFactory(owner=user, name="a"), ChannelFactory(owner=user, name="b")
    some, everything = make_token(f"channels:{first.pk}:list"), make_token("channels:*:list")
    for path in ("/limited", "/async-limited"):
        assert ask(some.secret)(path).json() == ["a"]
        assert ask(everything.secret)(path).json() == ["a", "b"]
    for path in ("/unlimited", "/limits-too-late"):
        response = ask(some.secret)(path)
        assert response.status_code == 403
        assert response.json()["missing"] == [{"entity_type": "channels", "entity_id": "*", "operation": "list"}]
        assert ask(everything.secret)(path).json() == ["a", "b"]


@pytest.mark.usefixtures("installed")
def test_authentication_makes_one_query(case, make_token, channel, django_assert_num_queries):
    for server in SERVERS:
        for kind in KINDS:
            with case(kind, server):
                asker = Asker(server, make_token("channels:*:read").secret)
                asker(f"/{kind}/{channel.pk}")  # records the use
                asker(f"/{kind}/{channel.pk}", "POST")  # records what is missing
                with django_assert_num_queries(1):
                    assert asker(f"/{kind}/{channel.pk}").status_code == 200
                with django_assert_num_queries(1):
                    assert asker(f"/{kind}/{channel.pk}", "POST").status_code == 403


def test_signals_are_sent_and_site_can_refuse(ask, make_token, channel, settings):
    heard = []

    def listen(signal, **facts):
        heard.append((facts.get("reason", "authenticated"), facts["request"].path))

    signals.token_authenticated.connect(listen)
    signals.token_refused.connect(listen)
    token = make_token("channels:*:read")
    path = f"/sync/{channel.pk}"
    ask(token.secret)(path)
    ask(token.secret)(path, "POST")
    settings.PAT_TOKENS_POLICY = policy_with(refuse_token=lambda token, request: f"not at {request.path}")
    assert ask(token.secret)(path).json()["detail"] == f"not at {path}"
    assert heard == [("authenticated", path), ("insufficient_scope", path), ("refused", path)]
    signals.token_authenticated.disconnect(listen)
    signals.token_refused.disconnect(listen)


def test_own_exception_handler_is_kept(ask, token, monkeypatch):
    handlers = dict(site.api._exception_handlers)
    handlers[TokenRefused] = lambda request, refused: site.api.create_response(request, refused.error.code, status=418)
    monkeypatch.setattr(site.api, "_exception_handlers", handlers)
    response = ask(token.secret)("/undeclared/1")
    assert (response.status_code, response.json()) == (418, "scope_not_declared")


def test_hidden_operation_responds_like_ninja(ask, token, monkeypatch):
    handlers = {key: value for key, value in site.api._exception_handlers.items() if key is not TokenRefused}
    monkeypatch.setattr(site.api, "_exception_handlers", handlers)
    monkeypatch.setattr(authentication, "find_operation", lambda request: None)
    response = ask(token.secret)("/undeclared/1")
    assert (response.status_code, list(response.json())) == (403, ["detail"])
    assert issubclass(TokenRefused, HttpError)


def test_schema_has_bearer_scheme():
    schema = site.api.get_openapi_schema(path_prefix="/")
    scheme = schema["components"]["securitySchemes"]["PersonalAccessTokenAuthentication"]
    assert scheme == {"type": "http", "scheme": "bearer"}


def test_schema_mentions_custom_keyword(settings):
    settings.PAT_TOKENS_KEYWORDS = ["Token"]
    scheme = PersonalAccessTokenAuthentication().openapi_security_schema
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    assert "enter `Token pat_…`" in scheme["description"]


@pytest.mark.parametrize("wrong", ["channels:*:read", {"GET": site.READ}, [site.READ]])
def test_invalid_requirement_is_an_error(wrong):
    with pytest.raises(ImproperlyConfigured):
        PersonalAccessTokenAuthentication(wrong)


def test_operation_is_found_in_older_versions(rf):
    api = NinjaAPI(urls_namespace="older")
    api.get("/")(lambda request: None)
    pattern = next(one for one in api.urls[0] if one.name not in ("openapi-json", "openapi-view", "api-root"))
    holder = next(cell.cell_contents for cell in pattern.callback.__closure__)
    request = rf.get("/")
    assert find_operation(request) is None
    request.resolver_match = type("Match", (), {"func": staticmethod(holder._sync_view)})
    assert find_operation(request).api is api
    assert isinstance(holder, PathView)
    request.resolver_match = type("Match", (), {"func": staticmethod(lambda request: None)})
    assert find_operation(request) is None
