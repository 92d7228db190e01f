from datetime import timedelta

from django.contrib.auth.models import User
from django.http import HttpRequest

from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import Policy


class SitePolicy(Policy):
    def can_have_tokens(self, user: User) -> bool:
        return user.is_staff

    def refuse_token(self, token: PersonalAccessToken, request: HttpRequest | None) -> str | None:
        return None if token.user.is_active else "Your account is locked."


def is_old(token: PersonalAccessToken, age: timedelta) -> bool:
    issued = token.issued_at
    return token.last_used_at is None or token.last_used_at - issued > age
