import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from pat_tokens import conf as module
from pat_tokens.checks.deployment import check_peppers_for_deployment
from pat_tokens.checks.settings import check_peppers
from pat_tokens.conf import conf, setting_names
from pat_tokens.crypto import digests


def test_missing_settings_have_defaults():
    assert not [name for name in setting_names() if hasattr(settings, name)]
    assert conf.prefix == "pat"
    assert conf.max_tokens_per_user == 100


def test_changed_setting_is_read_again(subtests):
    for name in setting_names():
        with subtests.test(name=name):
            prop = name.removeprefix("PAT_TOKENS_").lower()
            default, one, other = getattr(conf, prop), ("one",), ("other",)
            with override_settings(**{name: one}):
                assert getattr(conf, prop) == one
                with override_settings(**{name: other}):
                    assert getattr(conf, prop) == other
                assert getattr(conf, prop) == one
            assert getattr(conf, prop) == default


def test_settings_configure_is_supported(monkeypatch):
    monkeypatch.setattr(module, "settings", type("Own", (), {"PAT_TOKENS_PREFIX": "own"})())
    own = module.Conf()
    assert own.prefix == "own"
    assert own.keyword == "Bearer"


def test_header_has_meta_key():
    assert conf.header_key == "HTTP_AUTHORIZATION"
    with override_settings(PAT_TOKENS_HEADER="X-Api-Token"):
        assert conf.header_key == "HTTP_X_API_TOKEN"


def test_default_peppers_are_secret_keys():
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert list(conf.peppers) == ["new", "old"]
        with override_settings(PAT_TOKENS_PEPPERS=["own"]):
            assert list(conf.peppers) == ["own"]


def test_bytes_secret_key_is_same_pepper():
    with override_settings(SECRET_KEY=b"key", SECRET_KEY_FALLBACKS=["key", b"\xff"]):
        new, old, odd = digests("secret", conf.peppers)
    assert new == old != odd


@pytest.mark.parametrize("peppers", [[""], ["new", ""], ("new", None), [b"new"], "new", {"new": 1}])
def test_empty_pepper_is_never_used(peppers):
    with override_settings(PAT_TOKENS_PEPPERS=peppers):
        with pytest.raises(ImproperlyConfigured):
            conf.peppers  # noqa: B018
        assert [message.id for message in check_peppers()] == ["pat_tokens.E002"]
        assert list(check_peppers_for_deployment()) == []


def test_empty_fallback_is_ignored():
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["", "old"]):
        assert list(conf.peppers) == ["new", "old"]
