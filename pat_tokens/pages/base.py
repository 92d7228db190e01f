"""The base classes of pages: session, CSRF protection, password prompt, and no framing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django.contrib.auth import get_user
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import escape
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from pat_tokens.activity import Actor
from pat_tokens.conf import conf
from pat_tokens.csrf import always_csrf_protect
from pat_tokens.exceptions import Conflict, InvalidInput
from pat_tokens.models import PersonalAccessToken, Scope, Via
from pat_tokens.pages import notices, one_time_secret, password_prompt
from pat_tokens.pages.errors import hide_posted_values, show_outages
from pat_tokens.pages.forms import RegenerateForm, ServiceForm
from pat_tokens.pages.framing import never_framed
from pat_tokens.policy import can_see_tokens, get_policy, has_own_session
from pat_tokens.secret_search import query_holds_secret
from pat_tokens.users.managed import find_managed_tokens, find_owner
from pat_tokens.users.sensitive_actions import find_obstacle
from pat_tokens.validation import name_key

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from pat_tokens.querysets import TokenQuerySet

_NO_ID = uuid.UUID(int=0)


class Page(LoginRequiredMixin, View):
    """A page for users who are logged in with a session. Tokens aren't accepted, whatever other middleware does."""

    template_name = ""
    # Reveals a secret or widens a token, so identity is confirmed when the page is opened and when it is submitted.
    is_sensitive = False

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """Respond with 503 if the database fails, even while the user is being loaded."""
        return show_outages(hide_posted_values(super().as_view(**initkwargs)))

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Take the user only from the session, because other middleware can set one for a token."""
        super().setup(request, *args, **kwargs)
        if not has_own_session(request):
            request.user = get_user(request)  # not the one that other middleware has cached

    @method_decorator([never_framed, never_cache, always_csrf_protect])
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Respond with 404 also if a row is deleted while it is being used."""
        if self.is_scripted and not request.user.is_authenticated:
            return _logged_out()
        if query_holds_secret(request.GET):
            return self.drop_query()
        if request.user.is_authenticated and not can_see_tokens(request.user):
            raise PermissionDenied
        try:
            if self.is_sensitive and request.user.is_authenticated:
                if obstacle := find_obstacle(request.user, self.owner):
                    raise PermissionDenied(obstacle)
                if response := password_prompt.ask_on_opening(self.request, self.ask_for_password):
                    return response
            return super().dispatch(request, *args, **kwargs)
        except (Http404, PersonalAccessToken.DoesNotExist, Scope.DoesNotExist):
            return self.not_found()
        except Conflict as error:
            return self.refused(error)

    def refused(self, error: Conflict) -> HttpResponseBase:
        """Respond if the token isn't in the state that the page is for."""
        raise error

    def drop_query(self) -> HttpResponse:
        """Redirect away from a URL that contains a secret."""
        return HttpResponseRedirect(self.request.path)

    def not_found(self) -> HttpResponse:
        raise Http404

    @property
    def is_scripted(self) -> bool:
        """Whether our script sent the request. The script handles redirects itself, so it gets JSON."""
        return self.request.headers.get("Accept", "").startswith("application/json")

    @property
    def user(self) -> AbstractBaseUser:
        return cast("AbstractBaseUser", self.request.user)

    @cached_property
    def owner(self) -> Any:
        """Whose tokens the page is about: the user's own, or those of a managed user whom `?owner=` names."""
        try:
            return find_owner(self.user, self.request.GET.get("owner"))
        except ObjectDoesNotExist:
            raise Http404 from None

    @property
    def actor(self) -> Actor:
        return Actor.of_request(self.request, Via.PAGE)

    @property
    def tokens(self) -> TokenQuerySet:
        """The tokens of the owner. Every look-up of several tokens starts here."""
        return PersonalAccessToken.objects.for_user(self.owner)

    def find_same_name(self, form: ServiceForm | None) -> PersonalAccessToken | None:
        """Return the token that already has the name in `form`, which can be the one that was just created."""
        if form is None or "name" not in form.errors:
            return None
        return self.tokens.filter(name_key=name_key(form["name"].value() or "")).first()

    def show(self, **context: Any) -> HttpResponse:
        return render(self.request, self.template_name, context | self._shared())

    @property
    def managed_owner(self) -> Any:
        """The owner, or None if that is the user, or if the page is about something that doesn't exist."""
        try:
            return self.owner if self.owner != self.user else None
        except Http404:
            return None

    @property
    def owner_query(self) -> str:
        """The query string for URLs of pages about the same owner; empty if that is the user."""
        return urlencode({"owner": self.managed_owner.get_username()}) if self.managed_owner else ""

    def _shared(self) -> dict[str, Any]:
        managed_owner = self.managed_owner
        return {
            "base_template": conf.base_template,
            "notices": notices.take(self.request),
            "request_path": self.request.get_full_path(),
            "managed_owner": managed_owner,
            "owner_query": self.owner_query,
            "can_issue": self.can_issue(managed_owner or self.user),
        }

    def can_issue(self, owner: Any) -> bool:
        """Return whether the user can create, renew and widen tokens of `owner`, so that pages can offer it."""
        return get_policy().can_have_tokens(owner) and find_obstacle(self.user, owner) is None

    def done(self, url: str, notice: str = "", *, is_warning: bool = False) -> HttpResponse:
        """Redirect to `url` and show `notice` there. See `notices.add()`."""
        if self.is_scripted:
            return JsonResponse({"location": url, "notice": notice})
        if notice:
            notices.add(self.request, notice, is_warning=is_warning)
        return HttpResponseRedirect(url)

    def ask_for_password(self) -> HttpResponse | None:
        """Return the password prompt if the user has to confirm their identity, otherwise None."""
        question = password_prompt.ask(self.request)
        if question is None:
            return None
        if question.is_over and self.is_scripted:
            return _logged_out()
        if question.is_over:
            return HttpResponseRedirect(self.request.get_full_path())
        if question.url:
            response = redirect_to_login(self.request.get_full_path(), question.url)
            return JsonResponse({"location": response.url, "visit": True}) if self.is_scripted else response
        context = {
            "question": question,
            "username": self.user.get_username(),
            "token": getattr(self, "token", None),
            **self._shared(),
        }
        status = 200 if question.form else 403
        return render(self.request, "pat_tokens/reauthenticate.html", context, status=status)

    @sensitive_variables("secret")
    def reveal(self, token: PersonalAccessToken, secret: str) -> HttpResponse:
        """Redirect to the page of `token`, which shows `secret` once."""
        url = token_url(token)
        response: HttpResponse = HttpResponseRedirect(url)
        if self.is_scripted:
            response = JsonResponse({"location": url, "visit": True})
        one_time_secret.hide(self.request, response, token, secret, path=url)
        return response


class TokenPage(Page):
    """A page about one token."""

    @cached_property
    def token(self) -> PersonalAccessToken:
        """The token in the URL, if the user manages it."""
        tokens = find_managed_tokens(self.user).select_related("user", "previous")
        return get_object_or_404(tokens, pk=self.kwargs["pk"])

    @property
    def owner(self) -> Any:
        return self.token.user

    def not_found(self) -> HttpResponse:
        """Respond in the same way whether the token was deleted, belongs to somebody else or never existed."""
        token = find_managed_tokens(self.user).filter(pk=self.kwargs["pk"]).first()
        return self.show_missing(None) if token is None else self.part_not_found(token)

    def part_not_found(self, token: PersonalAccessToken) -> HttpResponse:
        """Respond if something other than the token doesn't exist."""
        raise Http404

    def show_missing(self, token: PersonalAccessToken | None) -> HttpResponse:
        return render(self.request, "pat_tokens/not_found.html", {"token": token, **self._shared()}, status=404)


class NewSecretPage(TokenPage):
    """A page with a form that gives the token a new secret."""

    is_sensitive = True
    form_class: type[RegenerateForm]

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return self.show(token=self.token, form=self.form_class(token=self.token))

    @sensitive_variables("secret")
    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        form = self.form_class(request.POST, token=self.token)
        if form.is_valid() and (question := self.ask_for_password()):
            return question
        try:
            token, secret = self.renew(form)
        except InvalidInput as error:
            form.add_service_errors(error.errors)
            form.focus()
            return self.show(token=self.token, form=form)
        return self.reveal(token, secret)

    def renew(self, form: RegenerateForm) -> tuple[PersonalAccessToken, str]:
        """Return the token and its new secret. Raises InvalidInput, also with the errors of `form`."""
        raise NotImplementedError


def token_url(token: PersonalAccessToken) -> str:
    return reverse("pat_tokens:token_detail", args=[token.pk])


def token_urls(*names: str) -> Callable[[SafeString], dict[str, SafeString]]:
    """Return a function that returns the URLs of these pages of the token with an escaped id, escaped for HTML.

    For lists, because reversing and escaping each URL takes longer.
    """
    parts = {name: reverse(f"pat_tokens:{name}", args=[_NO_ID]).rpartition(str(_NO_ID)) for name in names}
    escaped = {name: (escape(before), escape(after)) for name, (before, _id, after) in parts.items()}
    return lambda key: {name: before + key + after for name, (before, after) in escaped.items()}


def safe_url(request: HttpRequest, url: str) -> str:
    # Only URLs of this site: a link could contain any other.
    if url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
        return url
    return reverse("pat_tokens:token_list")


def _logged_out() -> JsonResponse:
    return JsonResponse({"detail": _("You are no longer logged in. Log in again.")}, status=401)
