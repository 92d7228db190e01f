"""Pages that rotate a token, and end or extend the time in which two secrets work."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from pat_tokens import services
from pat_tokens.exceptions import Conflict, InvalidInput, NoRotation, NotActive, RotationInProgress, RotationInUse
from pat_tokens.labels import short_name
from pat_tokens.models import PersonalAccessToken, PreviousSecret
from pat_tokens.pages.base import NewSecretPage, TokenPage, token_url
from pat_tokens.pages.confirmations import TokenConfirmation
from pat_tokens.pages.forms import GracePeriodForm, RegenerateForm, RotateForm

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class RotationPage(TokenPage):
    """A page that only works in one state of the token; in any other, the token's page says why."""

    def refused(self, error: Conflict) -> HttpResponseBase:
        """Go back to the token, with the reason."""
        return self.done(token_url(self.token), error.message, is_warning=True)

    @property
    def previous_secret(self) -> PreviousSecret:
        """The previous secret of the token. Raises NoRotation."""
        if (secret := self.token.previous_secret) is None:
            raise NoRotation
        return secret


class TokenRotate(RotationPage, NewSecretPage):
    """A new secret, while the previous one keeps working."""

    template_name = "pat_tokens/token_rotate.html"
    form_class = RotateForm

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        if not self.token.is_active:
            raise NotActive
        if self.token.previous_secret is not None:
            raise RotationInProgress
        return super().get(request, pk)

    def renew(self, form: RegenerateForm) -> tuple[PersonalAccessToken, str]:
        return services.rotate_token(
            self.token,
            grace_period=form.cleaned_data.get("grace_period") or None,
            errors=form.service_errors,
            actor=self.actor,
            **form.expiry,
        )


class RotationGracePeriod(RotationPage):
    """More time, or less, for the previous secret."""

    template_name = "pat_tokens/rotation_grace_period.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return self.show(token=self.token, form=GracePeriodForm(secret=self.previous_secret))

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        form = GracePeriodForm(request.POST, secret=self.previous_secret)
        if not form.is_valid():
            return self.show(token=self.token, form=form)
        try:
            services.set_grace_period(self.token, form.cleaned_data["grace_period"], actor=self.actor)
        except InvalidInput as error:
            form.add_service_errors(error.errors)
            return self.show(token=self.token, form=form)
        return self.done(token_url(self.token), _("The grace period was changed."))


class RotationFinish(RotationPage, TokenConfirmation):
    """Stop the previous secret."""

    submit_label = pgettext_lazy("pat_tokens", "Finish now")

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        services.finish_rotation(self.token, actor=self.actor)
        return self.done(token_url(self.token), _("The previous secret was stopped."))

    def get_title(self) -> str:
        return _("Stop the previous secret %(hint)s?") % {"hint": self.previous_secret.hint}

    def get_consequences(self) -> Sequence[str]:
        sentences = [_("Programs that still use the previous secret stop working immediately.")]
        if self.previous_secret.grace_started_at is None:
            sentences.insert(
                0, _("The new secret has never been used. If you don't have it, cancel the rotation instead.")
            )
        return sentences


class RotationCancel(RotationPage, TokenConfirmation):
    """Stop the new secret, and keep the previous one."""

    submit_label = pgettext_lazy("pat_tokens", "Cancel the rotation")
    back_label = pgettext_lazy("pat_tokens", "Go back")  # the other button says "Cancel" as well

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        token = services.cancel_rotation(self.token, actor=self.actor)
        notice = _("The rotation was canceled. The secret is %(hint)s again.") % {"hint": token.hint}
        return self.done(token_url(self.token), notice)

    def get_title(self) -> str:
        return _("Cancel the rotation of “%(name)s”?") % {"name": short_name(self.token.name)}

    def get_consequences(self) -> Sequence[str]:
        if self.previous_secret.grace_started_at is not None:
            raise RotationInUse
        return [
            _("The new secret stops working. It has never been used."),
            _("The previous secret %(hint)s is the current one again, with its old expiration date.")
            % {"hint": self.previous_secret.hint},
        ]
