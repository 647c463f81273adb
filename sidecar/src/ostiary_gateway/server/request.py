"""A request: its complete head, and its body as it arrives."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ostiary_gateway.server.request_connection import RequestConnection


class Request:
    """One request, without a body.

    Each implementation of a connection adds its own.

    ``target`` is the one of its first line, unchanged. ``headers`` have lower-case names; the values of a repeated
    header are joined by commas, and ``repeated`` names it. Bytes that are not UTF-8 become surrogates.
    """

    __slots__ = (
        "caller",
        "complete",
        "connection",
        "continue_sent",
        "headers",
        "keep_alive",
        "method",
        "minor_version",
        "repeated",
        "response_headers",
        "target",
    )

    def __init__(
        self,
        connection: RequestConnection,
        *,
        method: str,
        target: str,
        headers: Mapping[str, str],
        repeated: frozenset[str],
        minor_version: int,
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.headers = headers
        self.repeated = repeated
        #: 1 for HTTP/1.1, 0 for HTTP/1.0.
        self.minor_version = minor_version
        self.keep_alive = keep_alive
        #: Whether the whole body has arrived.
        self.complete = True
        #: Headers that are added to the response, whichever it will be.
        self.response_headers: Mapping[str, str] | None = None
        #: Belongs to the handler: who sends the request, once that was authenticated.
        self.caller: Any = None
        #: Whether ``100 Continue`` was sent.
        self.continue_sent = False

    @property
    def has_begun(self) -> bool:
        """Whether some of the body has arrived that was not read yet."""
        return False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def declared_length(self) -> int:
        """The Content-Length, 0 without one; the parser has checked that it is a number."""
        # Python refuses to read thousands of digits, even if they are zeros.
        return int(self.headers.get("content-length", "").lstrip("0") or 0)

    @property
    def has_body(self) -> bool:
        """Whether the request has a body, which may not have arrived yet."""
        return "transfer-encoding" in self.headers or self.declared_length > 0

    @property
    def awaits_continue(self) -> bool:
        """Whether the client may be waiting for ``100 Continue`` (RFC 9110 §10.1.1)."""
        return not self.complete and not self.continue_sent and bool(self.minor_version) and self._expects

    @property
    def _expects(self) -> bool:
        return self.headers.get("expect", "").lower() == "100-continue"

    def keeps_connection(self) -> bool:
        """Return whether another request may follow this one on its connection."""
        if not self.complete and self.awaits_continue:
            # The client may send the body that it was not asked for, or the next request: both are possible readings.
            self.keep_alive = False
        return self.keep_alive and not self.connection.is_draining

    def bind_to_caller(self) -> None:
        """Cancel the current task if the client disconnects, until :meth:`release_from_caller`.

        Raises:
            asyncio.CancelledError: it has disconnected already.
        """
        if self.connection.lost:
            raise asyncio.CancelledError
        self.connection.bound = asyncio.current_task()

    def release_from_caller(self) -> None:
        """Let the current task continue if the client disconnects."""
        self.connection.bound = None

    # The body, for the handler

    def whole_body(self) -> bytes | None:
        """Return the body if all of it has arrived and none was read, as nearly always.

        Return None if it must be awaited.
        """
        return b""

    async def read_some(self) -> bytes:
        """Wait for a piece of the body and return it; empty at the end.

        Raises:
            CallerGone: the client disconnected, or the framing of the body is broken.
        """
        return b""

    def discard(self) -> None:
        """Drop the body, and what is still to come of it."""

    def send_continue(self) -> None:
        """Send ``100 Continue`` to a client that waits for it (RFC 9110 §10.1.1)."""
        if self.awaits_continue:
            self.continue_sent = True
            if not self.has_begun:
                self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
