"""The pages of the site itself."""

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.views.generic import DetailView, TemplateView
from drf_spectacular.views import SpectacularSwaggerSplitView

from demo_project.devices.models import Channel, Client, Dashboard, Group
from demo_project.devices.seeds import LOGINS
from demo_project.middleware import CSP, CSP_HEADER
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import Requirement

MAX_ENTITIES = 100  # of one kind on the landing page


class Login(LoginView):
    """The login page, which names the example accounts."""

    redirect_authenticated_user = True
    extra_context = {"logins": LOGINS}


class Home(LoginRequiredMixin, TemplateView):
    """The user's own entities, and those that are shared with them."""

    template_name = "home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = self.request.user
        sections = [
            {
                "title": model._meta.verbose_name_plural,
                "url_name": f"{model._meta.model_name}-list",
                "has_pages": model is Channel,
                "entities": model.objects.visible_to(user).select_related("owner")[:MAX_ENTITIES],
            }
            for model in (Channel, Client, Group, Dashboard)
        ]
        return super().get_context_data(sections=sections, **kwargs)


class ChannelPage(PersonalAccessTokenMixin, LoginRequiredMixin, DetailView):
    """One channel, for users with a session, and for tokens, which the mixin declares."""

    pat_requirements = {"GET": Requirement("channels", "read", entity="pk")}
    template_name = "channel.html"
    context_object_name = "channel"

    def get_queryset(self) -> QuerySet[Channel]:
        return Channel.objects.visible_to(self.request.user)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(address=self.request.build_absolute_uri("/").rstrip("/"), **kwargs)


class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger, which has inline styles and images; its script is a separate response."""

    url_name = "schema"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers[CSP_HEADER] = f"{CSP}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
        return response
