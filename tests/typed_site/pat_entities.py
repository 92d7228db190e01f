from django.contrib.auth.models import User
from django.db.models import QuerySet

from pat_tokens.declarations import declare_children, declare_crud, declare_route, limit_lists, refuse_urls
from pat_tokens.entities import EntityType, Operation, Preset, register, register_models, register_preset
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.typed_site.models import Book, Film


@register
class Books(EntityType):
    name = "books"
    model = Book
    label = "Books"
    search_fields = ("title",)
    operations = (*EntityType.operations, Operation("lend", "Lend"))

    def get_queryset(self, user: User) -> QuerySet[Book]:
        return Book.objects.filter(owner=user)

    def get_label(self, entity: Book) -> str:
        return entity.title.title()


def get_queryset(model: type[Film], user: User) -> QuerySet[Film]:
    return model.objects.filter(owner=user)


register_models(Film, get_queryset=get_queryset, operations=("read", "list"))
register_preset(Preset("librarian", "Librarian", ["books:*:list", "books:?:lend"]))
declare_crud("tests.typed_site.views.List", "tests.typed_site.views.Detail", "books")
declare_children("tests.typed_site.views.List", "tests.typed_site.views.Detail", "books", EntityLookup(title="title"))
declare_route("status/", {"GET": ANY_TOKEN, "POST": None})
declare_route("books/<pk>/", {"PUT": Requirement("books", "update", "pk") & Requirement("books", "read", "other")})
limit_lists("tests.typed_site.views.List")
refuse_urls("/internal/")
