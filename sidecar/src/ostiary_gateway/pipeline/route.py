"""Route: find the proxy of a host and path, by their exact spelling in the request."""

import re
from functools import lru_cache
from typing import Final

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.server.request import Request

_PATH_LIMIT: Final = 512
_NAME_LIMIT: Final = 262
#: Host and port as a Host header holds them (RFC 9110 §7.2); user information is not part of it.
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s]*)(?::[0-9]*)?", re.IGNORECASE)


def route(request: Request, snapshot: Snapshot) -> ProxyRuntime:
    """Return the proxy whose endpoint was requested.

    Raises:
        Refusal: 404; for the path of a proxy the message names its endpoint.
    """
    path = request.path
    host = host_name(request.headers.get("host", ""))
    proxy = snapshot.at_endpoint(host, path)
    if proxy is not None:
        return proxy
    bare = path.rstrip("/")
    neighbour = snapshot.at_path(host, bare or "/") or snapshot.at_endpoint(host, bare)
    if neighbour is not None:
        raise Refusal(404, "NotTheEndpoint", f"The endpoint of this proxy is {neighbour.endpoint}")
    # A path may hold bytes that are not UTF-8, and a JSON response cannot repeat those.
    shown = path[:_PATH_LIMIT].encode("utf-8", "replace").decode()
    raise Refusal(404, "NoSuchProxy", f"There is no MCP proxy at {shown}")


def host_name(authority: str) -> str:
    """Return the host of a Host header, lower case and without port.

    A name with a final dot is another name.

    A value that is not host and port matches no name: it is returned as it is.
    """
    # Callers repeat the same few names; a value longer than a name can be is not worth caching.
    return _host_name(authority) if len(authority) <= _NAME_LIMIT else _parsed(authority)


def _parsed(authority: str) -> str:
    match = _AUTHORITY.fullmatch(authority)
    return (match[1] if match is not None else authority).lower()


_host_name: Final = lru_cache(maxsize=256)(_parsed)
