"""The servers behind the doors that are on this machine: which one is the mock server, and is anybody there."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ostiary_operator.api.resources import PROXY_KIND
from ostiary_operator.local.manifests import Manifest
from ostiary_operator.local.options import MOCK_PORT

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CONNECT_SECONDS: Final = 1.0


class LocalServer(NamedTuple):
    """A server on this machine that a proxy names."""

    proxy: str
    url: str
    host: str
    port: int


def local_servers(manifests: Iterable[Manifest]) -> Iterator[LocalServer]:
    """Yield the servers on this machine that MCPProxies name by ``url``."""
    for manifest in manifests:
        for server in _servers(manifest):
            parts = _local(server.get("url"))
            if parts is not None:
                port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
                key = manifest.key
                yield LocalServer(f"{key.namespace}/{key.name}", str(server["url"]), parts.hostname or "", port)


def cluster_only(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Yield the proxies whose server is a Service: its name means something in a cluster only."""
    for manifest in manifests:
        if any("service" in server for server in _servers(manifest)):
            yield f"{manifest.key.namespace}/{manifest.key.name}"


def moved(manifests: Iterable[Manifest], *, port: int) -> list[Manifest]:
    """Return the manifests with the mock server's usual port on this machine read as the one that it has."""
    return [_moved(manifest, port) for manifest in manifests] if port != MOCK_PORT else list(manifests)


def _moved(manifest: Manifest, port: int) -> Manifest:
    servers = [_moved_server(server, port) for server in _servers(manifest)]
    if not servers:
        return manifest
    spec = {**manifest.value["spec"], "servers": servers}
    return replace(manifest, value={**manifest.value, "spec": spec})


def _moved_server(server: Mapping[str, Any], port: int) -> Mapping[str, Any]:
    parts = _local(server.get("url"))
    if parts is None or parts.port != MOCK_PORT:
        return server
    host = parts.netloc.rpartition(":")[0]
    return {**server, "url": parts._replace(netloc=f"{host}:{port}").geturl()}


def _servers(manifest: Manifest) -> list[Mapping[str, Any]]:
    """The servers of a proxy; none where the list is not as it should be, which is for others to say."""
    spec = manifest.value.get("spec") if manifest.key.kind == PROXY_KIND else None
    servers = spec.get("servers") if isinstance(spec, Mapping) else None
    if not isinstance(servers, list) or not all(isinstance(server, Mapping) for server in servers):
        return []
    return servers


def _local(url: object) -> SplitResult | None:
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        here = parts.hostname in _LOOPBACK and parts.port != 0
    except ValueError:  # a port that is none
        return None
    return parts if here else None


async def answers(server: LocalServer) -> bool:
    """Say whether somebody listens there."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(server.host, server.port)
        writer.close()
        return True
    return False
