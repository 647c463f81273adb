"""Route: find the proxy of a host and path, by their exact spelling in the request.

The protected resource metadata of proxies (RFC 9728 §3) and the gateway's own public keys are served from here, too:
the only responses without authentication. They are searched only where no proxy has the path, so they cannot hide one.
The target must be exactly one of the index, without a query; every other spelling stays what it was, a 404.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import JSON
from ostiary_gateway.pipeline.refusal_responses import draining, not_ready
from ostiary_gateway.server.host_name import host_name
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

#: Returns the document at a host and target.
FindMetadata: TypeAlias = Callable[[str, str], Awaitable[bytes | None]]

#: The document is public and holds nothing about a caller, so pages of every origin may read it.
_CORS: Final = {"Access-Control-Allow-Origin": "*"}
_HEADERS: Final = {"Content-Type": JSON, "Cache-Control": "public, max-age=60", **_CORS}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "MCP-Protocol-Version",
    "Access-Control-Max-Age": "600",
    **_CORS,
}
_PATH_LIMIT: Final = 512


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


async def no_metadata(_host: str, _target: str) -> bytes | None:
    """Return no document."""
    return None


async def public_metadata(request: Request, refusal: Refusal, find: FindMetadata) -> Response | None:
    """Return the response to a request for metadata; None for any other, which is refused."""
    if refusal.status != 404 or request.method not in ("GET", "OPTIONS"):
        return None
    document = await find(host_name(request.headers.get("host", "")), request.target)
    if document is None:
        return None
    return Response(200, document, _HEADERS) if request.method == "GET" else Response(204, headers=_PREFLIGHT)


def config_in_force(snapshot: Snapshot | None, request: Request, *, is_draining: bool) -> Snapshot:
    """Return the config by which a request is handled.

    Raises:
        Refusal: there is none yet, or the gateway drains and takes only requests that finish what was begun.
    """
    if is_draining and (snapshot is None or request.method != "POST"):
        raise draining()
    if snapshot is None:
        raise not_ready()
    return snapshot
