"""Keys of every type and spelling: out of range, inherited, with odd characters, by the thousand."""

import unicodedata
from urllib.parse import quote

import pytest
from django.db import connection

from pat_tokens.entities import registry
from pat_tokens.models import Scope
from pat_tokens.services import create_token
from tests.factories import DeviceFactory, PageFactory
from tests.models import Channel, Page

pytestmark = pytest.mark.django_db

TOO_LARGE = [2**31, 2**63, 10**30, 10**300]
NUMBERS = ["channels", "projects", "by-slug", "thermometers", "probes", "badges", "badges-by-id", "archive"]
ODD = [
    "with space",
    "per%cent",
    "%2F",
    "100%25",
    "a/b",
    "semi;colon",
    "plus+plus",
    "que?ry",
    "hash#tag",
    'quo"te',
    "colon:read",
    "pages:*:read",
    "**",
    "ünï",
    "日本",
    "🦆",
    "\u202etfel",
    "tab\t",
    "..",
    "a.json",
    "-1",
    "x" * 100,
]


@pytest.fixture
def ask(client_with):
    def ask(token, path, method="get", **kwargs):
        return getattr(client_with(token), method)(path, **kwargs)

    return ask


@pytest.mark.parametrize("number", TOO_LARGE, ids=lambda number: f"{len(str(number))} digits")
class TestOutOfRange:
    def test_url_keyword(self, case, site, ask, make_token, number):
        for prefix in NUMBERS:
            with case(prefix):
                kind = {"by-slug": "projects", "badges-by-id": "badges"}.get(prefix, prefix)
                path = f"/{prefix}/{number}/"
                assert ask(make_token(), path).status_code == 403
                if prefix not in ("thermometers", "probes", "badges", "badges-by-id"):
                    # Django itself fails with SQLite here, with or without a token.
                    assert ask(make_token(f"{kind}:*:read"), path).status_code == 404

    def test_url_keyword_of_relation(self, site, ask, make_token, number):
        path = f"/generic/tasks-by-key/{number}/one/"
        assert ask(make_token(f"tasks:{site.task.pk}:read"), path).status_code == 403
        assert ask(make_token("tasks:*:read"), path).status_code == 404

    def test_cannot_be_granted(self, case, site, user, number):
        for kind in ["channels", "thermometers", "probes", "badges"]:
            with case(kind):
                entity_type = registry.get(kind)
                assert entity_type.get_visible(user, [str(number)]) == {}
                assert list(entity_type.find(user, str(number))) == []

    def test_unknown_ids_give_empty_list(self, case, site, ask, token, number):
        for kind in ["channels", "thermometers", "probes", "badges"]:
            with case(kind):
                if len(str(number)) < 255:
                    Scope.objects.create(token=token, entity_type=kind, entity_id=str(number), operation="list")
                    answer = ask(token, f"/{kind}/")
                    assert (answer.status_code, answer.json()) == (200, [])


def test_invalid_keys_are_404(case, site, ask, make_token):
    for text in ["-1", "0", "0x10", "1e3", "1_0", "¼", "None", "null", "%00", "%20", "%FF", "*"]:
        for prefix in NUMBERS:
            with case(prefix, text):
                kind = {"by-slug": "projects", "badges-by-id": "badges"}.get(prefix, prefix)
                token = make_token(*[f"{kind}:{getattr(site, name).pk}:read" for name in _rows_of(kind)])
                assert ask(token, f"/{prefix}/{text}/").status_code in (403, 404)  # some aren't valid URLs of the site


def _rows_of(kind):
    name = {"archive": "archived"}.get(kind, kind.removesuffix("s"))
    return name, f"other_{name}"


class TestOddCharacters:
    def test_string_key_matches_exactly(self, case, site, ask, make_token, user):
        for key in ODD:
            with case(key):
                PageFactory(owner=user, path=key)
                token, neighbours = (
                    make_token(f"pages:{key}:read") if ":" not in key else None,
                    make_token("pages:one:read"),
                )
                if token is None:
                    token, secret = create_token(user, name="odd", scopes=[("pages", key, "read")])
                    token.secret = secret
                path = f"/paths/{quote(key, safe='')}/"
                answer = ask(token, path)
                assert (answer.status_code, answer.json()) == (200, {"path": key})
                refused = ask(neighbours, path)
                assert refused.json()["missing"] == [{"entity_type": "pages", "entity_id": key, "operation": "read"}]
                assert refused["WWW-Authenticate"].isascii()
                assert ask(token, "/paths/one/").status_code == 403

    def test_in_a_list(self, case, site, ask, user):
        for key in ODD:
            with case(key):
                PageFactory(owner=user, path=key)
                token, secret = create_token(user, name="odd", scopes=[("pages", key, "list")])
                token.secret = secret
                assert ask(token, "/pages/").json() == [{"path": key}]

    def test_similar_keys_are_different(self, case, site, ask, make_token, user):
        """Whatever the database considers equal, a key with another spelling needs its own scope."""
        rows = [
            ("Straße", "strasse"),
            ("case", "CASE"),
            ("İ", "i"),
            (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
            ("ﬁ", "fi"),
            ("K", "\u212a"),
            ("a", "a "),
            ("a", "a\u200b"),
        ]
        for key, other in rows:
            with case(key, other):
                PageFactory(owner=user, path=key)
                read, listed = make_token(f"pages:{key}:read"), make_token(f"pages:{key}:list")
                assert ask(read, f"/paths/{quote(key)}/").status_code == 200
                assert ask(read, f"/paths/{quote(other)}/").status_code == 403
                assert ask(listed, "/pages/").json() == [{"path": key}]
                Scope.objects.filter(token=listed).update(entity_id=other)
                rows = ask(listed, "/pages/").json()
                assert (
                    rows == [] or connection.vendor == "mysql"
                )  # on this database the keys are equal, so only one row can exist


class TestUUIDs:
    def test_are_accepted_in_any_spelling(self, case, site, ask, make_token, user):
        for spell in [str, lambda key: str(key).upper(), lambda key: key.hex, lambda key: f"{{{key}}}"]:
            with case(spell):
                device, other = DeviceFactory(owner=user), DeviceFactory(owner=user)
                token, secret = create_token(user, name="spelled", scopes=[("devices", spell(device.pk), "read")])
                token.secret = secret
                assert [scope.entity_id for scope in token.scope_set.all()] == [str(device.pk)]
                for spelled in (
                    str(device.pk),
                    str(device.pk).upper(),
                    device.pk.hex,
                    f"{{{device.pk}}}",
                    device.pk.urn,
                ):
                    assert ask(token, f"/generic/devices/{quote(spelled)}/").status_code == 200, spelled
                for spelled in (str(other.pk), other.pk.hex, f"{device.pk}0", str(device.pk)[:-1], "x"):
                    assert ask(token, f"/generic/devices/{quote(spelled)}/").status_code == 403, spelled


class TestThousandsOfKeys:
    @pytest.fixture
    def few_parameters(self, site):
        """Limit SQLite to 999 parameters per statement, as in older versions."""
        if connection.vendor != "sqlite":
            yield
            return
        import sqlite3

        connection.ensure_connection()
        limit = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        cached = connection.features.__dict__.pop("max_query_params", None)
        yield
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, limit)
        connection.features.__dict__.pop("max_query_params", None)
        if cached is not None:
            connection.features.__dict__["max_query_params"] = cached

    @pytest.mark.parametrize(
        ("model", "field", "kind", "path"),
        [(Channel, "name", "channels", "/channels/"), (Page, "path", "pages", "/pages/")],
    )
    def test_numbers_and_strings(self, few_parameters, site, user, ask, settings, model, field, kind, path):
        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 5000
        model.objects.bulk_create(model(owner=user, **{field: f"c{n}'%"}) for n in range(2600))
        ids = list(model.objects.filter(**{f"{field}__startswith": "c"}).order_by("pk").values_list("pk", flat=True))
        token, secret = create_token(user, name="many", scopes=[(kind, str(pk), "list") for pk in ids[:2500]])
        token.secret = secret
        found = [row.get("id", row.get("path")) for row in ask(token, path).json()]
        assert found == ids[:2500]

    def test_uuids_and_related_model(self, few_parameters, site, user, ask, settings, django_assert_num_queries):
        from tests.site.models import Project, Task

        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 5000
        devices = [DeviceFactory.build(owner=user) for _n in range(1100)]
        type(devices[0]).objects.bulk_create(devices)
        scopes = [("devices", str(device.pk), "list") for device in devices]
        projects = Project.objects.bulk_create(Project(owner=user, name="p", slug=f"p{n}") for n in range(1100))
        projects = list(Project.objects.filter(name="p"))
        Task.objects.bulk_create(Task(project=project, name="t", slug="t") for project in projects)
        scopes += [("projects", str(project.pk), "list") for project in projects]
        token, secret = create_token(user, name="many", scopes=scopes)
        token.secret = secret
        assert {row["id"] for row in ask(token, "/devices/").json()} == {str(device.pk) for device in devices}
        ask(token, "/lists/tasks-by-project/")  # so that the use is already recorded
        with django_assert_num_queries(3):  # token, ids, list
            rows = ask(token, "/lists/tasks-by-project/").json()
        assert {row["project"] for row in rows} == {project.pk for project in projects}
