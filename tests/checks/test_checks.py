import inspect
import re
import sys
from datetime import timedelta
from types import ModuleType

import pytest
from django.conf import settings as django_settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.core.checks import run_checks
from django.core.checks.registry import registry as check_registry
from django.core.management import call_command
from django.db import connections, models
from django.middleware.csrf import CsrfViewMiddleware
from django.test import override_settings
from django.urls import clear_url_caches, include, path
from django.views.debug import SafeExceptionReporterFilter
from rest_framework.authentication import SessionAuthentication
from rest_framework.views import APIView

from pat_tokens.checks import deployment, entity_types, pages
from pat_tokens.checks import settings as checks
from pat_tokens.conf import conf, setting_names
from pat_tokens.contrib.rest_framework.checks import DRF_CLASS, check_rest_framework
from pat_tokens.crypto import hint, make_secret
from pat_tokens.entities import EntityType, Preset, Registry, registry
from pat_tokens.integrations import integration_checks
from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import Policy
from tests.models import Channel, Device

UPDATE_CACHE = "django.middleware.cache.UpdateCacheMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
SESSION = "rest_framework.authentication.SessionAuthentication"
BASIC = "rest_framework.authentication.BasicAuthentication"
CHECKS = (*checks.SETTINGS_CHECKS, *integration_checks(), entity_types.check_entity_types)
STRONG = "kWcX0vRz7Qm2LtB9sYhJ4nGp6DfA1eUo"


class OwnCsrfMiddleware(CsrfViewMiddleware):
    pass


class OwnAddressPolicy(Policy):
    """Knows by itself where clients are."""

    def get_client_ip(self, request):
        return None


def found(*, deploy=False):
    """Return the ids of the messages of our checks, without the one about the options of PostgreSQL."""
    of_deployment = [
        check for check in deployment.DEPLOYMENT_CHECKS if check is not deployment.check_prepared_statements
    ]
    return {message.id for check in (of_deployment if deploy else CHECKS) for message in check()}


@pytest.fixture
def register(monkeypatch):
    """Register only these entity types."""
    registry = Registry()
    monkeypatch.setattr(entity_types, "registry", registry)
    return registry.register


def test_defaults_pass():
    assert found() == set()
    with override_settings(SECURE_SSL_REDIRECT=True):
        assert found(deploy=True) == set()


def test_middleware_in_correct_order_passes():
    with override_settings(MIDDLEWARE=[checks.MIDDLEWARE_PATH, CSRF, LOGIN_REQUIRED]):
        assert found() == set()


def test_every_check_is_registered():
    for check in CHECKS:
        assert check in check_registry.registered_checks
        assert check not in check_registry.deployment_checks
    for check in deployment.DEPLOYMENT_CHECKS:
        assert check in check_registry.deployment_checks
    with override_settings(PAT_TOKENS_PREFIX=""):
        assert "pat_tokens.E001" in {message.id for message in run_checks(tags=["pat_tokens"])}


def test_ids_are_unique_and_tested():
    source = "".join(inspect.getsource(module) for module in (checks, entity_types, deployment))
    ids = re.findall(r'id="(pat_tokens\.\w+)"', source)
    ids += [f"pat_tokens.{code}" for code in ("E007", "E008", "E010", "E011")]
    assert len(set(ids)) == len(ids)
    with open(__file__) as file:
        tested = set(re.findall(r"\b[EIW]\d{3}\b", file.read().partition("CASES")[2]))
    assert {i.removeprefix("pat_tokens.") for i in ids} <= tested


CASES = [
    ("W001", {"PAT_TOKENS_PREFX": "x"}),
    ("E001", {"PAT_TOKENS_PREFIX": ""}),
    ("E001", {"PAT_TOKENS_PREFIX": "my_site"}),
    ("E001", {"PAT_TOKENS_PREFIX": "é"}),
    ("E001", {"PAT_TOKENS_PREFIX": "x" * 21}),
    ("E001", {"PAT_TOKENS_PREFIX": "pat\n"}),
    ("E001", {"PAT_TOKENS_PREFIX": None}),
    ("E002", {"PAT_TOKENS_PEPPERS": STRONG}),
    ("E002", {"PAT_TOKENS_PEPPERS": []}),
    ("E002", {"PAT_TOKENS_PEPPERS": [STRONG, ""]}),
    ("E002", {"PAT_TOKENS_PEPPERS": [STRONG.encode()]}),
    ("E002", {"PAT_TOKENS_PEPPERS": {STRONG}}),
    ("W002", {"PAT_TOKENS_PEPPERS": [STRONG, STRONG[:31]]}),
    ("W002", {"PAT_TOKENS_PEPPERS": ["abcd" * 20]}),
    ("E003", {"PAT_TOKENS_HEADER": "X_Token"}),
    ("E003", {"PAT_TOKENS_HEADER": ""}),
    ("E003", {"PAT_TOKENS_HEADER": "Cookie"}),
    ("E004", {"PAT_TOKENS_KEYWORDS": [""]}),
    ("E004", {"PAT_TOKENS_KEYWORDS": ["Bearer", "Token "]}),
    ("E004", {"PAT_TOKENS_KEYWORDS": ()}),
    ("E004", {"PAT_TOKENS_KEYWORDS": "Bearer"}),
    ("E005", {"PAT_TOKENS_REALM": 'my "api"'}),
    ("E005", {"PAT_TOKENS_REALM": None}),
    ("E006", {"PAT_TOKENS_MAX_DURATION": "1"}),
    ("E006", {"PAT_TOKENS_MAX_DURATION": "9000y"}),
    ("E006", {"PAT_TOKENS_MAX_DURATION": timedelta(days=1)}),
    ("E007", {"PAT_TOKENS_DEFAULT_DURATION": "0d"}),
    ("E090", {"PAT_TOKENS_MAX_GRACE_PERIOD": "7"}),
    ("E090", {"PAT_TOKENS_MAX_GRACE_PERIOD": timedelta(days=7)}),
    ("E091", {"PAT_TOKENS_MAX_OVERLAP": "0"}),
    ("E008", {"PAT_TOKENS_DEFAULT_DURATION": "367d"}),
    ("E008", {"PAT_TOKENS_DEFAULT_DURATION": "never"}),
    ("E009", {"PAT_TOKENS_DURATIONS": "7d"}),
    ("E009", {"PAT_TOKENS_DURATIONS": []}),
    ("E010", {"PAT_TOKENS_DURATIONS": ["7d", "a week"]}),
    ("E011", {"PAT_TOKENS_DURATIONS": ["7d", "2y"]}),
    ("E011", {"PAT_TOKENS_DURATIONS": ["7d", "never"]}),
    ("E012", {"PAT_TOKENS_ALLOW_NO_EXPIRY": "False"}),
    ("E013", {"PAT_TOKENS_MAX_TOKENS_PER_USER": 0}),
    ("E013", {"PAT_TOKENS_MAX_TOKENS_PER_USER": "100"}),
    ("E013", {"PAT_TOKENS_MAX_SCOPES_PER_TOKEN": True}),
    ("E014", {"PAT_TOKENS_MAX_DESCRIPTION_LENGTH": 1001}),
    ("E014", {"PAT_TOKENS_MAX_DESCRIPTION_LENGTH": 0}),
    ("E015", {"PAT_TOKENS_LAST_USED_INTERVAL": 60}),
    ("E062", {"PAT_TOKENS_ACTIVITY_DAYS": 0}),
    ("E063", {"PAT_TOKENS_MAIL_KINDS": "replaced"}),
    ("E063", {"PAT_TOKENS_MAIL_KINDS": ["created"]}),
    ("E062", {"PAT_TOKENS_ACTIVITY_DAYS": "365"}),
    ("E015", {"PAT_TOKENS_LAST_USED_INTERVAL": timedelta(seconds=-1)}),
    ("E017", {"PAT_TOKENS_BASE_TEMPLATE": "nowhere.html"}),
    ("E017", {"PAT_TOKENS_BASE_TEMPLATE": None}),
    *(("E017", {"PAT_TOKENS_BASE_TEMPLATE": f"pat_tokens/{page}.html"}) for page in ("page", "token_list")),
    *(("E017", {"PAT_TOKENS_BASE_TEMPLATE": folder}) for folder in ("", "admin")),
    ("E017", {"PAT_TOKENS_BASE_TEMPLATE": ["base.html"]}),
    ("E080", {"TEMPLATES": []}),
    ("E080", {"TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]}),
    ("E081", {"PAT_TOKENS_BASE_TEMPLATE": "admin/base.html"}),  # has extrahead
    ("E030", {"MIDDLEWARE": [CSRF, checks.MIDDLEWARE_PATH]}),
    ("E030", {"MIDDLEWARE": [LOGIN_REQUIRED, checks.MIDDLEWARE_PATH, CSRF]}),
    ("E030", {"MIDDLEWARE": ["tests.checks.test_checks.OwnCsrfMiddleware", checks.MIDDLEWARE_PATH]}),
    ("W031", {"MIDDLEWARE": [checks.MIDDLEWARE_PATH, UPDATE_CACHE, CSRF]}),
    ("W031", {"MIDDLEWARE": [checks.MIDDLEWARE_PATH, "django.middleware.cache.CacheMiddleware", CSRF]}),
    ("E019", {"PAT_TOKENS_MAX_FAILED_LOOKUPS": 0}),
    ("E019", {"PAT_TOKENS_MAX_FAILED_LOOKUPS": "600"}),
    ("E018", {"PAT_TOKENS_REAUTHENTICATE_AFTER": 0}),
    ("E018", {"PAT_TOKENS_REAUTHENTICATE_AFTER": "600"}),
    ("E018", {"PAT_TOKENS_REAUTHENTICATE_AFTER": timedelta(minutes=10)}),
    ("E018", {"PAT_TOKENS_REAUTHENTICATE_AFTER": float("nan")}),
    ("E018", {"PAT_TOKENS_REAUTHENTICATE_AFTER": True}),
    ("W006", {"PAT_TOKENS_REAUTHENTICATE_AFTER": 600, "ROOT_URLCONF": "pat_tokens.contrib.rest_framework.urls"}),
    ("E012", {"PAT_TOKENS_ALLOW_LEGACY_KEYS": "yes"}),
    *(("E060", {"PAT_TOKENS_REMINDER_DAYS": days}) for days in (14, "14", [14, 14], [-1], [1.5], [True], [9999])),
    *(("E061", {"PAT_TOKENS_SITE_URL": url}) for url in ("example.org", "https://", "https://a b", "ftp://a", 5)),
    ("E012", {"PAT_TOKENS_REMINDER_MAIL": 0}),
    ("W004", {"PAT_TOKENS_ALLOW_LEGACY_KEYS": True, "PAT_TOKENS_HEADER": "X-Api-Token"}),
    *(("E071", {"PAT_TOKENS_MANAGEMENT_AUTHENTICATION": value}) for value in (SESSION, ["nowhere.Class"], [found])),
    *(("E072", {"PAT_TOKENS_TRUSTED_PROXIES": value}) for value in ("127.0.0.1", ["10.0.0.5/8"], ["proxy"], [1])),
    ("W070", {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}),
    ("W070", {"USE_X_FORWARDED_HOST": True}),
    ("E071", {"PAT_TOKENS_MANAGEMENT_PERMISSIONS": ["nowhere.Class"]}),
    *(("E070", {"PAT_TOKENS_POLICY": value}) for value in ("nowhere.Policy", object, "pat_tokens.policy.get_policy")),
    ("W007", {"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [DRF_CLASS, BASIC]}}),
    ("W003", {"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [SESSION, DRF_CLASS]}}),
]


def test_invalid_setting_is_reported(subtests):
    for code, settings in CASES:
        with subtests.test(code=code, settings=settings), override_settings(**settings):
            assert found() == {f"pat_tokens.{code}"}


def test_rest_framework_imported_before_its_settings(monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", [SessionAuthentication])
    assert found() == {"pat_tokens.W008"}
    monkeypatch.delitem(sys.modules, "rest_framework.views")  # a site with the settings, but without REST framework
    assert found() == set()


def test_valid_setting_passes(subtests):
    rows = [
        {"PAT_TOKENS_PREFIX": "x" * 20},
        {"PAT_TOKENS_PEPPERS": (STRONG,)},
        {"PAT_TOKENS_PEPPERS": None},
        {
            "PAT_TOKENS_HEADER": "X-Access-Token",
            "PAT_TOKENS_KEYWORDS": ("Token", "Bearer"),
            "PAT_TOKENS_REALM": "my api",
        },
        {"PAT_TOKENS_DEFAULT_DURATION": "never", "PAT_TOKENS_ALLOW_NO_EXPIRY": True},
        {"PAT_TOKENS_DURATIONS": ("never", "P1W"), "PAT_TOKENS_ALLOW_NO_EXPIRY": True},
        {"PAT_TOKENS_DURATIONS": ["366d"]},
        {"PAT_TOKENS_MAX_DURATION": "24h", "PAT_TOKENS_DEFAULT_DURATION": "24h", "PAT_TOKENS_DURATIONS": ["24h"]},
        {"PAT_TOKENS_LAST_USED_INTERVAL": timedelta()},
        {"PAT_TOKENS_REAUTHENTICATE_AFTER": 0.5},
        {"PAT_TOKENS_BASE_TEMPLATE": "pat_tokens/base.html"},
        {"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [SESSION]}},
        {
            "REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [DRF_CLASS, BASIC]},
            "PAT_TOKENS_MANAGEMENT_AUTHENTICATION": [BASIC],
        },
        {"PAT_TOKENS_POLICY": "pat_tokens.policy.Policy"},
        {"PAT_TOKENS_TRUSTED_PROXIES": ["127.0.0.1", "::1"], "USE_X_FORWARDED_HOST": True},
        {"PAT_TOKENS_POLICY": "tests.checks.test_checks.OwnAddressPolicy", "USE_X_FORWARDED_HOST": True},
        {"REST_FRAMEWORK": {}},
        {"REST_FRAMEWORK": None},
    ]
    for settings in rows:
        with subtests.test(settings=settings), override_settings(**settings):
            assert found() == set()


def test_every_setting_accepts_any_value_in_checks(subtests):
    """A new setting needs a check, and no value makes a check raise."""
    for value in [object(), b"x", {}, -1, ["", None], lambda: None]:
        for name in setting_names():
            with subtests.test(name=name, value=value), override_settings(**{name: value}):
                messages = [message for check in (*CHECKS, *deployment.DEPLOYMENT_CHECKS) for message in check()]
                assert name in "".join(message.msg for message in messages)
                assert all(message.hint for message in messages)


def test_misspelled_setting_suggests_name():
    with override_settings(PAT_TOKENS_DEFAULT_DURATIONS="7d", PAT_TOKENS_ZZZ=1):
        hints = [message.hint for message in checks.check_names()]
    assert hints[0] == "Did you mean PAT_TOKENS_DEFAULT_DURATION?"
    assert "PREFIX" in hints[1]


def test_longest_prefix_fits_hint_column():
    secret = make_secret("x" * 20)
    assert len(hint(secret, "x" * 20)) <= PersonalAccessToken._meta.get_field("hint").max_length


def test_messages_never_show_peppers():
    weak = "weak-pepper-x"
    with override_settings(PAT_TOKENS_PEPPERS=[weak, 7]):
        assert weak not in str([*checks.check_peppers()])
    with override_settings(PAT_TOKENS_PEPPERS=[weak]):
        assert weak not in str([*checks.check_peppers()])


def test_template_with_syntax_error(settings, tmp_path):
    (tmp_path / "broken.html").write_text("{% nothing %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.PAT_TOKENS_BASE_TEMPLATE = "broken.html"
    assert found() == {"pat_tokens.E017"}


@pytest.mark.urls("pat_tokens.contrib.rest_framework.urls")
def test_api_works_without_templates(settings):
    settings.TEMPLATES = []
    settings.STORAGES = WITH_MANIFEST
    assert found() == set()


def templates(settings, folder, **files):
    """Create templates for the site."""
    for name, text in files.items():
        (folder / f"{name}.html").write_text(text)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [folder]}]
    settings.PAT_TOKENS_BASE_TEMPLATE = "base.html"


ROOT = "<title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}{% block body %}{% endblock %}"


@pytest.mark.parametrize(
    "base",
    [
        "{% extends 'root.html' %}{% block body %}<main>{% block content %}{% endblock %}</main>{% endblock %}",
        "{% extends 'root.html' %}{% block body %}{% if x %}{% block content %}{% endblock %}{% endif %}{% endblock %}",
        "{% extends 'middle.html' %}{% block body %}{{ block.super }}<footer></footer>{% endblock %}",
        "{% extends chosen_for_the_request %}",
    ],
)
def test_base_template_with_all_blocks_passes(settings, tmp_path, base):
    middle = "{% extends 'root.html' %}{% block body %}{% block content %}{% endblock %}{% endblock %}"
    templates(settings, tmp_path, root=ROOT, middle=middle, base=base)
    assert found() == set()


@pytest.mark.parametrize(
    "base",
    [
        "{% extends 'root.html' %}",
        "{% extends 'root.html' %}{% block content %}never rendered: the parent has no such block{% endblock %}",
        "{% extends 'middle.html' %}{% block body %}replaces the block around it{% endblock %}",
        ROOT + "{% include 'part.html' %}",
    ],
)
def test_base_template_without_rendered_block(settings, tmp_path, base):
    middle = "{% extends 'root.html' %}{% block body %}{% block content %}{% endblock %}{% endblock %}"
    part = "{% block content %}{% endblock %}"
    templates(settings, tmp_path, root=ROOT, middle=middle, part=part, base=base)
    (message,) = checks.check_base_template()
    assert message.id == "pat_tokens.E081"
    assert message.msg.endswith("fill: content.")


@pytest.mark.parametrize("parent", ["nowhere", "base", "middle"])
def test_base_template_with_missing_parent(settings, tmp_path, parent):
    templates(settings, tmp_path, base=f"{{% extends '{parent}.html' %}}", middle="{% extends 'base.html' %}")
    assert found() == {"pat_tokens.E017"}


def test_base_template_that_extends_one_of_the_same_name(settings, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "second" / "base.html").write_text(ROOT)
    base = "{% extends 'base.html' %}{% block body %}{% block content %}{% endblock %}{% endblock %}"
    templates(settings, tmp_path / "first", base=base)
    settings.TEMPLATES[0]["DIRS"].append(tmp_path / "second")
    assert found() == set()


def test_only_other_template_engines_are_reported(settings, tmp_path):
    (tmp_path / "base.html").write_text(ROOT)
    jinja = {"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": [tmp_path], "APP_DIRS": True}
    django = settings.TEMPLATES
    settings.TEMPLATES = [jinja]
    assert found() == {"pat_tokens.E080"}
    settings.TEMPLATES = [jinja, *django]
    assert found() == set()
    settings.PAT_TOKENS_BASE_TEMPLATE = "base.html"
    assert found() == {"pat_tokens.E017"}


WITH_MANIFEST = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}


def test_static_files_missing_from_manifest(settings, tmp_path):
    settings.STORAGES = WITH_MANIFEST
    settings.STATIC_ROOT = tmp_path
    assert found() == {"pat_tokens.W080"}
    with override_settings(DEBUG=True):
        assert found() == set()
    call_command("collectstatic", interactive=False, verbosity=0)
    settings.STORAGES = {**WITH_MANIFEST}  # a new storage, which reads the manifest again
    assert found() == set()


@pytest.fixture
def urls(settings):
    """Return a function that sets the patterns of the site, next to the pages."""

    def urls(*patterns):
        settings.ROOT_URLCONF = ModuleType("urls_of_a_test")
        settings.ROOT_URLCONF.urlpatterns = [path("pats/", include("pat_tokens.urls")), *patterns]

    return urls


def login(request):
    raise NotImplementedError


def login_messages():
    return [message.id for message in pages.check_login_url()]


def test_missing_login_page_is_reported(settings, urls):
    urls(path("admin/", admin.site.urls))
    assert login_messages() == ["pat_tokens.I082"]
    urls(path("accounts/login/", login))
    assert login_messages() == []
    urls(*i18n_patterns(path("accounts/login/", login)))
    assert login_messages() == []
    settings.ROOT_URLCONF.urlpatterns = []  # without our pages
    clear_url_caches()
    assert login_messages() == []


def test_login_page_is_not_needed_with_remote_users(settings, urls):
    urls()
    assert login_messages() == ["pat_tokens.I082"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.PersistentRemoteUserMiddleware"]
    assert login_messages() == []


@pytest.mark.parametrize("url", ["/Shibboleth.sso/Login", "https://sso.example.org/", "login"])
def test_login_page_outside_of_django_is_not_reported(settings, urls, url):
    urls()
    settings.LOGIN_URL = url
    assert login_messages() == []


def test_templates_after_ours_are_reported(settings):
    app = "pat_tokens.contrib.bootstrap5"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
    assert found() == {"pat_tokens.W081"}
    settings.INSTALLED_APPS = [app, *settings.INSTALLED_APPS[:-1]]
    assert found() == set()


def test_autocommit_off_is_reported(monkeypatch, settings):
    """W090, only for the database of the tokens."""
    other = {**connections["default"].settings_dict, "AUTOCOMMIT": False}
    monkeypatch.setitem(connections.settings, "other", other)
    assert found() == set()
    settings.DATABASE_ROUTERS = [type("Router", (), {"db_for_write": lambda *args, **hints: "other"})()]
    assert found() == {"pat_tokens.W090"}
    monkeypatch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", False)
    assert {message.msg[:18] for message in checks.check_database()} == {"DATABASES['other']"}
    settings.DATABASE_ROUTERS = []
    assert found() == {"pat_tokens.W090"}
    del connections["other"]


def test_setting_can_be_class_or_path(settings):
    class First:
        pass

    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": (First, DRF_CLASS)}
    (message,) = check_rest_framework()
    assert "First before" in message.msg


def test_no_entity_types_are_reported(register):
    assert found() == {"pat_tokens.W020"}


def declare(**attributes):
    """Return a valid entity type with these attributes."""

    def get_queryset(self, user):
        return self.model.objects.all()

    return type(
        "Things", (EntityType,), {"name": "things", "model": Channel, "get_queryset": get_queryset} | attributes
    )


class Abstract(models.Model):
    class Meta:
        abstract = True
        app_label = "tests"


def test_valid_entity_type_passes(register):
    register(declare(search_fields=["name", "owner__username"]))
    assert found() == set()


@pytest.mark.parametrize(
    ("code", "attributes"),
    [
        ("E020", {"get_queryset": EntityType.get_queryset}),
        ("E021", {"model": Abstract}),
        ("E021", {"model": "tests.Channel"}),
        ("E023", {"search_fields": "name"}),
        ("E024", {"search_fields": ["title"]}),
        ("E024", {"search_fields": ["owner"]}),
        ("E024", {"search_fields": ["owner__shoe_size"]}),
    ],
)
def test_invalid_entity_type_is_reported(register, code, attributes):
    register(declare(**attributes))
    assert found() == {f"pat_tokens.{code}"}


def test_composite_primary_key_is_reported(register, monkeypatch):
    """E022."""
    key = models.CompositePrimaryKey("owner_id", "name")
    monkeypatch.setattr(Device._meta, "pk", key)
    register(declare(model=Device))
    assert found() == {"pat_tokens.E022"}


def test_long_primary_key_is_reported(register, monkeypatch):
    """W022."""
    monkeypatch.setattr(Device._meta, "pk", models.CharField(max_length=256))
    register(declare(model=Device))
    assert found() == {"pat_tokens.W022"}


def test_two_entity_types_with_same_model(register):
    """W021."""
    register(declare())
    register(declare(name="others"))
    assert found() == {"pat_tokens.W021"}


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("W040", {"SECRET_KEY": "django-insecure-" + STRONG}),
        ("W040", {"SECRET_KEY_FALLBACKS": ["django-insecure-" + STRONG]}),
        ("W040", {"PAT_TOKENS_PEPPERS": ["django-insecure-" + STRONG]}),
        ("W041", {"SECURE_SSL_REDIRECT": False}),
        ("W042", {"PAT_TOKENS_HEADER": "X-Pat"}),
    ],
)
def test_deployment_checks(code, settings):
    with override_settings(**({"SECURE_SSL_REDIRECT": True} | settings)):
        assert found(deploy=True) == {f"pat_tokens.{code}"}


@pytest.mark.parametrize("text", ["%(message)s %({Authorization}i)s", "{request.META[HTTP_AUTHORIZATION]}"])
def test_log_format_with_secrets_is_reported(monkeypatch, text):
    """W043, in LOGGING or in the arguments of gunicorn."""
    with monkeypatch.context() as patch:  # not with override_settings, which would configure logging
        patch.setattr(django_settings, "LOGGING", {"formatters": {"access": {"format": text}}})
        assert "pat_tokens.W043" in found(deploy=True)
    assert "pat_tokens.W043" not in found(deploy=True)
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--access-logformat '{text}'")
    assert "pat_tokens.W043" in found(deploy=True)


@pytest.mark.postgres
@pytest.mark.django_db
def test_prepared_statements_are_suggested(monkeypatch):
    for options, is_reported in [
        ({}, True),
        ({"server_side_binding": True}, True),
        ({"prepare_threshold": 5}, True),
        ({"server_side_binding": True, "prepare_threshold": 5}, False),
        ({"prepare_threshold": None}, False),  # PgBouncer in transaction mode
    ]:
        monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)
        messages = list(deployment.check_prepared_statements())
        assert [message.id for message in messages] == ["pat_tokens.I044"] * is_reported


def test_prepared_statements_are_only_for_postgresql(monkeypatch):
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")
    assert list(deployment.check_prepared_statements()) == []


def test_reading_from_replica_is_reported(settings):
    """W045, where the setting has an effect."""
    router = {"db_for_read": lambda *args, **hints: "replica", "db_for_write": lambda *args, **hints: "default"}
    settings.PAT_TOKENS_READ_FROM_REPLICAS = True
    assert list(deployment.check_replicas()) == []
    settings.DATABASE_ROUTERS = [type("Router", (), router)()]
    assert [message.id for message in deployment.check_replicas()] == ["pat_tokens.W045"]
    settings.PAT_TOKENS_READ_FROM_REPLICAS = False
    assert list(deployment.check_replicas()) == []


def test_tls_by_proxy_passes(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert found(deploy=True) == set()


def test_django_hides_header_in_reports(settings):
    """W042 relies on this: Django hides headers with certain names."""
    reporter_filter = SafeExceptionReporterFilter()
    assert reporter_filter.cleanse_setting(conf.header_key, "secret") != "secret"


def test_preset_with_invalid_scope(presets):
    """E025 for an unknown entity type or operation, E026 for an operation without an entity."""
    for scope, code in (("chanels:*:read", "E025"), ("channels:*:reed", "E025"), ("channels:?:create", "E026")):
        registry.register_preset(Preset("one", "One", [scope]))
        assert found() == {f"pat_tokens.{code}"}, scope
        registry.unregister_preset("one")
