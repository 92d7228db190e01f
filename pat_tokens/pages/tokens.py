"""Pages that list, search, create, show, edit and regenerate tokens."""

from __future__ import annotations

import uuid
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, TypeVar

from django.db.models import Count, Q
from django.forms import model_to_dict
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.debug import sensitive_variables

from pat_tokens import services
from pat_tokens.activity import find_refusals, find_tokens_refused_lately
from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText
from pat_tokens.exceptions import InvalidInput, ReauthenticationRequired
from pat_tokens.inspection.examples import find_example_call
from pat_tokens.labels import (
    STATUS_LABELS,
    Access,
    ScopeLabel,
    address_text,
    describe_access,
    describe_activity,
    describe_scopes,
    duration_label,
    summarize,
)
from pat_tokens.models import Activity, PersonalAccessToken, Scope
from pat_tokens.pages import notices, one_time_secret
from pat_tokens.pages.base import NewSecretPage, Page, TokenPage, token_url, token_urls
from pat_tokens.pages.forms import RegenerateForm, ServiceForm, TokenFieldsForm, TokenForm
from pat_tokens.pages.one_time_secret import Revealed
from pat_tokens.pages.prefill import Prefill, choose_preset
from pat_tokens.pages.scope_formset import ScopeFormSet
from pat_tokens.pages.scope_use import find_unused, find_watched_since
from pat_tokens.pages.tables import SCOPE_COLUMNS, TOKEN_COLUMNS, Table
from pat_tokens.pages.token_filter import LIST_QUERY, SEARCH_FIELDS, TokenFilter, list_url, read_term
from pat_tokens.policy import grantable_presets
from pat_tokens.querysets import Status, has_status
from pat_tokens.scope_usage import find_missing
from pat_tokens.secret_search import holds_secret, look_up, look_up_query
from pat_tokens.users import sensitive_actions
from pat_tokens.users.managed import find_managed_names
from pat_tokens.validation import EDITABLE_FIELDS, DurationRules, describe_required_networks

if TYPE_CHECKING:
    from django.http import HttpRequest, QueryDict


FormT = TypeVar("FormT", bound=ServiceForm)

SHOWN_ACTIVITY = 5  # rows on the page of a token
CURRENT_ROUTE = "pat_tokens_api:current-token"


# Dictionaries, because a template looks up keys in half the time of attributes, and a list has thousands of look-ups.


class MenuItem(TypedDict):
    """An item of the menu of a row; `attrs` are HTML attributes for the script."""

    label: str
    url: str
    is_link: bool
    attrs: SafeString
    starts_group: bool
    is_dangerous: bool


class TokenRow(TypedDict):
    """A row of the list of tokens. What all rows share was looked up and escaped once."""

    token: PersonalAccessToken
    id: SafeString
    select_key: str
    url: SafeString
    access: Access
    select_label: str
    menu_label: str
    menu: list[MenuItem]


def _menu_item(
    label: str,
    url: str,
    *,
    is_link: bool = False,
    attrs: SafeString = SafeString(),  # noqa: B008 -- an empty string
    starts_group: bool = False,
    is_dangerous: bool = False,
) -> MenuItem:
    return MenuItem(
        label=label, url=url, is_link=is_link, attrs=attrs, starts_group=starts_group, is_dangerous=is_dangerous
    )


class RowMaker:
    """Makes the rows of tokens."""

    def __init__(self, owner_query: str, *, can_issue: bool) -> None:
        self.can_issue = can_issue
        self.copy_url = escape(f"{reverse('pat_tokens:token_create')}?copy=")
        self.owner_query = escape(f"&{owner_query}") if owner_query else SafeString()
        self.urls = token_urls("token_detail", "scopes_add", "token_revoke", "token_regenerate", "token_delete")
        self.select_label, self.menu_label = _("Select %(name)s"), _("Actions for %(name)s")
        self.labels = {
            "view": escape(pgettext("pat_tokens", "View")),
            "copy": escape(pgettext("pat_tokens", "Copy ID")),
            "duplicate": escape(pgettext("pat_tokens", "Duplicate")),
            "add": escape(pgettext("pat_tokens", "Add Scope")),
            "revoke": escape(pgettext("pat_tokens", "Revoke")),
            "regenerate": escape(pgettext("pat_tokens", "Regenerate")),
            "delete": escape(pgettext("pat_tokens", "Delete")),
        }

    def make(self, token: PersonalAccessToken, access: Access) -> TokenRow:
        name = {"name": token.name}
        key = escape(token.pk)
        urls = self.urls(key)
        menu = self._menu(key, urls, is_active=token.is_active)
        return TokenRow(
            token=token,
            id=key,
            select_key=f"select-{key}",
            url=urls["token_detail"],
            access=access,
            select_label=self.select_label % name,
            menu_label=self.menu_label % name,
            menu=menu,
        )

    def _menu(self, key: SafeString, urls: dict[str, SafeString], *, is_active: bool) -> list[MenuItem]:
        labels, opens_dialog = self.labels, SafeString(" data-pat-dialog")
        copies = format_html(' data-pat-copy="{}"', key)
        items = [
            _menu_item(labels["view"], urls["token_detail"], is_link=True),
            _menu_item(labels["copy"], urls["token_detail"], attrs=copies),
        ]
        if self.can_issue:
            items.append(_menu_item(labels["duplicate"], self.copy_url + key + self.owner_query, is_link=True))
            items.append(_menu_item(labels["add"], urls["scopes_add"], attrs=opens_dialog, starts_group=True))
        starts = True
        if is_active:
            items.append(_menu_item(labels["revoke"], urls["token_revoke"], attrs=opens_dialog, starts_group=True))
            starts = False
        elif self.can_issue:
            url = urls["token_regenerate"]
            items.append(_menu_item(labels["regenerate"], url, attrs=opens_dialog, starts_group=True))
            starts = False
        url = urls["token_delete"]
        items.append(_menu_item(labels["delete"], url, attrs=opens_dialog, starts_group=starts, is_dangerous=True))
        return items


class TokenList(Page):
    """The user's tokens."""

    template_name = "pat_tokens/token_list.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        table = Table(request, "tokens", TOKEN_COLUMNS, sort="-issued_at", size=10, keep=LIST_QUERY)
        found = TokenFilter(request.GET)
        counts = self._count(found.matches)
        ordering = f"-{table.sort}" if table.is_descending else table.sort
        table.fill(found.apply(self.tokens).sorted_by(ordering), counts[found.status])
        return self.show(
            table=table,
            rows=self._rows(table),
            selects_all=request.GET.get("select") == "page",
            select_url=table.url(page=str(table.number), select="page"),
            operation=found.operation,
            operations=found.operations.values(),
            term=found.term,
            search_field=found.field,
            search_fields=SEARCH_FIELDS,
            clear_url=table.url(**{"q": "", "in": "", "operation": ""}),
            all_url=table.url(status="all"),
            status=found.status,
            tabs=_tabs(table, counts, found.status),
            selection={**found.query, "owner": self.request.GET.get("owner", "")},
            own_name=self.user.get_username(),
            total=counts["total"],
            all=counts["all"],
            owners=find_managed_names(self.user),
            refused=find_tokens_refused_lately(self.owner),
        )

    def _rows(self, table: Table) -> list[TokenRow]:
        tokens = list(table.rows)
        access = {}
        if tokens and "access" in table.labels:
            access = describe_access(Scope.objects.operations_of([token.pk for token in tokens]))
        maker = RowMaker(self.owner_query, can_issue=self.can_issue(self.owner))
        nothing = Access(types=(), more=0, is_more_dangerous=False)
        return [maker.make(token, access.get(token.pk, nothing)) for token in tokens]

    def drop_query(self) -> HttpResponse:
        """Look up the secret anyway: the user bookmarked the URL, or searched with another page's form."""
        if not self.request.user.is_authenticated:
            return super().drop_query()
        token, notice = look_up_query(self.request.GET, self.tokens)
        notices.add(self.request, notice, is_warning=True)
        return HttpResponseRedirect(_list_of(token))

    def _count(self, matches: Q) -> dict[str, int]:
        now = timezone.now()
        by_status: dict[str, Any] = {
            status.value: Count("pk", filter=matches & has_status(status, now)) for status in Status
        }
        return self.tokens.aggregate(total=Count("pk"), all=Count("pk", filter=matches), **by_status)


class TokenSearch(Page):
    """The search box of the list. It uses POST, because users can paste secrets."""

    @sensitive_variables("term")
    def post(self, request: HttpRequest) -> HttpResponse:
        """Show which token a secret belongs to; redirect to the list for anything else."""
        term = SecretText(read_term(request.POST))
        if holds_secret(term):
            token, notice = look_up(term, self.tokens)
            return self.done(_list_of(token), notice, is_warning=token is None)
        query = {key: request.POST.get(key, "") for key in (*LIST_QUERY, "sort", "rows")}
        return self.done(list_url(**{key: value for key, value in query.items() if not holds_secret(value)}))


class TokenCreate(Page):
    is_sensitive = True
    template_name = "pat_tokens/token_create.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        prefill = self.prefill
        form = TokenForm(initial=prefill.initial, **self._form_rules)
        if not prefill.is_filled:
            form.focus("name")
        return self._show(form, ScopeFormSet(self.owner, initial=prefill.forms))

    @cached_property
    def prefill(self) -> Prefill:
        """What the link asks for."""
        return Prefill(self.owner, self.request.GET, self.tokens)

    @sensitive_variables("secret")
    def post(self, request: HttpRequest) -> HttpResponse:
        formset = ScopeFormSet(self.owner, request.POST)
        if step := request.POST.get("step"):
            form = _unvalidated(TokenForm, request.POST, **self._form_rules)
            if step == "preset":
                name = request.POST.get("preset", "")
                preset = next((preset for preset in grantable_presets(self.owner) if preset.name == name), None)
                return self._show(form, formset.with_more(choose_preset(self.owner, preset) if preset else ()))
            return self._show(form, formset.after_step(step))
        form = TokenForm(request.POST, **self._form_rules)
        if form.is_valid() and (question := self.ask_for_password()):
            return question
        try:
            # The service adds its own errors to those of the form, so that all are shown together.
            token, secret = services.create_token(
                self.owner,
                scopes=formset.scopes,
                errors=form.service_errors,
                actor=self.actor,
                **form.values,
                **form.expiry,
            )
        except InvalidInput as error:
            formset.add_service_errors(error.errors.get("scopes", ()))
            form.add_service_errors(error.errors)
            form.focus()
            return self._show(form, formset)
        return self.reveal(token, secret)

    @property
    def _form_rules(self) -> dict[str, Any]:
        return {
            "rules": DurationRules(self.owner),
            "required_networks": describe_required_networks(self.owner),
            "address_text": address_text(self.request),
        }

    def _show(self, form: TokenForm, formset: ScopeFormSet) -> HttpResponse:
        return self.show(
            form=form,
            formset=formset,
            same_name=self.find_same_name(form),
            prefill=self.prefill,
            presets=grantable_presets(self.owner),
        )


class TokenDetail(TokenPage):
    """One token: its secret if it was just created, its fields, and its scopes."""

    template_name = "pat_tokens/token_detail.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        revealed = one_time_secret.take(request, self.token)
        response = self._show(revealed)
        one_time_secret.close(response, revealed, path=token_url(self.token))
        return response

    def _show(self, revealed: Revealed, form: ServiceForm | None = None, field: str = "") -> HttpResponse:
        table = Table(self.request, "scopes", SCOPE_COLUMNS, sort="entity_type", size=5)
        scopes = describe_scopes(self.owner, self.token.scope_set.uses())
        _fill(table, scopes)
        delete_label = _("Delete scope %(operation)s: %(entity)s")
        previous_secret = self.token.previous_secret
        name_field, *more_fields = (field for field in TokenFieldsForm(initial=model_to_dict(self.token)))
        return self.show(
            token=self.token,
            status_label=STATUS_LABELS[self.token.status],
            previous_secret=previous_secret,
            grace_period=duration_label(previous_secret.grace_period) if previous_secret else "",
            revealed=revealed,
            try_it=_try_it(self.request, self.token) if revealed.secret else None,
            table=table,
            rows=[(one, delete_label % {"operation": one.operation, "entity": one.entity}) for one in table.rows],
            capabilities=summarize(scopes),
            form=form,
            field=field,
            name_field=name_field,
            more_fields=more_fields,
            same_name=self.find_same_name(form),
            token_path=token_url(self.token),
            activity=describe_activity(
                Activity.objects.for_token(self.token.pk).for_owner(self.owner).newest_first()[:SHOWN_ACTIVITY]
            ),
            activity_url=f"{reverse('pat_tokens:activity_list')}?token={self.token.pk}",
            refusals=find_refusals(self.token),
            unused_count=len(find_unused(scopes)),
            watched_since=find_watched_since(scopes),
            missing=describe_scopes(self.owner, find_missing(self.token)),
        )


class TokenEdit(TokenDetail):
    """The page of a token with the name or the description open for editing."""

    def get(self, request: HttpRequest, pk: uuid.UUID, field: str) -> HttpResponse:  # type: ignore[override]
        form = self._form(field, initial={name: getattr(self.token, name) for name in EDITABLE_FIELDS})
        return self._show(Revealed(), form, field)

    def post(self, request: HttpRequest, pk: uuid.UUID, field: str) -> HttpResponse:
        form = self._form(field, request.POST)
        if form.is_valid():
            try:
                self._update(form.cleaned_data)
            except InvalidInput as error:
                form.add_service_errors(error.errors)
            except ReauthenticationRequired:
                if question := self.ask_for_password():
                    return question
                self._update(form.cleaned_data)
                return self._saved()
            else:
                return self._saved()
        return self._show(Revealed(), form, field)

    def _update(self, values: dict[str, Any]) -> None:
        require = partial(sensitive_actions.require, self.request, self.token.user)
        services.update_token(self.token, actor=self.actor, before_widening=require, **values)

    def _saved(self) -> HttpResponse:
        return self.done(token_url(self.token), pgettext("pat_tokens", "Your change was saved."))

    def _form(self, field: str, *args: Any, **kwargs: Any) -> TokenFieldsForm:
        if field not in EDITABLE_FIELDS:
            raise Http404
        required = describe_required_networks(self.token.user, self.token)
        return TokenFieldsForm(
            *args, only=field, required_networks=required, address_text=address_text(self.request), **kwargs
        )


class TokenRegenerate(NewSecretPage):
    template_name = "pat_tokens/token_regenerate.html"
    form_class = RegenerateForm

    def renew(self, form: RegenerateForm) -> tuple[PersonalAccessToken, str]:
        return services.regenerate_token(self.token, errors=form.service_errors, actor=self.actor, **form.expiry)


def _list_of(token: PersonalAccessToken | None) -> str:
    return list_url() if token is None else list_url(q=str(token.pk), **{"in": "id"}, status="all")


def _tabs(table: Table, counts: dict[str, int], chosen: str) -> list[dict[str, Any]]:
    labels: dict[str, Any] = {str(status): label for status, label in STATUS_LABELS.items()} | {
        "all": pgettext("pat_tokens", "All")
    }
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


def _unvalidated(form_class: type[FormT], typed: QueryDict, **kwargs: Any) -> FormT:
    # The submitted input, without error messages.
    fields = form_class(**kwargs).fields
    return form_class(initial={name: typed[name] for name in fields if name in typed}, **kwargs)


class TryIt(NamedTuple):
    """Commands that try a new secret. They read it from the terminal, so that the shell's history doesn't have it."""

    check: str  # asks for the secret, then makes a request that every token is allowed
    call: str = ""  # a request that the scopes of the token allow


def _try_it(request: HttpRequest, token: PersonalAccessToken) -> TryIt:
    # Without our API, the first command requests the root of the site.
    try:
        path = reverse(CURRENT_ROUTE)
    except NoReverseMatch:
        path = "/"
    curl = f'curl -H "{conf.header}: {conf.keyword} $PAT"'
    check = f"read -rs PAT && {curl} {request.build_absolute_uri(path)}"
    if (call := find_example_call(token)) is None:
        return TryIt(check)
    method = "" if call.method == "GET" else f" -X {call.method}"
    return TryIt(check, f"{curl}{method} {request.build_absolute_uri(call.path)}")


def _fill(table: Table, labels: list[ScopeLabel]) -> None:
    # Sorted by labels, which only the site's own code knows.
    def key_of(label: ScopeLabel) -> tuple[float, str]:
        if table.sort == "last_used_at":
            last: Any = label.scope.last_used_at  # type: ignore[attr-defined]  # a row
            return last.timestamp() if last else 0, ""
        return 0, str(getattr(label, table.sort)).casefold()

    labels.sort(key=attrgetter("sort_key"))
    table.fill(sorted(labels, key=key_of, reverse=table.is_descending), len(labels))
