"""``ostiary discover``: finds servers of other operators that have no MCPProxy."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ostiary_operator.api.objects import Object, mapping_of, name_of, namespace_of
from ostiary_operator.api.resources import API_VERSION, PROXY_KIND
from ostiary_operator.api.server_kinds import ServerKind
from ostiary_operator.compile.backends import spellings
from ostiary_operator.compile.foreign_servers import ForeignServer, ServerKey, servers_from_objects
from ostiary_operator.compile.published_urls import speaks_superseded_transport
from ostiary_operator.compile.routes import DEFAULT_PORTS
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import PROXY, REFERENCE_GRANTS
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.kube.server_reader import kind_of

_LONGEST_LABEL: Final = 63
_Place = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class UnproxiedServers:
    """Objects to apply, each with a comment, and notes on what was left out."""

    objects: tuple[tuple[str, Object], ...]
    notes: tuple[str, ...]


async def read(
    cluster: ReadOnlyClient, kinds: Sequence[ServerKind], *, namespace: str | None, into: str | None = None
) -> UnproxiedServers:
    """Read the servers in a namespace, or all, and write MCPProxies for those without.

    With ``into``, the MCPProxies are of that namespace, and ReferenceGrants permit them to refer to the servers.

    Raises:
        ClusterError: the MCPProxies cannot be read.
    """
    proxies, notes = await _proxies(cluster, namespace)
    servers: dict[ServerKey, ForeignServer] = {}
    absent: list[str] = []
    for kind in kinds:
        try:
            found = await cluster.list(kind_of(kind), namespace=namespace)
        except NotFound:
            absent.append(kind.resource)  # its operator is not installed
            continue
        except Forbidden as error:
            notes.append(f"{kind.resource} are omitted: {error}")
            continue
        servers |= servers_from_objects(found, [kind])
    if len(absent) == len(kinds):
        notes.append(f"the API server serves none of the kinds that are looked for: {', '.join(absent)}")
    return written(servers, proxies, into=into, notes=notes)


async def _proxies(cluster: ReadOnlyClient, namespace: str | None) -> tuple[list[Object], list[str]]:
    """Return the MCPProxies: of the whole cluster if permitted, as any may refer to a server."""
    try:
        return await cluster.list(PROXY), []
    except Forbidden as error:
        if namespace is None:
            raise
        note = f"only MCPProxies of the namespace {namespace} are known, so one elsewhere may be missed: {error}"
        return await cluster.list(PROXY, namespace=namespace), [note]


def written(
    servers: Mapping[ServerKey, ForeignServer],
    proxies: Iterable[Object],
    *,
    into: str | None = None,
    notes: Sequence[str] = (),
) -> UnproxiedServers:
    """Return an MCPProxy for each server without one; note those that no gateway can use."""
    known = list(proxies)
    referenced, places = set(_references(known)), set(_server_places(known))
    own, said = set(_own_places(known)), list(notes)
    taken = {(namespace_of(each), name_of(each)) for each in known}
    objects: list[tuple[str, Object]] = []
    abroad: dict[tuple[str, str, str], None] = {}
    for key, server in sorted(servers.items()):
        place = _place(server.url)
        if key in referenced or (place is not None and place in places):
            continue
        unusable = _unusable(server, place in own)
        if unusable:
            said.append(f"{key.title} is omitted: {unusable}")
            continue
        namespace = into or key.namespace
        name = _free_name(key, namespace, taken)
        taken.add((namespace, name))
        abroad |= {(key.namespace, key.group, key.kind): None} if namespace != key.namespace else {}
        objects.append((_comment(key, server), _proxy(key, namespace, name)))
    grants = [_grant(*each, into=into) for each in abroad] if into is not None else []
    return UnproxiedServers((*grants, *objects), tuple(said))


def _unusable(server: ForeignServer, is_own: bool) -> str:
    if speaks_superseded_transport(server.url):
        return "it speaks the transport HTTP+SSE, which MCP superseded"
    return "its URL is that of our own gateway" if is_own else ""


def _comment(key: ServerKey, server: ForeignServer) -> str:
    return f"{key.title}{f' is not ready: {server.unready}' if server.unready else ''}"


def _proxy(key: ServerKey, namespace: str, name: str) -> Object:
    reference = {"group": key.group, "kind": key.kind, "name": key.name}
    if namespace != key.namespace:
        reference["namespace"] = key.namespace
    return {
        "apiVersion": API_VERSION,
        "kind": PROXY_KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"servers": [{"name": _label(key.name), "serverRef": reference}]},
    }


def _grant(namespace: str, group: str, kind: str, *, into: str) -> tuple[str, Object]:
    version = REFERENCE_GRANTS[-1]  # every release of Gateway API serves it
    grant = {
        "apiVersion": version.api_version,
        "kind": version.name,
        "metadata": {"name": f"{kind.lower()}.{group}-for-mcpproxies-of-{into}"[:253], "namespace": namespace},
        "spec": {
            "from": [{"group": PROXY.group, "kind": PROXY_KIND, "namespace": into}],
            "to": [{"group": group, "kind": kind}],
        },
    }
    return f"lets MCPProxies of {into} refer to each {kind}.{group} of {namespace}", grant


def _free_name(key: ServerKey, namespace: str, taken: set[tuple[str, str]]) -> str:
    """Return a name for an MCPProxy that none has: that of the server, where it is free."""
    base = _label(key.name)
    ends = itertools.chain(("", f"-{key.kind.lower()}"), (f"-{number}" for number in itertools.count(2)))
    names = (f"{base[: _LONGEST_LABEL - len(end)]}{end}" for end in ends)
    return next(name for name in names if (namespace, name) not in taken)


def _label(name: str) -> str:
    """Return a DNS label like the name of an object, which may have dots and be long."""
    return re.sub("[^a-z0-9]+", "-", name)[:_LONGEST_LABEL].strip("-")


def _references(proxies: Iterable[Object]) -> Iterator[ServerKey]:
    """Yield the servers that MCPProxies refer to."""
    for proxy in proxies:
        for server in _servers(proxy):
            reference = mapping_of(server.get("serverRef"))
            parts = [reference.get(each) for each in ("group", "kind", "name")]
            namespace = reference.get("namespace") or namespace_of(proxy)
            if all(isinstance(each, str) for each in (*parts, namespace)):
                group, kind, name = map(str, parts)
                yield ServerKey(group, kind, str(namespace), name)


def _server_places(proxies: Iterable[Object]) -> Iterator[_Place]:
    """Yield the places of the servers that MCPProxies name by url or service."""
    for proxy in proxies:
        for server in _servers(proxy):
            service = mapping_of(server.get("service"))
            host = f"{service.get('name')}.{namespace_of(proxy)}.svc"
            url = f"http://{host}:{service.get('port')}" if service else str(server.get("url") or "")
            place = _place(url)
            if place is not None:
                yield place


def _own_places(proxies: Iterable[Object]) -> Iterator[_Place]:
    """Yield the places of gateways, as the statuses of MCPProxies say."""
    for proxy in proxies:
        status = mapping_of(proxy.get("status"))
        listed = status.get("urls")
        urls = [mapping_of(each).get("url") for each in (listed if isinstance(listed, list) else ())]
        for url in (status.get("url"), *urls):
            place = _place(str(url or ""))
            if place is not None:
                yield place


def _servers(proxy: Object) -> list[Mapping[str, Any]]:
    listed = mapping_of(proxy.get("spec")).get("servers")
    return [mapping_of(each) for each in (listed if isinstance(listed, list) else ())]


def _place(url: str) -> _Place | None:
    """Return where a URL leads to, a Service under its short name; None where it leads nowhere."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (spellings(parts.hostname)[0], port) if parts.hostname and port else None
