from rest_framework.renderers import JSONRenderer


class EventStreamRenderer(JSONRenderer):
    """Lets a view accept `Accept: text/event-stream`.

    The stream itself is no DRF response and is never rendered. What is rendered are refusals, before a stream
    begins. They are JSON, and the view says so in their content type.
    """

    media_type = "text/event-stream"
    format = "sse"
