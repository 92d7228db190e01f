"""Pages that ask before something is done that can't be undone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext, pgettext_lazy

from pat_tokens import services
from pat_tokens.labels import ScopeLabel, describe_scopes
from pat_tokens.models import PersonalAccessToken
from pat_tokens.pages.base import Page, TokenPage, token_url

if TYPE_CHECKING:
    from django.http import HttpRequest


MAX_NAMED = 10  # tokens that the question before Delete All names


class Confirmation(Page):
    """A page that asks before something is done that cannot be undone; a script shows it as a dialog."""

    template_name = "pat_tokens/confirm.html"
    submit_label = pgettext_lazy("pat_tokens", "Delete")

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

    submit_label = pgettext_lazy("pat_tokens", "Revoke")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Revoke it."""
        services.revoke_token(self.token, actor=self.actor)
        notice = _("“%(name)s” was revoked. To use it again, regenerate it.")
        return self.done(token_url(self.token), notice % {"name": self.token.name})

    def get_title(self) -> str:
        """Name the token."""
        return _("Revoke “%(name)s”?") % {"name": self.token.name}

    def get_consequences(self) -> Sequence[str]:
        """Say what stops and what stays."""
        return [
            _("Programs that use this token stop working immediately."),
            _("The name, description and scopes are kept. You can regenerate the token later, with a new secret."),
        ]


class TokenDelete(TokenConfirmation):
    """Delete a token."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Delete it."""
        services.delete_token(self.token, actor=self.actor)
        notice = _("“%(name)s” was deleted.") % {"name": self.token.name}
        return self.done(reverse("pat_tokens:token_list"), notice)

    def get_title(self) -> str:
        """Name the token."""
        return _("Delete “%(name)s”?") % {"name": self.token.name}

    def get_consequences(self) -> Sequence[str]:
        """Say what stops and what is lost."""
        stops = _("Programs that use this token stop working immediately.")
        lost = _("The token and its scopes are deleted permanently. To keep them, revoke the token instead.")
        return [stops, lost] if self.token.is_active else [_("The token and its scopes are deleted permanently.")]


class TokensDelete(Confirmation):
    """Delete all tokens of a person."""

    submit_label = pgettext_lazy("pat_tokens", "Delete All")

    def post(self, request: HttpRequest) -> HttpResponse:
        """Delete them."""
        count = services.delete_tokens(self.user, actor=self.actor)
        text = ngettext("%(count)d token was deleted.", "All %(count)d tokens were deleted.", count)
        notice = text % {"count": count} if count else _("There were no tokens to delete.")
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
            return [_("None of them is active. They are deleted permanently, with their scopes.")]
        names = list(self.tokens.active().order_by(Lower("name")).values_list("name", flat=True)[:MAX_NAMED])
        quoted = ", ".join(pgettext("pat_tokens", "“%(name)s”") % {"name": name} for name in names)
        if active > len(names):
            quoted = pgettext("pat_tokens", "%(names)s and %(count)d more") % {
                "names": quoted,
                "count": active - len(names),
            }
        text = ngettext(
            "Programs that use the active one stop working immediately: %(names)s.",
            "Programs that use the %(count)d active ones stop working immediately: %(names)s.",
            active,
        )
        return [
            text % {"count": active, "names": quoted},
            _("All tokens are deleted permanently, including expired and revoked ones, with their scopes."),
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
        services.delete_scope(scope, actor=self.actor)
        return self.done(token_url(self.token), _("The scope was deleted."))

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
            return [_("It no longer has any effect, so nothing stops working.")]
        text = _("Programs that use “%(name)s” can no longer do this. It takes effect immediately.")
        return [text % {"name": self.token.name}]


class ScopesDelete(TokenConfirmation):
    """Delete all scopes of a token."""

    submit_label = pgettext_lazy("pat_tokens", "Delete All")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Delete them."""
        count = services.delete_scopes(self.token, actor=self.actor)
        text = ngettext("%(count)d scope was deleted.", "All %(count)d scopes were deleted.", count)
        done = text % {"count": count} if count else _("There were no scopes to delete.")
        notice = done + " " + _("The token can't do anything until you add a scope.")
        return self.done(token_url(self.token), notice)

    def get_title(self) -> str:
        """Name the token."""
        return _("Delete all scopes of “%(name)s”?") % {"name": self.token.name}

    def get_consequences(self) -> Sequence[str]:
        """Say how many they are."""
        count = self.token.scope_set.count()
        text = ngettext(
            "It has %(count)d scope. Without it, programs that use the token stop working immediately.",
            "It has %(count)d scopes. Without them, programs that use the token stop working immediately.",
            count,
        )
        return [text % {"count": count}, _("The token itself is kept, and you can add scopes later.")]
