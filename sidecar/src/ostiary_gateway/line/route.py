"""Route: host and path to a proxy, by the spelling on the wire and no other."""

from typing import Final

from aiohttp import web

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal

_PATH_LIMIT: Final = 512


def route(request: web.BaseRequest, snapshot: Snapshot) -> ProxyRuntime:
    """Return the proxy whose endpoint was asked for.

    Raises:
        Refusal: 404; a request for the path of a proxy is told its endpoint.
    """
    path = request.raw_path.partition("?")[0]
    host = host_name(request.headers.get("Host", ""))
    proxy = snapshot.at_endpoint(host, path)
    if proxy is not None:
        return proxy
    neighbour = snapshot.at_path(host, path.rstrip("/") or "/")
    if neighbour is not None:
        raise Refusal(404, "NotTheEndpoint", f"The endpoint of this proxy is {neighbour.endpoint}")
    raise Refusal(404, "NoSuchProxy", f"There is no MCP proxy at {path[:_PATH_LIMIT]}")


def host_name(authority: str) -> str:
    """Return the host of a Host header, lower case and without port; a final dot belongs to another name."""
    if authority.startswith("["):
        return authority.partition("]")[0].lower() + "]"
    return authority.partition(":")[0].lower()
