"""The API of the site. It doesn't mention tokens: scopes are enforced before a view is called."""

from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from demo_project.devices.broker import BrokerUnavailableError, broker
from demo_project.devices.models import Channel, Client, Dashboard, DashboardShare, Group
from demo_project.devices.permissions import OnlyOwnerChanges
from demo_project.devices.renderers import EventStreamRenderer
from demo_project.devices.serializers import (
    ChannelSerializer,
    ClientSerializer,
    DashboardSerializer,
    GroupSerializer,
    MessageSerializer,
    OtherUserSerializer,
    PublishedSerializer,
)
from demo_project.devices.streams import CONTENT_TYPE, stream_response


class MessagingUnavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Messages cannot be carried at the moment: Redis does not answer. Try again later."
    default_code = "messaging_unavailable"


class StreamingUnsupported(APIException):
    status_code = status.HTTP_501_NOT_IMPLEMENTED
    default_detail = "This server cannot stream. Run the site under ASGI: python manage.py demo"
    default_code = "streaming_unsupported"


class OwnedViewSet(ModelViewSet):
    permission_classes = (IsAuthenticated, OnlyOwnerChanges)
    search_fields = ("name",)
    ordering_fields = ("name", "created_at")

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().visible_to(self.request.user).select_related("owner")

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save(owner=self.request.user)


class ClientViewSet(OwnedViewSet):
    queryset = Client.objects.all()
    serializer_class = ClientSerializer


class GroupViewSet(OwnedViewSet):
    queryset = Group.objects.all()
    serializer_class = GroupSerializer


class ChannelViewSet(OwnedViewSet):
    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer

    @extend_schema(request=MessageSerializer, responses={202: PublishedSerializer})
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        """Send a message to all current subscribers."""
        channel = self.get_object()
        serializer = MessageSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        message = {
            "payload": serializer.validated_data["payload"],
            "published_by": request.user.get_username(),
            "published_at": timezone.now().isoformat(),
        }
        try:
            receivers = broker.publish(channel.pk, message)
        except BrokerUnavailableError:
            raise MessagingUnavailable from None
        return Response({"receivers": receivers}, status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        responses={
            (200, CONTENT_TYPE): OpenApiResponse(
                OpenApiTypes.STR,
                description=(
                    "A stream of events: `message` with the payload, and `end` with a reason when the server "
                    "ends it, for example because the token was revoked. Comments keep the connection alive."
                ),
            )
        }
    )
    @action(detail=True, renderer_classes=[JSONRenderer, EventStreamRenderer])
    def subscribe(self, request: Request, pk: str) -> HttpResponseBase:
        """Receive new messages of a channel as server-sent events."""
        if not isinstance(request._request, ASGIRequest):
            raise StreamingUnsupported  # under WSGI the client would wait forever
        channel = self.get_object()
        if request.method == "HEAD":
            return HttpResponse(content_type=CONTENT_TYPE)
        try:
            # Before the headers are sent, so that clients that have received them don't miss messages.
            subscription = async_to_sync(broker.subscribe)(channel.pk)
        except BrokerUnavailableError:
            raise MessagingUnavailable from None
        connections.close_all()  # otherwise the stream would hold its database connection until it ends
        return stream_response(subscription, request.auth)

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(getattr(self.request, "accepted_renderer", None), EventStreamRenderer):
            response.content_type = JSONRenderer.media_type
        return response


class DashboardViewSet(OwnedViewSet):
    queryset = Dashboard.objects.all()
    serializer_class = DashboardSerializer

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().prefetch_related("shared_with")

    @extend_schema(request=OtherUserSerializer, responses=DashboardSerializer)
    @action(detail=True, methods=["post"])
    def share(self, request: Request, pk: str) -> Response:
        """Share this dashboard with another user; repeating this changes nothing."""
        with transaction.atomic():
            dashboard = self.get_locked_object()
            DashboardShare.objects.get_or_create(dashboard=dashboard, user=self.get_other_user())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=OtherUserSerializer, responses=DashboardSerializer)
    @action(detail=True, methods=["post"])
    def unshare(self, request: Request, pk: str) -> Response:
        """Stop sharing with a user; repeating this changes nothing."""
        with transaction.atomic():
            dashboard = self.get_locked_object()
            dashboard.shares.filter(user=self.get_other_user()).delete()
        return Response(self.get_serializer(self.get_object()).data)

    def get_locked_object(self) -> Dashboard:
        """Return the dashboard in the URL, locked until the transaction ends."""
        dashboard: Dashboard = get_object_or_404(Dashboard.objects.select_for_update(), pk=self.get_object().pk)
        return dashboard

    def get_other_user(self) -> Any:
        serializer = OtherUserSerializer(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data["user"]


class StatusView(APIView):
    """Returns that the site is up.

    This view declares no requirement on purpose: it refuses tokens (`scope_not_declared`), whatever their scopes, like
    every view without a declaration. Users with a session are allowed.
    """

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})
