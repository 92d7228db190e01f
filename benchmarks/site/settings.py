"""All candidates in one process, each as its own documentation configures it; DATABASE_URL chooses the database."""

from datetime import timedelta

import dj_database_url

SECRET_KEY = "only for benchmarks: nothing here is worth protecting"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "rest_framework.authtoken",
    "knox",
    "rest_framework_api_key",
    "oauth2_provider",
    "pat_tokens",
    "benchmarks.site",
]

# None for the comparison, because the cost of middleware would make all candidates look alike. The middleware of a new
# Django project is used for the pages, and for one column of the table.
MIDDLEWARE: list[str] = []
USUAL_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "benchmarks.site.urls"
LOGIN_URL = "/"
STATIC_URL = "static/"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

# Connections stay open, as on fast sites.
DATABASES = {"default": dj_database_url.config(default="sqlite://:memory:", conn_max_age=None)}

REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]}

SIMPLE_JWT = {"ACCESS_TOKEN_LIFETIME": timedelta(hours=6)}  # longer than a run
OAUTH2_PROVIDER = {"SCOPES": {"read": "Read"}}

LOGGING = {"version": 1, "loggers": {"pat_tokens": {"level": "ERROR"}, "django": {"level": "ERROR"}}}
