"""Resolves the references of resources: Services, CA bundles and credentials."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ostiary_core.contract.server_resilience import DiscoveryConfig
from ostiary_core.contract.upstream_credentials import UpstreamCredentialConfig
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.references import CaCertificateReferences
from ostiary_operator.api.servers import Server
from ostiary_operator.compile import audit_webhooks, credentials, limit_store, policy_references
from ostiary_operator.compile.authentication_methods import ReferencedObjects
from ostiary_operator.compile.backends import Services, find, is_missing, service_of
from ostiary_operator.compile.ca_bundles import key_of, resolve_bundles
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.endpoint_discovery import discovery_of, unobserved
from ostiary_operator.compile.model import DiscoveredGateway, Omission, ReferenceKey, ResourceRejection
from ostiary_operator.compile.openapi_documents import TranslatedServers, translate_servers, wanted_documents
from ostiary_operator.compile.resource_parser import ParsedProxy, read_policies, read_proxies
from ostiary_operator.compile.routes import DEFAULT_PORTS, server_url
from ostiary_operator.compile.server_references import NO_SERVERS, ReferencedServers

Objects = Iterable[Mapping[str, Any]]


def wanted(
    proxies: Objects, policies: Objects, cache: Cache | None = None, *, gateways: Iterable[DiscoveredGateway] = ()
) -> set[ReferenceKey]:
    """Return the ConfigMaps and Secrets, not of credentials, that all these refer to."""
    memory = cache if cache is not None else Cache()
    return {
        key_of(reference, subject.key.namespace)
        for subject in read_proxies(proxies, memory)
        if subject.spec is not None
        for _, _, given in _references(subject.spec)
        for reference in given
    }.union(
        (key for policy in read_policies(policies, memory) for key in policy_references.wanted(policy)),
        limit_store.wanted(gateways, memory),
        (
            key
            for subject in read_proxies(proxies, memory)
            if subject.spec is not None
            for key in wanted_documents(subject.key.namespace, subject.spec)
        ),
    )


def wanted_credentials(
    proxies: Objects, policies: Objects, cache: Cache | None = None, *, gateways: Iterable[DiscoveredGateway] = ()
) -> set[ReferenceKey]:
    """Return the Secrets with credentials that all these refer to."""
    memory = cache if cache is not None else Cache()
    return {
        key
        for subject in read_proxies(proxies, memory)
        if subject.spec is not None
        for key in credentials.wanted(subject.key.namespace, subject.spec)
    }.union(
        (key for policy in read_policies(policies, memory) for key in policy_references.wanted_credentials(policy)),
        limit_store.wanted_credentials(gateways, memory),
        audit_webhooks.wanted_credentials(gateways, memory),
    )


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolved references of one proxy, by server, or why one is unusable."""

    bundles: Mapping[str, str] = field(default_factory=dict)
    """Server name -> certificates as PEM."""
    credentials: Mapping[str, UpstreamCredentialConfig] = field(default_factory=dict)
    discoveries: Mapping[str, DiscoveryConfig] = field(default_factory=dict)
    """Server name -> the Service whose endpoints gateways observe."""
    found_services: bool = False
    """Whether it refers to Services, and all exist."""
    rejection: ResourceRejection | None = None
    translated: TranslatedServers = field(default_factory=lambda: TranslatedServers({}))
    """The servers that have OpenAPI documents."""
    notes: tuple[str, ...] = ()
    """What a status should say although everything is resolved."""
    unobserved: tuple[Omission, ...] = ()
    """The Services whose Pods gateways cannot observe although the proxy asks for it."""


def resolve(
    subject: ParsedProxy,
    spec: ProxySpec,
    objects: ReferencedObjects,
    services: Services,
    cache: Cache,
    servers: ReferencedServers = NO_SERVERS,
) -> Resolution:
    """Resolve the references of a proxy; the first unusable one is the rejection."""
    if servers.rejection is not None:
        return Resolution(rejection=servers.rejection)
    names = [_backend(subject, number, server, services) for number, server in enumerate(spec.servers)]
    rejection = next((name for name in names if isinstance(name, ResourceRejection)), None)
    if rejection is not None:
        return Resolution(rejection=rejection)
    bundles: dict[str, str] = {}
    for number, server, given in _references(spec):
        where = f"{subject.title}: spec.servers[{number}].tls.caCertificateRefs"
        found = resolve_bundles(where, subject.key.namespace, given, objects.references, cache)
        if isinstance(found, ResourceRejection):
            return Resolution(rejection=found)
        bundles[server.name] = found
    configs = credentials.resolve_servers(subject.title, subject.key.namespace, spec, objects.credentials)
    if isinstance(configs, ResourceRejection):
        return Resolution(rejection=configs)
    translated = translate_servers(subject.title, subject.key.namespace, spec, objects.references, cache)
    if isinstance(translated, ResourceRejection):
        return Resolution(rejection=translated)
    return Resolution(
        bundles,
        configs,
        _discoveries(subject, spec, services),
        found_services=any(names),
        translated=translated,
        notes=(*servers.notes, *_left_out(translated)),
        unobserved=tuple(_unobserved(subject, spec, services)),
    )


def _left_out(translated: TranslatedServers) -> Iterator[str]:
    """Yield what a status says of documents that cannot be expressed whole."""
    if translated.omissions:
        field, words = translated.omissions[0]
        more = f", and {len(translated.omissions) - 1} more" if len(translated.omissions) > 1 else ""
        yield f"{field}: left out: {words}{more} (ostiary catalogue lists all)"


def _discoveries(subject: ParsedProxy, spec: ProxySpec, services: Services) -> dict[str, DiscoveryConfig]:
    found = {server.name: discovery_of(server, subject.key.namespace, services) for server in spec.servers}
    return {name: discovery for name, discovery in found.items() if discovery is not None}


def _unobserved(subject: ParsedProxy, spec: ProxySpec, services: Services) -> Iterator[Omission]:
    """Yield why gateways cannot observe the Pods of Services."""
    for number, server in enumerate(spec.servers):
        words = unobserved(server, subject.key.namespace, services)
        if words is not None:
            yield Omission(f"spec.servers[{number}].service", words)


def _backend(subject: ParsedProxy, number: int, server: Server, services: Services) -> bool | ResourceRejection:
    """Return whether a server is a Service that exists with its port, or why that is missing."""
    url = urlsplit(server_url(server, subject.key.namespace))
    name = service_of(url.hostname or "")
    home = server.server_ref.namespace if server.server_ref is not None else None
    if name is None or name.namespace != (home or subject.key.namespace):
        return server.server_ref is not None
    field = "service" if server.service is not None else "serverRef" if server.server_ref is not None else "url"
    where = f"{subject.title}: spec.servers[{number}].{field}: Service {name.namespace}/{name.name}"
    if is_missing(name, services):
        message = f"{where} does not exist; create it, or correct the name"
        return ResourceRejection(ResolvedRefsReason.BACKEND_NOT_FOUND, message)
    service, port = find(name, services), url.port or DEFAULT_PORTS[url.scheme]
    if service is None or service.ports is None or port in service.ports:
        return service is not None or server.server_ref is not None
    known = ", ".join(map(str, sorted(service.ports))) or "none"
    message = f"{where} has no port {port}; it has {known}: correct the port, or add it to the Service"
    return ResourceRejection(ResolvedRefsReason.BACKEND_NOT_FOUND, message)


def _references(spec: ProxySpec) -> Iterator[tuple[int, Server, CaCertificateReferences]]:
    """Yield the servers with CA bundles, with their numbers."""
    for number, server in enumerate(spec.servers):
        if server.tls is not None and server.tls.ca_certificate_refs:
            yield number, server, server.tls.ca_certificate_refs
