"""Compiles the entries of a gateway's config: a proxy, its servers, its current policies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from ostiary_core.contract.debug_capture import DebugCaptureConfig
from ostiary_core.contract.definitions import LockConfig, PinningName
from ostiary_core.contract.documents import (
    CatalogueConfig,
    CatalogueSelectionConfig,
    Default,
    EntryDocument,
    HeaderConfig,
    PolicyDocument,
    ServerConfig,
    TimeoutsConfig,
    TlsConfig,
)
from ostiary_core.contract.server_resilience import DiscoveryConfig
from ostiary_core.contract.upstream_credentials import UpstreamCredentialConfig
from ostiary_operator.api.debug_capture import DebugCapture, milliseconds_of
from ostiary_operator.api.proxy import Catalogue as ApiCatalogue
from ostiary_operator.api.proxy import NameSelection, ProxySpec
from ostiary_operator.api.servers import Server as ApiServer
from ostiary_operator.compile import endpoint_discovery, grants
from ostiary_operator.compile.backends import Services
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.definitions import definitions_config, floor_of, with_floor
from ostiary_operator.compile.encoded_document import EncodedDocument, encode_document
from ostiary_operator.compile.endpoint_discovery import judged
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.locks import LockInForce
from ostiary_operator.compile.model import ObjectKey
from ostiary_operator.compile.openapi_documents import TranslatedServer
from ostiary_operator.compile.policies import Governance
from ostiary_operator.compile.proxies import Admission
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.routes import claim_of_spec, server_url
from ostiary_operator.compile.scorers import ScorerAddresses, addresses_of_scorers, scorer_addresses_config
from ostiary_operator.compile.server_references import key_of
from ostiary_operator.compile.server_resilience import (
    circuit_breaker_config,
    endpoint_configs,
    health_check_config,
    load_balancer_name,
    retry_config,
)
from ostiary_operator.compile.server_selection import (
    failure_config,
    instructions_config,
    list_cache_config,
    routing_configs,
    selection_config,
)

EncodedEntry: TypeAlias = EncodedDocument[EntryDocument]
_UNGOVERNED = Governance()
_NO_LOCKS: Final[Mapping[ObjectKey, tuple[LockInForce, ...]]] = {}
_NO_DISCOVERIES: Final[Mapping[str, DiscoveryConfig | None]] = {}
_NO_CREDENTIALS: Final[Mapping[str, UpstreamCredentialConfig]] = {}


def entries_of(
    site: Site,
    admissions: Iterable[Admission],
    governance: Mapping[ObjectKey, Governance],
    services: Services,
    cache: Cache,
    locks: Mapping[ObjectKey, tuple[LockInForce, ...]] = _NO_LOCKS,
) -> dict[ObjectKey, EncodedEntry]:
    """Return the entries of a gateway, by proxy; ``admissions`` are those with an entry there."""
    found = {}
    for admission in admissions:
        governed = governance.get(admission.subject.key, _UNGOVERNED)
        locked = locks.get(admission.subject.key, ())
        kept = admission.kept.get(site.identity)
        if kept is not None:
            policies = {encoded.digest: encoded.document for encoded in governed.encoded}
            closed = bool(governed.closed_by)
            configs = [each.config for each in locked]
            found[admission.subject.key] = refreshed(
                kept, site, services, policies=policies, invalid=closed, locks=configs
            )
        else:
            found[admission.subject.key] = _fresh(admission, site, governed, cache, locked)
    return found


def refreshed(
    entry: EntryDocument,
    site: Site,
    services: Services,
    *,
    policies: Mapping[str, PolicyDocument],
    invalid: bool,
    locks: Sequence[LockConfig],
) -> EncodedEntry:
    """Return a kept entry under today's policies, locks, default, addresses and Services.

    ``policies`` are by digest.
    """
    addresses = grants.addresses(site, entry.namespace)
    servers = [server.model_copy(update={"addresses": addresses}) for server in entry.servers]
    update = {
        "servers": [endpoint_discovery.current(server, site, services) for server in servers],
        "policies": sorted(policies),
        "definitions": with_floor(entry.definitions, floor_of(policies.values()), locks),
        "scorer_addresses": scorer_addresses_config(addresses_of_scorers(site, entry.namespace, policies.values())),
        "without_policy": _without_policy(site),
        "invalid": invalid,
    }
    return encode_document(entry.model_copy(update=update))


def _fresh(
    admission: Admission, site: Site, governance: Governance, cache: Cache, locks: tuple[LockInForce, ...]
) -> EncodedEntry:
    subject, resolution = admission.subject, admission.resolution
    if subject.spec is None or resolution is None:
        raise AssertionError("only a valid version has sites")
    policies = [encoded.document for encoded in governance.encoded]
    shape = _Shape(
        default=_without_policy(site),
        invalid=bool(governance.closed_by),
        policies=tuple(encoded.digest for encoded in governance.encoded),
        addresses=tuple(grants.addresses(site, subject.key.namespace)),
        bundles=tuple(resolution.bundles.items()),
        credentials=tuple(resolution.credentials.items()),
        discoveries=tuple((name, judged(each, site)) for name, each in resolution.discoveries.items()),
        translated=tuple(resolution.translated.servers.items()),
        floor=floor_of(policies),
        scorers=addresses_of_scorers(site, subject.key.namespace, policies),
        locks=locks,
    )
    spec = subject.spec
    if subject.fingerprint is None:
        return _write(subject, spec, shape)
    return cache.get(("entry", subject.fingerprint, shape), lambda: _write(subject, spec, shape))


class _Shape(NamedTuple):
    """The input of an entry besides the resource itself."""

    default: Default
    invalid: bool
    policies: tuple[str, ...]
    addresses: tuple[str, ...]
    bundles: tuple[tuple[str, str], ...]
    credentials: tuple[tuple[str, UpstreamCredentialConfig], ...]
    discoveries: tuple[tuple[str, DiscoveryConfig | None], ...]
    translated: tuple[tuple[str, TranslatedServer], ...]
    floor: PinningName | None
    scorers: ScorerAddresses
    locks: tuple[LockInForce, ...]


def _write(subject: ParsedProxy, spec: ProxySpec, shape: _Shape) -> EncodedEntry:
    claim = claim_of_spec(subject.key, spec)
    servers = compile_servers(
        spec,
        subject.key.namespace,
        bundles=dict(shape.bundles),
        addresses=list(shape.addresses),
        credentials=dict(shape.credentials),
        discoveries=dict(shape.discoveries),
    )
    documents = {name: each.config for name, each in shape.translated}
    servers = [
        each.model_copy(update={"openapi": documents[each.name]}) if each.name in documents else each
        for each in servers
    ]
    return encode_document(
        EntryDocument(
            namespace=subject.key.namespace,
            name=subject.key.name,
            uid=subject.uid,
            generation=subject.generation,
            path=claim.path,
            hostnames=list(claim.hostnames),
            servers=servers,
            server_selection=selection_config(spec),
            on_server_failure=failure_config(spec),
            instructions=instructions_config(spec),
            routing=routing_configs(spec),
            list_cache=list_cache_config(spec),
            catalogue=_catalogue(spec.catalogue) if spec.catalogue is not None else None,
            definitions=definitions_config(spec.catalogue, shape.floor, [each.config for each in shape.locks]),
            scorer_addresses=scorer_addresses_config(shape.scorers),
            policies=list(shape.policies),
            without_policy=shape.default,
            invalid=shape.invalid,
            debug_capture=_debug_capture(spec.debug_capture),
        )
    )


def _debug_capture(capture: DebugCapture | None) -> DebugCaptureConfig | None:
    if capture is None:
        return None
    return DebugCaptureConfig(until=milliseconds_of(capture.until), contents=capture.contents.value)


def _without_policy(site: Site) -> Default:
    if site.settings is None:
        raise AssertionError("nothing is placed at a gateway without settings")
    return site.settings.without_policy.value


def compile_servers(
    spec: ProxySpec,
    namespace: str,
    *,
    bundles: Mapping[str, str],
    addresses: list[str],
    credentials: Mapping[str, UpstreamCredentialConfig] = _NO_CREDENTIALS,
    discoveries: Mapping[str, DiscoveryConfig | None] = _NO_DISCOVERIES,
) -> list[ServerConfig]:
    """Compile the servers. ``addresses`` are CIDRs, the other arguments are by server."""
    return [
        _server(
            server,
            namespace,
            bundles.get(server.name),
            addresses,
            credentials.get(server.name),
            discoveries.get(server.name),
        )
        for server in spec.servers
    ]


def _server(
    server: ApiServer,
    namespace: str,
    bundle: str | None,
    addresses: list[str],
    credential: UpstreamCredentialConfig | None,
    discovery: DiscoveryConfig | None,
) -> ServerConfig:
    timeouts = server.timeouts
    has_several_places = server.endpoints is not None or discovery is not None
    return ServerConfig(
        name=server.name,
        url=server_url(server, namespace),
        reference=key_of(server.server_ref, namespace).identity if server.server_ref is not None else None,
        timeouts=TimeoutsConfig(
            connect=timeouts.connect.milliseconds,
            request=timeouts.request.milliseconds,
            idle=timeouts.idle.milliseconds,
        ),
        tls=TlsConfig(ca=bundle, hostname=server.tls.hostname) if server.tls is not None else None,
        addresses=addresses,
        host=server.host,
        headers=[HeaderConfig(name=header.name, value=header.value) for header in server.headers] or None,
        credential=credential,
        prefix=server.prefix,
        protocol_version=server.protocol_version.value if server.protocol_version is not None else None,
        endpoints=endpoint_configs(server),
        discovery=discovery,
        load_balancer=load_balancer_name(server) if has_several_places else None,
        health_check=health_check_config(server) if has_several_places else None,
        retry=retry_config(server, has_several_places=has_several_places),
        circuit_breaker=circuit_breaker_config(server),
    )


def _catalogue(catalogue: ApiCatalogue) -> CatalogueConfig | None:
    if catalogue.tools is None and catalogue.resources is None and catalogue.prompts is None:
        return None
    return CatalogueConfig(
        tools=_selection(catalogue.tools),
        resources=_selection(catalogue.resources),
        prompts=_selection(catalogue.prompts),
    )


def _selection(selection: NameSelection | None) -> CatalogueSelectionConfig | None:
    if selection is None:
        return None
    include, exclude = selection.include, selection.exclude
    return CatalogueSelectionConfig(
        include=list(include) if include is not None else None,
        exclude=list(exclude) if exclude is not None else None,
    )
