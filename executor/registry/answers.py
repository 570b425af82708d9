"""Reading the bodies of HTTP answers, bounded and with our errors."""

from __future__ import annotations

import json
import time
from typing import Any

from executor.errors import RegistryError
from executor.registry.http import Response
from executor.registry.reasons import Answer, connection_failure

PIECE = 256 * 1024
"""Bytes asked of the network at once; larger ones gain nothing."""

BODY_SECONDS = 120.0
"""How long a document may take, however slowly it trickles in."""

_QUOTABLE = 8 * 1024
_LARGEST_JSON = 1024 * 1024


def read_piece(response: Response, size: int, registry: str) -> bytes:
    """Up to `size` bytes of the body as they came over the wire; b'' at its end.

    Raises RegistryError, which is retryable, when the connection breaks.
    """
    try:
        return response.read(size)
    except OSError as error:
        raise connection_failure(registry, response.url, error) from error


def read_body(response: Response, limit: int, registry: str) -> bytes:
    """The whole body, at most `limit` bytes.

    Raises RegistryError when it is larger, does not end in time, or the connection breaks.
    """
    with response:
        body = _beginning(response, limit + 1, registry)
    if len(body) > limit:
        raise RegistryError(f"{registry} answered with more than {limit} bytes", status=502)
    return body


def _beginning(response: Response, size: int, registry: str) -> bytes:
    """Up to `size` bytes of the body. Raises RegistryError when they do not come in time."""
    pieces, left, began = [], size, time.monotonic()
    try:
        while left and (piece := response.read_some(min(PIECE, left))):
            pieces.append(piece)
            left -= len(piece)
            if time.monotonic() - began > BODY_SECONDS:
                raise RegistryError(f"{registry} did not end its answer in {BODY_SECONDS:.0f} s", status=504)
    except OSError as error:
        raise connection_failure(registry, response.url, error) from error
    return b"".join(pieces)


def read_answer(response: Response) -> Answer:
    """Status, headers and the beginning of the body of an answer that reports a failure."""
    with response:
        try:
            body = _beginning(response, _QUOTABLE, "")
        except RegistryError:
            body = b""
    return Answer(status=response.status_code, headers=response.headers, body=body)


def read_json(response: Response, registry: str) -> dict[str, Any]:
    """The body as a JSON object. Raises RegistryError when it is not one."""
    try:
        document = json.loads(read_body(response, _LARGEST_JSON, registry))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RegistryError(f"{registry} answered with something else than a JSON object", status=502)
    return document
