"""Judges the URLs that other operators publish: as ``url``, and a little stricter.

Another operator may publish the address of the gateway before its server, and that gateway may be ours: a proxy in
front of it would send requests in a circle. At run time a hop marker ends circles that no URL shows.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.servers import Server
from ostiary_operator.api.urls import UpstreamUrl
from ostiary_operator.compile.backends import ServiceName, plain_host, spellings
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.routes import DEFAULT_PORTS

_URL: Final[TypeAdapter[str]] = TypeAdapter(UpstreamUrl)


def object_to_url(
    where: str, url: str, server: Server, proxy: ParsedProxy, sites: Sequence[Site]
) -> ResourceRejection | None:
    """Return why a published URL cannot be used. No message repeats it: it may hold a secret."""
    if speaks_superseded_transport(url):
        message = f"{where} speaks the transport HTTP+SSE, which MCP superseded; let it serve Streamable HTTP"
        return ResourceRejection(ResolvedRefsReason.UNSUPPORTED_TRANSPORT, message)
    problem = _problem(url)
    if problem:
        message = f"{where} publishes a URL that {problem}; see its own status"
        return ResourceRejection(ResolvedRefsReason.REF_INVALID, message)
    if server.tls is not None and not url.startswith("https://"):
        message = f"{where} is served without TLS; remove tls from spec.servers, or let the server have a certificate"
        return ResourceRejection(ResolvedRefsReason.REF_INVALID, message)
    gateway = _gateway_behind(url, proxy, sites)
    if gateway is None:
        return None
    message = (
        f"{where} publishes a URL of gateway {gateway} itself, so requests would go in a circle; refer to the server "
        "behind it by service or url"
    )
    return ResourceRejection(ResolvedRefsReason.UPSTREAM_LOOP, message)


def speaks_superseded_transport(url: str) -> bool:
    """Return whether a published URL is one of HTTP+SSE.

    ToolHive marks those with a fragment, and such endpoints end in ``/sse`` by convention.
    """
    return "#" in url or url.partition("?")[0].endswith("/sse")


def is_valid(url: str) -> bool:
    """Return whether the field ``url`` would accept a URL."""
    return not _problem(url)


def _problem(url: str) -> str:
    """Return what is wrong with a URL, in the words of the field ``url``; empty if nothing is."""
    try:
        _URL.validate_python(url)
        urlsplit(url)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        return str(found.get("ctx", {}).get("message") or "is not valid")
    except ValueError:
        return "is not valid"
    return ""


def _gateway_behind(url: str, proxy: ParsedProxy, sites: Sequence[Site]) -> str | None:
    """Return the gateway that a valid URL leads to; None where it leads to none.

    Of a gateway that does not serve the proxy only the Service counts: its settings may be a tenant's, and must not
    make the servers of others look like gateways.
    """
    parts = urlsplit(url)
    host, port = plain_host(parts.hostname or ""), parts.port or DEFAULT_PORTS[parts.scheme]
    hostnames = proxy.spec.hostnames if proxy.spec is not None else ()
    for site in sites:
        if host in _services(site):
            return site.identity
        if site.serves(proxy.key.namespace) and (host in hostnames or (host, port) in _external(site)):
            return site.identity
    return None


def _services(site: Site) -> Iterator[str]:
    """Yield the names of a gateway's Service in the cluster's DNS, the short one included."""
    name = ServiceName(namespace=site.gateway.namespace, name=site.gateway.service)
    yield f"{name.name}.{name.namespace}"
    yield from spellings(name.host)


def _external(site: Site) -> Iterator[tuple[str, int]]:
    if site.settings is not None and site.settings.external_url is not None:
        parts = urlsplit(site.settings.external_url)
        yield plain_host(parts.hostname or ""), parts.port or DEFAULT_PORTS[parts.scheme]
