"""Send a request whose body waits until the server takes it (RFC 9110 §10.1.1).

A server that is about to end closes its connections, perhaps in the moment in which a request arrives. A request whose
body was not sent cannot have been carried out, so it may go elsewhere, whatever it asks for. It costs a round trip.
"""

import asyncio
from typing import Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_EXPECT: Final = b"\r\nExpect: 100-continue\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"
#: How long a server may be silent before it gets the body all the same: it may not know of Expect.
_PATIENCE_SECONDS: Final = 1.0
#: With this status a server says that it does not know of Expect.
EXPECTATION_FAILED: Final = 417


class HeldBody:
    """The body of the request that a connection sends.

    While it is held, the connection is not used for another request.
    """

    def __init__(self, connection: UpstreamConnection, body: bytes, transmission: Transmission | None) -> None:
        self.is_held = True
        self._connection = connection
        self._body = body
        self._transmission = transmission
        self._on_idle, connection.on_idle = connection.on_idle, UpstreamConnection.close

    def release(self) -> None:
        """Send it, unless it was sent."""
        if not self.is_held:
            return
        self.is_held = False
        if self._transmission is not None:
            self._transmission.is_written = True
        self._connection.on_idle = self._on_idle
        self._connection.write_more(self._body)


async def exchange_held(
    connection: UpstreamConnection, request: bytes, *, seconds: float, transmission: Transmission | None = None
) -> UpstreamResponse:
    """Send a request and return its response, as :meth:`.UpstreamConnection.exchange` does.

    ``transmission`` is told once the body is written, or the server has responded without it.

    Raises:
        UpstreamFault: no response; of kind UNREACHABLE if the connection ended before the body was sent.
    """
    head, _, body = request.partition(_END_OF_HEAD)
    if not body:
        return await connection.exchange(request, seconds=seconds, transmission=transmission)
    held = HeldBody(connection, body, transmission)
    connection.on_continue = held.release
    patience = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, held.release)
    try:
        response = await connection.exchange(head + _EXPECT, seconds=seconds)
    except UpstreamFault as fault:
        if held.is_held and fault.kind == faults.RESET:
            raise UpstreamFault(faults.UNREACHABLE, "the connection ended before the request was taken") from fault
        raise
    finally:
        patience.cancel()
        connection.on_continue = None
    if held.is_held and response.status != EXPECTATION_FAILED and transmission is not None:
        transmission.is_written = True
    return response
