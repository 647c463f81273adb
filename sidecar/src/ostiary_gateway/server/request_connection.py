"""What a request, its response and its handler need of the connection that they belong to."""

import asyncio
from typing import Any, Protocol


class OpenResponse(Protocol):
    """What a connection needs of a response that is being streamed."""

    #: Bytes of its body that were written.
    sent: int

    ended: bool
    keep: bool


class RequestConnection(Protocol):
    """What a request, its response and its handler need of the connection."""

    lost: bool
    stalled_since: float | None
    peer: str
    source: Any
    held_response: Any
    floods: Any
    bound: asyncio.Task[Any] | None
    stream: OpenResponse | None

    @property
    def local_port(self) -> int:
        """The port that the client connected to."""

    @property
    def client_certificate(self) -> bytes | None:
        """The certificate that the client presented over TLS, as DER; None without one."""

    @property
    def is_draining(self) -> bool:
        """Whether every response that begins now is the last of its connection."""

    def accept_no_more(self) -> None:
        """Make the current response the last one."""

    def write(self, data: bytes, /) -> None:
        """Send bytes."""

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent."""

    def pause_reading(self) -> None:
        """Stop reading until :meth:`resume_reading`."""

    def resume_reading(self) -> None:
        """Continue to read."""
