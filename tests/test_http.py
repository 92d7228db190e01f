import string

import pytest
from django.test import RequestFactory
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from pat_tokens.crypto import checksum, make_secret
from pat_tokens.exceptions import ExpiredToken, InsufficientScope, MalformedHeader, MalformedToken
from pat_tokens.http import (
    MAX_HEADER_LENGTH,
    challenge,
    client_agent,
    error_body,
    error_headers,
    read_bearer,
    read_header,
    read_legacy_key,
)
from pat_tokens.scopes import ScopeKey

HEAD = "pat_" + "0aZ9bYcX" * 5 + "7Qa"  # constant, because it is part of test ids
SECRET = HEAD + checksum(HEAD)
MISTYPED = SECRET[:-1] + ("a" if SECRET[-1] != "a" else "b")


def read(value, *keywords):
    return read_bearer(value, keywords=keywords or ("Bearer",), prefix="pat")


def test_read_header_hides_secret():
    request = RequestFactory().get("/", headers={"authorization": f"Bearer {SECRET}"})
    assert SECRET in repr(request.headers)  # Django caches a copy of the headers
    assert read_header(request, "HTTP_AUTHORIZATION") == f"Bearer {SECRET}"
    assert SECRET not in repr(request.META)
    assert SECRET not in repr(request.headers)


@pytest.mark.parametrize("template", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer {} ", " Bearer {}\t"])
def test_valid_headers(template):
    secret = make_secret("pat")
    assert read(template.format(secret)) == secret
    assert read(template.format(secret).encode()) == secret


@pytest.mark.parametrize(
    "value",
    [
        None,
        "Basic dXNlcjpwYXNz",
        "Basic\tdXNlcjpwYXNz",
        "B dXNlcjpwYXNz",
        "Token pat_x",
        "Bearer eyJ.x.y",
        "Bearer\teyJ.x.y",
        "Bearer patx",
        "Digest a, b",
        'Digest username="pat_müller", realm="Bearer"',
        "Bearer PAT_x",
        "Token pat_0123456789abcdef0123456789abcdef01234567",
        'Digest username="pat_smith", realm="pat_", nonce="x"',
        "Bearer eyJhbGciOiJIUzI1NiJ9.pat_-pat_x.pat_" + "a" * 50,
        f"Bearer eyJhbGciOiJIUzI1NiJ9.{MISTYPED}.{MISTYPED}",
        f"Bearer v2.local.{MISTYPED}-{MISTYPED}/{MISTYPED}=",
        f"Token github_{MISTYPED}",
        "Negotiate " + "a" * 60_000,
    ],
)
def test_other_credentials_are_passed_on(value):
    assert read(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "Bearer",
        "Bearer ",
        "Bearer  pat_x",
        "Bearer \tpat_x",
        "Bearer\tpat_x",
        "Bearer\xa0pat_x",
        "Bearer pat_\0",
        "Bearer pat_é",
        pytest.param(f"Bearer {make_secret('pat')}\xa0", id="a secret and a space that does not break"),
        pytest.param(f"Bearer {make_secret('pat')}\x0b", id="a secret and a vertical tab"),
        "Bearer \0",
        "Bearer ünïcode",
        pytest.param("Bearer " + "a" * (MAX_HEADER_LENGTH + 1), id="too long"),
        pytest.param("Bearer pat_" + "a" * 2_000_000, id="megabytes"),
        "pat_without_keyword",
        "Basic dXNlcjpwYXNz,Bearer pat_x",
        "Basic dXNlcjpwYXNz, bearer pat_x",
        "Bearer eyJ.x.y,Bearer pat_x",
        ",Bearer pat_x",
        "\0",
        "\xff\xfe x",
        pytest.param("a" * 2_000_000, id="megabytes without a keyword"),
        b"Bearer \xff\xfe",
        b"",
    ],
)
def test_unreadable_headers_are_refused(value):
    with pytest.raises(MalformedToken):
        read(value)


OTHER_FORMS = [
    'Bearer "{}"',
    "Bearer '{}'",
    "Bearer <{}>",
    "Bearer [{}]",
    "Bearer ({})",
    "Bearer `{}`",
    "Bearer {{{}}}",
    "Bearer “{}”",
    "Bearer  {}",
    "Bearer\t{}",
    "Bearer: {}",
    "Bearer:{}",
    "Bearer={}",
    "Bearer={},",
    "Bearer%20{}",
    "Bearer {}.",
    "Bearer {};",
    "Bearer {}%0A",
    "Bearer -{}",
    "Bearer token={}",
    "Bearer Bearer {}",
    "Bearer {0} {0}",
    "Bearer {0}, Bearer {0}",
    "Bearer {0},Basic dXNlcjpwYXNz",
    "Basic dXNlcjpwYXNz,Bearer {}",
    "Authorization: Bearer {}",
    "Token {}",
    "token  {}",
    'Token token="{}"',
    "Token {}, Token eyJ.x.y",
    "ApiKey {}",
    "Basic user:{}",
    "X-Api-Key: {}",
    "pat {}",
    "{}",
    '"{}"',
    "<{}>",
    "={}",
    "{} Bearer",
]


@pytest.mark.parametrize("template", OTHER_FORMS)
def test_secret_in_other_form_is_malformed(template):
    for text in (template.format(SECRET), template.format(SECRET).encode()):
        with pytest.raises(MalformedHeader):
            read(text)


@pytest.mark.parametrize("template", ["Bearer <{}>", "Token {}", 'Token token="{}"', "ApiKey {}", "{}"])
@pytest.mark.parametrize("mistyped", [MISTYPED, SECRET[:-3], SECRET + "aa"])
def test_mistyped_secret_in_other_form_is_malformed(template, mistyped):
    with pytest.raises(MalformedHeader):
        read(template.format(mistyped))


@pytest.mark.parametrize("value", ["pat_x", SECRET[:-1], MISTYPED, "pat_not-a-secret", "pat_"])
def test_wrong_checksum_is_not_malformed_header(value):
    assert read(f"Bearer {value}") == value


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_.~+/=", min_size=1))
def test_credential_without_prefix_is_passed_on(text):
    text = text.replace("pat_", "")
    assert read(f"Bearer {text}x") is None
    assert read(f"Token {text}x") is None


@given(st.text() | st.binary() | st.text().map("Bearer ".__add__) | st.text().map("Bearer pat_".__add__) | st.none())
def test_any_header_is_accepted(value):
    try:
        secret = read(value)
    except MalformedToken:
        return
    assert secret is None or secret.startswith("pat_")


def test_keyword_and_prefix_are_configurable():
    assert read_bearer("Token dop_x", keywords=["Token"], prefix="dop") == "dop_x"
    assert read_bearer("Bearer dop_x", keywords=["Token"], prefix="dop") is None


def test_all_keywords_are_accepted():
    for scheme in ("Bearer", "bearer", "TOKEN"):
        assert read(f"{scheme} {SECRET}", "Bearer", "Token") == SECRET
    with pytest.raises(MalformedHeader):
        read(f"ApiKey {SECRET}", "Bearer", "Token")
    with pytest.raises(MalformedHeader):
        read("Token <pat_x>", "Bearer", "Token")


def test_malformed_header_explains_format(settings):
    settings.PAT_TOKENS_HEADER, settings.PAT_TOKENS_KEYWORDS = "X-Token", ["Pat", "Token"]
    settings.PAT_TOKENS_PREFIX = "dop"
    error = MalformedHeader()
    assert "X-Token: Pat dop_... (one space" in error.message
    assert error_body(error) == {"detail": error.message, "code": "malformed"}
    assert f'error="invalid_token", error_description="{error.message}"' in challenge(error, keyword="Pat", realm="a")


@pytest.mark.parametrize("value", ["pat_\0", "pat_é", "pat_\xff", pytest.param("pat_" + "a" * 999_999, id="long")])
def test_malformed_secret_is_invalid_token(value):
    with pytest.raises(MalformedToken) as raised:
        read(f"Bearer {value}")
    assert raised.value.code == "invalid_token"


def test_challenge_has_error_and_scope():
    error = InsufficientScope([ScopeKey("channels", "42", "publish")])
    assert challenge(error, keyword="Bearer", realm="api") == (
        'Bearer realm="api", error="insufficient_scope", '
        'error_description="The token lacks the scope channels:42:publish.", scope="channels:42:publish"'
    )


def test_maximum_header_length():
    assert read("Bearer " + "a" * MAX_HEADER_LENGTH) is None
    assert read("a" * MAX_HEADER_LENGTH) is None
    key = "0123456789abcdef0123456789abcdef01234567"
    for padded in ("Token".ljust(MAX_HEADER_LENGTH - len(key)) + key, f"Token {key}", f"token {key}".encode()):
        assert read_legacy_key(padded, keywords=["Bearer"]) == ("token", key)
    assert read_legacy_key("Token".ljust(MAX_HEADER_LENGTH - len(key) + 1) + key, keywords=["Bearer"]) is None


def test_challenge_has_all_missing_scopes():
    error = InsufficientScope([ScopeKey("channels", "1", "read"), ScopeKey("pages", '~X"\\é', "read")])
    header = error_headers(error, keyword="Bearer", realm="api")["WWW-Authenticate"]
    assert header.startswith('Bearer realm="api", ')
    assert header.endswith('scope="channels:1:read pages:~X???:read"')


def test_challenge_without_error_has_only_realm():
    assert challenge(None, keyword="Bearer", realm="the api") == 'Bearer realm="the api"'


@given(st.text())
def test_quoted_strings_are_escaped(text):
    value = challenge(InsufficientScope([ScopeKey("channels", text, "read")]), keyword="Bearer", realm=text)
    assert value.count('"') == 8
    assert value.isascii()
    assert value.isprintable()


def test_challenge_is_not_translated():
    with translation.override("de"):
        assert "The token has expired" in challenge(ExpiredToken(), keyword="Bearer", realm="api")


def test_user_agent_can_be_stored():
    agents = {
        "cu\0rl": "curl",
        "cu\ud800rl": "curl",
        "pat_tool/1.0": "pat_tool/1.0",
        make_secret("pat"): "",
        f"curl Bearer {make_secret('pat')[:30]}": "",
        f"Token {'0' * 40}": "",
    }
    for agent, shown in agents.items():
        assert client_agent(RequestFactory().get("/", headers={"user-agent": agent}), prefix="pat") == shown
    assert client_agent(RequestFactory().get("/"), prefix="pat") == ""
