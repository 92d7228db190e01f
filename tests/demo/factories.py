import factory
from django.contrib.auth import get_user_model

from demo_project.devices.models import Channel, Client, Dashboard, Group


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()

    username = factory.Sequence("user{}".format)


class OwnedFactory(factory.django.DjangoModelFactory):
    class Meta:
        abstract = True

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence("entity {}".format)


class ClientFactory(OwnedFactory):
    class Meta:
        model = Client


class ChannelFactory(OwnedFactory):
    class Meta:
        model = Channel


class GroupFactory(OwnedFactory):
    class Meta:
        model = Group


class DashboardFactory(OwnedFactory):
    class Meta:
        model = Dashboard


FACTORIES = {
    "clients": ClientFactory,
    "channels": ChannelFactory,
    "groups": GroupFactory,
    "dashboards": DashboardFactory,
}
