"""The egress proxy to servers, where the network allows connections only through one.

The gateway's settings name it, or else the environment's ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` (in lower
case, too): the gateway's administrator chooses it, never an author of resources. Its credentials are in the URL in the
environment and nowhere else; no message holds them. Loopback, and names that end in ``.svc`` or ``.svc.cluster.local``,
are always connected to directly: an egress proxy does not reach them.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from ostiary_core.contract import documents
from ostiary_gateway.errors import StartupError

_INSIDE: Final = (".svc", ".svc.cluster.local")
_LOOPBACK: Final = "localhost"


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """Address of an egress proxy, and our value of Proxy-Authorization for it, or None."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Egress:
    """Which servers are reached through which egress proxy."""

    by_scheme: Mapping[str, ProxyAddress] = field(default_factory=dict)
    excepted: tuple[str, ...] = ()
    """The servers that are connected to directly, as NO_PROXY names them, in lower case."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Egress":
        """Read the variables.

        Raises:
            StartupError: one does not name a usable proxy; the message does not hold its value.
        """
        found = {}
        for scheme in ("http", "https"):
            name = f"{scheme.upper()}_PROXY"
            text = environ.get(name) or environ.get(name.lower())
            if text:
                found[scheme] = _proxy(name, text)
        items = (environ.get("NO_PROXY") or environ.get("no_proxy") or "").lower().split(",")
        return cls(found, tuple(item.strip() for item in items if item.strip()))

    @classmethod
    def from_settings(cls, proxy: documents.EgressProxyConfig) -> "Egress":
        """Return the proxy of the gateway's settings, for servers with and without TLS."""
        where = ProxyAddress(proxy.host, proxy.port)
        return cls({"http": where, "https": where}, tuple(item.lower() for item in proxy.no_proxy))

    def proxy_for(self, scheme: str, host: str, port: int) -> ProxyAddress | None:
        """Return the proxy that leads to a server, None for a direct connection."""
        proxy = self.by_scheme.get(scheme)
        return None if proxy is None or self._is_direct(host.lower(), port) else proxy

    def _is_direct(self, host: str, port: int) -> bool:
        address = _address(host)
        if host == _LOOPBACK or host.endswith(_INSIDE) or (address is not None and address.is_loopback):
            return True
        return any(_covers(item, host, port, address) for item in self.excepted)


def _proxy(name: str, text: str) -> ProxyAddress:
    url = _url(text if "://" in text else f"http://{text}")
    if url is None or url.scheme != "http" or not url.host or not url.port:
        raise StartupError(
            f"{name} is not the URL of a proxy that can be used: write it as http://host:port, with user:password@ "
            "before the host if the proxy requires credentials"
        )
    authorization = None
    if url.user is not None:
        pair = f"{url.user}:{url.password or ''}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode('ascii')}"
    return ProxyAddress(url.host, url.port, authorization)


def _url(text: str) -> URL | None:
    try:
        return URL(text)
    except ValueError:
        return None


def _covers(item: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """Return whether an item of NO_PROXY covers a server.

    An item is a name with all below it, an address, a CIDR, or ``*``.
    """
    if item == "*":
        return True
    if address is not None:
        try:
            return address in ipaddress.ip_network(item.strip("[]"), strict=False)
        except ValueError:
            pass
    name, _, wanted = item.partition(":") if item.count(":") == 1 else (item, "", "")
    if wanted and wanted != str(port):
        return False
    name = name.removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
