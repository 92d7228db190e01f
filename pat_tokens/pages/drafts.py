"""What was typed into a form outlives a session that ends before the form is sent, and waits behind the login.

It rests in the session that carries the person over the login, for the same person and page alone. A form says whose
it is by a signed mark: whoever never had a page of ours can put nothing into the store of sessions.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.http import QueryDict

from pat_tokens.pages import password_prompt
from pat_tokens.pages.one_time_secret import is_prefetch

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest

SALT = "pat_tokens.pages.drafts"
FIELD = "pat_owner"  # beside the fields of a form that is worth keeping
SESSION_KEY = "pat_tokens_draft"
MAX_AGE = 3600  # seconds in which somebody has to be back
MAX_LENGTH = 100_000  # characters, for the hundreds of scopes that a token may have
_NOT_KEPT = (FIELD, "step", *password_prompt.NOT_KEPT)

clock = time.time


def mark(user: AbstractBaseUser) -> str:
    """Return what a form of `user` says of itself."""
    return signing.Signer(salt=SALT).sign(_key(user))


def keep(request: HttpRequest) -> None:
    """Keep what was sent with `request` for the next time that its page is opened by the one whose form it is."""
    fields = [(name, values) for name, values in request.POST.lists() if name not in _NOT_KEPT]
    try:
        owner = signing.Signer(salt=SALT).unsign(request.POST.get(FIELD, ""))
    except signing.BadSignature:
        return
    if fields and sum(len(text) for name, values in fields for text in (name, *values)) <= MAX_LENGTH:
        request.session[SESSION_KEY] = {"owner": owner, "path": request.path, "at": clock(), "fields": fields}


def take(request: HttpRequest) -> QueryDict | None:
    """Return what was typed on this page before, once."""
    draft = request.session.get(SESSION_KEY)
    if draft is None or draft["path"] != request.path or is_prefetch(request):
        return None
    del request.session[SESSION_KEY]
    if draft["owner"] != _key(request.user) or not 0 <= clock() - draft["at"] < MAX_AGE:
        return None
    fields = QueryDict(mutable=True)
    for name, values in draft["fields"]:
        fields.setlist(name, values)
    return fields


def _key(user: Any) -> str:
    return str(user._meta.pk.value_to_string(user))
