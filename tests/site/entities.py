"""The entity types of the site; the fixture `site` registers them."""

from pat_tokens.entities import CREATE, DELETE, LIST, READ, SHARE, UNSHARE, UPDATE, EntityType, Operation
from tests.site.models import ArchivedChannel, Badge, Cover, Memo, Probe, Project, Task, Thermometer

LOCK = Operation("lock", "Lock")
EXPORT = Operation("export", "Export")


class Owned(EntityType):
    def get_queryset(self, user):
        return self.model._base_manager.filter(owner=user)


class Projects(Owned):
    name = "projects"
    model = Project
    operations = (CREATE, READ, LIST, UPDATE, DELETE, LOCK, EXPORT, SHARE, UNSHARE)


class Tasks(EntityType):
    name = "tasks"
    model = Task

    def get_queryset(self, user):
        return Task.objects.filter(project__owner=user)


class Thermometers(Owned):
    name = "thermometers"
    model = Thermometer


class Probes(Owned):
    name = "probes"
    model = Probe


class Badges(Owned):
    name = "badges"
    model = Badge


class Covers(Owned):
    name = "covers"
    model = Cover


class Archive(Owned):
    name = "archive"
    model = ArchivedChannel


class Memos(Owned):
    name = "memos"
    model = Memo


class Drafts(Owned):
    name = "drafts"
    model = Memo


ENTITY_TYPES = (Projects, Tasks, Thermometers, Probes, Badges, Covers, Archive, Memos, Drafts)
