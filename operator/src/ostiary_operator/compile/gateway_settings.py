"""Finds the settings in force at each gateway.

A gateway whose settings cannot be used keeps its last good ones, which its previous config carries, and blocks what the
current ones block (:mod:`.blocks`). Without any it is known, but nothing can be placed there: falling back to defaults
would open what the settings close.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ostiary_core.canonical import canonical
from ostiary_core.contract.bounds import BoundsConfig, ServerShareConfig, ShareConfig
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EgressProxyConfig, SettingsDocument
from ostiary_operator.api import labels
from ostiary_operator.api.load import InvalidSettings, parse_settings
from ostiary_operator.api.settings import Bounds as ApiBounds
from ostiary_operator.api.settings import EgressProxy as ApiEgressProxy
from ostiary_operator.api.settings import (
    EvidenceRecording,
    GatewaySettings,
    PerPrincipal,
    PerProxy,
    PerSource,
    SessionNotePlace,
)
from ostiary_operator.compile import blocks
from ostiary_operator.compile.audit import gateway_audit_config
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.gateways import claimants
from ostiary_operator.compile.model import DiscoveredGateway, GatewayProblem, Resources

_DEFAULTS = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One gateway.

    ``shared`` ones are in the operator's namespace; others serve their own namespace only. ``settings``, and
    ``document``, which is compiled from them, are None where the gateway cannot be used.
    """

    gateway: DiscoveredGateway
    shared: bool
    settings: GatewaySettings | None = None
    document: SettingsDocument | None = None

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return self.gateway.identity

    def serves(self, namespace: str) -> bool:
        """Whether the gateway may be given the proxies of a namespace."""
        return self.shared or self.gateway.namespace == namespace

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether the gateway takes a proxy with these labels that names no gateway.

        Settings that cannot be used select every proxy: what is wrong is then said of them.
        """
        selector = self.settings.proxy_selector if self.settings is not None else None
        return selector is None or selector.selects(labels)


def resolve_sites(
    resources: Resources, previous: Mapping[str, GatewayConfig], cache: Cache
) -> tuple[tuple[Site, ...], tuple[GatewayProblem, ...]]:
    """Return the gateways, shared ones first and then by identity, and what is wrong with them."""
    sites, problems = [], []
    for identity, rivals in claimants(resources.gateways).items():
        site, problem = _settle(rivals[0], resources, previous.get(identity), cache)
        sites.append(site)
        problems += [text for text in (problem, _rivalry(rivals)) if text]
    sites.sort(key=lambda site: (not site.shared, site.identity))
    return tuple(sites), tuple(sorted(problems, key=lambda it: (it.gateway, it.message)))


def _rivalry(rivals: Sequence[DiscoveredGateway]) -> GatewayProblem | None:
    gateway, *others = rivals
    if not others:
        return None
    names = ", ".join(other.service for other in others)
    message = (
        f"Service {gateway.namespace}/{gateway.service} is the gateway {gateway.name}, being the oldest to claim it; "
        f"{names} claims it too: give it another value of the label {labels.GATEWAY}"
    )
    return GatewayProblem(gateway.identity, message)


def _settle(
    gateway: DiscoveredGateway, resources: Resources, previous: GatewayConfig | None, cache: Cache
) -> tuple[Site, GatewayProblem | None]:
    """Find the settings in force: the current ones, else the last good ones."""
    shared = gateway.namespace == resources.operator_namespace
    source = previous.settings.source if previous is not None else None
    if not labels.is_dns_label(gateway.name):
        problem = f"{gateway.name!r} is not a DNS label; correct the label {labels.GATEWAY} of {gateway.service}"
        return Site(gateway, shared), GatewayProblem(gateway.identity, problem)
    today = _today(gateway, resources, cache, is_new=source is None)
    if not isinstance(today, str):
        return Site(gateway, shared, *today), None
    last = _read(source, gateway, resources, cache) if source is not None else ""
    if source is not None and not isinstance(last, str):
        kept, message = _kept(source, last[0], gateway, resources, cache)
        return Site(gateway, shared, *kept), GatewayProblem(gateway.identity, f"{today}; {message}")
    return Site(gateway, shared), GatewayProblem(gateway.identity, f"{today}; it serves nothing until then")


def _kept(
    source: str, last: GatewaySettings, gateway: DiscoveredGateway, resources: Resources, cache: Cache
) -> tuple[tuple[GatewaySettings, SettingsDocument], str]:
    """Return the last good settings, with what the current ones block too, and a message."""
    text, api_servers = gateway.settings or "", resources.api_servers
    key = ("kept settings", gateway.identity, api_servers, text, source)

    def combine() -> tuple[tuple[GatewaySettings, SettingsDocument], str]:
        settings, message = blocks.with_blocks_of(last, text)
        return (settings, settings_document(settings, api_servers)), message

    return cache.get(key, combine)


def _today(
    gateway: DiscoveredGateway, resources: Resources, cache: Cache, *, is_new: bool
) -> tuple[GatewaySettings, SettingsDocument] | str:
    """Return a gateway's current settings, or what is wrong with them.

    A new gateway may have none.
    """
    if gateway.settings_problem:
        return gateway.settings_problem
    text = _DEFAULTS if gateway.settings is None and is_new else gateway.settings
    if text is None:
        return "there is no ConfigMap with its settings; create it"
    return _read(text, gateway, resources, cache)


def readable_settings(
    gateways: Iterable[DiscoveredGateway], cache: Cache
) -> Iterator[tuple[DiscoveredGateway, GatewaySettings]]:
    """Yield the gateways whose current settings can be read, with what these say."""
    for gateway in gateways:
        text = gateway.settings or ""
        settings = cache.get(("readable settings", text), functools.partial(_readable, text))
        if settings is not None:
            yield gateway, settings


def _readable(text: str) -> GatewaySettings | None:
    try:
        return parse_settings(text, subject="settings")
    except InvalidSettings:
        return None


def _read(
    text: str, gateway: DiscoveredGateway, resources: Resources, cache: Cache
) -> tuple[GatewaySettings, SettingsDocument] | str:
    """Return settings with their document, or what is wrong with them."""
    api_servers = resources.api_servers
    key = ("settings", gateway.identity, api_servers, text)
    return cache.get(key, lambda: _parsed(text, gateway, api_servers))


def _parsed(
    text: str, gateway: DiscoveredGateway, api_servers: tuple[str, ...]
) -> tuple[GatewaySettings, SettingsDocument] | str:
    try:
        settings = parse_settings(text, subject=f"settings of gateway {gateway.identity}")
    except InvalidSettings as error:
        return str(error)
    return settings, settings_document(settings, api_servers)


def settings_document(settings: GatewaySettings, api_servers: tuple[str, ...] = ()) -> SettingsDocument:
    """Return the document that a gateway reads.

    ``api_servers`` are addresses that it never connects to.
    """
    return SettingsDocument(
        external_url=settings.external_url,
        allowed_origins=list(settings.allowed_origins),
        trusted_proxies=[str(network) for network in settings.trusted_proxies],
        bounds=_bounds(settings.bounds),
        egress_proxy=_egress_proxy(settings.egress_proxy),
        refused_addresses=list(api_servers) or None,
        blocked=blocks.blocked_config(settings.blocked),
        audit=gateway_audit_config(settings.audit),
        session_notes=settings.session_notes.value if settings.session_notes is not SessionNotePlace.LOCAL else None,
        evidence_recording=None if settings.evidence.recording is EvidenceRecording.ON else "Off",
        source=canonical(settings.document()).decode(),
    )


def _egress_proxy(proxy: ApiEgressProxy | None) -> EgressProxyConfig | None:
    if proxy is None:
        return None
    url = urlsplit(proxy.url)
    return EgressProxyConfig(host=url.hostname or "", port=url.port or 0, no_proxy=list(proxy.no_proxy))


def _bounds(bounds: ApiBounds) -> BoundsConfig:
    return BoundsConfig(
        request_bytes=int(bounds.request_bytes),
        message_bytes=int(bounds.message_bytes),
        message_values=bounds.message_values,
        connections=bounds.connections,
        requests_in_flight=bounds.requests_in_flight,
        streams=bounds.streams,
        bytes_in_flight=int(bounds.bytes_in_flight),
        per_source=_share(bounds.per_source, connections=bounds.per_source.connections),
        per_principal=_share(bounds.per_principal),
        per_proxy=_share(bounds.per_proxy),
        per_server=ServerShareConfig(connections=bounds.per_server.connections),
        session_max_age=bounds.session_max_age.milliseconds,
        limit_refusals=bounds.limit_refusals if bounds.limit_refusals != ApiBounds().limit_refusals else None,
    )


def _share(share: PerSource | PerPrincipal | PerProxy, *, connections: int | None = None) -> ShareConfig:
    return ShareConfig(
        connections=connections,
        requests_in_flight=share.requests_in_flight,
        streams=share.streams,
        bytes_in_flight=int(share.bytes_in_flight),
    )
