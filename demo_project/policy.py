"""What this site decides in code: alice and bob look after the tokens of the build bot."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from pat_tokens.policy import Policy

BUILD_BOT = "build-bot"
MANAGERS = ("alice", "bob")


class DemoPolicy(Policy):
    def get_managed_users(self, user: Any) -> QuerySet[Any]:
        bots = get_user_model().objects.filter(username=BUILD_BOT)
        return bots if user.get_username() in MANAGERS else bots.none()
