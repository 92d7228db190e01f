from pat_tokens.declarations import declare_url, declare_view
from pat_tokens.entities import EntityType, register
from pat_tokens.requirements import Requirement
from tests.custom_user_site.models import Folder


@register
class Folders(EntityType):
    name = "folders"
    model = Folder
    search_fields = ("title",)

    def get_queryset(self, user):
        return Folder.objects.filter(holder=user)


declare_view(
    "tests.custom_user_site.views.PaperViewSet",
    {"list": Requirement("folders", "read", "folder_pk"), "create": Requirement("folders", "update", "folder_pk")},
)
declare_url("v2:folder-detail", {"destroy": None})
