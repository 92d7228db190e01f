"""The reference of the HTTP API matches the OpenAPI schema."""

import re
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.contrib.rest_framework import management_urls
from tests.docs.pages import DOCS

pytestmark = pytest.mark.docs

TEXT = (DOCS / "reference/http-api.md").read_text()
CELLS = re.compile(r"^\| `([A-Z]+) (/api/pats/\S*)` \|(.*)\|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
SECTIONS = dict(re.findall(r"^##+ (\w+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
PREFIX = "PersonalAccessToken"
# Responses that the page documents once for all operations.
LISTS = "(#lists)"
ANYWHERE = {"401", "403"}


@pytest.fixture(scope="module")
def schema() -> Any:
    return SchemaGenerator(urlconf=management_urls).get_schema(public=True)


def operations(schema: Any) -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path)): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def rows() -> dict[tuple[str, str], tuple[str, str, str]]:
    """Return the input, responses and errors of each operation, as documented."""
    found = CELLS.findall(TEXT)
    return {(method, re.sub(r"\{\w+\}", "{}", path)): (t, s, e) for method, path, _does, t, s, e in found}


def first_words(text: str) -> list[str]:
    return [word for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)]


def shape(content: Any) -> str:
    """Return the name of a body or response, as documented."""
    if not content:
        return ""
    body = next(iter(content.values()))["schema"]
    if body.get("type") == "array":
        return f"list of {named(body['items'])}"
    name = named(body)
    return f"page of {name.removeprefix('Paginated').removesuffix('List')}" if name.startswith("Paginated") else name


def named(reference: Any) -> str:
    return page_name(reference["$ref"].rpartition("/")[2])


def page_name(component: str) -> str:
    name = component.removeprefix("Patched").replace(PREFIX, "", 1)
    if component.startswith("Paginated"):
        return component.replace(PREFIX + "List", "TokenList").replace(PREFIX, "", 1)
    return "Token" + name if name in {"", "Create", "Update", "Regenerate", "Rotate", "WithSecret"} else name


def linked(text: str) -> str:
    return re.sub(r"\[(\w+)\]\(#\w+\)", r"\1", text).partition(",")[0].strip()


def test_operations_respond_as_documented(schema: Any) -> None:
    documented = rows()
    assert set(documented) == set(operations(schema))
    for key, operation in operations(schema).items():
        takes, success, errors = documented[key]
        (code,) = [code for code in operation["responses"] if code < "300"]
        content = operation["responses"][code].get("content")
        assert linked(success) == f"{code} {shape(content)}".strip(), key
        assert sorted({*errors.split(), *ANYWHERE}) == sorted(set(operation["responses"]) - {code}), key
        assert not ANYWHERE & set(errors.split()), key
        if body := operation.get("requestBody"):
            assert linked(takes) == shape(body["content"]), key


def test_query_parameters_are_documented(schema: Any) -> None:
    filters = first_words(SECTIONS["Lists"])
    for key, operation in operations(schema).items():
        taken = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
        cell = rows()[key][0]
        named_there = set(re.findall(r"`(\w+)`", cell)) | (set(filters) if LISTS in cell else set())
        assert named_there == taken, key


def test_fields_are_documented(schema: Any) -> None:
    fields = {
        page_name(name): list(body.get("properties", ())) for name, body in schema["components"]["schemas"].items()
    }
    fields = {name: names for name, names in fields.items() if names and not name.startswith("Paginated")}
    fields["TokenWithSecret"] = [name for name in fields["TokenWithSecret"] if name not in fields["Token"]]
    for name, names in fields.items():
        assert sorted(first_words(SECTIONS[name])) == sorted(names), name


def test_example_has_all_fields(schema: Any) -> None:
    example = re.findall(r'^  "(\w+)":', SECTIONS["Token"], re.MULTILINE)
    assert example == list(schema["components"]["schemas"][PREFIX]["properties"])
