from django.conf import settings
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.custom_user_site import views

folders = SimpleRouter()
folders.register("folders", views.FolderViewSet)
papers = [path("folders/<uuid:folder_pk>/papers/", views.PaperViewSet.as_view({"get": "list", "post": "create"}))]

urlpatterns = [
    path("api/v1/", include((folders.urls + papers, "v1"))),
    path("api/v2/", include((folders.urls, "v2"))),
    path("api/v1/", include(([path("undeclared/", views.Undeclared.as_view(), name="undeclared")], "v1"))),
    path("who/", views.WhoAmI.as_view()),
    path("who/mixed-in/", views.MixedIn.as_view()),
    *[
        path(f"who/{name}/", views.WhoAmI.as_view(authentication_classes=classes))
        for name, classes in views.ORDERS.items()
    ],
    path("account/tokens/", include("pat_tokens.urls")),
    path("api/v1/tokens/", include("pat_tokens.contrib.rest_framework.urls")),
]

if settings.WITH_ADMIN:
    from tests.custom_user_site.admin import people_site

    urlpatterns.append(path("people/", people_site.urls))
