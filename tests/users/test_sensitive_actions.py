"""Who can act for somebody else, on sites with a user model of their own. test_admin.py tries Django's own users."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Permission

from pat_tokens.users.sensitive_actions import find_obstacle
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


class Person:
    """A user whose `is_active` is computed, so that it can't be set."""

    def __init__(self, *, blocked: bool) -> None:
        self.pk = 0
        self.blocked = blocked

    def __str__(self) -> str:
        return "Ada"

    @property
    def is_active(self) -> bool:
        return not self.blocked

    def get_all_permissions(self) -> set[str]:
        return {"auth.add_user"} if self.is_active else set()


@pytest.fixture
def staff():
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="create_for_others"))
    return user


def test_owner_with_read_only_is_active(staff):
    assert "auth.add_user" in find_obstacle(staff, Person(blocked=False))
    assert "it is unknown which permissions" in find_obstacle(staff, Person(blocked=True))
    staff.user_permissions.add(Permission.objects.get(codename="add_user"))
    staff = type(staff).objects.get(pk=staff.pk)
    assert find_obstacle(staff, Person(blocked=False)) is None
    assert "it is unknown" in find_obstacle(staff, Person(blocked=True))


def test_owner_without_permissions(staff):
    assert find_obstacle(staff, SimpleNamespace(pk=0)) is None


def test_owner_who_is_staff(staff):
    """An admin site can let in people who aren't staff."""
    owner = UserFactory(is_staff=True)
    assert find_obstacle(staff, owner) is None
    staff.is_staff = False
    assert "is a staff member, and you are not" in find_obstacle(staff, owner)
