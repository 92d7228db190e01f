"""The entity type of the site."""

from benchmarks.site.models import Channel
from pat_tokens.entities import EntityType, register


@register
class Channels(EntityType):
    """A user's own channels."""

    name = "channels"
    label = "Channels"
    model = Channel
    search_fields = ("name",)

    def get_queryset(self, user):
        return Channel.objects.filter(owner=user).order_by("name")
