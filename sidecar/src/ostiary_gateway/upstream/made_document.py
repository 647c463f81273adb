"""A response that the gateway makes itself and that is complete from the start.

It passes the same stages as the response of any server.
"""

from collections.abc import Mapping
from typing import Final

from ostiary_gateway.media_types import JSON
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_DOCUMENT: Final = {b"content-type": JSON.encode()}


class _Nothing:
    """The connection of a response that is complete."""

    def close(self) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""


_NOTHING: Final = _Nothing()


def made_document(text: bytes, *, status: int = 200) -> UpstreamResponse:
    """Return a response with this JSON text."""
    response = UpstreamResponse(status, dict(_DOCUMENT), _NOTHING)
    response.feed(text)
    response.finish()
    return response


def made_status(status: int, headers: Mapping[bytes, bytes] | None = None) -> UpstreamResponse:
    """Return a response without a body."""
    response = UpstreamResponse(status, dict(headers or {}), _NOTHING)
    response.finish()
    return response
