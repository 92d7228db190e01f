from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "body_too_large"


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Respond like DRF, and with JSON even if Django refuses a body before DRF has read it."""
    return exception_handler(BodyTooLarge() if isinstance(exc, RequestDataTooBig) else exc, context)
