from rest_framework import serializers

from tests.models import Channel, Device, Page
from tests.site.models import Badge, Cover, Memo, Probe, Project, Task, Thermometer


def serializer_for(model, *fields):
    meta = type("Meta", (), {"model": model, "fields": list(fields)})
    return type(f"{model.__name__}Serializer", (serializers.ModelSerializer,), {"Meta": meta})


ChannelSerializer = serializer_for(Channel, "id", "name")
DeviceSerializer = serializer_for(Device, "id", "name")
PageSerializer = serializer_for(Page, "path")
ProjectSerializer = serializer_for(Project, "id", "name", "slug")
TaskSerializer = serializer_for(Task, "id", "name", "project")
ThermometerSerializer = serializer_for(Thermometer, "id", "name", "degrees")
MemoSerializer = serializer_for(Memo, "id", "text")
ProbeSerializer = serializer_for(Probe, "id", "name", "depth")
BadgeSerializer = serializer_for(Badge, "pk", "name")
CoverSerializer = serializer_for(Cover, "pk", "name")
