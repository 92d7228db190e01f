"""The settings of this site. USE_TZ, and whether there is an admin, come from the environment."""

import os

import dj_database_url
import pymysql

pymysql.install_as_MySQLdb()

HERE = "tests.custom_user_site"
SECRET_KEY = "only for tests: nothing here is worth protecting"
USE_TZ = os.environ.get("CUSTOM_USER_USE_TZ", "1") == "1"
USE_I18N = False
TIME_ZONE = "Asia/Kathmandu"
AUTH_USER_MODEL = "custom_user_site.Person"
AUTHENTICATION_BACKENDS = [f"{HERE}.people.EmailLink"]
LOGIN_URL = "/sign-in/"
ROOT_URLCONF = f"{HERE}.urls"
ALLOWED_HOSTS = ["testserver"]
STATIC_URL = "static/"

# No messages, static files or django-filter, and an admin only where the environment says so.
WITH_ADMIN = os.environ.get("CUSTOM_USER_ADMIN") == "1"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "rest_framework.authtoken",
    "pat_tokens",
    HERE,
    *(["django.contrib.admin", "django.contrib.messages"] if WITH_ADMIN else []),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    f"{HERE}.policy.strict_policy",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    *(["django.contrib.messages.middleware.MessageMiddleware"] if WITH_ADMIN else []),
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
if WITH_ADMIN:
    names = ("template.context_processors.request", "contrib.auth.context_processors.auth")
    processors = [f"django.{name}" for name in (*names, "contrib.messages.context_processors.messages")]
    TEMPLATES[0]["OPTIONS"] = {"context_processors": processors}

DATABASES = {"default": dj_database_url.config(default="sqlite://:memory:")}
DATABASES["default"]["TEST"] = {"NAME": f"pat_tokens_custom_user_{os.getpid()}"}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {}
elif DATABASES["default"]["ENGINE"].endswith("mysql"):
    DATABASES["default"]["TEST"]["CHARSET"] = "utf8mb4"
# Tables of apps without migrations are created first, so tables that they refer to must not have migrations either.
MIGRATION_MODULES = dict.fromkeys(("auth", "contenttypes", "sessions", "authtoken", "admin"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication",
        f"{HERE}.schemes.JWTAuthentication",
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_FILTER_BACKENDS": ["pat_tokens.contrib.rest_framework.filters.ScopeFilterBackend"],
    "DEFAULT_PERMISSION_CLASSES": [f"{HERE}.schemes.InTeam"],
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
    "ALLOWED_VERSIONS": ["v1", "v2"],
}
