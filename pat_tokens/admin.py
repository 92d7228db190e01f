"""Manage the tokens of all users in the admin, in any AdminSite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import display_for_value, flatten_fieldsets, quote, unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.auth import get_user_model
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import IntegerField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy
from django.views.decorators.debug import sensitive_variables

from pat_tokens import services
from pat_tokens.activity import Actor
from pat_tokens.conf import conf
from pat_tokens.crypto import SecretText
from pat_tokens.csrf import always_csrf_protect
from pat_tokens.departures import find_departure, was_used_lately
from pat_tokens.entities import MAX_WORDS, registry
from pat_tokens.exceptions import Conflict, InvalidInput, ReauthenticationRequired
from pat_tokens.labels import describe_activity, describe_scopes, duration_label, type_label
from pat_tokens.models import Activity, PersonalAccessToken, Via
from pat_tokens.pages import one_time_secret, password_prompt
from pat_tokens.pages.activity import ActivityFilter, read_page
from pat_tokens.pages.errors import hide_posted_values, show_outages
from pat_tokens.pages.forms import HiddenValuesMixin
from pat_tokens.pages.one_time_secret import Revealed
from pat_tokens.policy import grantable_operations, grantable_types, has_own_session
from pat_tokens.querysets import Status, TokenQuerySet
from pat_tokens.scopes import ScopeKey
from pat_tokens.secret_search import look_up, look_up_query, query_holds_secret
from pat_tokens.users import sensitive_actions
from pat_tokens.validation import EDITABLE_FIELDS, DurationRules, clean_grace_period, describe_required_networks

if TYPE_CHECKING:
    _FormBase = forms.ModelForm[PersonalAccessToken]
    _AdminBase = admin.ModelAdmin[PersonalAccessToken]
    _UserAdminBase = admin.ModelAdmin[Any]
else:
    _FormBase = forms.ModelForm
    _AdminBase = admin.ModelAdmin
    _UserAdminBase = object

_NEVER_ASKED = {"digest", "previous_digest", "name_key"}  # columns that query strings can't filter by
MAX_LISTED_NAME = 60  # characters of a name in the list; a long one would push out the other columns


def _never(*args: Any) -> bool:
    return False


def require_keys(model: Any, values: Iterable[str]) -> None:
    """Raise BadRequest if a value can't be a key of `model`: Django's actions and widgets pass it to the database."""
    key = model._meta.pk
    for value in filter(None, values):
        try:
            found = key.to_python(value)
            if isinstance(key, IntegerField):
                key.run_validators(found)  # the range of the column
        except (ValidationError, ValueError):
            raise BadRequest from None
        if "\0" in value:
            raise BadRequest


def _found(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except PersonalAccessToken.DoesNotExist:  # deleted since the view found it
            raise Http404 from None

    return checked


def _actor(request: HttpRequest) -> Actor:
    return Actor.of_request(request, Via.ADMIN)


class DurationField(forms.TypedChoiceField):
    """One of the durations that the owner of a token can choose, or None."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label=pgettext_lazy("pat_tokens", "Duration"), empty_value=None, **kwargs)

    def offer(self, rules: DurationRules) -> None:
        """Offer what `rules` allow."""
        self.choices = [(duration, duration_label(duration)) for duration in rules.choices]
        self.initial = rules.default


class ServiceForm(HiddenValuesMixin, _FormBase):
    """A form that is validated and saved by a service instead of the model.

    The service's errors are shown next to their fields.
    """

    request: HttpRequest  # set by PersonalAccessTokenAdmin.get_form()

    def describe_networks(self, owner: Any, token: PersonalAccessToken | None = None) -> None:
        """Say which networks the policy requires, if any."""
        required = describe_required_networks(owner, token)
        if required and "allowed_networks" in self.fields:  # not for users with the view permission alone
            self.fields["allowed_networks"].help_text = required

    def _post_clean(self) -> None:
        # Not in save(), because the admin can only show errors during validation.
        if self.errors:
            return
        try:
            self.write()
        except InvalidInput as error:
            for field, problems in error.errors.items():
                self.add_error(field if field in self.fields else None, self.texts(field, problems))
        except PersonalAccessToken.DoesNotExist:
            self.add_error(None, _("The token was deleted in the meantime."))

    def write(self) -> None:
        raise NotImplementedError

    def texts(self, field: str, problems: Any) -> list[str]:
        """Return the errors of one field as strings."""
        return [str(problem) for problem in problems]


class TokenAddForm(ServiceForm):
    duration = DurationField()
    scopes = forms.CharField(
        label=pgettext_lazy("pat_tokens", "Scopes"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
    )
    secret: str

    class Meta:
        model = PersonalAccessToken
        fields = ("user", *EDITABLE_FIELDS)
        widgets = {"description": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self._chosen_user() or self.request.user
        duration: Any = self.fields["duration"]
        duration.offer(DurationRules(owner))
        self.describe_networks(owner)
        self.fields["scopes"].help_text = render_to_string(
            "admin/pat_tokens/personalaccesstoken/scopes_help.html",
            {
                "entity_types": [
                    (type_label(one), one.name, grantable_operations(owner, one)) for one in grantable_types(owner)
                ]
            },
        )

    def _chosen_user(self) -> Any:
        field = self.fields["user"]
        value = field.widget.value_from_datadict(self.data, self.files, self.add_prefix("user"))
        try:
            return field.clean(value or self.initial.get("user"))
        except forms.ValidationError:
            return None

    def clean_scopes(self) -> list[ScopeKey]:
        keys, problems = [], []
        for line in filter(None, map(str.strip, self.cleaned_data["scopes"].splitlines())):
            try:
                keys.append(ScopeKey(*map(SecretText, ScopeKey.parse(line))))
            except ValueError:
                problems.append(_("%(line)s: write type:id:operation.") % {"line": line})
        if problems:
            raise forms.ValidationError(problems)
        return keys

    @sensitive_variables()
    def write(self) -> None:
        fields = dict(self.cleaned_data)
        user = fields.pop("user")
        try:
            sensitive_actions.require(self.request, user)
        except PermissionDenied as error:
            raise InvalidInput({"user": [str(error)]}) from None
        self.instance, self.secret = services.create_token(user, actor=_actor(self.request), **fields)

    def texts(self, field: str, problems: Any) -> list[str]:
        lines: list[str] = []
        for position, problem in enumerate(problems):
            if isinstance(problem, Mapping):
                key = self.cleaned_data["scopes"][position]
                lines += [f"{key}: {text}" for texts in problem.values() for text in texts]
            else:
                lines.append(str(problem))
        return lines


class TokenChangeForm(ServiceForm):
    class Meta:
        model = PersonalAccessToken
        fields = EDITABLE_FIELDS
        widgets = {"description": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.describe_networks(self.instance.user, self.instance)

    def write(self) -> None:
        require = partial(sensitive_actions.require, self.request, self.instance.user)
        try:
            self.instance = services.update_token(
                self.instance, actor=_actor(self.request), before_widening=require, **self.cleaned_data
            )
        except PermissionDenied as error:
            raise InvalidInput({"allowed_networks": [str(error)]}) from None


class RegenerateForm(HiddenValuesMixin, forms.Form):
    duration = DurationField()

    def __init__(self, *args: Any, token: PersonalAccessToken, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        duration: Any = self.fields["duration"]
        duration.offer(DurationRules(token.user, token))
        # Without a duration, the service keeps the token's own lifetime.
        duration.choices = [("", _("As long as before")), *duration.choices]
        duration.initial = ""
        duration.required = False


class RotateForm(RegenerateForm):
    grace_period = forms.CharField(
        label=pgettext_lazy("pat_tokens", "Grace period"),
        required=False,
        empty_value=None,
        initial=partial(clean_grace_period, None),
        help_text=gettext_lazy("How long the current secret works after the first use of the new one."),
    )


class StatusFilter(admin.SimpleListFilter):
    """Filter tokens by status."""

    title = pgettext_lazy("pat_tokens", "status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in Status.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> TokenQuerySet | None:
        value = self.value()
        return queryset.with_status(value) if value in Status.values else None


class EntityTypeFilter(admin.SimpleListFilter):
    """Filter tokens by the entity types of their scopes."""

    title = pgettext_lazy("pat_tokens", "entity type")
    parameter_name = "entity_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one.name, type_label(one)) for one in registry]

    def queryset(self, request: HttpRequest, queryset: Any) -> TokenQuerySet | None:
        value = self.value()
        return queryset.with_scope(entity_type=value) if value and registry.get(value) else None


@admin.register(PersonalAccessToken)
class PersonalAccessTokenAdmin(_AdminBase):
    """List, create, rename, revoke, regenerate and delete tokens, for staff who logged in to a session.

    A secret is shown once, and a digest never. All writes go through services.
    """

    # Any, because a subclass couldn't add to tuples of an inferred length.
    list_display: Any = ("get_short_name", "user", "hint", "get_status", "issued_at", "expires_at", "last_used_at")
    list_filter: ClassVar[Any] = (StatusFilter, "is_legacy", EntityTypeFilter)
    ordering: ClassVar[Any] = ("-issued_at", "pk")
    show_full_result_count = False
    raw_id_fields: ClassVar[Any] = ("user",)
    actions: Any = ("revoke_selected",)
    save_on_top = False
    add_fields: Any = ("user", *EDITABLE_FIELDS, "duration", "scopes")
    facts: Any = (
        *("id", "user", "hint", "is_legacy", "get_status", "get_scopes"),
        *("created_at", "issued_at", "expires_at", "revoked_at", "last_used_at", "last_used_ip", "last_used_agent"),
        "get_previous_secret",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the owners too: they can be deleted before they are shown."""
        return super().get_queryset(request).select_related("user")

    # Display

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Search by name, and by whatever field users log in with."""
        return (f"user__{get_user_model().USERNAME_FIELD}", "name")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search for the first words; Django adds conditions on every row for each of them."""
        words = search_term.split(maxsplit=MAX_WORDS)[:MAX_WORDS]
        return super().get_search_results(request, queryset, " ".join(words))

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Use autocompletion for the user if this admin site can search users."""
        users: Any = self.admin_site._registry.get(get_user_model())
        return ("user",) if users is not None and users.get_search_fields(request) else ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Refuse query strings that filter by a column that is never shown."""
        if lookup.partition("__")[0] in _NEVER_ASKED:
            return False
        return super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": self.add_fields})]
        return [(None, {"fields": EDITABLE_FIELDS}), (pgettext("pat_tokens", "Facts"), {"fields": self.facts})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.facts

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, form=TokenChangeForm if obj else TokenAddForm, **kwargs)
        form.request = request
        return form

    @admin.display(description=PersonalAccessToken._meta.get_field("name").verbose_name, ordering="name")
    def get_short_name(self, token: PersonalAccessToken) -> str:
        return str(Truncator(token.name).chars(MAX_LISTED_NAME))

    @admin.display(description=pgettext_lazy("pat_tokens", "status"))
    def get_status(self, token: PersonalAccessToken) -> str:
        return str(token.status.label)

    @admin.display(description=pgettext_lazy("pat_tokens", "previous secret"))
    def get_previous_secret(self, token: PersonalAccessToken) -> str | None:
        if (secret := token.previous_secret) is None:
            return None
        when = display_for_value(secret.expires_at, "")
        return pgettext("pat_tokens", "%(hint)s, until %(date)s") % {"hint": secret.hint, "date": when}

    @admin.display(description=pgettext_lazy("pat_tokens", "scopes"))
    def get_scopes(self, token: PersonalAccessToken) -> str:
        scopes = token.scope_set.order_by("entity_type", "operation", "entity_id")
        return render_to_string(
            "admin/pat_tokens/personalaccesstoken/scopes.html", {"scopes": describe_scopes(token.user, scopes)}
        )

    # Permissions. Users that middleware set for another credential, such as an API key, have none

    def has_module_permission(self, request: HttpRequest) -> bool:
        return has_own_session(request) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_own_session(request) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Require the view permission too, because the secret is shown on the token's page."""
        return super().has_add_permission(request) and self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_own_session(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_own_session(request) and super().has_delete_permission(request, obj)

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Make inlines that a site adds for our own models read-only, because a formset can widen a token."""
        inlines: list[Any] = super().get_inline_instances(request, obj)
        for inline in inlines:
            if inline.opts.app_label == self.opts.app_label:
                inline.has_add_permission = inline.has_change_permission = inline.has_delete_permission = _never
                inline.max_num = 0
        return inlines

    # Writes, all through services

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Do nothing: the form's service has already saved the token."""
        if not change:
            obj.secret = form.secret  # for response_add()

    def delete_model(self, request: HttpRequest, obj: PersonalAccessToken) -> None:
        services.delete_token(obj, actor=_actor(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for token in queryset:
            services.delete_token(token, actor=_actor(request))

    @admin.action(description=gettext_lazy("Revoke selected %(verbose_name_plural)s"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: Any) -> None:
        count = 0
        for token in queryset:
            if not token.is_revoked:
                with suppress(PersonalAccessToken.DoesNotExist):  # deleted in the meantime
                    self._revoke(request, token)
                    count += 1
        text = ngettext("%(count)d token was revoked.", "%(count)d tokens were revoked.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    # Showing a secret once

    @sensitive_variables()
    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Redirect to the page of the token, which shows its secret once."""
        self.message_user(request, _("“%(name)s” was created.") % {"name": obj.name}, messages.SUCCESS)
        return self._reveal(request, obj, obj.secret)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Ask for the password before any form of this admin creates a token, whichever view it came from."""
        is_new = object_id is None and self.has_add_permission(request)
        if is_new and self.get_autocomplete_fields(request):
            require_keys(get_user_model(), [*request.GET.getlist("user"), *request.POST.getlist("user")])
        show_prompt = partial(
            self._ask_for_password, request, back=self._url("changelist") if is_new else request.get_full_path()
        )
        if is_new and (response := password_prompt.ask_on_opening(request, show_prompt)):
            return response
        if request.method == "POST" and password_prompt.FIELD in request.POST and (question := show_prompt()):
            return question
        # The secret has to be shown before another token is created.
        context = {**(extra_context or {}), "show_save_and_add_another": False}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except ReauthenticationRequired:
            return show_prompt() or HttpResponseRedirect(request.get_full_path())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        revealed = Revealed()
        token = self.get_object(request, unquote(object_id))
        if token is None or not self.has_view_permission(request, token):
            return super().change_view(request, object_id, form_url, extra_context)
        if one_time_secret.SESSION_KEY in request.session:
            revealed = one_time_secret.take(request, token)
        context = {
            **(extra_context or {}),
            "revealed": revealed,
            "can_regenerate": sensitive_actions.find_obstacle(request.user, token.user) is None,
        }
        response = super().change_view(request, object_id, form_url, context)
        if revealed != Revealed():
            one_time_secret.close(response, revealed, path=self._url("change", token))
        return response

    # Revoking and regenerating a token

    def get_urls(self) -> list[Any]:
        name = "pat_tokens_personalaccesstoken"
        view = self.admin_site.admin_view
        patterns = [
            path("search/", view(self.search_view), name=f"{name}_search"),
            path("activity/", view(self.owner_activity_view), name=f"{name}_owner_activity"),
            path("departures/<path:user_id>/", view(self.departure_view), name=f"{name}_departure"),
            path("<path:object_id>/activity/", view(self.activity_view), name=f"{name}_activity"),
            path("<path:object_id>/revoke/", view(self.revoke_view), name=f"{name}_revoke"),
            path("<path:object_id>/regenerate/", view(self.regenerate_view), name=f"{name}_regenerate"),
            path("<path:object_id>/rotate/", view(self.rotate_view), name=f"{name}_rotate"),
            path("<path:object_id>/rotate/finish/", view(self.finish_rotation_view), name=f"{name}_finish_rotation"),
            path("<path:object_id>/rotate/cancel/", view(self.cancel_rotation_view), name=f"{name}_cancel_rotation"),
            *super().get_urls(),
        ]
        for pattern in patterns:
            checked = self._in_person(self._without_secret(_found(pattern.callback)))
            # The admin's own CSRF protection can be switched off by other middleware.
            pattern.callback = show_outages(always_csrf_protect(hide_posted_values(checked)))
        return patterns

    def _in_person(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if has_own_session(request) or not self.admin_site.has_permission(request):
                return view(request, *args, **kwargs)
            return self._render(request, "not_in_person", status=403, title=pgettext("pat_tokens", "Log in"))

        return checked

    def _without_secret(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        # Also before the admin redirects to its login page, with the URL as a parameter.
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            given = request.GET.copy()
            given.setlist("", list(map(SecretText, kwargs.values())))  # Django's message repeats an unknown id
            if not query_holds_secret(given):
                return view(request, *args, **kwargs)
            if not (self.admin_site.has_permission(request) and self.has_view_permission(request)):
                return HttpResponseRedirect(self._url("changelist"))
            tokens: Any = self.get_queryset(request)
            return self._show_token_of_secret(request, *look_up_query(given, tokens, are_own=False))

        return checked

    def search_view(self, request: HttpRequest) -> HttpResponse:
        """Redirect to the token whose secret is searched for. Our script sends secrets here instead of to the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseRedirect(self._url("changelist"))
        term, tokens = request.POST.get(SEARCH_VAR, ""), self.get_queryset(request)
        return self._show_token_of_secret(request, *look_up(term, tokens, are_own=False))

    def _show_token_of_secret(self, request: HttpRequest, token: PersonalAccessToken | None, text: str) -> HttpResponse:
        self.message_user(request, text, messages.INFO)
        return HttpResponseRedirect(self._url("changelist") if token is None else self._url("change", token))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Say how many secrets are under a pepper that isn't the newest one."""
        require_keys(self.model, request.POST.getlist(ACTION_CHECKBOX_NAME))
        tokens: Any = self.get_queryset(request)
        # Lazy: actions redirect, and users without the permission see no list.
        counts = SimpleLazyObject(lambda: tokens.active().count_by_pepper(conf.peppers))
        return super().changelist_view(request, {**(extra_context or {}), "peppers": counts})

    def activity_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what happened to a token."""
        token = self._get_token(request, object_id, self.has_view_permission)
        return self._show_activity(request, token.user, token)

    def owner_activity_view(self, request: HttpRequest) -> HttpResponse:
        """Show what happened to the tokens of the user in `owner`, deleted ones included."""
        return self._show_activity(request, self._find_user(request, request.GET.get("owner")))

    def departure_view(self, request: HttpRequest, user_id: str) -> HttpResponse:
        """Show what a user leaves behind: tokens that end with the account, and secrets of others that they know."""
        user = self._find_user(request, unquote(user_id))
        departure = find_departure(user)
        obstacles: dict[Any, str | None] = {}

        def describe(token: PersonalAccessToken, **more: Any) -> dict[str, Any]:
            if token.user_id not in obstacles:
                obstacles[token.user_id] = sensitive_actions.find_obstacle(request.user, token.user)
            return {
                "token": token,
                "can_change": self.has_change_permission(request, token),
                "obstacle": obstacles[token.user_id],
                **more,
            }

        now = timezone.now()
        known = [
            describe(secret.token, act=describe_activity([secret.row])[0], is_previous=secret.is_previous)
            for secret in departure.known
        ]
        return self._render(
            request,
            "departure",
            title=_("What %(user)s leaves behind") % {"user": user.get_username()},
            departing=user,
            own=[{"token": token, "is_used": was_used_lately(token, now)} for token in departure.own],
            used_lately=len(departure.used_lately),
            can_change=self.has_change_permission(request),
            known=known,
            unknown=[describe(token) for token in departure.unknown],
        )

    def _find_user(self, request: HttpRequest, key: str | None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        users: Any = get_user_model()._base_manager
        try:
            user = users.filter(pk=key).first()
        except (ValidationError, ValueError, TypeError, OverflowError):
            user = None
        if user is None:
            raise Http404
        return user

    def _show_activity(
        self, request: HttpRequest, owner: Any, token: PersonalAccessToken | None = None
    ) -> HttpResponse:
        found = Activity.objects.for_owner(owner) if token is None else Activity.objects.for_token(token.pk)
        chosen = ActivityFilter.read(request.GET)
        rows, newer, older = read_page(chosen.apply(found), request.GET)
        kept = [*chosen.query, *([("owner", str(owner.pk))] if token is None else [])]
        return self._render(
            request,
            "activity",
            original=token,
            title=_("Activity of %(name)s") % {"name": owner if token is None else token.name},
            owner=owner,
            owner_url=token and f"{self._url('owner_activity')}?{urlencode({'owner': owner.pk})}",
            rows=describe_activity(rows),
            newer_url=newer and "?" + urlencode([*kept, newer]),
            older_url=older and "?" + urlencode([*kept, older]),
            back=token and self._url("change", token),
            **chosen.context,
        )

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        token = self._get_changeable(request, object_id)
        if request.method != "POST":
            return self._ask(
                request,
                token,
                pgettext("pat_tokens", "Revoke"),
                _("It stops working immediately. Its scopes and history are kept."),
            )
        self._revoke(request, token)
        self.message_user(request, _("“%(name)s” was revoked.") % {"name": token.name}, messages.SUCCESS)
        return HttpResponseRedirect(self._url("change", token))

    def regenerate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _(
            "It gets a new secret, and the old one stops working immediately. The name, scopes and id stay the same."
        )
        labels = pgettext("pat_tokens", "Regenerate"), pgettext("pat_tokens", "Regenerated.")
        return self._renew(request, object_id, services.regenerate_token, RegenerateForm, *labels, text)

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _(
            "It gets a new secret. The current one keeps working until the new one is used for the first time, and for "
            "the grace period after that. The name, scopes and id stay the same."
        )
        labels = pgettext("pat_tokens", "Rotate"), pgettext("pat_tokens", "Rotated.")
        return self._renew(request, object_id, services.rotate_token, RotateForm, *labels, text)

    @sensitive_variables()
    def _renew(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[..., tuple[PersonalAccessToken, str]],
        form_class: type[RegenerateForm],
        verb: str,
        done: str,
        text: str,
    ) -> HttpResponse:
        token = self._get_changeable(request, object_id)
        if obstacle := sensitive_actions.find_obstacle(request.user, token.user):
            raise PermissionDenied(obstacle)
        show_prompt = partial(self._ask_for_password, request, token, back=self._url("change", token))
        if response := password_prompt.ask_on_opening(request, show_prompt):
            return response
        form = form_class(request.POST or None, token=token)
        if request.method == "POST" and form.is_valid():
            if question := show_prompt():
                return question
            try:
                sensitive_actions.require(request, token.user)
                token, secret = service(token, **form.cleaned_data, actor=_actor(request))
            except InvalidInput as error:
                for field, problems in error.errors.items():
                    form.add_error(field if field in form.fields else None, list(map(str, problems)))
            except Conflict as error:
                form.add_error(None, error.message)
            else:
                self.log_change(request, token, done)
                return self._reveal(request, token, secret)
        return self._ask(request, token, verb, text, form)

    def finish_rotation_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        labels = pgettext("pat_tokens", "Finish now"), _("The previous secret was stopped.")
        text = _("Programs that still use the previous secret stop working immediately.")
        return self._end_rotation(request, object_id, services.finish_rotation, *labels, text)

    def cancel_rotation_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        labels = pgettext("pat_tokens", "Cancel the rotation"), _("The rotation was canceled.")
        text = _("The new secret stops working, and the previous one is the current one again.")
        return self._end_rotation(request, object_id, services.cancel_rotation, *labels, text)

    def _end_rotation(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[..., PersonalAccessToken],
        verb: str,
        done: str,
        text: str,
    ) -> HttpResponse:
        token = self._get_changeable(request, object_id)
        if request.method != "POST":
            return self._ask(request, token, verb, text)
        try:
            service(token, actor=_actor(request))
        except Conflict as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.log_change(request, token, done)
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(self._url("change", token))

    def _revoke(self, request: HttpRequest, token: PersonalAccessToken) -> None:
        services.revoke_token(token, actor=_actor(request))
        self.log_change(request, token, pgettext("pat_tokens", "Revoked."))

    def _get_changeable(self, request: HttpRequest, object_id: str) -> PersonalAccessToken:
        return self._get_token(request, object_id, self.has_change_permission)

    def _get_token(
        self, request: HttpRequest, object_id: str, has_permission: Callable[..., bool]
    ) -> PersonalAccessToken:
        token = self.get_object(request, unquote(object_id))
        if not has_permission(request, token):
            raise PermissionDenied
        if token is None:
            raise Http404
        return token

    def _ask(
        self, request: HttpRequest, token: PersonalAccessToken, verb: str, text: str, form: forms.Form | None = None
    ) -> HttpResponse:
        return self._render(
            request,
            "ask",
            original=token,
            title=_("%(verb)s %(name)s?") % {"verb": verb, "name": token.name},
            verb=verb,
            text=text,
            form=form,
            media=self.media,
            back=self._url("change", token),
        )

    def _ask_for_password(
        self, request: HttpRequest, token: PersonalAccessToken | None = None, *, back: str
    ) -> HttpResponse | None:
        question = password_prompt.ask(request)
        if question is None:
            return None
        here = request.get_full_path()
        if question.is_over:
            return HttpResponseRedirect(here)
        if question.url:
            return redirect_to_login(here, question.url)
        return self._render(
            request,
            "reauthenticate",
            status=200 if question.form else 403,
            original=token,
            title=pgettext("pat_tokens", "Confirm your identity"),
            question=question,
            media=self.media,
            back=back,
        )

    @sensitive_variables()
    def _reveal(self, request: HttpRequest, token: PersonalAccessToken, secret: str) -> HttpResponse:
        url = self._url("change", token)
        response = HttpResponseRedirect(url)
        one_time_secret.hide(request, response, token, secret, path=url)
        return response

    def _render(self, request: HttpRequest, page: str, *, status: int = 200, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/pat_tokens/personalaccesstoken/{page}.html", context, status=status)

    def _url(self, page: str, *tokens: PersonalAccessToken) -> str:
        name = f"{self.admin_site.name}:pat_tokens_personalaccesstoken_{page}"
        return reverse(name, args=[quote(token.pk) for token in tokens], current_app=self.admin_site.name)


class DepartureMixin(_UserAdminBase):
    """For the site's own admin of users: says which tokens stop working with an account, with a link to the details.

    Shown to those who can view tokens, where this admin site has tokens too.
    """

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add a fieldset to the form of an existing user."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not self._shows_departure(request) or "pat_tokens_departure" in flatten_fieldsets(fieldsets):
            return fieldsets
        more = {"fields": ("pat_tokens_departure",)}
        return [*fieldsets, (pgettext("pat_tokens", "Personal access tokens"), more)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the field of that fieldset."""
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None or not self._shows_departure(request) else [*fields, "pat_tokens_departure"]

    @admin.display(description=pgettext_lazy("pat_tokens", "If this account ends"))
    def pat_tokens_departure(self, user: Any) -> str:
        """Return how many tokens end with the account, and a link to the details."""
        active = PersonalAccessToken.objects.active().for_user(user).count()
        text = ngettext(
            "%(count)d active token ends with this account.", "%(count)d active tokens end with this account.", active
        )
        name = f"{self.admin_site.name}:pat_tokens_personalaccesstoken_departure"
        url = reverse(name, args=[quote(user.pk)], current_app=self.admin_site.name)
        link = _("See them, and secrets of other accounts that the user knows")
        return format_html('{} <a href="{}">{}</a>', text % {"count": active}, url, link)

    def _shows_departure(self, request: HttpRequest) -> bool:
        tokens = self.admin_site._registry.get(PersonalAccessToken)
        return isinstance(tokens, PersonalAccessTokenAdmin) and tokens.has_view_permission(request)


__all__ = ["DepartureMixin", "EntityTypeFilter", "PersonalAccessTokenAdmin", "StatusFilter"]
