"""Name resolution that yields only addresses which may be connected to.

The connection is made to what was judged: the connector uses these very addresses, so a name that changes between
check and use (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.addresses import Network, OwnPlaces, allowed


class GuardedResolver(AbstractResolver):
    """Resolves for one server. ``granted`` are the networks that its settings open."""

    def __init__(self, *, granted: Sequence[Network], own: OwnPlaces) -> None:
        self._inner = ThreadedResolver()
        self._granted = granted
        self._own = own

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host that may be connected to.

        Raises:
            UpstreamFault: there are addresses, and none of them may be connected to.
            OSError: the name does not resolve.
        """
        found = await self._inner.resolve(host, port, family)
        self._require(host, [each for each in found if self.permits(each["host"], port)])
        return [each for each in found if self.permits(each["host"], port)]

    def permits(self, address: str, port: int) -> bool:
        """Say whether an address may be connected to."""
        return allowed(address, port, granted=self._granted, own=self._own)

    def _require(self, host: str, permitted: Sequence[ResolveResult]) -> None:
        if not permitted:
            raise forbidden(host)

    async def close(self) -> None:
        """Release what the inner resolver holds."""
        await self._inner.close()


def forbidden(host: str) -> UpstreamFault:
    """Return the fault of a host whose addresses may not be connected to."""
    return UpstreamFault(
        faults.ADDRESS_FORBIDDEN,
        f"{host} is, or resolves only to, addresses that the gateway's settings do not grant "
        "(loopback, link-local, metadata, API server, or the gateway itself)",
    )
