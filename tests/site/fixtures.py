"""The fixture `site`: its routes, entity types and declarations, for one test."""

from itertools import count
from types import SimpleNamespace

import pytest

from pat_tokens import declarations as declared
from pat_tokens.entities import registry
from tests.factories import ChannelFactory, DeviceFactory, PageFactory
from tests.site.declarations import declare
from tests.site.entities import ENTITY_TYPES
from tests.site.models import ArchivedChannel, Badge, Cover, Memo, Probe, Project, Task, Thermometer

_generations = count(1_000_000)  # so that caches aren't shared between tests


@pytest.fixture
def declarations(monkeypatch):
    """No declarations; those of a test are removed after it."""
    fresh = declared.Declarations()
    fresh.generation = next(_generations)
    monkeypatch.setattr(declared, "_declared", fresh)
    return fresh


@pytest.fixture
def entity_types():
    """The site's entity types, for one test."""
    for entity_type in ENTITY_TYPES:
        registry.register(entity_type)
    yield
    for entity_type in ENTITY_TYPES:
        registry.unregister(entity_type.name)


@pytest.fixture
def routes(declarations, entity_types, settings):
    """The site without rows."""
    settings.ROOT_URLCONF = "tests.site.urls"
    declare()


@pytest.fixture
def site(routes, user):
    """The site with two rows of each model: `x`, which tokens are for, and `other_x`."""
    rows = SimpleNamespace(owner=user)
    for prefix in ("", "other_"):
        name = f"{prefix}one".replace("_", "-")
        project = Project.objects.create(owner=user, name=name, slug=name)
        page = PageFactory(owner=user, path=name)
        made = {
            "channel": ChannelFactory(owner=user, slug=name, name=name),
            "device": DeviceFactory(owner=user),
            "page": page,
            "probe": Probe.objects.create(owner=user, name=name, slug=f"{name}-deep"),
            "badge": Badge.objects.create(project=project, owner=user, name=name),
            "cover": Cover.objects.create(page=page, owner=user, name=name),
            "project": project,
            "task": Task.objects.create(project=project, name=name, slug=name),
            "thermometer": Thermometer.objects.create(owner=user, name=name, slug=f"{name}-degrees"),
            "archived": ArchivedChannel.objects.create(owner=user, name=name, slug=f"{name}-archived"),
            "memo": Memo.objects.create(owner=user, text=name),
        }
        for key, row in made.items():
            setattr(rows, prefix + key, row)
    return rows
