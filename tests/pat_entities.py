"""The entity types of the small test site."""

from pat_tokens.entities import CREATE, DELETE, LIST, PUBLISH, READ, SUBSCRIBE, UPDATE, EntityType, register
from tests.models import Channel, Device, Page


@register
class Channels(EntityType):
    name = "channels"
    label = "Channels"
    model = Channel
    operations = (CREATE, READ, LIST, UPDATE, DELETE, PUBLISH, SUBSCRIBE)
    search_fields = ("name",)

    def get_queryset(self, user):
        return Channel.objects.filter(owner=user)


@register
class Devices(EntityType):
    name = "devices"
    label = "Devices"
    model = Device
    search_fields = ("name",)

    def get_queryset(self, user):
        return Device.objects.filter(owner=user)


@register
class Pages(EntityType):
    name = "pages"
    label = "Pages"
    model = Page
    search_fields = ("path",)

    def get_queryset(self, user):
        return Page.objects.filter(owner=user)
