"""Tunnels through an egress proxy to a server (CONNECT, RFC 9110 §9.3.6)."""

import asyncio
import re
import ssl
from typing import Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.egress import ProxyAddress
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection

_HEAD_LIMIT: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")


class _ConnectResponse(asyncio.Protocol):
    """Reads the head of the proxy's response. No byte may follow it before we send something."""

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._come = b""

    def data_received(self, data: bytes) -> None:
        """Collect the head."""
        self._come += data
        if not self.head.done() and (b"\r\n\r\n" in self._come or len(self._come) > _HEAD_LIMIT):
            self.head.set_result(self._come)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        """Fail: the proxy will not respond."""
        if not self.head.done():
            self.head.set_exception(_failed("it closed the connection without an answer"))


async def connect(address: str, port: int, proxy: ProxyAddress, authority: str) -> asyncio.Transport:
    """Return a connection to a server through the proxy at an address.

    Raises:
        UpstreamFault: the proxy refuses, or does not answer as an HTTP proxy.
        OSError: it cannot be connected to.
    """
    loop = asyncio.get_running_loop()
    transport, response = await loop.create_connection(_ConnectResponse, address, port)
    try:
        transport.write(_request(authority, proxy))
        _check(await response.head)
    except BaseException:
        transport.abort()
        raise
    return transport


def _request(authority: str, proxy: ProxyAddress) -> bytes:
    credentials = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization is not None else ""
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n".encode("ascii")


def _check(response: bytes) -> None:
    head, end, rest = response.partition(b"\r\n\r\n")
    found = _STATUS.match(head + b"\r\n")
    if not end or found is None:
        raise _failed("it does not answer as an HTTP proxy")
    if not found[1].startswith(b"2"):
        raise _failed(f"it answered HTTP {found[1].decode()} to CONNECT")
    if rest:
        raise _failed("it sent more than its answer to CONNECT")


def _failed(words: str) -> UpstreamFault:
    return UpstreamFault(faults.EGRESS_FAILED, f"the egress proxy: {words}")


async def encrypt(transport: asyncio.Transport, context: ssl.SSLContext, *, name: str) -> UpstreamConnection:
    """Do the TLS handshake with the server of a tunnel, and return the connection."""
    connection = UpstreamConnection()
    encrypted = await asyncio.get_running_loop().start_tls(transport, connection, context, server_hostname=name)
    if encrypted is None:
        raise _failed("it closed the connection in the handshake with the server")
    connection.connection_made(encrypted)
    return connection
