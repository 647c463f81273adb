"""Grants: what the platform team lets namespaces use in addition to what they own."""

import ipaddress
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, StrictStr, StringConstraints, WithJsonSchema

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique, problem
from ostiary_operator.api.labels import DNS_LABEL_OF_ANY_LENGTH
from ostiary_operator.api.names import HostPattern
from ostiary_operator.api.urls import PathPrefix

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _parse_network(value: Any) -> Network:
    """Read a CIDR.

    A bare address and host bits are refused: both are mostly mistakes, and both widen a grant.
    """
    remedy = "write network and prefix length without host bits, such as 127.0.0.0/8 or fd00::/8"
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    if not isinstance(value, str) or "/" not in value:
        raise problem("is not a CIDR", remedy)
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise problem("is not a CIDR", remedy) from None


Cidr = Annotated[
    Network,
    BeforeValidator(_parse_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 43, "pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"}),
]
"""A block of addresses."""

NamespacePattern = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=63),
    Pattern(
        f"^([*]|{DNS_LABEL_OF_ANY_LENGTH})$",
        "is not a namespace",
        "write the exact name of a namespace, or * for all of them",
    ),
]
"""The name of a namespace, or `*` for all."""


def _host_matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return pattern in ("*", host)


class Grant(ApiModel):
    """What some namespaces may use in addition to what they own."""

    namespaces: Annotated[tuple[NamespacePattern, ...], Field(min_length=1, max_length=64), Unique()]
    """Namespaces that receive the grant, by exact name; `*` is all of them. Example: `[sales, support]`."""

    paths: Annotated[tuple[PathPrefix, ...], Field(max_length=64), Unique()] = ()
    """Paths that they may serve, with everything below: `/crm` covers `/crm` and `/crm/eu`, not `/crmx`; `/` is every
    path. Example: `[/crm]`."""

    hostnames: Annotated[tuple[HostPattern, ...], Field(max_length=64), Unique()] = ()
    """Hostnames that they may claim: exact, `*.suffix`, or `*`. Example: `["crm.example.com"]`."""

    upstreams: Annotated[tuple[HostPattern, ...], Field(max_length=64), Unique()] = ()
    """Hosts of servers that they may connect to: exact, `*.suffix`, or `*`. The exact name of one of their own Services
    lets that Service point anywhere. Example: `["*.example.com"]`."""

    addresses: Annotated[tuple[Cidr, ...], Field(max_length=64), Unique()] = ()
    """Addresses that their servers may resolve to although the gateway refuses them by default, such as loopback.
    Example: `["127.0.0.0/8"]`."""

    constraints = (
        Rule(
            "has(self.paths) || has(self.hostnames) || has(self.upstreams) || has(self.addresses)",
            lambda grant: any((grant.paths, grant.hostnames, grant.upstreams, grant.addresses)),
            "grants nothing",
            "set paths, hostnames, upstreams or addresses",
        ),
    )

    def concerns(self, namespace: str) -> bool:
        """Whether the namespace receives this grant."""
        return "*" in self.namespaces or namespace in self.namespaces

    def covers_path(self, path: str) -> bool:
        """Whether the path is granted, by whole segments."""
        return any(prefix in ("/", path) or path.startswith(prefix + "/") for prefix in self.paths)

    def covers_hostname(self, hostname: str) -> bool:
        """Whether the hostname, in lower case, may be claimed."""
        return any(_host_matches(pattern, hostname) for pattern in self.hostnames)

    def covers_upstream(self, host: str) -> bool:
        """Whether a server's host, in lower case and without brackets, may be connected to."""
        return any(_host_matches(pattern, host) for pattern in self.upstreams)
