"""The reference of the Python API matches `__all__` of the modules, and the signatures."""

import ast
import inspect
import re
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from pat_tokens.policy import Policy
from tests.docs.pages import DOCS, ROOT

pytestmark = pytest.mark.docs

TEXT = (DOCS / "reference/python-api.md").read_text()
SECTIONS = dict(re.findall(r"^## (pat_tokens[\w.]*)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
# The entries of a section: the strings in backticks after the bullet.
ENTRY = re.compile(r"^- ((?:`[^`]+`(?:, )?)+)", re.MULTILINE)


def entries(section: str) -> dict[str, str | None]:
    """Return each name in a section with its documented arguments, or None."""
    found = [entry for group in ENTRY.findall(section) for entry in re.findall(r"`(\w+)(\(.*?\))?`", group)]
    assert len(dict(found)) == len(found)
    return {name: arguments or None for name, arguments in found}


def public_modules() -> dict[str, ModuleType]:
    files = [path for path in (ROOT / "pat_tokens").rglob("*.py") if "\n__all__ = " in path.read_text()]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return {name: import_module(name) for name in names}


def test_public_modules_have_sections() -> None:
    assert set(SECTIONS) == set(public_modules())


def test_public_names_are_documented(subtests: pytest.Subtests) -> None:
    for name, section in SECTIONS.items():
        with subtests.test(name):
            assert set(entries(section)) == set(import_module(name).__all__)


def written(arguments: str) -> list[tuple[str, str, Any]]:
    """Return name, kind and default of each documented argument."""
    (function,) = ast.parse(f"def function{arguments}: pass").body
    assert isinstance(function, ast.FunctionDef)
    names: dict[str, Any] = {}
    known = {"Client": import_module("django.test").Client, "SYSTEM": import_module("pat_tokens.activity").SYSTEM}
    exec(compile(ast.Module([function], []), "page", "exec"), known, names)
    return described(names["function"])


def described(function: Any) -> list[tuple[str, str, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind.description, _default(parameter.default)) for parameter in parameters]


def _default(value: Any) -> Any:
    return {} if repr(value) == "<factory>" else value  # of a dataclass, whose factories are all `dict`


def test_arguments_match_code(subtests: pytest.Subtests) -> None:
    for module, section in SECTIONS.items():
        for name, arguments in entries(section).items():
            with subtests.test(f"{module}.{name}"):
                documented = getattr(import_module(module), name)
                if arguments is None:
                    assert not inspect.isroutine(documented), "a function is documented with its arguments"
                else:
                    assert written(arguments) == described(documented)


def test_policy_methods_are_documented():
    text = (DOCS / "reference/policy.md").read_text()
    methods = [method for name, method in vars(Policy).items() if not name.startswith("_")]
    assert methods
    for method in methods:
        _self, *parameters = inspect.signature(method).parameters.values()
        written = ", ".join(one.name if one.default is one.empty else f"{one.name}=None" for one in parameters)
        assert f"| `{method.__name__}({written})` |" in text
