"""A strict JSON parser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer


class BodyTooLarge(APIException):
    """The body exceeds `DATA_UPLOAD_MAX_MEMORY_SIZE`, which DRF's own JSON parser ignores."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class StrictJSONParser(BaseParser):
    """Reads JSON in UTF-8 (RFC 8259) of a limited size; NaN, Infinity and duplicate keys are errors.

    Unlike DRF's parser, it ignores the REST_FRAMEWORK settings and the charset that the client names, and rejects
    deep nesting.
    """

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the parsed body. Raises ParseError or BodyTooLarge."""
        try:
            return json.loads(
                _read(stream).decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_to_dict
            )
        except RecursionError:
            raise ParseError(_("The JSON is nested too deeply.")) from None
        except ValueError as error:
            raise ParseError(_("This is not valid JSON: %(error)s.") % {"error": error}) from None


def _read(stream: IO[bytes]) -> bytes:
    limit: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(body) > limit:
        raise BodyTooLarge(_("The body is too large: at most %(limit)d bytes.") % {"limit": limit})
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return found
