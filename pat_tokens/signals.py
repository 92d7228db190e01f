"""Signals. Those about changes are sent after the commit.

Their argument `token` has its owner in `token.user`. No signal carries a secret.
"""

from django.dispatch import Signal

token_created = Signal()  # token
token_imported = Signal()  # token
token_updated = Signal()  # token, fields: names of what changed
token_regenerated = Signal()  # token
token_rotated = Signal()  # token
rotation_finished = Signal()  # token: its previous secret was stopped
rotation_cancelled = Signal()  # token: its previous secret is the current one again
token_revoked = Signal()  # token
token_deleted = Signal()  # token, pruned: whether pat_prune deleted it
scopes_added = Signal()  # token, scopes: tuple of ScopeKey
scopes_deleted = Signal()  # token, scopes: tuple of ScopeKey
token_expiring = Signal()  # token, days: before the expiration, 0 after it; mailed: whether the owner got an email

token_authenticated = Signal()  # token, request
token_refused = Signal()  # reason, token or None, request
last_use_failed = Signal()  # token, error: a DatabaseError
activity_recorded = Signal()  # activity: the row that says what happened to a token
