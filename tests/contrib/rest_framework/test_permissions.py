import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.request import Request

from pat_tokens.contrib.rest_framework.permissions import HasToken, IsUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(rf):
    """Call a permission class for a request with these credentials."""

    def ask(permission, user=None, auth=None):
        request = Request(rf.get("/"))
        request.user, request.auth = user, auth
        return permission().has_permission(request, None)

    return ask


def test_is_user(ask, user, token):
    class Stateless(AnonymousUser):
        is_authenticated = True

    assert ask(IsUser, user)
    assert ask(IsUser, user, token)
    assert not ask(IsUser, AnonymousUser())
    assert not ask(IsUser, None)
    assert not ask(IsUser, Stateless())


def test_has_token(ask, user, token):
    assert ask(HasToken, user, token)
    assert not ask(HasToken, user)
    assert not ask(HasToken, user, "another scheme's credentials")
