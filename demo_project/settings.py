"""Settings of the demo; environment variables change what differs between machines."""

import os
from pathlib import Path
from typing import Any

import dj_database_url
import pymysql
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def env_flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    return default if not value else value in {"1", "true", "yes", "on"}


def env_list(name: str, *, default: list[str]) -> list[str]:
    value = os.environ.get(name, "")
    return [item.strip() for item in value.split(",") if item.strip()] or default


# --- Basics -----------------------------------------------------------------

DEBUG = env_flag("DEBUG", default=True)

# A public key is only acceptable for a local demo: the pepper of tokens is derived from it.
SECRET_KEY = os.environ.get("SECRET_KEY", "demo-key-that-everyone-knows-never-use-it-for-a-real-site" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("Set SECRET_KEY in the environment: without DEBUG the demo has no key of its own.")
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS", default=[])

ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pat_tokens",
    "demo_project.devices",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "demo_project.middleware.site",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # The language that the user has chosen, or else that of the browser.
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    # Authenticates tokens for plain Django views. Before the CSRF check, which doesn't apply to tokens.
    "pat_tokens.middleware.PersonalAccessTokenMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "demo_project.urls"
ASGI_APPLICATION = "demo_project.asgi.application"
WSGI_APPLICATION = "demo_project.wsgi.application"

# The design of the site: the default, or a folder in looks/, whose templates and static files take precedence.
LOOKS = sorted(path.name for path in (BASE_DIR / "demo_project" / "looks").iterdir() if path.is_dir())
LOOK = os.environ.get("DEMO_LOOK", "")
if LOOK and LOOK not in LOOKS:
    raise ImproperlyConfigured(f"There is no look {LOOK!r}. Set DEMO_LOOK to one of {', '.join(LOOKS)}, or remove it.")
LOOK_DIRS = [BASE_DIR / "demo_project" / "looks" / LOOK] if LOOK else []

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [*(path / "templates" for path in LOOK_DIRS), BASE_DIR / "demo_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French"), ("ar", "Arabic")]
LOCALE_PATHS = [BASE_DIR / "demo_project" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [*(path / "static" for path in LOOK_DIRS), BASE_DIR / "demo_project" / "static"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


# --- Services ---------------------------------------------------------------


def database(url: str) -> dict[str, Any]:
    """Return the settings of the database at `url`, with options that make it safe with several threads."""
    config: dict[str, Any] = dict(dj_database_url.parse(url))
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE takes the write lock when a transaction begins. With SQLite's default, a transaction that reads and
        # then writes fails ("database is locked") if another one wrote in between.
        options.update(transaction_mode="IMMEDIATE", timeout=20)
    elif config["ENGINE"].endswith("mysql"):
        pymysql.install_as_MySQLdb()  # needs no compiler, unlike mysqlclient
        options.update(charset="utf8mb4")
    return config


DATABASES = {"default": database(os.environ.get("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}

# Without Redis, messages only reach subscribers in the same process.
REDIS_URL = os.environ.get("REDIS_URL", "")


# --- API --------------------------------------------------------------------

REST_FRAMEWORK = {
    # Our class comes first. It refuses tokens on every view that their scopes don't cover.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    # Our backend limits lists to the entities that a token has scopes for.
    "DEFAULT_FILTER_BACKENDS": [
        "pat_tokens.contrib.rest_framework.filters.ScopeFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_PAGINATION_CLASS": "demo_project.pagination.Pages",
    "DEFAULT_PARSER_CLASSES": ["demo_project.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "demo_project.exceptions.handle",
    "DEFAULT_SCHEMA_CLASS": "pat_tokens.contrib.rest_framework.schema.ScopeAutoSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# The token pages extend the site's own base template.
PAT_TOKENS_BASE_TEMPLATE = "base.html"
PAT_TOKENS_POLICY = "demo_project.policy.DemoPolicy"

# The demo has views without a declaration on purpose, to show that they refuse tokens.
SILENCED_SYSTEM_CHECKS = ["pat_tokens.W050"]

SPECTACULAR_SETTINGS = {
    "TITLE": "Connected devices",
    "DESCRIPTION": (
        "A small site for connected devices. Create a personal access token on the site, grant it scopes, and "
        "send it as `Authorization: Bearer <secret>`."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "COMPONENT_SPLIT_REQUEST": True,
}
