"""Resolves the references of resources: Services, CA bundles and credentials."""

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from ostiary_core.contract.upstream_credentials import UpstreamCredentialConfig
from ostiary_operator.api.proxy import CaCertificateReference, ProxySpec, Server
from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.compile import credentials
from ostiary_operator.compile.backends import Services, find, is_missing, service_of
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import unreadable
from ostiary_operator.compile.model import Missing, ReferenceKey, ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedProxy, read_proxies
from ostiary_operator.compile.routes import DEFAULT_PORTS, server_url

References = Mapping[ReferenceKey, Mapping[str, str] | Missing]

_PEM_LABEL: Final = re.compile(r"-----BEGIN ([^-]*)-----")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")


def wanted(proxies: Iterable[Mapping[str, Any]], cache: Cache | None = None) -> set[ReferenceKey]:
    """Return the objects that the caller must read before it compiles these proxies."""
    subjects = read_proxies(proxies, cache if cache is not None else Cache())
    return {
        _key(subject, reference)
        for subject in subjects
        if subject.spec is not None
        for _, reference in _references(subject.spec)
    }


def wanted_credentials(proxies: Iterable[Mapping[str, Any]], cache: Cache | None = None) -> set[ReferenceKey]:
    """Return the Secrets with credentials that the compilation of these proxies needs."""
    subjects = read_proxies(proxies, cache if cache is not None else Cache())
    return {
        key
        for subject in subjects
        if subject.spec is not None
        for key in credentials.wanted(subject.key.namespace, subject.spec)
    }


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolved references of one proxy, by server, or why one is unusable."""

    bundles: Mapping[str, str] = field(default_factory=dict)
    """Server name -> certificates as PEM."""
    credentials: Mapping[str, UpstreamCredentialConfig] = field(default_factory=dict)
    found_services: bool = False
    """Whether it refers to Services, and all exist."""
    rejection: ResourceRejection | None = None


def resolve(
    subject: ParsedProxy,
    spec: ProxySpec,
    references: References,
    secrets: credentials.Secrets,
    services: Services,
    cache: Cache,
) -> Resolution:
    """Resolve the references of a proxy; the first unusable one is the rejection."""
    names = [_backend(subject, number, server, services) for number, server in enumerate(spec.servers)]
    rejection = next((name for name in names if isinstance(name, ResourceRejection)), None)
    if rejection is not None:
        return Resolution(rejection=rejection)
    bundles: dict[str, str] = {}
    for path, reference in _references(spec):
        found = _certificates(subject, path, reference, references, cache)
        if isinstance(found, ResourceRejection):
            return Resolution(rejection=found)
        bundles[path.server] = bundles.get(path.server, "") + found
    configs = credentials.resolve_servers(subject.title, subject.key.namespace, spec, secrets)
    if isinstance(configs, ResourceRejection):
        return Resolution(rejection=configs)
    return Resolution(bundles, configs, found_services=any(names))


def _backend(subject: ParsedProxy, number: int, server: Server, services: Services) -> bool | ResourceRejection:
    """Return whether a server is a Service that exists with its port, or why that is missing."""
    url = urlsplit(server_url(server, subject.key.namespace))
    name = service_of(url.hostname or "")
    if name is None or name.namespace != subject.key.namespace:
        return False
    field = "service" if server.service is not None else "url"
    where = f"{subject.title}: spec.servers[{number}].{field}: Service {name.namespace}/{name.name}"
    if is_missing(name, services):
        message = f"{where} does not exist; create it, or correct the name"
        return ResourceRejection(ResolvedRefsReason.BACKEND_NOT_FOUND, message)
    service, port = find(name, services), url.port or DEFAULT_PORTS[url.scheme]
    if service is None or service.ports is None or port in service.ports:
        return service is not None
    known = ", ".join(map(str, sorted(service.ports))) or "none"
    message = f"{where} has no port {port}; it has {known}: correct the port, or add it to the Service"
    return ResourceRejection(ResolvedRefsReason.BACKEND_NOT_FOUND, message)


@dataclass(frozen=True, slots=True)
class _Place:
    """The position of a reference in the resource."""

    server: str
    field: str


def _references(spec: ProxySpec) -> Iterator[tuple[_Place, CaCertificateReference]]:
    for number, server in enumerate(spec.servers):
        references = server.tls.ca_certificate_refs if server.tls is not None else None
        for index, reference in enumerate(references or ()):
            yield _Place(server.name, f"spec.servers[{number}].tls.caCertificateRefs[{index}]"), reference


def _key(subject: ParsedProxy, reference: CaCertificateReference) -> ReferenceKey:
    return ReferenceKey(reference.kind.value, subject.key.namespace, reference.name)


def _certificates(
    subject: ParsedProxy, place: _Place, reference: CaCertificateReference, references: References, cache: Cache
) -> str | ResourceRejection:
    """Return the certificates that a reference names, or why they are not usable."""
    key = _key(subject, reference)
    where = f"{subject.title}: {place.field}: {key.kind} {key.namespace}/{key.name}"
    data = references.get(key, Missing.NOT_FOUND)
    if isinstance(data, Missing):
        return unreadable(data, where, key)
    if reference.key not in data:
        remedy = "add it, or correct the reference's key"
        return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, f"{where} has no key {reference.key}; {remedy}")
    text = data[reference.key]
    bundle, defect = cache.get(("certificates", text), lambda: _bundle(text))
    if defect:
        return ResourceRejection(ResolvedRefsReason.REF_INVALID, f"{where}: key {reference.key} {defect}")
    return bundle


def _bundle(text: str) -> tuple[str, str]:
    """Return (certificates, "") or ("", the defect).

    Only the certificates are returned: other content of a Secret, above all a private key, must never reach a
    ConfigMap.
    """
    found = _PEM_LABEL.findall(text)
    if not found:
        return "", "holds no certificate; it needs certificates as PEM"
    if set(found) != {"CERTIFICATE"}:
        return "", "holds something other than certificates; leave nothing in it but certificates as PEM"
    blocks = [block.replace("\r", "") for block in _CERTIFICATE.findall(text)]
    # One by one: given all at once, OpenSSL silently stops at the first that it cannot read.
    if len(blocks) != len(found) or not all(map(_loads, blocks)):
        return "", "holds a certificate that cannot be read; it needs certificates as PEM"
    return "".join(f"{block}\n" for block in blocks), ""


def _loads(certificate: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        return False
    return True
