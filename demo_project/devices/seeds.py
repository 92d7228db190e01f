"""The users and entities of a new demo."""

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from demo_project.devices.models import Channel, Client, Dashboard, DashboardShare, Group
from demo_project.policy import BUILD_BOT


@dataclass(frozen=True)
class Login:
    """An example user; the passwords are public."""

    username: str
    is_staff: bool = False

    @property
    def password(self) -> str:
        return f"{self.username}-demo"


ALICE, BOB, ADMIN = Login("alice"), Login("bob"), Login("admin", is_staff=True)
LOGINS = (ALICE, BOB, ADMIN)

ENTITIES = {
    ALICE.username: {
        Client: ("Greenhouse thermometer", "Garden pump", "Kitchen display"),
        Channel: ("Greenhouse temperature", "Pump commands", "Alerts"),
        Group: ("Garden", "House"),
        Dashboard: ("Greenhouse", "Power"),
    },
    BOB.username: {
        Client: ("Weather station", "Boiler"),
        Channel: ("Weather", "Boiler status"),
        Group: ("Roof", "Cellar"),
        Dashboard: ("Weather today", "Heating"),
    },
}
SHARES = (("Greenhouse", ALICE, BOB), ("Weather today", BOB, ALICE))  # dashboard, its owner, who else sees it


@transaction.atomic
def seed() -> list[str]:
    """Create missing users with their entities, and return their names.

    Existing users and their entities aren't changed.
    """
    new = [login.username for login in LOGINS if make_user(login)]
    for username in new:
        owner = get_user(username)
        for model, names in ENTITIES.get(username, {}).items():
            for name in names:
                model.objects.create(owner=owner, name=name)
    for name, owner, other in SHARES:
        if owner.username in new:
            dashboard = Dashboard.objects.get(owner=get_user(owner.username), name=name)
            DashboardShare.objects.create(dashboard=dashboard, user=get_user(other.username))
    make_bot()
    return new


def make_bot() -> None:
    """Make the service account, which cannot log in; other users look after its tokens."""
    bot, is_new = get_user_model().objects.get_or_create(username=BUILD_BOT)
    if is_new:
        bot.set_unusable_password()
        bot.save(update_fields=["password"])
        Channel.objects.create(owner=bot, name="Builds")


def make_user(login: Login) -> bool:
    user, is_new = get_user_model().objects.get_or_create(
        username=login.username, defaults={"is_staff": login.is_staff, "is_superuser": login.is_staff}
    )
    if is_new:
        user.set_password(login.password)
        user.save(update_fields=["password"])
    return is_new


def get_user(username: str) -> AbstractUser:
    return get_user_model().objects.get(username=username)
