"""Decides what a gateway's settings block: principals, proxies and upstream servers.

Operator and gateway use the same rules, so that a status names exactly what the gateway refuses.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.documents import ServerConfig
from ostiary_core.policy.principal import Principal

#: Names of Services may end in it; without it they are the same Service.
_CLUSTER_DOMAIN: Final = ".cluster.local"


class BlockList:
    """The blocked principals, proxies and upstream servers of a gateway. Immutable."""

    def __init__(self, config: BlockedConfig) -> None:
        self._principals: Final = frozenset(config.principals or ())
        self._subjects: Final = frozenset((each.issuer, each.subject) for each in config.subjects or ())
        self._proxies: Final = frozenset(config.proxies or ())
        self._upstreams: Final = frozenset(map(_normal, config.upstreams or ()))

    @property
    def names_principals(self) -> bool:
        """Whether it blocks any principal."""
        return bool(self._principals or self._subjects)

    def has_principal(self, principal: Principal) -> bool:
        """Return whether a caller is blocked.

        It is by its id, as a consumer, or by issuer and subject of its token.
        """
        if principal.id in self._principals or principal.consumer in self._principals:
            return True
        return bool(self._subjects) and (principal.issuer, principal.subject) in self._subjects

    def has_proxy(self, identity: str) -> bool:
        """Return whether a proxy is blocked; ``identity`` is ``namespace/name``."""
        return identity in self._proxies

    def has_server(self, places: Iterable[tuple[str, int]]) -> bool:
        """Return whether a server is blocked, by any of its :func:`places_of`."""
        return bool(self._upstreams) and any(self.has_upstream(host, port) for host, port in places)

    def has_upstream(self, host: str, port: int) -> bool:
        """Return whether a server is blocked. ``host`` is that of its URL, without brackets."""
        names = _with_suffixes(_host(host))
        return any(each in self._upstreams or f"{each}:{port}" in self._upstreams for each in names)


def places_of(server: ServerConfig, *, host: str, port: int) -> tuple[tuple[str, int], ...]:
    """Return the hosts that lead to a server; ``host`` and ``port`` are those of its URL.

    A front end that several servers share chooses one by Host, X-Forwarded-Host or the name in TLS.
    """
    named = [server.host, *(each.value for each in server.headers or () if _names_host(each.name))]
    hosts = [host, *(_without_port(each) for each in named if each)]
    if server.tls is not None and server.tls.hostname:
        hosts.append(server.tls.hostname)
    return tuple((each, port) for each in dict.fromkeys(hosts))


def _without_port(authority: str) -> str:
    host, separator, port = authority.rpartition(":")
    return host if separator and port.isdecimal() else authority


def _names_host(header: str) -> bool:
    return header.lower().replace("_", "-") == "x-forwarded-host"


def _normal(upstream: str) -> str:
    """Return an item as servers are compared."""
    host, separator, port = upstream.rpartition(":")
    if separator and port.isdecimal():
        return f"{_host(host)}:{port}"
    return _host(upstream)


def _host(text: str) -> str:
    """Return one spelling of all that name the same host; an IPv6 address is in brackets."""
    name = text.lower().strip("[]").rstrip(".").removesuffix(_CLUSTER_DOMAIN)
    if ":" not in name:
        return name
    try:
        return f"[{ipaddress.IPv6Address(name).compressed}]"
    except ValueError:
        return f"[{name}]"


def _with_suffixes(name: str) -> Iterable[str]:
    """Return a host and the patterns that match it: ``a.b.c``, ``*.b.c``, ``*.c``."""
    yield name
    if name.startswith("["):
        return
    if name.count(".") == 1:  # a gateway in a cluster may reach the Service `crm.sales.svc` as `crm.sales`
        yield from _with_suffixes(f"{name}.svc")
    while "." in name:
        name = name.partition(".")[2]
        yield f"*.{name}"
