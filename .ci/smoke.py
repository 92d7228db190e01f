"""Use an installed pat_tokens like a new site: migrate, create a token, send it, revoke it."""

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="only for this smoke test, and for nothing else",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "pat_tokens",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "pat_tokens.contrib.rest_framework.authentication.PersonalAccessTokenAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
)
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework import routers, serializers, viewsets  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

import pat_tokens  # noqa: E402
from pat_tokens import services  # noqa: E402
from pat_tokens.entities import EntityType, registry  # noqa: E402


@registry.register
class Groups(EntityType):
    name = "groups"
    model = Group

    def get_queryset(self, user):
        return Group.objects.all()


class GroupSerializer(serializers.ModelSerializer):
    class Meta:
        model = Group
        fields = ["id", "name"]


class GroupViewSet(viewsets.ModelViewSet):
    queryset = Group.objects.order_by("pk")
    serializer_class = GroupSerializer


router = routers.SimpleRouter()
router.register("groups", GroupViewSet)
urlpatterns = [
    path("api/", include(router.urls)),
    path("api/pats/", include("pat_tokens.contrib.rest_framework.urls")),
    path("pats/", include("pat_tokens.urls")),
]


def main() -> None:
    assert "site-packages" in pat_tokens.__file__, pat_tokens.__file__
    call_command("migrate", verbosity=0)
    call_command("check", fail_level="ERROR")
    call_command("makemigrations", "pat_tokens", check=True, dry_run=True)

    mine, other = Group.objects.create(name="mine"), Group.objects.create(name="other")
    token, secret = services.create_token(
        User.objects.create_user("someone"),
        name="smoke",
        scopes=[{"entity_type": "groups", "entity_id": str(mine.pk), "operation": "read"}],
    )

    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}")
    expected = {
        f"/api/groups/{mine.pk}/": 200,
        f"/api/groups/{other.pk}/": 403,
        "/api/groups/": 403,
        "/api/pats/": 403,
        "/api/pats/current/": 200,
    }
    answers = {url: client.get(url).status_code for url in expected}
    assert answers == expected, answers

    services.revoke_token(token)
    assert client.get(f"/api/groups/{mine.pk}/").status_code == 401
    assert APIClient().get(f"/api/groups/{mine.pk}/").status_code in {401, 403}
    print(f"pat_tokens {pat_tokens.__version__} works with Django {django.__version__}")


if __name__ == "__main__":
    main()
