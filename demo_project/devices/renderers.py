from rest_framework.renderers import JSONRenderer


class EventStreamRenderer(JSONRenderer):
    """Accepts `Accept: text/event-stream`.

    The stream itself isn't a DRF response and is never rendered. Only refusals before a stream starts are rendered, as
    JSON, and the view sets their content type.
    """

    media_type = "text/event-stream"
    format = "sse"
