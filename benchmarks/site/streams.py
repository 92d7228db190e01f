"""A subscription, which ends when its token stops working."""

from django.db import connection
from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.views import APIView

from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.requirements import Requirement
from pat_tokens.watcher import watch


class EventStream(BaseRenderer):
    """Accepts `Accept: text/event-stream`; the view creates the response itself."""

    media_type = "text/event-stream"
    format = "event-stream"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        """Render errors, the only responses that are rendered."""
        return str(data)


class Stream(APIView):
    """Sends nothing, and ends with its token."""

    authentication_classes = (PersonalAccessTokenAuthentication,)
    renderer_classes = (EventStream,)
    pat_requirements = {"GET": Requirement("channels", "read", "pk")}

    def get(self, request, pk):
        """Return a stream, and close the database connection before it starts."""
        token = request.auth
        connection.close()

        async def events():
            yield ": open\n\n"
            async with watch(token) as ended:
                await ended.wait()

        return StreamingHttpResponse(events(), content_type="text/event-stream")
