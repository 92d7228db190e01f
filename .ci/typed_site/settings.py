"""Settings of a site that is only type-checked, and never run."""

SECRET_KEY = "only for checking types, and for nothing else"
ROOT_URLCONF = "urls"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "pat_tokens"]
