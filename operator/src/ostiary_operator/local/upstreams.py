"""The servers of the proxies: which are the mock server, and whether they can be reached."""

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ostiary_operator.api.resources import PROXY_KIND
from ostiary_operator.compile.backends import is_in_cluster
from ostiary_operator.local.console import printable
from ostiary_operator.local.manifests import ObjectManifest

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CONNECT_SECONDS: Final = 3.0


class NamedServer(NamedTuple):
    """A server that a proxy names by its URL, or one of its endpoints."""

    proxy: str
    url: str
    host: str
    port: int


def local_servers(manifests: Iterable[ObjectManifest]) -> Iterator[NamedServer]:
    """Yield the servers on this machine that MCPProxies name by ``url`` or ``endpoints``."""
    return (server for server in named_servers(manifests) if server.host in _LOOPBACK)


def named_servers(manifests: Iterable[ObjectManifest]) -> Iterator[NamedServer]:
    """Yield the servers that MCPProxies name by ``url``: where it has endpoints, those."""
    for manifest in manifests:
        proxy = f"{manifest.key.namespace}/{manifest.key.name}"
        for server in _servers(manifest):
            parts = _split(server.get("url"))
            if parts is None:
                continue
            places = _endpoints(server)
            if not places:
                yield NamedServer(proxy, str(server["url"]), parts.hostname or "", _port(parts))
            for host, port in places:
                yield NamedServer(proxy, _at(parts, host, port), host, port)


def _endpoints(server: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return address and port of each endpoint; what is no endpoint, validation reports."""
    listed = server.get("endpoints")
    found = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    return [(str(each.get("address")), each["port"]) for each in found if isinstance(each.get("port"), int)]


def _port(parts: SplitResult) -> int:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def _at(parts: SplitResult, host: str, port: int) -> str:
    """Return a URL with another host and port."""
    return parts._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}").geturl()


def cluster_only(manifests: Iterable[ObjectManifest]) -> Iterator[str]:
    """Yield the proxies whose server is a Service, which exists only in a cluster."""
    for manifest in manifests:
        if any("service" in server for server in _servers(manifest)):
            yield f"{manifest.key.namespace}/{manifest.key.name}"


def moved(manifests: Iterable[ObjectManifest], *, ports: Mapping[int, int]) -> list[ObjectManifest]:
    """Return the manifests with other ports for servers on this machine.

    ``ports`` has the new ones by those to replace.
    """
    changed = {old: new for old, new in ports.items() if old != new}
    return [_moved(manifest, changed) for manifest in manifests] if changed else list(manifests)


def _moved(manifest: ObjectManifest, ports: Mapping[int, int]) -> ObjectManifest:
    servers = [_moved_server(server, ports) for server in _servers(manifest)]
    if not servers:
        return manifest
    spec = {**manifest.value["spec"], "servers": servers}
    return replace(manifest, value={**manifest.value, "spec": spec})


def _moved_server(server: Mapping[str, Any], ports: Mapping[int, int]) -> Mapping[str, Any]:
    if isinstance(server.get("endpoints"), list):
        server = {**server, "endpoints": [_moved_endpoint(each, ports) for each in server["endpoints"]]}
    parts = _local(server.get("url"))
    port = ports.get(parts.port or 0) if parts is not None else None
    if parts is None or port is None:
        return server
    host = parts.netloc.rpartition(":")[0]
    return {**server, "url": parts._replace(netloc=f"{host}:{port}").geturl()}


def _moved_endpoint(endpoint: Any, ports: Mapping[int, int]) -> Any:
    if not isinstance(endpoint, Mapping) or endpoint.get("address") not in _LOOPBACK:
        return endpoint
    port = endpoint.get("port")
    return {**endpoint, "port": ports.get(port, port)} if isinstance(port, int) else endpoint


def _servers(manifest: ObjectManifest) -> list[Mapping[str, Any]]:
    """Return the servers of a proxy; none if the list is invalid, which validation reports."""
    spec = manifest.value.get("spec") if manifest.key.kind == PROXY_KIND else None
    servers = spec.get("servers") if isinstance(spec, Mapping) else None
    if not isinstance(servers, list) or not all(isinstance(server, Mapping) for server in servers):
        return []
    return servers


def _local(url: object) -> SplitResult | None:
    parts = _split(url)
    return parts if parts is not None and parts.hostname in _LOOPBACK else None


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        return None
    return parts if usable else None


async def fault(server: NamedServer) -> str | None:
    """Return why a connection to the server fails, and the remedy; None if it succeeds."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            error = await _try_each_address(server)
    except socket.gaierror:
        return f"no address is known for {printable(server.host)}; {_name_remedy(server.host)}"
    except TimeoutError:
        return f"no answer in {_CONNECT_SECONDS:.0f} s; see network and firewall"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {server.port} yet; start that server"
    return f"{_words(error)}; see the network" if error is not None else None


async def _try_each_address(server: NamedServer) -> OSError | None:
    """Connect to the server's addresses in turn; return the last error if all fail."""
    loop, error = asyncio.get_running_loop(), None
    for _, _, _, _, address in await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM):
        try:
            _, writer = await asyncio.open_connection(str(address[0]), server.port)
        except OSError as failed:
            error = failed
        else:
            writer.close()
            return None
    return error


def _name_remedy(host: str) -> str:
    if is_in_cluster(host):
        return "a Service's name resolves only in a cluster: name a server that this machine reaches"
    return "correct the name, or see whether DNS works here"


def _words(error: OSError) -> str:
    """Return the system's message in lower case."""
    return os.strerror(error.errno).lower() if error.errno else printable(str(error))
