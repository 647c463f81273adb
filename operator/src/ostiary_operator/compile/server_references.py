"""Turns ``serverRef`` into the URL that another operator publishes.

This precedes the admission of proxies. The URL is then judged as one in ``url`` is. While the server is not ready, its
last URL stays, which the gateway's config carries; a server that never was ready has none yet. A reference to another
namespace needs a ReferenceGrant there, also for a version that is kept: whether the server exists there is not said
without one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.server_kinds import ServerKind
from ostiary_operator.api.server_places import ServerReference
from ostiary_operator.api.servers import Server
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.foreign_servers import (
    ForeignServer,
    FoundGrants,
    FoundServers,
    MissingServer,
    ServerKey,
    WantedServer,
)
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ObjectKey, ResourceRejection
from ostiary_operator.compile.published_urls import is_valid, object_to_url, speaks_superseded_transport
from ostiary_operator.compile.resource_parser import ParsedProxy, read_proxies

_RIGHTS: Final = "give the operator the chart's rights (serverKinds)"


@dataclass(frozen=True, slots=True)
class ReferencedServers:
    """What the references of one proxy lead to: nothing to object, or the first objection."""

    rejection: ResourceRejection | None = None
    notes: tuple[str, ...] = ()
    """What its status should say although every reference is resolved."""


NO_SERVERS: Final = ReferencedServers()
"""What a proxy without references leads to."""


@dataclass(frozen=True, slots=True)
class ReferenceContext:
    """What the references of all proxies are resolved with."""

    kinds: Mapping[tuple[str, str], ServerKind] = field(default_factory=dict)
    servers: FoundServers = field(default_factory=dict)
    grants: FoundGrants = field(default_factory=dict)
    sites: Sequence[Site] = ()
    previous: Mapping[str, GatewayConfig] = field(default_factory=dict)


_Resolved: TypeAlias = tuple[str, str]
"""URL, and a note that may be empty."""


def key_of(reference: ServerReference, namespace: str) -> ServerKey:
    """Return what a reference in a namespace names."""
    return ServerKey(reference.group, reference.kind, reference.namespace or namespace, reference.name)


def wanted_servers(
    proxies: Iterable[Mapping[str, Any]], previous: Mapping[str, GatewayConfig], cache: Cache
) -> set[WantedServer]:
    """Return the servers that proxies refer to, or of which configs carry the last URL.

    Configs count for proxies that exist: a tenant may have written the config of its own gateway.
    """
    parsed = read_proxies(proxies, cache)
    found = {
        WantedServer(proxy.key.namespace, key)
        for proxy in parsed
        if proxy.spec is not None
        for key in _keys(proxy.spec, proxy.key.namespace)
    }
    uids = {proxy.identity: proxy.uid for proxy in parsed}
    for config in previous.values():
        for entry in config.entries.values():
            if uids.get(entry.identity) == entry.uid:
                found.update(WantedServer(entry.namespace, key) for _, key in _kept_keys(entry))
    return found


def resolve_references(
    proxies: Iterable[ParsedProxy], context: ReferenceContext
) -> tuple[tuple[ParsedProxy, ...], Mapping[ObjectKey, ReferencedServers]]:
    """Return the proxies with resolved references, and the outcome for each that has some."""
    found, outcomes = [], {}
    for proxy in proxies:
        if proxy.spec is not None and any(server.server_ref is not None for server in proxy.spec.servers):
            resolved, outcomes[proxy.key] = _resolve(proxy, proxy.spec, context)
            found.append(resolved)
        else:
            found.append(proxy)
    return tuple(found), outcomes


def object_to_kept_servers(title: str, entry: EntryDocument, grants: FoundGrants) -> ResourceRejection | None:
    """Return why a kept version may no longer use a server elsewhere: its grant is gone."""
    for name, key in _kept_keys(entry):
        known = grants.get(key.namespace, ())
        if key.namespace == entry.namespace or known is MissingServer.FORBIDDEN:
            continue
        if not _is_granted(known, entry.namespace, key):
            message = f"{title}: server {name}: no ReferenceGrant permits {key.title} any more"
            return ResourceRejection(ResolvedRefsReason.REF_NOT_PERMITTED, message)
    return None


def _keys(spec: ProxySpec, namespace: str) -> Iterator[ServerKey]:
    return (key_of(server.server_ref, namespace) for server in spec.servers if server.server_ref is not None)


def _kept_keys(entry: EntryDocument) -> Iterator[tuple[str, ServerKey]]:
    """Yield the servers of an entry that were references, with their names."""
    for server in entry.servers:
        key = ServerKey.parse(server.reference) if server.reference is not None else None
        if key is not None:
            yield server.name, key


def _resolve(proxy: ParsedProxy, spec: ProxySpec, context: ReferenceContext) -> tuple[ParsedProxy, ReferencedServers]:
    servers, notes = [], []
    rejection = None
    for number, server in enumerate(spec.servers):
        found = _server(proxy, number, server, context) if server.server_ref is not None else (server.url, "")
        if isinstance(found, ResourceRejection):
            rejection = rejection or found
            servers.append(server)
            continue
        url, note = found
        servers.append(server.model_copy(update={"url": url}))
        notes += [note] if note else []
    urls = "\n".join(server.url or "" for server in servers).encode()
    resolved = replace(
        proxy,
        spec=spec.model_copy(update={"servers": tuple(servers)}),
        fingerprint=b"%b\n%b" % (proxy.fingerprint, urls) if proxy.fingerprint is not None else None,
    )
    return resolved, ReferencedServers(rejection, tuple(notes))


def _server(
    proxy: ParsedProxy, number: int, server: Server, context: ReferenceContext
) -> _Resolved | ResourceRejection:
    """Return the URL of a server with a reference, or why it has none."""
    if server.server_ref is None:
        raise AssertionError("only servers with a reference are resolved")
    key = key_of(server.server_ref, proxy.key.namespace)
    where = f"{proxy.title}: spec.servers[{number}].serverRef: {key.title}"
    found = _found(where, key, proxy.key.namespace, context)
    if isinstance(found, ResourceRejection):
        return found
    last = _last_url(proxy, server.name, key, context) if found.unready else None
    if found.unready and last is None and not speaks_superseded_transport(found.url):
        message = f"{where} is not ready: {found.unready}; it is served once it is, see its own status"
        return ResourceRejection(ResolvedRefsReason.BACKEND_NOT_READY, message)
    url = last or found.url
    objection = object_to_url(where, url, server, proxy, context.sites)
    note = f"{key.title} is not ready ({found.unready}), so its last URL stays in use" if last is not None else ""
    return objection or (url, note)


def _found(where: str, key: ServerKey, namespace: str, context: ReferenceContext) -> ForeignServer | ResourceRejection:
    """Return what the server's object says, or why that cannot be known."""
    if (key.group, key.kind) not in context.kinds:
        known = ", ".join(sorted(f"{kind}.{group}" for group, kind in context.kinds))
        message = f"{where} is of a kind that the operator does not know: {known} are known; add it to serverKinds"
        return ResourceRejection(ResolvedRefsReason.INVALID_KIND, message)
    refused = _refused(where, key, namespace, context.grants) if key.namespace != namespace else None
    if refused is not None:
        return refused
    found = context.servers.get(key, MissingServer.NOT_FOUND)
    if isinstance(found, ForeignServer):
        return found
    return _unavailable(where, key, found, context.kinds[key.group, key.kind])


def _refused(where: str, key: ServerKey, namespace: str, grants: FoundGrants) -> ResourceRejection | None:
    known = grants.get(key.namespace, ())
    if known is MissingServer.FORBIDDEN:
        message = (
            f"{where} is in another namespace, and the operator has no right to list ReferenceGrants there; {_RIGHTS}"
        )
        return ResourceRejection(ResolvedRefsReason.NOT_PERMITTED, message)
    if _is_granted(known, namespace, key):
        return None
    return ResourceRejection(ResolvedRefsReason.REF_NOT_PERMITTED, f"{where}: {_no_grant(namespace, key)}")


def _is_granted(known: object, namespace: str, key: ServerKey) -> bool:
    return isinstance(known, tuple) and any(grant.permits(namespace, key) for grant in known)


def _no_grant(namespace: str, key: ServerKey) -> str:
    return (
        f"no ReferenceGrant in the namespace {key.namespace} permits MCPProxies of the namespace {namespace} to refer "
        f"to {key.kind}.{key.group} {key.name}; ask its owner for one, or use a server of this namespace"
    )


def _unavailable(where: str, key: ServerKey, why: MissingServer, kind: ServerKind) -> ResourceRejection:
    if why is MissingServer.FORBIDDEN:
        message = f"{where}: the operator has no right to list {kind.resource} in {key.namespace}; {_RIGHTS}"
        return ResourceRejection(ResolvedRefsReason.NOT_PERMITTED, message)
    message = f"{where} does not exist; create it, or correct the reference"
    if why is MissingServer.KIND_NOT_INSTALLED:
        served = f"the API server does not serve {kind.resource} in the version {kind.version}"
        message = f"{where}: {served}; install its operator, or correct the reference"
    return ResourceRejection(ResolvedRefsReason.BACKEND_NOT_FOUND, message)


def _last_url(proxy: ParsedProxy, server: str, key: ServerKey, context: ReferenceContext) -> str | None:
    """Return the URL that a gateway has of this server by this reference."""
    for site in context.sites:
        config = context.previous.get(site.identity)
        entry = config.entries.get(proxy.identity) if config is not None else None
        if entry is None or entry.uid != proxy.uid or not site.serves(proxy.key.namespace):
            continue
        for known in entry.servers:
            if known.name == server and known.reference == key.identity and is_valid(known.url):
                return known.url
    return None
