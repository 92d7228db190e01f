"""The password prompt of sensitive actions. It sends the fields of the form along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy
from django.views.decorators.debug import sensitive_variables

from pat_tokens.exceptions import ReauthenticationRequired
from pat_tokens.users import reauthentication
from pat_tokens.users.reauthentication import Proof

if TYPE_CHECKING:
    from django.http import HttpRequest

FIELD = "pat_password"  # must differ from the fields of all forms
OPENING = "pat_opening"  # sent by the prompt that is shown before a form
NOT_KEPT = (FIELD, "csrfmiddlewaretoken")


class PasswordForm(forms.Form):
    pat_password = forms.CharField(
        label=pgettext_lazy("pat_tokens", "Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "required": True, "autofocus": True}),
    )


@dataclass(frozen=True)
class PasswordPrompt:
    """How users confirm their identity: with their password in `form`, at `url`, or, without either, not at all.

    `kept` are the fields of the submitted form, which the prompt sends along; none of them is secret.
    """

    form: PasswordForm | None = None
    url: str | None = None
    is_over: bool = False  # too many wrong passwords have ended the session
    kept: list[tuple[str, str]] = field(default_factory=list)


@sensitive_variables()
def ask(request: HttpRequest) -> PasswordPrompt | None:
    """Return the prompt, or None if identity was confirmed recently or with this request.

    The password is sent together with the other fields, so the server doesn't have to store them.
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
            form.add_error(FIELD, pgettext("pat_tokens", "Incorrect password."))
        else:
            form.add_error(FIELD, _("Too many attempts. Wait five minutes, then try again."))
    kept = [(name, value) for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    return PasswordPrompt(form=form, kept=kept if request.method == "POST" else [(OPENING, "1")])


def ask_on_opening(request: HttpRequest, show: Callable[[], HttpResponse | None]) -> HttpResponse | None:
    """Return the prompt before a form or, after it, a redirect to the form. None: show the form.

    `show` returns the page with the prompt of `ask`, or None.
    """
    if request.method in ("GET", "HEAD"):
        return show()
    if OPENING in request.POST:
        return show() or HttpResponseRedirect(request.get_full_path())
    return None
