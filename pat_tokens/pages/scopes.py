"""Pages that add scopes to a token, and suggestions for the entity picker."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pat_tokens import services
from pat_tokens.entities import registry
from pat_tokens.exceptions import NON_FIELD, InvalidInput
from pat_tokens.pages.base import Page, TokenPage, token_url
from pat_tokens.pages.prefill import Prefill
from pat_tokens.pages.scope_formset import ScopeFormSet, suggest
from pat_tokens.policy import grantable_operations

if TYPE_CHECKING:
    from django.http import HttpRequest


class ScopesAdd(TokenPage):
    is_sensitive = True
    template_name = "pat_tokens/scopes_add.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return self._show(ScopeFormSet(self.owner, token=self.token, initial=self.prefill.forms))

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        formset = ScopeFormSet(self.owner, request.POST, token=self.token)
        if step := request.POST.get("step"):
            return self._show(formset.after_step(step))
        if not formset.scopes:
            formset.add_service_errors([_("Select an entity type, an entity and at least one operation.")])
            return self._show(formset)
        if question := self.ask_for_password():
            return question
        try:
            added = services.add_scopes(self.token, formset.scopes, actor=self.actor)
        except InvalidInput as error:
            formset.add_service_errors(
                [text for field in (NON_FIELD, "allowed_networks", "scopes") for text in error.errors.get(field, ())]
            )
            return self._show(formset)
        text = ngettext("%(count)d scope was added.", "%(count)d scopes were added.", len(added))
        effect = _("They take effect immediately. The secret stays the same.")
        notice = f"{text % {'count': len(added)}} {effect}"
        if not added:
            notice = _("The token already had all of these scopes.")
        return self.done(token_url(self.token), notice, is_warning=not added)

    @cached_property
    def prefill(self) -> Prefill:
        return Prefill(self.owner, self.request.GET, self.tokens, self.token)

    def _show(self, formset: ScopeFormSet) -> HttpResponse:
        return self.show(token=self.token, formset=formset, prefill=self.prefill)


class EntityList(Page):
    """Suggestions for the entity picker, as JSON."""

    def get(self, request: HttpRequest, entity_type: str) -> HttpResponse:
        known = registry.get(entity_type)
        if known is None or not grantable_operations(self.owner, known):
            raise Http404
        pairs, has_more = suggest(known, self.owner, request.GET.get("q", ""))
        results = [{"id": entity_id, "label": label} for entity_id, label in pairs]
        return JsonResponse({"results": results, "has_more": has_more})
