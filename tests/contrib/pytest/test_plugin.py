from importlib.metadata import entry_points
from pathlib import Path

import pytest

PLUGIN = "pat_tokens.contrib.pytest.plugin"
SUITE = """
    import pytest
    from django.contrib.auth import get_user_model
    from django.test import Client
    from rest_framework.test import APIClient

    from pat_tokens.services import revoke_token

    @pytest.fixture
    def alice(db):
        return get_user_model().objects.create(username="alice")

    @pytest.mark.parametrize(("name", "kind"), [("pat_client", Client), ("pat_api_client", APIClient)])
    def test_clients(alice, name, kind, request):
        make = request.getfixturevalue(name)
        client = make(alice, "channels:*:list", name="deploy")
        assert type(client) is kind
        assert client.get("/api/channels/").status_code == 200
        assert client.get("/api/devices/").status_code == 403
        assert client.pat_token.name == "deploy"
        revoke_token(client.pat_token)
        assert client.get("/api/channels/").status_code == 401

    def test_tokens(make_pat_token):
        user = get_user_model().objects.create(username="bob")
        token, secret = make_pat_token(user, "channels:*:read", duration="7d")
        assert token.user == user
        assert secret.startswith("pat_")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest as a site does, where the package is installed or else just as if it were."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    installed = any(entry_point.value == PLUGIN for entry_point in entry_points(group="pytest11"))

    def run(suite, *args):
        pytester.makepyfile(suite)
        return pytester.runpytest_subprocess(*([] if installed else ["-p", PLUGIN]), *args)

    return run


def test_a_site_has_the_fixtures(run):
    run(SUITE, "--ds=tests.settings").assert_outcomes(passed=3)


def test_a_project_without_django_is_left_alone(run):
    # Every pytest of the environment loads the plugin.
    suite = """
        import sys

        def test_loads_nothing():
            assert not [name for name in sys.modules if name.split(".")[0] in ("django", "rest_framework")]
    """
    run(suite, "-p", "no:django", "-p", "no:schemathesis", "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_is_named_in_the_package():
    assert PLUGIN in Path(__file__).parents[3].joinpath("pyproject.toml").read_text()
