"""Which addresses an upstream may have.

A name proves nothing: the addresses it resolves to are checked when connecting.

Forbidden unless the gateway's settings grant it: loopback, link-local (with the cloud's metadata service), unspecified,
multicast and reserved addresses, and the API server, by its Service and by the endpoints behind that. Always forbidden:
the gateway's own ports. Private networks are allowed, since in-cluster servers are there.
"""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ostiary_core.addresses import Address, parse, real

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Cloud services that give credentials or settings to any client on the machine, outside the link-local ranges:
#: metadata and pod identity of AWS, metadata of Google, Oracle, Alibaba, Scaleway and Linode, and Azure's agent.
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "192.0.0.192",
            "100.100.100.200",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "168.63.129.16",
        ),
    )
)


def networks(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Parse CIDRs that the operator has validated."""
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


@dataclass(frozen=True, slots=True)
class OwnEndpoints:
    """What the gateway must never connect to: its own addresses and ports, and the API server."""

    ports: frozenset[int] = frozenset()
    addresses: frozenset[Address] = frozenset()
    api_servers: frozenset[Address] = frozenset()

    def with_api_servers(self, texts: Iterable[str]) -> "OwnEndpoints":
        """Return the same with further addresses of the API server.

        Texts that are not addresses are ignored.
        """
        return replace(self, api_servers=self.api_servers | _addresses(*texts))

    @classmethod
    def from_environment(cls, *, ports: Iterable[int]) -> "OwnEndpoints":
        """Read what Kubernetes puts into a pod.

        These are POD_IP and KUBERNETES_SERVICE_HOST, where they are addresses.
        """
        own = _addresses(os.environ.get("POD_IP", ""), os.environ.get("POD_IPS", ""))
        return cls(frozenset(ports), own, _addresses(os.environ.get("KUBERNETES_SERVICE_HOST", "")))


def _addresses(*texts: str) -> frozenset[Address]:
    found = (parse(text.strip()) for text in ",".join(texts).split(","))
    return frozenset(address for address in found if address is not None)


def is_own_endpoint(text: str, port: int, own: OwnEndpoints) -> bool:
    """Return whether the gateway itself listens on an address and port."""
    address = _parsed(text)
    return port in own.ports and (address.is_loopback or address.is_unspecified or address in own.addresses)


def _parsed(text: str) -> Address:
    return real(ipaddress.ip_address(text.partition("%")[0]))


def allowed(text: str, port: int, *, granted: Iterable[Network], own: OwnEndpoints, only_public: bool = False) -> bool:
    """Return whether a connection to an address may be made.

    ``only_public`` refuses private networks, too, unless they are granted.
    """
    if is_own_endpoint(text, port, own):
        return False
    address = _parsed(text)
    if any(address in network for network in granted):
        return True
    if address in _METADATA or address in own.api_servers or (only_public and not address.is_global):
        return False
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
    )
