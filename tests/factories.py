"""One factory per model."""

from typing import Any

import factory
from django.contrib.auth import get_user_model
from factory.django import DjangoModelFactory

from pat_tokens.models import PersonalAccessToken
from pat_tokens.services import create_token
from tests.models import Channel, Device, Page


class UserFactory(DjangoModelFactory):
    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.django.Password("secret-password")


class ChannelFactory(DjangoModelFactory):
    class Meta:
        model = Channel

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"Channel {n}")


class DeviceFactory(DjangoModelFactory):
    class Meta:
        model = Device

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"Device {n}")


class PageFactory(DjangoModelFactory):
    class Meta:
        model = Page

    owner = factory.SubFactory(UserFactory)
    path = factory.Sequence(lambda n: f"page-{n}")


class TokenFactory(DjangoModelFactory):
    """Creates tokens with the service; its secret is in `token.secret`."""

    class Meta:
        model = PersonalAccessToken

    user = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"token {n}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> PersonalAccessToken:
        token, secret = create_token(kwargs.pop("user"), **kwargs)
        token.secret = secret  # type: ignore[attr-defined]
        return token
