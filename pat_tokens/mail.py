"""Emails about tokens: how they are built, who receives them, and notices about changes.

`pat_tokens.reminders` sends reminders. Notices are sent when a row of activity is recorded, after its commit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import router
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from pat_tokens import log_events, signals
from pat_tokens.conf import conf
from pat_tokens.labels import TimeFormat, client_of, printable
from pat_tokens.links import page_url
from pat_tokens.models import Activity, Kind, PersonalAccessToken, Reason, Via, owner_is_active
from pat_tokens.policy import get_policy

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

SENSITIVE_ACTION = "sensitive_action"
OWN_SENSITIVE_ACTION = "own_sensitive_action"
MAIL_KINDS = (SENSITIVE_ACTION, OWN_SENSITIVE_ACTION, Reason.REPLACED.value, Reason.NETWORK_NOT_ALLOWED.value)
AGAIN_AFTER = timedelta(days=1)  # a mail about refused requests from other networks

_SENSITIVE = {Kind.CREATED, Kind.REGENERATED, Kind.ROTATED, Kind.SCOPES_ADDED}


def build_mail(name: str, user: AbstractBaseUser, get_context: Callable[[], dict[str, Any]]) -> EmailMultiAlternatives:
    """Return the email `name` to `user`, as plain text and HTML, in the user's language."""
    with translation.override(get_policy().get_language(user) or settings.LANGUAGE_CODE):
        context = {
            "user": user,
            "owner": printable(user.get_username()),
            "language": translation.get_language() or settings.LANGUAGE_CODE,
            "direction": "rtl" if translation.get_language_bidi() else "ltr",
            **get_context(),
        }
        subject = " ".join(render_to_string(f"pat_tokens/mail/{name}_subject.txt", context).split())
        text = render_to_string(f"pat_tokens/mail/{name}.txt", context)
        mail = EmailMultiAlternatives(subject, text, to=list(get_policy().get_email_addresses(user)))
        mail.attach_alternative(render_to_string(f"pat_tokens/mail/{name}.html", context), "text/html")
    # RFC 3834 section 5: keeps vacation responders quiet.
    mail.extra_headers["Auto-Submitted"] = "auto-generated"
    return mail


def send_notice(sender: object, activity: Activity, **kwargs: object) -> None:
    """Email the owner about `activity`, if the site wants that. A receiver of `activity_recorded`.

    An email that can't be sent is logged; nothing else fails.
    """
    kind = _mail_kind(activity)
    if kind is None or kind not in conf.mail_kinds:
        return
    tokens = PersonalAccessToken.objects.using(router.db_for_write(PersonalAccessToken)).select_related("user")
    token = tokens.filter(pk=activity.token_id).first()
    if token is None or not owner_is_active(token.user) or not get_policy().get_email_addresses(token.user):
        return
    if activity.kind == Kind.REFUSED and not _claim(activity, token):
        return
    try:
        build_mail("notice", token.user, partial(_context, activity, token)).send()
    except Exception as error:  # noqa: BLE001 -- the site's templates and mail backend can raise anything
        _rows().filter(pk=activity.pk).update(mailed_at=None)
        log_events.log("notice_failed", token_id=str(token.pk), kind=str(activity.kind), error=type(error).__name__)


def connect() -> None:
    signals.activity_recorded.connect(send_notice, sender=Activity, dispatch_uid="pat_tokens.mail")


def _mail_kind(row: Activity) -> str | None:
    if row.kind == Kind.REFUSED:
        return row.reason
    # No mail about what the site's own code does.
    if row.via == Via.SYSTEM:
        return None
    if row.kind in _SENSITIVE or row.widens:
        return OWN_SENSITIVE_ACTION if row.actor_id == row.owner_id else SENSITIVE_ACTION
    return None


def _claim(row: Activity, token: PersonalAccessToken) -> bool:
    # One for each replaced secret, one a day for refused networks. Rows of one token are inserted one after the other.
    now = timezone.now()
    since = token.issued_at if row.reason == Reason.REPLACED else now - AGAIN_AFTER
    earlier = _rows().for_token(row.token_id).refusals().filter(reason=row.reason, mailed_at__gte=since)
    return not earlier.exists() and bool(_rows().filter(pk=row.pk, mailed_at=None).update(mailed_at=now))


def _rows() -> Any:
    return Activity.objects.using(router.db_for_write(PersonalAccessToken))


def _context(row: Activity, token: PersonalAccessToken) -> dict[str, Any]:
    name = printable(token.name)
    return {
        "title": _title(row) % {"name": name, "owner": printable(token.user.get_username())},
        "advice": _advice(row),
        "activity": row,
        "token": token,
        "name": name,
        "actor": printable(row.actor_name),
        "client": printable(client_of(row)),
        "at": TimeFormat().exact(row.last_at or row.at),
        "changes": [
            *(f"+ {scope}" for scope in row.all_changes["scopes_added"]),
            *(f"- {scope}" for scope in row.all_changes["scopes_deleted"]),
        ],
        "url": page_url("token_detail", token.pk, user=token.user) or "",
    }


def _title(row: Activity) -> str:
    if row.kind == Kind.REFUSED:
        if row.reason == Reason.REPLACED:
            return _("A replaced secret of the personal access token “%(name)s” of %(owner)s is still in use")
        return _("The personal access token “%(name)s” of %(owner)s was used from a network that it does not allow")
    if row.kind == Kind.CREATED:
        return _("The personal access token “%(name)s” was created for %(owner)s")
    if row.kind == Kind.SCOPES_ADDED:
        return _("The personal access token “%(name)s” of %(owner)s got more scopes")
    if row.kind == Kind.UPDATED:
        return _("The personal access token “%(name)s” of %(owner)s can be used from more networks")
    return _("The personal access token “%(name)s” of %(owner)s has a new secret")


def _advice(row: Activity) -> str:
    if row.reason == Reason.REPLACED:
        return _("A program still sends a secret that was replaced, and is refused. Give it the current secret.")
    if row.reason == Reason.NETWORK_NOT_ALLOWED:
        return _(
            "The request was refused. If none of the programs that should use the token sent it, somebody else has the "
            "secret: regenerate the token."
        )
    return _("If you did not expect this, revoke the token and ask the administrators of this site.")
