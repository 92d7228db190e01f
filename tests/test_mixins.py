"""The mixin declares; test_middleware.py tests what is enforced."""

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.views import View
from rest_framework.views import APIView

from pat_tokens.django_views.requirements import find_requirement, is_guarded
from pat_tokens.mixins import PersonalAccessTokenMixin
from pat_tokens.requirements import ANY_TOKEN, Requirement

DECLARED = {"GET": ANY_TOKEN}


class Plain(View):
    def get(self, request):
        return HttpResponse()


class Mixed(PersonalAccessTokenMixin, LoginRequiredMixin, Plain):
    pat_requirements = DECLARED


class MixedLater(LoginRequiredMixin, PersonalAccessTokenMixin, Plain):
    pat_requirements = DECLARED


class Child(MixedLater):
    pass


class Undeclared(PersonalAccessTokenMixin, Plain):
    pass


@pytest.mark.parametrize("view", [Mixed, MixedLater, Child])
def test_order_of_bases_does_not_matter(view):
    assert find_requirement(view.as_view(), "GET").requirement is ANY_TOKEN


def test_as_view_accepts_declaration():
    assert is_guarded(Undeclared.as_view())
    assert find_requirement(Undeclared.as_view(), "GET").requirement is None
    assert find_requirement(Undeclared.as_view(pat_requirements=DECLARED), "GET").requirement is ANY_TOKEN


def test_as_view_keeps_view_class():
    view = Mixed.as_view()
    assert (view.view_class, view.view_initkwargs) == (Mixed, {})


def test_invalid_declaration_is_an_error():
    with pytest.raises(ImproperlyConfigured, match="HTTP method"):
        Mixed.as_view(pat_requirements={"get": ANY_TOKEN})


def test_drf_view_is_an_error():
    class Rest(PersonalAccessTokenMixin, APIView):
        pat_requirements = {"GET": Requirement("channels", "read")}

    with pytest.raises(ImproperlyConfigured, match="DRF"):
        Rest.as_view()
