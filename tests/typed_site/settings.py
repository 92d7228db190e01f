SECRET_KEY = "not-secret"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "pat_tokens",
    "tests.typed_site",
]
