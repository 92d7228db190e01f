"""Entity types for personal access tokens; discovered at startup, like `admin.py`.

The views need no declarations: they are plain ViewSets of these models, so requirements are inferred.
"""

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from demo_project.devices.models import Channel, Client, Dashboard, Group
from pat_tokens.entities import (
    CREATE,
    DELETE,
    LIST,
    PUBLISH,
    READ,
    SHARE,
    SUBSCRIBE,
    UNSHARE,
    UPDATE,
    EntityType,
    Preset,
    register,
    register_preset,
)


@register
class Clients(EntityType):
    name = "clients"
    model = Client
    label = _("Clients")
    search_fields = ("name",)

    def get_queryset(self, user: AbstractBaseUser) -> QuerySet[Client]:
        return Client.objects.visible_to(user)


@register
class Channels(EntityType):
    name = "channels"
    model = Channel
    label = _("Channels")
    operations = (CREATE, READ, LIST, UPDATE, DELETE, PUBLISH, SUBSCRIBE)
    search_fields = ("name",)

    def get_queryset(self, user: AbstractBaseUser) -> QuerySet[Channel]:
        return Channel.objects.visible_to(user)


@register
class Groups(EntityType):
    name = "groups"
    model = Group
    label = _("Groups")
    search_fields = ("name",)

    def get_queryset(self, user: AbstractBaseUser) -> QuerySet[Group]:
        return Group.objects.visible_to(user)


@register
class Dashboards(EntityType):
    name = "dashboards"
    model = Dashboard
    label = _("Dashboards")
    operations = (CREATE, READ, LIST, UPDATE, DELETE, SHARE, UNSHARE)
    search_fields = ("name",)

    def get_queryset(self, user: AbstractBaseUser) -> QuerySet[Dashboard]:
        return Dashboard.objects.visible_to(user)


register_preset(
    Preset(
        "sensor",
        _("Sensor"),
        ["channels:?:publish"],
        _("Publishes measurements to one channel."),
    )
)
register_preset(
    Preset(
        "monitor",
        _("Monitor"),
        ["channels:*:list", "channels:*:read", "channels:*:subscribe", "dashboards:*:list", "dashboards:*:read"],
        _("Shows dashboards and receives the messages of all channels."),
    )
)
