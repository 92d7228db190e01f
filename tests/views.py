"""The views of the small test site; they don't check scopes themselves."""

from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from pat_tokens.requirements import ANY_TOKEN
from tests.models import Channel, Device, Page


class ChannelSerializer(serializers.ModelSerializer):
    class Meta:
        model = Channel
        fields = ["id", "name"]


class DeviceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Device
        fields = ["id", "name"]


class PageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Page
        fields = ["path"]


class OwnedViewSet(viewsets.ModelViewSet):
    def get_queryset(self):
        return super().get_queryset().filter(owner=self.request.user)

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


class ChannelViewSet(OwnedViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer

    @action(detail=True, methods=["post"])
    def publish(self, request, pk=None):
        return Response({"published": self.get_object().pk})


class ChannelBySlug(OwnedViewSet):
    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelSerializer
    lookup_field = "slug"


class DeviceViewSet(OwnedViewSet):
    queryset = Device.objects.order_by("pk")
    serializer_class = DeviceSerializer


class PageViewSet(OwnedViewSet):
    queryset = Page.objects.order_by("pk")
    serializer_class = PageSerializer
    lookup_value_regex = "[^/]+"


class UndeclaredView(APIView):
    def get(self, request):
        return Response({})


class AnythingView(APIView):
    pat_requirements = {"GET": ANY_TOKEN}

    def get(self, request):
        return Response({"user": request.user.get_username()})
