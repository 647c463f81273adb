"""The address of a client: that of its connection, or the one that a trusted proxy reports.

X-Forwarded-For is a list to which each proxy appends, on the right, the address that called it. Everything left of the
rightmost address that is not a trusted proxy was written by the client and proves nothing. Where the list cannot be
read from its right end, the client counts as the last proxy that can be named: no header gives it a larger share.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final, NamedTuple

from ostiary_core.addresses import Address
from ostiary_gateway.upstream.allowed_addresses import Network, networks

#: The most proxies in a row that are read: no real list is longer.
_HOPS: Final = 16
_CACHED_LIMIT: Final = 4096
#: Longer headers are not cached, in characters.
_CACHED_LENGTH: Final = 256
_LONGEST_ADDRESS: Final = 64
_IPV6_NETWORK: Final = (1 << 128) - (1 << 64)


class Source(NamedTuple):
    """A client's address, and the key that it is counted by: for IPv6 its /64 network."""

    address: str
    key: str


class TrustedProxies:
    """Finds the source of a request.

    ``trusted`` are the CIDRs of proxies, validated by the operator.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted: tuple[Network, ...] = networks(trusted)
        self._cached: dict[tuple[str, str], Source] = {}

    def trusts(self, peer: str) -> bool:
        """Return whether the address at the other end of a connection is a trusted proxy."""
        address = _address(peer) if self._trusted else None
        return address is not None and self._is_trusted(address)

    def of_peer(self, peer: str) -> Source:
        """Return the source of a connection without a trusted proxy."""
        address = _address(peer)
        return _source(address) if address is not None else Source(peer, peer)

    def behind(self, peer: str, forwarded_for: str) -> Source:
        """Return the source of a request that a trusted proxy passed on."""
        found = self._cached.get((peer, forwarded_for))
        if found is None:
            found = self._read(peer, forwarded_for)
            if len(forwarded_for) <= _CACHED_LENGTH:
                if len(self._cached) >= _CACHED_LIMIT:
                    self._cached.clear()
                self._cached[peer, forwarded_for] = found
        return found

    def _read(self, peer: str, forwarded_for: str) -> Source:
        found = self.of_peer(peer)
        for text in reversed(forwarded_for.rsplit(",", _HOPS)[-_HOPS:]):
            address = _forwarded(text.strip(" \t"))
            if address is None:
                break
            found = _source(address)
            if not self._is_trusted(address):
                break
        return found

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _forwarded(text: str) -> Address | None:
    """Read an address as proxies write it: bare, in brackets, or followed by a port."""
    if len(text) > _LONGEST_ADDRESS:
        return None
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        return _address(inside) if bracket and (not rest or _is_port(rest)) else None
    host, colon, port = text.partition(":")
    if colon and "." in host and ":" not in port:
        return _address(host) if _is_port(f":{port}") else None
    return _address(text)


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and text[1:].isdecimal() and len(text) <= len(":65535")


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _source(address: Address) -> Source:
    if isinstance(address, ipaddress.IPv6Address):
        return Source(str(address), f"{ipaddress.IPv6Address(int(address) & _IPV6_NETWORK)}/64")
    return Source(str(address), str(address))
