"""Consumers and the application of a test site; they don't check scopes themselves."""

import asyncio

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.urls import path, re_path

from pat_tokens.contrib.channels.middleware import PersonalAccessTokenMiddleware
from pat_tokens.requirements import ANY_TOKEN, EntityLookup, Requirement
from tests.models import Channel
from tests.site.models import Project

SUBSCRIBE = {"GET": Requirement("channels", "subscribe", "pk")}
connected = []  # consumers that were called
offered = []  # the subprotocols that a consumer could choose from
gone = []  # the codes of their websocket.disconnect


class Consumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        connected.append(type(self).__name__)
        await self.accept()
        user, token = self.scope.get("user"), self.scope.get("token")
        await self.send_json({"user": user and user.get_username(), "token": token and token.name})

    async def receive_json(self, content):
        await self.send_json(content)

    async def disconnect(self, code):
        gone.append(code)


class Subscriber(Consumer):
    pat_requirements = SUBSCRIBE


class SyncSubscriber(JsonWebsocketConsumer):
    pat_requirements = SUBSCRIBE

    def connect(self):
        connected.append(type(self).__name__)
        self.accept()
        user, token = self.scope.get("user"), self.scope.get("token")
        self.send_json({"user": user and user.get_username(), "token": token and token.name})

    def receive_json(self, content):
        self.send_json(content)

    def disconnect(self, code):
        gone.append(code)


class Choosing(Consumer):
    pat_requirements = SUBSCRIBE

    async def connect(self):
        offered[:] = self.scope["subprotocols"]
        await self.accept("chat" if "chat" in offered else None)


class Foreign(Consumer):
    """Declared with `declare_view`."""


class Undeclared(Consumer):
    pass


class OfChannel(Subscriber):
    """Has a model, like the generic consumers of djangochannelsrestframework."""

    queryset = Channel.objects.all()
    pat_requirements = SUBSCRIBE


class OfProject(OfChannel):
    queryset = Project.objects.all()


class OfTheSameChannel(OfChannel):
    pass


class Refusing(Consumer):
    pat_requirements = {"GET": None}


class BySlug(Consumer):
    pat_requirements = {"GET": Requirement("channels", "subscribe", EntityLookup(slug="slug"))}


class Anything(Consumer):
    pat_requirements = {"GET": ANY_TOKEN}


class Busy(Consumer):
    """Keeps sending after its token stopped working, until the test sets `done`."""

    pat_requirements = {"GET": ANY_TOKEN}
    done: asyncio.Event

    async def receive_json(self, content):
        await self.done.wait()
        await self.send_json("too late")


class Closing(Consumer):
    pat_requirements = {"GET": ANY_TOKEN}

    async def receive_json(self, content):
        await self.close(4000)


async def plain_application(scope, receive, send):
    await receive()
    connected.append("plain")
    await send({"type": "websocket.accept"})


routes = [
    path("ws/channels/<int:pk>/", Subscriber.as_asgi()),
    path("ws/sync/<int:pk>/", SyncSubscriber.as_asgi()),
    path("ws/foreign/<int:pk>/", Foreign.as_asgi()),
    re_path(r"^ws/nested/(?P<pk>\d+)/", URLRouter([path("deeper/", Subscriber.as_asgi())])),
    path("ws/undeclared/<int:pk>/", Undeclared.as_asgi()),
    path("ws/of-channel/<int:pk>/", OfTheSameChannel.as_asgi()),
    path("ws/of-project/<int:pk>/", OfProject.as_asgi()),
    path("ws/by-argument/<int:pk>/", OfChannel.as_asgi(queryset=Project.objects.all())),
    path("ws/refusing/<int:pk>/", Refusing.as_asgi()),
    path("ws/by-slug/<slug:slug>/", BySlug.as_asgi()),
    path("ws/anything/", Anything.as_asgi()),
    path("ws/busy/", Busy.as_asgi()),
    path("ws/choosing/<int:pk>/", Choosing.as_asgi()),
    path("ws/closing/", Closing.as_asgi()),
    path("ws/plain/", plain_application),
]
websockets = PersonalAccessTokenMiddleware(URLRouter(routes))
inside = AuthMiddlewareStack(PersonalAccessTokenMiddleware(URLRouter(routes)))
outside = PersonalAccessTokenMiddleware(AuthMiddlewareStack(URLRouter(routes)))
around_all = PersonalAccessTokenMiddleware(OriginValidator(AuthMiddlewareStack(URLRouter(routes)), ["*"]))
application = ProtocolTypeRouter({"websocket": websockets})
