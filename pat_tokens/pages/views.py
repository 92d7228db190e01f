"""Pages for people: list, create and look after one's own tokens. Each parses, calls one service, answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.middleware import get_user
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.db.models import Count, F, Q
from django.db.models.functions import Lower
from django.http import Http404, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from pat_tokens import services
from pat_tokens.conf import conf
from pat_tokens.crypto import hide
from pat_tokens.django_views.csrf import always_csrf_protect
from pat_tokens.entities import registry
from pat_tokens.exceptions import InvalidInput
from pat_tokens.labels import ScopeLabel, describe_scopes
from pat_tokens.models import PersonalAccessToken, Scope
from pat_tokens.pages import notices, one_time_secret, password_prompt
from pat_tokens.pages.forms import (
    DescriptionForm,
    NameForm,
    RegenerateForm,
    ScopeRows,
    ServiceForm,
    TokenForm,
    operation_choices,
    suggest,
)
from pat_tokens.pages.framing import never_framed
from pat_tokens.pages.one_time_secret import Revealed, Secret
from pat_tokens.pages.secret_search import find_token, holds_secret, is_complete, query_holds_secret
from pat_tokens.pages.tables import COOKIE_AGE, Column, Table, cookie_name
from pat_tokens.querysets import Status
from pat_tokens.validation import name_key

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest, QueryDict

    from pat_tokens.querysets import TokenQuerySet

MAX_NAMED = 10  # tokens that the question before Delete All names
OPENING = "pat_opening"  # sent by the password prompt that stands before a form
LIST_QUERY = ("q", "in", "status")  # parameters that choose the tokens of the list
CURRENT_ROUTE = "pat_tokens_api:current-token"

TOKEN_COLUMNS = (
    Column("name", gettext_lazy("Name"), can_hide=False),
    Column("description", gettext_lazy("Description")),
    Column("issued_at", gettext_lazy("Issued At")),
    Column("expires_at", gettext_lazy("Expires At")),
    Column("last_used_at", gettext_lazy("Last Used At")),
)
SCOPE_COLUMNS = (
    Column("entity_type", gettext_lazy("Entity Type")),
    Column("entity", gettext_lazy("Entity"), can_hide=False),
    Column("operation", gettext_lazy("Operation")),
)
FormT = TypeVar("FormT", bound=ServiceForm)

SEARCH_FIELDS = {
    "name": gettext_lazy("Name"),
    "description": gettext_lazy("Description"),
    "id": gettext_lazy("ID"),
}
TABLES = {"tokens": TOKEN_COLUMNS, "scopes": SCOPE_COLUMNS}

STATUS_LABELS = {
    Status.ACTIVE: gettext_lazy("Active"),
    Status.EXPIRED: gettext_lazy("Expired"),
    Status.REVOKED: gettext_lazy("Revoked"),
}


class Page(LoginRequiredMixin, View):
    """A page for whoever is logged in by a session; a token, whatever door it came through, opens none."""

    template_name = ""
    is_sensitive = False  # reveals a secret or widens a token: identity is confirmed when it is opened, and at the act

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Take the user from the session alone: another middleware may have set one for a token."""
        super().setup(request, *args, **kwargs)
        request.user = get_user(request)

    @method_decorator(
        [never_framed, never_cache, always_csrf_protect, sensitive_post_parameters(password_prompt.FIELD, "q")]
    )
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer 404 also where a row goes away while it is being looked at."""
        if self.is_scripted and not request.user.is_authenticated:
            return _logged_out()
        if query_holds_secret(request.GET):
            return self.drop_query()
        try:
            if self.is_sensitive and request.user.is_authenticated and (response := self.ask_on_opening()):
                return response
            return super().dispatch(request, *args, **kwargs)
        except (Http404, PersonalAccessToken.DoesNotExist, Scope.DoesNotExist):
            return self.not_found()

    def drop_query(self) -> HttpResponse:
        """Redirect away from a URL that has a secret in it, which no page reads, shows or links to."""
        return HttpResponseRedirect(self.request.path)

    def not_found(self) -> HttpResponse:
        """Leave it to the site to say that there is nothing here."""
        raise Http404

    @property
    def is_scripted(self) -> bool:
        """Whether our script asks, which stays on its page and wants to know where it would have gone."""
        return self.request.headers.get("Accept", "").startswith("application/json")

    @property
    def user(self) -> AbstractBaseUser:
        """Who is logged in."""
        return cast("AbstractBaseUser", self.request.user)

    @property
    def tokens(self) -> TokenQuerySet:
        """The tokens of this person, where every look-up begins."""
        return PersonalAccessToken.objects.for_user(self.user)

    def find_same_name(self, form: ServiceForm | None) -> PersonalAccessToken | None:
        """Return the token that already has the name in `form`, which may be the one that was just created."""
        if form is None or "name" not in form.errors:
            return None
        return self.tokens.filter(name_key=name_key(form["name"].value() or "")).first()

    def show(self, **context: Any) -> HttpResponse:
        """Render the page."""
        return render(self.request, self.template_name, context | self._shared())

    def _shared(self) -> dict[str, Any]:
        return {
            "base_template": conf.base_template,
            "notices": notices.take(self.request),
            "request_path": self.request.get_full_path(),
        }

    def done(self, url: str, notice: str = "") -> HttpResponse:
        """Go on to `url` and say there what has happened."""
        if self.is_scripted:
            return JsonResponse({"location": url, "notice": notice})
        if notice:
            notices.add(self.request, notice)
        return HttpResponseRedirect(url)

    def ask_on_opening(self) -> HttpResponse | None:
        """Return the password prompt for whoever opens the form, then a redirect to the form, or None to go on."""
        if self.request.method in ("GET", "HEAD"):
            return self.ask_for_password(kept=[(OPENING, "1")])
        if OPENING in self.request.POST:
            return self.ask_for_password() or HttpResponseRedirect(self.request.get_full_path())
        return None

    def ask_for_password(self, *, kept: Sequence[tuple[str, str]] = ()) -> HttpResponse | None:
        """Return the password prompt if the site wants the user's identity confirmed, or None to go on.

        The prompt sends the fields of the form along, and those in `kept`.
        """
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
            "kept": [*question.kept, *kept],
            "username": self.user.get_username(),
            "token": getattr(self, "token", None),
            **self._shared(),
        }
        status = 200 if question.form else 403
        return render(self.request, "pat_tokens/reauthenticate.html", context, status=status)

    @sensitive_variables("secret")
    def reveal(self, token: PersonalAccessToken, secret: str) -> HttpResponse:
        """Go on to the page of `token`, which shows `secret` once."""
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
        """The token in the URL, if it is this person's."""
        return get_object_or_404(self.tokens, pk=self.kwargs["pk"])

    def not_found(self) -> HttpResponse:
        """Say that there is no such token, in the same way whether it was deleted, is somebody else's or never was."""
        token = self.tokens.filter(pk=self.kwargs["pk"]).first()
        return self.show_missing(None) if token is None else self.part_not_found(token)

    def part_not_found(self, token: PersonalAccessToken) -> HttpResponse:
        """Answer where it is not the token that is missing."""
        raise Http404

    def show_missing(self, token: PersonalAccessToken | None) -> HttpResponse:
        """Render the page that says so: of a scope of `token`, or of a token."""
        return render(self.request, "pat_tokens/not_found.html", {"token": token, **self._shared()}, status=404)


class TokenList(Page):
    """All tokens of a person."""

    template_name = "pat_tokens/token_list.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show those that were asked for, the active ones unless something else was."""
        table = Table(request, "tokens", TOKEN_COLUMNS, sort="-issued_at", size=10, keep=LIST_QUERY)
        term = _read_term(request.GET)
        status = request.GET.get("status", Status.ACTIVE)
        if status not in (*Status, "all"):
            status = Status.ACTIVE
        field = request.GET.get("in", "")
        if field not in SEARCH_FIELDS:
            field = "name"
        matches = _matches(field, term)
        counts = self._count(matches)
        tokens = self.tokens.filter(matches) if term else self.tokens
        if status != "all":
            tokens = tokens.with_status(status)
        table.fill(tokens.order_by(*_token_order(table)), counts[status])
        return self.show(
            table=table,
            term=term,
            search_field=field,
            search_fields=SEARCH_FIELDS,
            clear_url=table.url(**{"q": "", "in": ""}),
            status=status,
            tabs=_tabs(table, counts, status),
            total=counts["total"],
            all=counts["all"],
        )

    def drop_query(self) -> HttpResponse:
        """Look the secret up all the same: somebody has bookmarked it, or searched with another page's form."""
        if not self.request.user.is_authenticated:
            return super().drop_query()
        values = [hide(value) for _name, values in self.request.GET.lists() for value in values]
        url, notice = _look_up_secret(" ".join(values), self.tokens)
        warning = pgettext(
            "pat_tokens",
            "It was part of the URL, which browsers and servers store. Regenerate the token if others can read that.",
        )
        notices.add(self.request, f"{notice} {warning}")
        return HttpResponseRedirect(url)

    def _count(self, matches: Q) -> dict[str, int]:
        now = timezone.now()
        expired = Q(expires_at__isnull=False, expires_at__lte=now)
        return self.tokens.aggregate(
            total=Count("pk"),
            all=Count("pk", filter=matches),
            revoked=Count("pk", filter=matches & Q(revoked_at__isnull=False)),
            expired=Count("pk", filter=matches & expired & Q(revoked_at=None)),
            active=Count("pk", filter=matches & Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))),
        )


class TokenSearch(Page):
    """The search box of the list, which is sent by POST: what is pasted there may be a secret."""

    @sensitive_variables("term")
    def post(self, request: HttpRequest) -> HttpResponse:
        """Tell which token a secret belongs to; go on to the list with anything else."""
        term = hide(_read_term(request.POST))
        if holds_secret(term):
            return self.done(*_look_up_secret(term, self.tokens))
        query = {key: request.POST[key] for key in (*LIST_QUERY, "sort", "rows") if request.POST.get(key)}
        return self.done(_list_url(**query))


class TokenCreate(Page):
    """A new token."""

    is_sensitive = True
    template_name = "pat_tokens/token_create.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show an empty form."""
        return self._show(TokenForm(), ScopeRows(self.user))

    @sensitive_variables("secret")
    def post(self, request: HttpRequest) -> HttpResponse:
        """Create the token and show its secret once; or add and remove rows of scopes."""
        rows = ScopeRows(self.user, request.POST)
        if step := request.POST.get("step"):
            rows.take_step(step)
            return self._show(_unvalidated(TokenForm, request.POST), rows)
        form = TokenForm(request.POST)
        if form.is_valid() and (question := self.ask_for_password()):
            return question
        try:
            # With errors of the form nothing is created; the service adds its own, so that all are shown at once.
            token, secret = services.create_token(
                self.user, scopes=rows.scopes, errors=form.service_errors, **form.texts, **form.expiry
            )
        except InvalidInput as error:
            rows.add_service_errors(error.errors.get("scopes", ()))
            form.add_service_errors(error.errors)
            return self._show(form, rows)
        return self.reveal(token, secret)

    def _show(self, form: TokenForm, rows: ScopeRows) -> HttpResponse:
        return self.show(form=form, rows=rows, types=_type_templates(rows), same_name=self.find_same_name(form))


class TokenDetail(TokenPage):
    """One token: its secret if it was just made, what it is, and its scopes."""

    template_name = "pat_tokens/token_detail.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Show the token."""
        revealed = one_time_secret.take(request, self.token)
        response = self._show(revealed)
        one_time_secret.close(response, revealed, path=token_url(self.token))
        return response

    def _show(self, revealed: Revealed, form: ServiceForm | None = None, field: str = "") -> HttpResponse:
        table = Table(self.request, "scopes", SCOPE_COLUMNS, sort="entity_type", size=5)
        self._fill(table)
        return self.show(
            token=self.token,
            status_label=STATUS_LABELS[self.token.status],
            revealed=revealed,
            curl=_curl(self.request, revealed),
            table=table,
            form=form,
            field=field,
            same_name=self.find_same_name(form),
            token_path=token_url(self.token),
        )

    def _fill(self, table: Table) -> None:
        # In the order of what people read, which only the site's own code can tell.
        words = describe_scopes(self.user, self.token.scope_set.all())
        words.sort(key=lambda word: (word.entity_type.casefold(), word.entity.casefold(), word.operation.casefold()))
        words.sort(key=lambda word: str(getattr(word, table.sort)).casefold(), reverse=table.is_descending)
        table.fill(words, len(words))


class TokenEdit(TokenDetail):
    """The same page with the name, or the description, open for editing in its place."""

    forms: dict[str, type[ServiceForm]] = {"name": NameForm, "description": DescriptionForm}

    def get(self, request: HttpRequest, pk: uuid.UUID, field: str) -> HttpResponse:  # type: ignore[override]
        """Show the form."""
        form = self._form_class(field)(initial={field: getattr(self.token, field)})
        return self._show(Revealed(), form, field)

    def post(self, request: HttpRequest, pk: uuid.UUID, field: str) -> HttpResponse:
        """Save what was typed."""
        form = self._form_class(field)(request.POST)
        if form.is_valid():
            try:
                services.update_token(self.token, **{field: form.cleaned_data[field]})
            except InvalidInput as error:
                form.add_service_errors(error.errors)
            else:
                notice = _("The name was saved.") if field == "name" else _("The description was saved.")
                return self.done(token_url(self.token), notice)
        return self._show(Revealed(), form, field)

    def _form_class(self, field: str) -> type[ServiceForm]:
        if field not in self.forms:
            raise Http404
        return self.forms[field]


class TokenRegenerate(TokenPage):
    """A new secret and a new time for a token."""

    is_sensitive = True
    template_name = "pat_tokens/token_regenerate.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Ask for the duration."""
        return self.show(token=self.token, form=RegenerateForm(token=self.token))

    @sensitive_variables("secret")
    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Regenerate the token and show its secret once."""
        form = RegenerateForm(request.POST, token=self.token)
        if form.is_valid() and (question := self.ask_for_password()):
            return question
        try:
            token, secret = services.regenerate_token(self.token, errors=form.service_errors, **form.expiry)
        except InvalidInput as error:
            form.add_service_errors(error.errors)
            return self.show(token=self.token, form=form)
        return self.reveal(token, secret)


class ScopesAdd(TokenPage):
    """More scopes for a token."""

    is_sensitive = True
    template_name = "pat_tokens/scopes_add.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Show one empty row."""
        return self._show(ScopeRows(self.user))

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Add all of them, or none; or add and remove rows."""
        rows = ScopeRows(self.user, request.POST)
        if step := request.POST.get("step"):
            rows.take_step(step)
            return self._show(rows)
        if not rows.scopes:
            rows.errors.append(_("Choose an entity type, an entity and at least one operation."))
            return self._show(rows)
        if question := self.ask_for_password():
            return question
        try:
            added = services.add_scopes(self.token, rows.scopes)
        except InvalidInput as error:
            rows.add_service_errors(error.errors.get("scopes", ()))
            return self._show(rows)
        text = ngettext("%(count)d scope was added.", "%(count)d scopes were added.", len(added))
        effect = _("The secret stays the same; its next request can use them.")
        notice = f"{text % {'count': len(added)}} {effect}"
        if not added:
            notice = _("The token had all of these scopes already.")
        return self.done(token_url(self.token), notice)

    def _show(self, rows: ScopeRows) -> HttpResponse:
        return self.show(token=self.token, rows=rows, types=_type_templates(rows))


class Confirmation(Page):
    """A page that asks before something is done that cannot be undone; a script shows it as a dialog."""

    template_name = "pat_tokens/confirm.html"
    submit_label = gettext_lazy("Delete")

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Ask."""
        return self.show(
            title=self.get_title(),
            consequences=self.get_consequences(),
            submit_label=self.submit_label,
            back_url=self.get_back_url(),
            token=getattr(self, "token", None),
        )

    def get_title(self) -> str:
        """Return the question."""
        raise NotImplementedError

    def get_consequences(self) -> Sequence[str]:
        """Return what will happen, in sentences."""
        raise NotImplementedError

    def get_back_url(self) -> str:
        """Return where Cancel leads."""
        return reverse("pat_tokens:token_list")


class TokenConfirmation(TokenPage, Confirmation):
    """A question about one token."""

    def get_back_url(self) -> str:
        """Return to the token."""
        return token_url(self.token)


class TokenRevoke(TokenConfirmation):
    """Stop a token."""

    submit_label = gettext_lazy("Revoke")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Revoke it."""
        services.revoke_token(self.token)
        notice = _("“%(name)s” was revoked. It is refused from now on. Regenerate it to use it again.")
        return self.done(token_url(self.token), notice % {"name": self.token.name})

    def get_title(self) -> str:
        """Name the token."""
        return _("Revoke “%(name)s”?") % {"name": self.token.name}

    def get_consequences(self) -> Sequence[str]:
        """Say what stops and what stays."""
        return [
            _("Every program that uses this token stops working at once: its next request is refused."),
            _("Name, description and scopes stay. You can regenerate the token later, with a new secret."),
        ]


class TokenDelete(TokenConfirmation):
    """Delete a token."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Delete it."""
        services.delete_token(self.token)
        notice = _("“%(name)s” was deleted. Programs that still use it are refused.") % {"name": self.token.name}
        return self.done(reverse("pat_tokens:token_list"), notice)

    def get_title(self) -> str:
        """Name the token."""
        return _("Delete “%(name)s”?") % {"name": self.token.name}

    def get_consequences(self) -> Sequence[str]:
        """Say what stops and what is lost."""
        stops = _("Every program that uses this token stops working at once: its next request is refused.")
        lost = _("The token and its scopes are gone for good. To stop it and keep its scopes, revoke it instead.")
        return [stops, lost] if self.token.is_active else [_("The token and its scopes are gone for good.")]


class TokensDelete(Confirmation):
    """Delete all tokens of a person."""

    submit_label = gettext_lazy("Delete All")

    def post(self, request: HttpRequest) -> HttpResponse:
        """Delete them."""
        count = services.delete_tokens(self.user)
        text = ngettext("%(count)d token was deleted.", "All %(count)d tokens were deleted.", count)
        notice = text % {"count": count} if count else _("There was no token left to delete.")
        return self.done(reverse("pat_tokens:token_list"), notice)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many tokens there are, and how many of them work."""
        works = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        return self.tokens.aggregate(all=Count("pk"), active=Count("pk", filter=works))

    def get_title(self) -> str:
        """Say how many."""
        count = self.counts["all"]
        return ngettext("Delete your only token?", "Delete all %(count)d tokens?", count) % {"count": count}

    def get_consequences(self) -> Sequence[str]:
        """Name the tokens that work."""
        active = self.counts["active"]
        if not active:
            return [_("None of them is active. They and their scopes are gone for good.")]
        names = list(self.tokens.active().order_by(Lower("name")).values_list("name", flat=True)[:MAX_NAMED])
        quoted = ", ".join(_("“%(name)s”") % {"name": name} for name in names)
        if active > len(names):
            quoted = _("%(names)s and %(count)d more") % {"names": quoted, "count": active - len(names)}
        text = ngettext(
            "Every program that uses the active one stops working at once: %(names)s.",
            "Every program that uses one of the %(count)d active ones stops working at once: %(names)s.",
            active,
        )
        return [
            text % {"count": active, "names": quoted},
            _("All tokens, the expired and revoked ones too, and their scopes are gone for good."),
        ]


class ScopeDelete(TokenConfirmation):
    """Delete one scope."""

    @cached_property
    def scope(self) -> ScopeLabel:
        """The scope in the URL, in words."""
        scope = get_object_or_404(self.token.scope_set, pk=self.kwargs["scope_pk"])
        return describe_scopes(self.user, [scope])[0]

    def post(self, request: HttpRequest, pk: uuid.UUID, scope_pk: uuid.UUID) -> HttpResponse:
        """Delete it."""
        scope = get_object_or_404(self.token.scope_set.select_related("token"), pk=scope_pk)
        services.delete_scope(scope)
        return self.done(token_url(self.token), _("The scope was deleted. The token can no longer do this."))

    def part_not_found(self, token: PersonalAccessToken) -> HttpResponse:
        """Say that the token has no such scope."""
        return self.show_missing(token)

    def get_title(self) -> str:
        """Name the scope."""
        words = self.scope
        return _("Delete the scope “%(operation)s: %(entity)s”?") % {
            "operation": words.operation,
            "entity": words.entity,
        }

    def get_consequences(self) -> Sequence[str]:
        """Name the token that loses it."""
        if self.scope.problem:
            return [_("It gives nothing any more, so nothing stops working.")]
        text = _("Programs that use “%(name)s” can no longer do this; their requests for it are refused at once.")
        return [text % {"name": self.token.name}]


class ScopesDelete(TokenConfirmation):
    """Delete all scopes of a token."""

    submit_label = gettext_lazy("Delete All")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Delete them."""
        count = services.delete_scopes(self.token)
        text = ngettext("%(count)d scope was deleted.", "All %(count)d scopes were deleted.", count)
        done = text % {"count": count} if count else _("There was no scope left to delete.")
        notice = done + " " + _("The token may do nothing until you add a scope.")
        return self.done(token_url(self.token), notice)

    def get_title(self) -> str:
        """Name the token."""
        return _("Delete all scopes of “%(name)s”?") % {"name": self.token.name}

    def get_consequences(self) -> Sequence[str]:
        """Say how many they are."""
        count = self.token.scope_set.count()
        text = ngettext(
            "It has %(count)d scope. Without it the token may do nothing: programs that use it are refused at once.",
            "It has %(count)d scopes. Without them the token may do nothing: programs that use it are refused at once.",
            count,
        )
        return [text % {"count": count}, _("The token itself stays, and you can add scopes again.")]


class Reauthenticate(Page):
    """The question for the password by itself: where the API sends people whose password is too long ago."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask, unless there is nothing to ask."""
        return self.ask_for_password() or HttpResponseRedirect(self._next())

    def post(self, request: HttpRequest) -> HttpResponse:
        """Look at the password and go back."""
        return self.ask_for_password() or self.done(self._next())

    def _next(self) -> str:
        return _safe_url(self.request, self.request.GET.get("next", ""))


class EntityList(Page):
    """Suggestions for the picker of entities, as JSON."""

    def get(self, request: HttpRequest, entity_type: str) -> HttpResponse:
        """Answer with the first few that were found."""
        known = registry.get(entity_type)
        if known is None:
            raise Http404
        pairs, has_more = suggest(known, self.user, request.GET.get("q", ""))
        results = [{"id": entity_id, "label": label} for entity_id, label in pairs]
        return JsonResponse({"results": results, "has_more": has_more})


class Columns(Page):
    """Remember in this browser which columns of a table it shows."""

    def post(self, request: HttpRequest, table: str) -> HttpResponse:
        """Set the cookie and return to the table."""
        columns = TABLES.get(table)
        if columns is None:
            raise Http404
        chosen = request.POST.getlist("columns")
        hidden = [column.name for column in columns if column.can_hide and column.name not in chosen]
        response = self.done(_safe_url(request, request.POST.get("next", "")))
        response.set_cookie(
            cookie_name(table),
            ".".join(hidden),
            max_age=COOKIE_AGE,
            path=reverse("pat_tokens:token_list"),
            secure=request.is_secure() or settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response


def token_url(token: PersonalAccessToken) -> str:
    """Return the page of `token`."""
    return reverse("pat_tokens:token_detail", args=[token.pk])


def _list_url(**query: str) -> str:
    return reverse("pat_tokens:token_list") + (f"?{urlencode(query)}" if query else "")


def _read_term(query: QueryDict) -> str:
    return query.get("q", "").replace("\0", "").strip()[:255]


@sensitive_variables()
def _look_up_secret(text: str, tokens: TokenQuerySet) -> tuple[str, str]:
    # Where the list shows the token with this secret, and what to say about it. Somebody else's is none of `tokens`.
    token = find_token(text, tokens)
    if token is not None:
        label = STATUS_LABELS[token.status]
        notice = pgettext("pat_tokens", "This is the secret of “%(name)s”. Status: %(status)s.")
        return _list_url(q=str(token.pk), **{"in": "id"}, status="all"), notice % {"name": token.name, "status": label}
    if is_complete(text):
        return _list_url(), pgettext("pat_tokens", "None of your tokens has this secret.")
    return _list_url(), pgettext("pat_tokens", "This is not a complete secret. Copy all of it and search again.")


def _matches(field: str, term: str) -> Q:
    if not term:
        return ~Q(pk=None)
    matches = Q(pk=None) if field == "id" else Q(**{f"{field}__icontains": term})
    hint = term.replace("...", "…")
    if "…" in hint:
        matches |= Q(hint__endswith=hint) if hint.startswith("…") else Q(hint=hint)
    try:
        return matches | Q(pk=uuid.UUID(term))
    except ValueError:
        return matches


def _safe_url(request: HttpRequest, url: str) -> str:
    # Only back to this site: a link could name any other.
    if url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
        return url
    return reverse("pat_tokens:token_list")


def _logged_out() -> JsonResponse:
    return JsonResponse({"detail": _("You are no longer logged in. Log in again.")}, status=401)


def _token_order(table: Table) -> list[Any]:
    expression: Any = F(table.sort)
    if table.sort in ("name", "description"):
        expression = Lower(table.sort)
    # Never used comes before any use, and never expires after any expiry.
    first = {"last_used_at": True, "expires_at": False}.get(table.sort)
    nulls: dict[str, Any] = {}
    if first is not None:
        nulls = {"nulls_first": True} if first != table.is_descending else {"nulls_last": True}
    return [expression.desc(**nulls) if table.is_descending else expression.asc(**nulls), "pk"]


def _tabs(table: Table, counts: dict[str, int], chosen: str) -> list[dict[str, Any]]:
    labels: dict[str, Any] = {str(status): label for status, label in STATUS_LABELS.items()} | {"all": _("All")}
    return [
        {
            "name": name,
            "label": label,
            "count": counts[name],
            "url": table.url(status=name),
            "is_chosen": name == chosen,
        }
        for name, label in labels.items()
    ]


def _type_templates(rows: ScopeRows) -> list[dict[str, Any]]:
    return [{"name": known.name, "choices": operation_choices(known)} for known in rows.types]


def _unvalidated(form_class: type[FormT], typed: QueryDict) -> FormT:
    # The form as it was filled in, without error messages before it is submitted.
    fields = form_class().fields
    return form_class(initial={name: typed[name] for name in fields if name in typed})


@sensitive_variables()
def _curl(request: HttpRequest, revealed: Revealed) -> Secret | None:
    # Asks the site which token this is, where it has our API; its own root otherwise.
    if revealed.secret is None:
        return None
    try:
        path = reverse(CURRENT_ROUTE)
    except NoReverseMatch:
        path = "/"
    return Secret(f'curl -H "{conf.header}: {conf.keyword} {revealed.secret}" {request.build_absolute_uri(path)}')
