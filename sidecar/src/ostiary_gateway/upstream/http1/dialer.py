"""From a URL to a connection.

Resolve the name, check the addresses, connect to a checked one, do the handshake.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import Network, OwnEndpoints, allowed, is_own_endpoint
from ostiary_gateway.upstream.egress import ProxyAddress
from ostiary_gateway.upstream.http1 import tunnel
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection

#: The resolver's errors for a name that does not exist or has no address.
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
#: The most addresses of a name that are tried: the name's owner must not make us scan a network with one call.
_MOST_ADDRESSES: Final = 16
#: Seconds before the next address is tried in parallel (RFC 8305 §8).
_HEAD_START_SECONDS: Final = 0.25


class Resolver:
    """Resolves one host, in a thread of its own. Must be used within one event loop.

    A resolver has no timeout that we could set: a name whose name servers are silent blocks its thread for half a
    minute, whether or not a request still waits for it. Such names would soon block all threads of a shared pool, and
    no other server could be connected to. So each look-up has its own thread, one at a time for each name.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._literal = _is_address(host)
        self._pending: asyncio.Future[list[str]] | None = None

    async def addresses(self) -> list[str]:
        """Return the host's addresses, in the resolver's order.

        Concurrent callers share one look-up.

        Raises:
            OSError: it does not resolve.
        """
        if self._literal:
            return [self._host]
        if self._pending is None:
            self._pending = self._look_up()
        # A caller that gives up must not cancel the look-up for the others; its thread could not be stopped either.
        return await asyncio.shield(self._pending)

    def _look_up(self) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()
        found.add_done_callback(self._done)
        # A daemon thread: otherwise the process could not exit before the resolver gives up.
        threading.Thread(target=self._resolve, args=(loop, found), name="ostiary-resolve", daemon=True).start()
        return found

    def _resolve(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[str]]) -> None:
        addresses: list[str] = []
        error: OSError | None = None
        try:
            entries = _resolved(self._host, self._port)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except OSError as failed:
            error = failed
        except UnicodeError:  # a label of the name is empty or too long
            error = socket.gaierror(socket.EAI_NONAME, "this is no name")
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_set_outcome, found, addresses, error)

    def _done(self, found: asyncio.Future[Any]) -> None:
        self._pending = None
        if not found.cancelled():
            found.exception()  # retrieved, or asyncio would warn where no caller waits any more


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to one server.

    ``seconds`` bounds everything from the name to the handshake.
    """

    host: str
    port: int
    seconds: float
    tls: ssl.SSLContext | None
    tls_name: str | None
    granted: Sequence[Network]
    own: OwnEndpoints
    egress: ProxyAddress | None = None
    """The egress proxy to the server, if there is one. It connects in our place, and may resolve the name differently.
    The addresses that the name has here are checked all the same; a name that does not resolve here is left to it.
    """
    only_public: bool = False
    """Whether private networks are refused, too, unless they are granted."""
    _resolver: Resolver = field(init=False, repr=False, compare=False)
    _proxies: Resolver = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_resolver", Resolver(self.host, self.port))
        if self.egress is not None:
            object.__setattr__(self, "_proxies", Resolver(self.egress.host, self.egress.port))

    async def dial(self) -> UpstreamConnection:
        """Open a connection.

        Raises:
            UpstreamFault: no permitted address, none that accepts a connection, or a failed handshake.
        """
        try:
            async with asyncio.timeout(self.seconds):
                if self.egress is not None:
                    return await self._through(self.egress)
                return await self._connect_to_first(await self.addresses())
        except TimeoutError as error:
            words = f"no connection to {self.host}:{self.port} within {self.seconds:g} s"
            raise UpstreamFault(faults.CONNECT_TIMEOUT, words) from error

    async def _through(self, egress: ProxyAddress) -> UpstreamConnection:
        """Open a connection through the egress proxy.

        A tunnel to a server with TLS, else one to the proxy itself.
        """
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
                _, connection = await loop.create_connection(UpstreamConnection, address, egress.port)
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
            if isinstance(error, OSError):  # includes the errors of TLS
                raise self._tls_failed(error) from error
            raise

    async def addresses(self) -> list[str]:
        """Return the permitted addresses of the host, in the resolver's order.

        The connection is made to one of these addresses, so a name that changes between check and use (DNS rebinding)
        has no effect.

        Raises:
            UpstreamFault: the host does not resolve, or to no permitted address.
        """
        if _is_disguised(self.host):
            raise self._forbidden()
        try:
            addresses = await self._resolver.addresses()
        except OSError as error:
            raise UpstreamFault(faults.UNREACHABLE, f"{self.host} does not resolve: {error.strerror}") from error
        permitted = [address for address in addresses if self._allows(address)]
        if not permitted:
            back = all(is_own_endpoint(address, self.port, self.own) for address in addresses)
            raise self._leads_back() if back else self._forbidden()
        return permitted[:_MOST_ADDRESSES]

    def _allows(self, address: str) -> bool:
        return allowed(address, self.port, granted=self.granted, own=self.own, only_public=self.only_public)

    def _leads_back(self) -> UpstreamFault:
        return UpstreamFault(faults.LOOP, f"{self.host}:{self.port} is this gateway itself")

    def _forbidden(self) -> UpstreamFault:
        return UpstreamFault(
            faults.ADDRESS_FORBIDDEN,
            f"{self.host} is, or resolves only to, addresses that the gateway's settings do not grant "
            f"({'private, ' if self.only_public else ''}loopback, link-local, metadata or API server)",
        )

    async def _connect_to_first(self, addresses: Sequence[str]) -> UpstreamConnection:
        """Connect to the first address that accepts.

        The next one is tried if one fails or is silent for a while.

        A name may have a dead address (a pod on a node that is gone): it must not use up all the time (RFC 8305 §5).
        """
        if len(addresses) == 1:
            return await self._connect(addresses[0])
        attempts: set[asyncio.Task[UpstreamConnection]] = set()
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

    async def _connect(self, address: str) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        name = (self.tls_name or self.host) if self.tls is not None else None
        try:
            _, connection = await loop.create_connection(
                UpstreamConnection, address, self.port, ssl=self.tls, server_hostname=name
            )
        except ssl.SSLError as error:
            raise self._tls_failed(error) from error
        except OSError as error:
            # asyncio's message repeats the address, not the reason.
            reason = os.strerror(error.errno) if error.errno else str(error)
            words = f"{address} port {self.port}: {reason}"
            raise UpstreamFault(faults.UNREACHABLE, words) from error
        return connection

    def _tls_failed(self, error: OSError) -> UpstreamFault:
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or "handshake failed"
        return UpstreamFault(faults.TLS_FAILED, f"TLS with {self.host}:{self.port}: {reason}")


def _close_unused(attempt: "asyncio.Task[UpstreamConnection]") -> None:
    """Close a connection that another address made unnecessary."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _resolved(host: str, port: int) -> list[Any]:
    """Ask the system's resolver.

    A name with two dots or more is tried as an absolute name first.

    A Pod's resolver tries its search domains first, so that ``api.example.com`` could be a Pod ``api`` of a Service
    ``example`` in a namespace ``com``. Names that end in ``.svc`` need those domains, as ``service.namespace`` does.
    """
    if host.count(".") >= 2 and not host.endswith((".", ".svc")):
        try:
            return socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno not in _NO_SUCH_NAME:
                raise
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _set_outcome(found: asyncio.Future[list[str]], addresses: list[str], error: OSError | None) -> None:
    if found.done():
        return
    if error is not None:
        found.set_exception(error)
    else:
        found.set_result(addresses)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_disguised(host: str) -> bool:
    """Return whether a host is a number that only some resolvers take for an address.

    ``127.1``, ``2130706433``.
    """
    if ":" not in host and not host.replace(".", "").isdigit():
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False
