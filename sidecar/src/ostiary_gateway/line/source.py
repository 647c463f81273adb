"""Where a caller is: the address that he connects from, or what a trusted proxy says of him.

X-Forwarded-For is a list to which each proxy adds, at its right end, the address it was called from. What stands left
of the rightmost address that is no trusted proxy was written by the caller and is worth nothing. Where the list cannot
be read from its right end the caller counts as the last proxy that can be named: nothing he writes gains him a share.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final, NamedTuple

from ostiary_core.addresses import Address
from ostiary_gateway.upstream.addresses import Network, networks

#: Proxies in a row; longer lists are somebody's joke.
_HOPS: Final = 16
_KNOWN_LIMIT: Final = 4096
#: Longer headers are read anew each time.
_REMEMBERED_LENGTH: Final = 256
_LONGEST_ADDRESS: Final = 64
_IPV6_NETWORK: Final = (1 << 128) - (1 << 64)


class Source(NamedTuple):
    """A caller's address, and the key that he is counted under: an IPv6 source has a whole /64 to itself."""

    address: str
    key: str


class Sources:
    """Finds sources. ``trusted`` are CIDRs, validated by the operator."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted: tuple[Network, ...] = networks(trusted)
        self._known: dict[tuple[str, str], Source] = {}

    def trusts(self, peer: str) -> bool:
        """Say whether the address at the other end of a connection is a trusted proxy."""
        address = _address(peer) if self._trusted else None
        return address is not None and self._is_trusted(address)

    def of_peer(self, peer: str) -> Source:
        """Return the source that connects by itself."""
        address = _address(peer)
        return _source(address) if address is not None else Source(peer, peer)

    def behind(self, peer: str, forwarded_for: str) -> Source:
        """Return the source behind a trusted proxy."""
        found = self._known.get((peer, forwarded_for))
        if found is None:
            found = self._read(peer, forwarded_for)
            if len(forwarded_for) <= _REMEMBERED_LENGTH:
                if len(self._known) >= _KNOWN_LIMIT:
                    self._known.clear()
                self._known[peer, forwarded_for] = found
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
    """Read an address as proxies write it: bare, in brackets, or with a port behind it."""
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
