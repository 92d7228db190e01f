import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Manager

from pat_tokens import services
from pat_tokens.entities import (
    LIST,
    READ,
    SHARE,
    UPDATE,
    EntityType,
    Operation,
    Preset,
    Registry,
    register_models,
    register_preset,
    registry,
)
from pat_tokens.pages.scope_formset import suggest
from tests.factories import ChannelFactory, DeviceFactory, PageFactory
from tests.models import Channel, Device, Host, Reading, Shift
from tests.site.models import Task

CHANNELS, DEVICES, PAGES = (registry.get(name) for name in ("channels", "devices", "pages"))


class Hidden(Manager):
    """A default manager that hides rows, here all of them."""

    def get_queryset(self):
        return super().get_queryset().none()


def make(**attributes):
    return type("Things", (EntityType,), {"name": "things", "model": Channel, **attributes})


def test_modules_are_autodiscovered():
    assert [entity_type.name for entity_type in registry][:3] == ["channels", "devices", "pages"]


def test_three_lines_register_a_model():
    own = Registry()
    own.register(make())
    assert [operation.name for operation in own.get("things").operations] == [
        "create", "read", "list", "update", "delete",
    ]  # fmt: skip


@pytest.fixture
def registered_later():
    """Unregister what a test registers."""
    before = {entity_type.name for entity_type in registry}
    yield
    for name in {entity_type.name for entity_type in registry} - before:
        registry.unregister(name)


@pytest.mark.usefixtures("registered_later")
def test_register_models_registers_several():
    seen = []

    def get_queryset(model, user):
        seen.append((model, user))
        return model.objects.none()

    made = register_models(
        Host, Shift, get_queryset=get_queryset, operations=("read", "share"), search_fields=["address"]
    )
    assert [entity_type.name for entity_type in made] == ["hosts", "shifts"]
    hosts = registry.for_model(Host)
    assert type(hosts) is made[0]
    assert (hosts.operations, hosts.search_fields) == ((READ, SHARE), ["address"])
    assert hosts.find("somebody").model is Host
    assert registry.for_model(Shift).find("else").model is Shift
    assert seen == [(Host, "somebody"), (Shift, "else")]
    with pytest.raises(ImproperlyConfigured, match=r"tests\.Host and tests\.models\.HostEntityType"):
        register_models(Host, get_queryset=get_queryset)


@pytest.mark.usefixtures("registered_later")
def test_register_models_says_which_names_to_choose(monkeypatch):
    monkeypatch.setattr(Shift._meta, "verbose_name_plural", "hosts")
    monkeypatch.setattr(Reading._meta, "verbose_name_plural", "日程")
    models = {"get_queryset": lambda model, user: model.objects.none()}
    with pytest.raises(ImproperlyConfigured) as caught:
        register_models(Host, Shift, Reading, **models)
    assert str(caught.value) == (
        "register_models: tests.Shift and tests.Host would both be called 'hosts'. tests.Reading can't be called ''. "
        "Name them yourself: names={'tests.Shift': 'tests-shift', 'tests.Reading': 'tests-reading'}"
    )
    assert registry.get("hosts") is None
    made = register_models(Host, Shift, names={"tests.Shift": "shifts"}, **models)
    assert [entity_type.name for entity_type in made] == ["hosts", "shifts"]
    with pytest.raises(ImproperlyConfigured, match=r"aren't passed: tests\.Shft"):
        register_models(Reading, names={"tests.Shft": "shifts"}, **models)


@pytest.mark.usefixtures("registered_later")
def test_register_models_leaves_punctuation_out_of_names(monkeypatch):
    monkeypatch.setattr(Host._meta, "verbose_name_plural", "Users' hosts (old)")
    (made,) = register_models(Host, get_queryset=lambda model, user: model.objects.none())
    assert made.name == "users-hosts-old"


@pytest.mark.parametrize(
    ("verbose_name", "name"),
    [
        ("project summary", "project-summaries"),
        ("API key", "api-keys"),
        ("Box", "boxes"),
        ("branch", "branches"),
        ("status", "statuses"),
        ("Address", "addresses"),
        ("site settings", "site-settings"),
        ("house", "houses"),
    ],
)
@pytest.mark.usefixtures("registered_later")
def test_names_are_english_plurals(monkeypatch, verbose_name, name):
    monkeypatch.setattr(Host._meta, "verbose_name", verbose_name)
    monkeypatch.setattr(Host._meta, "verbose_name_plural", f"{verbose_name}s")  # Django's default
    (made,) = register_models(Host, get_queryset=lambda model, user: model.objects.none())
    assert made.name == name


@pytest.mark.usefixtures("registered_later")
def test_plural_of_model_is_left_alone(monkeypatch):
    monkeypatch.setattr(Host._meta, "verbose_name", "baby")
    monkeypatch.setattr(Host._meta, "verbose_name_plural", "babys of all kinds")
    (made,) = register_models(Host, get_queryset=lambda model, user: model.objects.none())
    assert made.name == "babys-of-all-kinds"


def test_duplicate_name_is_an_error():
    own = Registry()
    own.register(make())
    with pytest.raises(ImproperlyConfigured, match="'things' is already registered"):
        own.register(make())
    own.unregister("things")
    own.register(make())


def test_invalid_name_is_an_error(subtests):
    for name in ["", "Things", "a:b", "a b", "*", "é", "x" * 65, None, "_", "a.b"]:
        with subtests.test(name=name), pytest.raises(ImproperlyConfigured, match="name must be"):
            Registry().register(make(name=name))


def test_standard_operations_by_name():
    own = make(operations=("read", Operation("lend", "Lend"), "share"))
    assert own.operations == (READ, Operation("lend", "Lend"), SHARE)
    assert own().get_operation("share") is SHARE
    assert type("Child", (own,), {}).operations == own.operations
    assert make(operations=[*EntityType.operations, "publish"]).operations[-1].name == "publish"


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (["raed"], "Operation\\('raed', label\\)"),
        (["lend"], "read, list"),
        ([1], "1 is not"),
        ("read", "the string 'read'"),
        (None, "list or tuple, not None"),
        (READ, "list or tuple, not Operation"),
    ],
)
def test_unknown_operation_is_an_error(operations, message):
    with pytest.raises(ImproperlyConfigured, match=message):
        make(operations=operations)


KEYS = [
    (Reading, "1.5", ["nan", "inf", "-Infinity", "1e999", "2.5"]),
    (Host, "fe80::1", ["::2", "10.0.0.1", "::ffff:10.0.0.2"]),
    (Shift, "1 00:00:00", ["999999999 00:00:00", "-999999999 00:00:00", "2 00:00:00"]),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "there", "not_there"), KEYS)
def test_key_refused_by_database_is_not_found(user, model, there, not_there):
    entity_type = make(model=model, get_queryset=lambda self, user: model.objects.all())()
    model.objects.create(pk=model._meta.pk.to_python(there))
    rows = [entity_type.to_id(key) for key in (*not_there, there, *not_there)]
    found = entity_type.get_visible(user, [row for row in rows if row])
    assert list(found) == [entity_type.to_id(there)]
    for key in not_there:
        assert not entity_type.find(user, key).exists()
    assert entity_type.find(user, there).exists()
    assert model.objects.exists(), "the transaction goes on"


@pytest.mark.django_db
def test_search_uses_at_most_eight_words(user):
    ChannelFactory(owner=user, name="a b c d e f g h")
    found = CHANNELS.find(user, "a b c d e f g h i" + " j" * 200)
    assert str(found.query).lower().count(" like ") == 8
    assert found.count() == 1
    assert not CHANNELS.find(user, "a b c d e f g x").exists()


def test_invalid_operation_is_an_error():
    with pytest.raises(ImproperlyConfigured, match="operation 'a:b'"):
        Registry().register(make(operations=[Operation("a:b", "Bad")]))
    with pytest.raises(ImproperlyConfigured, match="listed twice"):
        Registry().register(make(operations=[READ, READ]))


def test_missing_model_is_an_error():
    with pytest.raises(ImproperlyConfigured, match="set its model"):
        Registry().register(type("Things", (EntityType,), {"name": "things"}))


def test_missing_get_queryset_is_an_error():
    with pytest.raises(NotImplementedError, match="def get_queryset"):
        make()().get_queryset(None)


def test_ambiguous_model_has_no_type():
    own = Registry()
    own.register(make())
    assert own.for_model(Channel) is own.get("things")
    own.register(make(name="others"))
    assert own.for_model(Channel) is None
    assert own.for_model(Device) is None
    assert own.for_model(None) is None


def test_ids_are_canonicalized_by_key_field():
    key = uuid.uuid4()
    for spelling in (str(key), str(key).upper(), key.hex, f"{{{key}}}", key.urn, key):
        assert DEVICES.to_id(spelling) == str(key)
    assert CHANNELS.to_id("042") == CHANNELS.to_id(42) == "42"
    assert PAGES.to_id("A/b") == "A/b"


def test_invalid_ids_are_none(subtests):
    rows = [
        (CHANNELS, "x"),
        (CHANNELS, None),
        (CHANNELS, ""),
        (DEVICES, "42"),
        (DEVICES, []),
        (PAGES, "*"),
        (PAGES, ""),
        (PAGES, None),
        (PAGES, "a\0b"),
        (PAGES, "x" * 256),
        (CHANNELS, "*"),
        (CHANNELS, "9" * 5000),
        (PAGES, "\ud800"),
    ]
    for entity_type, value in rows:
        with subtests.test(entity_type=entity_type, value=value):
            assert entity_type.to_id(value) is None


@pytest.mark.django_db
def test_only_visible_entities_are_found(user, stranger, django_assert_num_queries):
    mine, theirs = ChannelFactory(owner=user), ChannelFactory(owner=stranger)
    with django_assert_num_queries(1):
        assert CHANNELS.get_visible(user, [str(mine.pk), str(theirs.pk), str(10**30)]) == {str(mine.pk): mine}
    with django_assert_num_queries(0):
        assert CHANNELS.get_visible(user, [str(10**30)]) == {}


@pytest.mark.django_db
def test_search_finds_labels_and_ids(user):
    first, second = DeviceFactory(owner=user, name="Pump hall 1"), DeviceFactory(owner=user, name="Pump hall 2")
    found = lambda term: set(DEVICES.search(DEVICES.get_queryset(user), term))  # noqa: E731
    assert found("") == {first, second}
    assert found("hall pump") == {first, second}
    assert found("pump 2") == {second}
    assert found(str(first.pk).upper()) == {first}
    assert found("nothing") == set()
    assert found("\0") == {first, second}
    page = PageFactory(owner=user, path="a")
    assert set(PAGES.search(PAGES.get_queryset(user), "a")) == {page}


@pytest.mark.django_db
def test_default_manager_is_not_used(site, user, make_token, client_with, monkeypatch):
    token = make_token(f"projects:{site.project.pk}:read", f"projects:{site.project.pk}:list")
    for model in {Task, *(entity_type.model for entity_type in registry)}:
        manager = Hidden()
        manager.model = model
        monkeypatch.setitem(vars(model._meta), "default_manager", manager)
    for entity_type in registry:
        keys = [str(entity.pk) for entity in entity_type.find(user)]
        assert keys
        assert set(entity_type.get_visible(user, keys)) == set(keys)
        assert keys[0] in [str(entity.pk) for entity in entity_type.find(user, keys[0])]
        services.create_token(user, name=entity_type.name, scopes=[(entity_type.name, keys[0], "read")])
    client = client_with(token)
    for path in ("projects/", f"projects/{site.project.pk}/", "by-slug/one/", "lists/tasks-by-project/"):
        answer = client.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.json()


@pytest.mark.django_db
def test_entity_with_key_star_is_never_granted(user, client):
    PageFactory(owner=user, path="*")
    page = PageFactory(owner=user, path="a")
    assert list(PAGES.find(user)) == list(PAGES.find(user, "a")) == [page]
    assert list(PAGES.find(user, "*")) == []
    assert PAGES.get_visible(user, ["*", "a"]) == {"a": page}
    assert suggest(PAGES, user) == ([("a", "a")], False)
    client.force_login(user)
    assert [row["id"] for row in client.get("/api/pats/entities/pages/").json()["results"]] == ["a"]


class TestPresets:
    def test_read_only_exists_by_default(self):
        preset = registry.get_preset("channels-read-only")
        assert str(preset.label) == "Read only: Channels"
        assert list(map(str, preset.scopes)) == ["channels:*:list", "channels:*:read"]
        assert registry.get_preset("no-such") is None

    def test_type_without_read_has_no_preset(self, monkeypatch):
        monkeypatch.setattr(type(registry.get("pages")), "operations", (UPDATE,))
        assert registry.get_preset("pages-read-only") is None

    def test_long_type_name_fits(self, monkeypatch):
        monkeypatch.setattr(type(registry.get("pages")), "name", "p" * 64)
        assert registry.get("pages").read_only.name == "p" * 54 + "-read-only"

    def test_default_can_be_replaced(self, presets):
        mine = Preset("channels-read-only", "Look", ["channels:?:read"])
        register_preset(mine)
        assert registry.get_preset("channels-read-only") is mine
        assert [preset.name for preset in registry.presets].count("channels-read-only") == 1
        with pytest.raises(ImproperlyConfigured, match="already registered"):
            register_preset(mine)
        registry.unregister_preset("channels-read-only")
        assert str(registry.get_preset("channels-read-only").label) == "Read only: Channels"

    def test_invalid_preset_is_an_error(self, case):
        for name, scopes in (
            ("Upper", ["channels:*:read"]),
            ("", ["channels:*:read"]),
            ("one", ["channels:42:read"]),
            ("one", ["channels"]),
            ("one", [("channels", "*")]),
            ("one", [None]),
        ):
            with case(name, scopes), pytest.raises(ImproperlyConfigured, match="Preset"):
                Preset(name, "One", scopes)


def test_descriptions_name_the_entity_type():
    assert CHANNELS.describe(READ) == "Read/view channel"
    assert CHANNELS.describe(LIST) == "List Channels"
    lend = Operation("lend", "Lend", "Lend %(type)s at 50%")
    assert make(model=Channel, singular="a tube")().describe(lend) == "Lend a tube at 50%"
    assert make(model=Channel)().describe(Operation("x", "X")) == ""


def test_descriptions_are_shown(client, user):
    client.force_login(user)
    assert "Publish messages to channel" in client.get("/pats/create/?scope=channels:*:read").content.decode()
    types = {one["name"]: one["operations"] for one in client.get("/api/pats/entities/").json()}
    described = {one["name"]: one["description"] for one in types["channels"]}
    assert described["read"] == "Read/view channel"
    assert not any("%(" in text for one in types.values() for text in (row["description"] for row in one))
