"""Pages can't be framed, whatever middleware a site has."""

import pytest
from django.conf import settings as django_settings

MIDDLEWARE = django_settings.MIDDLEWARE
XFO = "django.middleware.clickjacking.XFrameOptionsMiddleware"
CSP = "Content-Security-Policy"


def csp(get_response):
    """Middleware that sets a policy which allows frames."""

    def middleware(request):
        response = get_response(request)
        response.headers[CSP] = "default-src 'self'; frame-ancestors 'self' https://partner.example"
        return response

    return middleware


def polite_csp(get_response):
    """Middleware that doesn't override the policy of a view, like Django's own."""

    def middleware(request):
        response = get_response(request)
        if CSP not in response and not response.get(CSP):
            response.headers.setdefault(CSP, "default-src 'self'")
        return response

    return middleware


@pytest.mark.parametrize("path", ["/pats/", "/pats/create/", "/pats/entities/channels/", "/pats/reauthenticate/"])
@pytest.mark.parametrize(
    ("middleware", "policy"),
    [
        (MIDDLEWARE, "frame-ancestors 'none'"),
        ([name for name in MIDDLEWARE if name != XFO], "frame-ancestors 'none'"),
        (
            [f"{__name__}.csp", *MIDDLEWARE],
            "default-src 'self'; frame-ancestors 'self' https://partner.example, frame-ancestors 'none'",
        ),
        ([f"{__name__}.polite_csp", *MIDDLEWARE], "default-src 'self', frame-ancestors 'none'"),
    ],
)
def test_pages_cannot_be_framed(client, user, settings, path, middleware, policy):
    settings.X_FRAME_OPTIONS = "SAMEORIGIN"
    settings.MIDDLEWARE = middleware
    client.force_login(user)
    response = client.get(path)
    assert response.headers["X-Frame-Options"] == "DENY"
    assert dict(response.items())[CSP] == policy


def test_other_views_are_unchanged(client, settings):
    settings.MIDDLEWARE = [f"{__name__}.csp", *MIDDLEWARE]
    assert "none" not in client.get("/nothing/").headers[CSP]
