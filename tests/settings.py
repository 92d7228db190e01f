"""A small test site; DATABASE_URL and REDIS_URL choose the services."""

import os

import dj_database_url
import pymysql

pymysql.install_as_MySQLdb()

SECRET_KEY = "only for tests: nothing here is worth protecting"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "drf_spectacular",
    "pat_tokens",
    "tests",
    "tests.site.apps.SiteConfig",
    "tests.tiny_framework",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
LOGIN_URL = "/accounts/login/"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

REDIS_URL = os.environ.get("REDIS_URL", "")

DATABASE = dj_database_url.config(default="sqlite://:memory:")
DATABASE["OPTIONS"] = DATABASE.get("OPTIONS", {})
match DATABASE["ENGINE"].rpartition(".")[2]:
    case "sqlite3":
        DATABASE["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
        DATABASE["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    case "mysql":
        DATABASE["TEST"] = {"CHARSET": "utf8mb4"}
        DATABASE["OPTIONS"]["charset"] = "utf8mb4"
DATABASES = {"default": DATABASE}
# Our models have no migrations, and such tables are created before all migrations. The same must be true for tables
# that they refer to.
MIGRATION_MODULES = dict.fromkeys(("admin", "auth", "authtoken", "contenttypes", "sessions"))

MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}  # required by Django 6.1

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_FILTER_BACKENDS": ["pat_tokens.contrib.rest_framework.filters.ScopeFilterBackend"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
