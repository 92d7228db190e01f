"""Defaults and options in the reference match the code."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.test import override_settings

from pat_tokens.conf import conf, setting_names
from tests.docs.pages import DOCS

pytestmark = pytest.mark.docs

SETTINGS = dict(
    re.findall(r"^\| `(PAT_TOKENS_\w+)` \| (.*?) \|", (DOCS / "reference/settings.md").read_text(), re.MULTILINE)
)
COMMANDS = dict(
    re.findall(
        r"^## (pat_\w+)\n\n(.*?)(?=^## |\Z)", (DOCS / "reference/commands.md").read_text(), re.MULTILINE | re.DOTALL
    )
)


def test_setting_defaults_match_code(settings: Any, subtests: pytest.Subtests) -> None:
    for each in setting_names():
        if hasattr(settings, each):
            delattr(settings, each)
    for name, default in SETTINGS.items():
        with subtests.test(name):
            actual = getattr(conf, name.removeprefix("PAT_TOKENS_").lower())
            if name == "PAT_TOKENS_PEPPERS":
                assert default == "`SECRET_KEY` and `SECRET_KEY_FALLBACKS`"
                with override_settings(SECRET_KEY="one", SECRET_KEY_FALLBACKS=["two"]):
                    assert list(conf.peppers) == ["one", "two"]
            else:
                assert eval(default.strip("`"), {"timedelta": timedelta}) == actual


def test_command_options_match_code(subtests: pytest.Subtests) -> None:
    for name, section in COMMANDS.items():
        with subtests.test(name):
            usage = section.partition("\n\n")[0]
            shared = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions} | {"json"}
            own = load_command_class("pat_tokens", name).create_parser("manage.py", name)._actions
            options = {option for action in own if action.dest not in shared for option in action.option_strings}
            assert set(re.findall(r"--[a-z-]+", usage)) == {option for option in options if option.startswith("--")}
