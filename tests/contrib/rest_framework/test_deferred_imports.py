"""DRF imports the classes that its settings name, on some sites before the models are loaded."""

import subprocess
import sys

import pytest

SITE = """
import django
from django.conf import settings
PACKAGE = "pat_tokens.contrib.rest_framework."
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "pat_tokens"],
    SECRET_KEY="x" * 50,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [PACKAGE + "authentication.PersonalAccessTokenAuthentication"],
        "DEFAULT_FILTER_BACKENDS": [PACKAGE + "filters.ScopeFilterBackend"],
        "DEFAULT_PERMISSION_CLASSES": [PACKAGE + "permissions.HasToken"],
        "DEFAULT_THROTTLE_CLASSES": [PACKAGE + "throttling.TokenRateThrottle"],
        "EXCEPTION_HANDLER": "rest_framework.views.exception_handler",
    },
)
import rest_framework.generics
django.setup()
"""


@pytest.mark.processes
def test_classes_can_be_imported_before_the_models():
    subprocess.run([sys.executable, "-W", "error", "-c", SITE], check=True)
