"""Pages ask for the password before they give power away, and keep what was typed meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from pat_tokens import reauthentication
from pat_tokens.exceptions import ReauthenticationRequired
from pat_tokens.reauthentication import Proof

if TYPE_CHECKING:
    from django.http import HttpRequest

FIELD = "pat_password"  # beside the fields of any form
NOT_KEPT = (FIELD, "csrfmiddlewaretoken")


class PasswordForm(forms.Form):
    """The password of whoever is logged in."""

    pat_password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "required": True, "autofocus": True}),
    )


@dataclass(frozen=True)
class PasswordPrompt:
    """What has to happen before a form may go on: give the password, or prove it at `url`; without either it cannot.

    `kept` are the fields of the form that was sent, which the question sends along; no field of them is secret.
    """

    form: PasswordForm | None = None
    url: str | None = None
    is_over: bool = False  # the session has ended
    kept: list[tuple[str, str]] = field(default_factory=list)


@sensitive_variables()
def ask(request: HttpRequest) -> PasswordPrompt | None:
    """Return what to ask before the form in `request` may go on, or None where it may.

    The answer to the question comes in the same form, so that no server has to keep what was typed.
    """
    try:
        reauthentication.require(request)
    except ReauthenticationRequired as error:
        if not error.by_password:
            return PasswordPrompt(url=error.url)
    else:
        return None
    form = PasswordForm(request.POST if FIELD in request.POST else None)
    if form.is_valid():
        proof = reauthentication.confirm(request, form.cleaned_data[FIELD])
        if proof is Proof.GIVEN:
            return None
        if proof is Proof.ENDED:
            return PasswordPrompt(is_over=True)
        if proof is Proof.WRONG:
            form.add_error(FIELD, _("This is not your password."))
        else:
            form.add_error(FIELD, _("Too many tries. Wait five minutes, then try again."))
    kept = [(name, value) for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    return PasswordPrompt(form=form, kept=kept)
