"""From a URL to a connection: resolve, judge, connect to what was judged, and shake hands."""

import asyncio
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.addresses import Network, OwnEndpoints, allowed, is_own_endpoint
from ostiary_gateway.upstream.egress import ProxyAddress
from ostiary_gateway.upstream.http1 import tunnel
from ostiary_gateway.upstream.http1.connection import Connection
from ostiary_gateway.upstream.http1.resolving import Resolver

#: So many addresses of a name are tried: whoever owns the name must not have us knock at a whole network for one call.
_MOST_ADDRESSES: Final = 16
#: An address has so long before the next one is tried beside it, in seconds (RFC 8305 §8).
_HEAD_START_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to one server. ``seconds`` bounds everything from the name to the handshake."""

    host: str
    port: int
    seconds: float
    tls: ssl.SSLContext | None
    tls_name: str | None
    granted: Sequence[Network]
    own: OwnEndpoints
    egress: ProxyAddress | None = None
    """The proxy that leads to the server, if one does. It connects in our place, and may resolve the name otherwise.
    What the name resolves to here is judged all the same; one that does not resolve here is the proxy's to judge.
    """
    _resolver: Resolver = field(init=False, repr=False, compare=False)
    _proxies: Resolver = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_resolver", Resolver(self.host, self.port))
        if self.egress is not None:
            object.__setattr__(self, "_proxies", Resolver(self.egress.host, self.egress.port))

    async def dial(self) -> Connection:
        """Open a connection.

        Raises:
            UpstreamFault: no address that may be connected to, none that answers, or a handshake that fails.
        """
        try:
            async with asyncio.timeout(self.seconds):
                if self.egress is not None:
                    connection = await self._through(self.egress)
                    connection.probe_when_silent()
                    return connection
                return await self._first_that_answers(await self.addresses())
        except TimeoutError as error:
            words = f"no connection to {self.host}:{self.port} within {self.seconds:g} s"
            raise UpstreamFault(faults.CONNECT_TIMEOUT, words) from error

    async def _through(self, egress: ProxyAddress) -> Connection:
        """Open a connection by way of the egress proxy: a tunnel to a server that speaks TLS, else one to the proxy."""
        try:
            await self.addresses()
        except UpstreamFault as fault:
            if fault.kind != faults.UNREACHABLE:
                raise
        where = f"the egress proxy {egress.host}:{egress.port}"
        try:
            address = (await self._proxies.addresses())[0]
            if self.tls is None:
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, address, egress.port)
                return connection
            host = f"[{self.host}]" if ":" in self.host else self.host
            transport = await tunnel.connect(address, egress.port, egress, f"{host}:{self.port}")
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
            raise UpstreamFault(faults.EGRESS_FAILED, f"{where}: {reason}") from error
        try:
            return await tunnel.encrypt(transport, self.tls, name=self.tls_name or self.host)
        except BaseException as error:
            transport.abort()
            if isinstance(error, OSError):  # TLS's own errors among them
                raise self._tls_failed(error) from error
            raise

    async def addresses(self) -> list[str]:
        """Return what the host resolves to and may be connected to, in the resolver's order.

        The connection is made to these very addresses, so a name that changes between check and use (DNS rebinding)
        gains nothing.

        Raises:
            UpstreamFault: it does not resolve, or to nothing that may be connected to.
        """
        if _is_disguised(self.host):
            raise self._forbidden()
        try:
            addresses = await self._resolver.addresses()
        except OSError as error:
            raise UpstreamFault(faults.UNREACHABLE, f"{self.host} does not resolve: {error.strerror}") from error
        permitted = [a for a in addresses if allowed(a, self.port, granted=self.granted, own=self.own)]
        if not permitted:
            back = all(is_own_endpoint(address, self.port, self.own) for address in addresses)
            raise self._leads_back() if back else self._forbidden()
        return permitted[:_MOST_ADDRESSES]

    def _leads_back(self) -> UpstreamFault:
        return UpstreamFault(faults.LOOP, f"{self.host}:{self.port} is this gateway itself")

    def _forbidden(self) -> UpstreamFault:
        return UpstreamFault(
            faults.ADDRESS_FORBIDDEN,
            f"{self.host} is, or resolves only to, addresses that the gateway's settings do not grant "
            "(loopback, link-local, metadata or API server)",
        )

    async def _first_that_answers(self, addresses: Sequence[str]) -> Connection:
        """Connect to the first address that lets us; the next is tried once one fails, or says nothing for a while.

        A name may have an address where nobody is any more (a pod on a node that is gone): it must not take all the
        time that there is (RFC 8305 §5).
        """
        if len(addresses) == 1:
            return await self._connect(addresses[0])
        attempts: set[asyncio.Task[Connection]] = set()
        last: UpstreamFault | None = None
        left = list(reversed(addresses))
        try:
            while left or attempts:
                if left:
                    attempts.add(asyncio.create_task(self._connect(left.pop())))
                patience = _HEAD_START_SECONDS if left else None
                ended, _ = await asyncio.wait(attempts, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for attempt in ended:
                    attempts.discard(attempt)
                    try:
                        return attempt.result()
                    except UpstreamFault as fault:
                        last = fault
        finally:
            for attempt in attempts:
                attempt.add_done_callback(_close_unused)
                attempt.cancel()
        raise last or UpstreamFault(faults.UNREACHABLE, f"{self.host} has no address")

    async def _connect(self, address: str) -> Connection:
        loop = asyncio.get_running_loop()
        name = (self.tls_name or self.host) if self.tls is not None else None
        try:
            _, connection = await loop.create_connection(
                Connection, address, self.port, ssl=self.tls, server_hostname=name
            )
        except ssl.SSLError as error:
            raise self._tls_failed(error) from error
        except OSError as error:
            # asyncio's own words repeat the address, and not why.
            reason = os.strerror(error.errno) if error.errno else str(error)
            words = f"{address} port {self.port}: {reason}"
            raise UpstreamFault(faults.UNREACHABLE, words) from error
        connection.probe_when_silent()
        return connection

    def _tls_failed(self, error: OSError) -> UpstreamFault:
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or "handshake failed"
        return UpstreamFault(faults.TLS_FAILED, f"TLS with {self.host}:{self.port}: {reason}")


def _close_unused(attempt: "asyncio.Task[Connection]") -> None:
    """Another address was faster."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _is_disguised(host: str) -> bool:
    """Say whether a host is a number that some take for an address and some do not: ``127.1``, ``2130706433``."""
    if ":" not in host and not host.replace(".", "").isdigit():
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False
