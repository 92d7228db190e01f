"""Pages that ask for confirmation before something that can't be undone."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Lower
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from pat_tokens import services
from pat_tokens.labels import ScopeLabel, describe_scopes, short_name
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages.base import Page, TokenPage, token_url
from pat_tokens.pages.token_filter import LIST_QUERY, TokenFilter, list_url

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pat_tokens.querysets import TokenQuerySet


MAX_NAMED = 10  # tokens that a question about several tokens names


class Confirmation(Page):
    """A page that asks for confirmation; the script shows it as a dialog."""

    template_name = "pat_tokens/confirm.html"
    submit_label = pgettext_lazy("pat_tokens", "Delete")
    back_label = pgettext_lazy("pat_tokens", "Cancel")

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self.ask()

    def ask(self, **fields: Any) -> HttpResponse:
        """Show the question, which carries these `fields`."""
        return self.show(
            title=self.get_title(),
            consequences=self.get_consequences(),
            submit_label=self.submit_label,
            back_label=self.back_label,
            back_url=self.get_back_url(),
            token=getattr(self, "token", None),
            **{"ids": "", "active": "", "named": (), "unnamed": 0, "number": None, "number_errors": (), **fields},
        )

    def get_title(self) -> str:
        raise NotImplementedError

    def get_consequences(self) -> Sequence[str]:
        """Return sentences that say what will happen."""
        raise NotImplementedError

    def get_back_url(self) -> str:
        return reverse("pat_tokens:token_list")


class TokenConfirmation(TokenPage, Confirmation):
    """A confirmation about one token."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        beginning = short_name(self.token.name)
        is_cut = beginning != self.token.name and beginning in self.get_title()
        return self.ask(named=(self.token,) if is_cut else ())

    def get_back_url(self) -> str:
        return token_url(self.token)


class TokenRevoke(TokenConfirmation):
    submit_label = pgettext_lazy("pat_tokens", "Revoke")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        services.revoke_token(self.token, actor=self.actor)
        notice = _("“%(name)s” was revoked. To use it again, regenerate it.")
        return self.done(token_url(self.token), notice % {"name": short_name(self.token.name)})

    def get_title(self) -> str:
        return _("Revoke “%(name)s”?") % {"name": short_name(self.token.name)}

    def get_consequences(self) -> Sequence[str]:
        return [
            _("Programs that use this token stop working immediately."),
            _("The name, description and scopes are kept. You can regenerate the token later, with a new secret."),
        ]


class TokenDelete(TokenConfirmation):
    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        services.delete_token(self.token, actor=self.actor)
        notice = _("“%(name)s” was deleted.") % {"name": short_name(self.token.name)}
        return self.done(reverse("pat_tokens:token_list"), notice)

    def get_title(self) -> str:
        return _("Delete “%(name)s”?") % {"name": short_name(self.token.name)}

    def get_consequences(self) -> Sequence[str]:
        stops = _("Programs that use this token stop working immediately.")
        lost = _("The token and its scopes are deleted permanently. To keep them, revoke the token instead.")
        return [stops, lost] if self.token.is_active else [_("The token and its scopes are deleted permanently.")]


class TokensConfirmation(Confirmation):
    """A confirmation about several tokens. It contains their ids, and no other token is changed.

    It also contains the ids of active tokens. A token that becomes active later isn't changed.
    """

    asks_number = False
    nothing = gettext_lazy("Select at least one token first.")

    def get_selected(self) -> TokenQuerySet:
        raise NotImplementedError

    def act(self, selected: TokenQuerySet, active: Collection[uuid.UUID]) -> str:
        """Perform the action, and return a notice."""
        raise NotImplementedError

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self._ask(self.get_selected())

    def post(self, request: HttpRequest) -> HttpResponse:
        ids, active = (_read_ids(request.POST.get(name, "")) for name in ("ids", "active"))
        selected = self.tokens.filter(pk__in=ids)
        if not ids:
            return self._ask(self.get_selected())
        if self.asks_number and active and _read_number(request.POST.get("number", "")) != len(ids):
            return self._ask(selected, _("This is not the number of tokens."))
        return self.done(self.get_back_url(), self.act(selected, active))

    def _ask(self, selected: TokenQuerySet, *errors: str) -> HttpResponse:
        self.selected = list(selected.order_by(Lower("name"), "pk"))
        if not self.selected:
            return self.done(self.get_back_url(), str(self.nothing), is_warning=True)
        named = sorted(self.selected, key=lambda token: not token.is_active)
        return self.ask(
            ids=_join_ids(self.selected),
            active=_join_ids(self.active),
            named=named[:MAX_NAMED],
            unnamed=len(named) - MAX_NAMED,
            number=len(self.selected) if self.asks_number and self.active else None,
            number_errors=errors,
        )

    @cached_property
    def active(self) -> list[PersonalAccessToken]:
        return [token for token in self.selected if token.is_active]

    def drop_query(self) -> HttpResponse:
        """Redirect to the list, because the parameters select the tokens."""
        return HttpResponseRedirect(reverse("pat_tokens:token_list"))

    def get_back_url(self) -> str:
        return list_url(**{name: self.request.GET[name] for name in LIST_QUERY if self.request.GET.get(name)})

    def get_stopping(self) -> str:
        """Return a sentence about the tokens that stop working."""
        text = ngettext(
            "Programs that use the active one stop working immediately.",
            "Programs that use the %(count)d active ones stop working immediately.",
            len(self.active),
        )
        return text % {"count": len(self.active)}

    def find_selected(self) -> TokenQuerySet:
        return self.tokens.filter(pk__in=_read_ids(",".join(self.request.GET.getlist("id"))))


class TokensDelete(TokensConfirmation):
    """Delete all tokens of the user."""

    submit_label = pgettext_lazy("pat_tokens", "Delete All")
    asks_number = True
    nothing = gettext_lazy("There are no tokens to delete.")

    def get_selected(self) -> TokenQuerySet:
        """Return the tokens that the parameters of the list select."""
        return TokenFilter(self.request.GET).apply(self.tokens)

    def act(self, selected: TokenQuerySet, active: Collection[uuid.UUID]) -> str:
        count = services.delete_tokens(self.owner, selected, expected_active=active, actor=self.actor)
        text = ngettext("%(count)d token was deleted.", "%(count)d tokens were deleted.", count)
        notice = text % {"count": count} if count else _("No tokens were deleted.")
        left = selected.order_by(Lower("name")).values_list("name", flat=True)
        quoted = ", ".join(pgettext("pat_tokens", "“%(name)s”") % {"name": short_name(name)} for name in left)
        if quoted:
            kept = _("Kept, because they became active in the meantime: %(names)s.") % {"names": quoted}
            notice = f"{notice} {kept}"
        return notice

    def get_title(self) -> str:
        count, total = len(self.selected), self.tokens.count()
        if count == total:
            return ngettext("Delete the only token?", "Delete all %(count)d tokens?", count) % {"count": count}
        text = ngettext(
            "Delete %(count)d of your %(total)d tokens?", "Delete %(count)d of your %(total)d tokens?", count
        )
        if self.owner != self.user:
            text = ngettext(
                "Delete %(count)d of %(total)d tokens of %(owner)s?",
                "Delete %(count)d of %(total)d tokens of %(owner)s?",
                count,
            )
        return text % {"count": count, "total": total, "owner": self.owner.get_username()}

    def get_consequences(self) -> Sequence[str]:
        if not self.active:
            return [_("None of them is active. They are deleted permanently, with their scopes.")]
        return [self.get_stopping(), _("The tokens and their scopes are deleted permanently.")]


class SelectedDelete(TokensDelete):
    submit_label = TokensConfirmation.submit_label
    asks_number = False
    nothing = TokensConfirmation.nothing

    def get_selected(self) -> TokenQuerySet:
        return self.find_selected()


class SelectedRevoke(TokensConfirmation):
    """Revoke the selected tokens that are active."""

    submit_label = pgettext_lazy("pat_tokens", "Revoke")
    nothing = gettext_lazy("Select at least one active token first.")

    def get_selected(self) -> TokenQuerySet:
        return self.find_selected().active()

    def act(self, selected: TokenQuerySet, active: Collection[uuid.UUID]) -> str:
        count = services.revoke_tokens(self.owner, selected, actor=self.actor)
        text = ngettext("%(count)d token was revoked.", "%(count)d tokens were revoked.", count)
        return text % {"count": count} if count else _("No tokens were revoked.")

    def get_title(self) -> str:
        count = len(self.selected)
        return ngettext("Revoke %(count)d token?", "Revoke %(count)d tokens?", count) % {"count": count}

    def get_consequences(self) -> Sequence[str]:
        kept = _("Names, descriptions and scopes are kept. You can regenerate the tokens later, with new secrets.")
        return [self.get_stopping(), kept]


class ScopeDelete(TokenConfirmation):
    @cached_property
    def scope(self) -> ScopeLabel:
        """The label of the scope in the URL."""
        scope = get_object_or_404(self.token.scope_set, pk=self.kwargs["scope_pk"])
        return describe_scopes(self.owner, [scope])[0]

    def post(self, request: HttpRequest, pk: uuid.UUID, scope_pk: uuid.UUID) -> HttpResponse:
        scope = get_object_or_404(self.token.scope_set.select_related("token"), pk=scope_pk)
        services.delete_scope(scope, actor=self.actor)
        return self.done(token_url(self.token), _("The scope was deleted."))

    def part_not_found(self, token: PersonalAccessToken) -> HttpResponse:
        return self.show_missing(token)

    def get_title(self) -> str:
        return _("Delete the scope “%(operation)s: %(entity)s”?") % {
            "operation": self.scope.operation,
            "entity": self.scope.entity,
        }

    def get_consequences(self) -> Sequence[str]:
        if self.scope.problem:
            return [_("It no longer has any effect, so nothing stops working.")]
        text = _("Programs that use “%(name)s” can no longer do this. It takes effect immediately.")
        return [text % {"name": self.token.name}]


class ScopesDelete(TokenConfirmation):
    """Delete all scopes of a token."""

    submit_label = pgettext_lazy("pat_tokens", "Delete All")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        count = services.delete_scopes(self.token, actor=self.actor)
        text = ngettext("%(count)d scope was deleted.", "All %(count)d scopes were deleted.", count)
        done = text % {"count": count} if count else _("There were no scopes to delete.")
        notice = done + " " + _("The token can't do anything until you add a scope.")
        return self.done(token_url(self.token), notice, is_warning=not count)

    def get_title(self) -> str:
        return _("Delete all scopes of “%(name)s”?") % {"name": short_name(self.token.name)}

    def get_consequences(self) -> Sequence[str]:
        count = self.token.scope_set.count()
        text = ngettext(
            "It has %(count)d scope. Without it, programs that use the token stop working immediately.",
            "It has %(count)d scopes. Without them, programs that use the token stop working immediately.",
            count,
        )
        return [text % {"count": count}, _("The token itself is kept, and you can add scopes later.")]


def _join_ids(tokens: Iterable[PersonalAccessToken]) -> str:
    # In one field: Django limits the number of fields.
    return ",".join(str(token.pk) for token in tokens)


def _read_ids(text: str) -> set[uuid.UUID]:
    ids = set()
    for part in text.split(","):
        with suppress(ValueError):
            ids.add(uuid.UUID(part))
    return ids


def _read_number(text: str) -> int | None:
    try:
        return int(text)  # in the digits of any script
    except ValueError:
        return None
