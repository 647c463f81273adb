"""Rows for tables and JSON: fields and readiness of each resource and gateway."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ostiary_operator.api.conditions import ASIDE, REASONS, ConditionStatus, ConditionType
from ostiary_operator.api.objects import identity_of, name_of, namespace_of
from ostiary_operator.api.reasons import ReadyReason
from ostiary_operator.kube.kinds import POLICY, PROXY
from ostiary_operator.local.console import printable
from ostiary_operator.view.cluster_reader import ClusterOverview, GatewayOverview, serving_gateways

#: Shown characters of a message.
_MESSAGE: Final = 1000
#: In the order of their dependencies.
_STAGES: Final = (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS, ConditionType.PROGRAMMED)
#: Shown characters of a digest: enough to distinguish entries.
SHORT: Final = 12
_URL: Final = 2048
#: The length of a trace id.
_TRACE_ID: Final = 32
#: The conditions on servers, which are shown apart from the others.
_OF_UPSTREAMS: Final = (ConditionType.UPSTREAM_HEALTHY, ConditionType.UPSTREAMS_HEALTHY)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a resource is ready, and why not.

    ``status`` is True, False or Unknown. ``reason`` is one of :mod:`ostiary_operator.api.reasons`, ``message`` the
    operator's sentence, and ``remedy`` what to do; the last two are empty if it is ready.
    """

    status: str
    reason: str
    message: str = ""
    remedy: str = ""

    @property
    def ready(self) -> bool:
        """Whether the newest generation works."""
        return self.status == ConditionStatus.TRUE


def readiness_of(resource: Mapping[str, Any]) -> Readiness:
    """Return the readiness of an MCPProxy or MCPPolicy.

    Conditions of an older generation are ignored.
    """
    ready = condition(resource, ConditionType.READY)
    if ready.ready:
        return ready
    causes = (condition(resource, each) for each in _STAGES)
    return next((cause for cause in causes if not cause.ready), ready)


def condition(resource: Mapping[str, Any], wanted: ConditionType) -> Readiness:
    """Return one condition, or Unknown if it is not of the newest generation."""
    generation = resource.get("metadata", {}).get("generation")
    conditions = (resource.get("status") or {}).get("conditions") or ()
    found = next((each for each in conditions if each.get("type") == wanted), None)
    if found is None or found.get("observedGeneration") != generation:
        return Readiness(
            ConditionStatus.UNKNOWN,
            ReadyReason.PENDING,
            f"the operator has not judged generation {generation} yet",
            ReadyReason.PENDING.remedy,
        )
    status, reason = printable(str(found.get("status"))), printable(str(found.get("reason")))
    if status == ConditionStatus.TRUE:
        return Readiness(status, reason)
    message = printable(str(found.get("message") or ""), limit=_MESSAGE)
    return Readiness(status, reason, message, remedy(wanted, reason))


def remarks(resource: Mapping[str, Any], kind: str) -> tuple[Readiness, ...]:
    """Return the informational conditions that are False.

    They do not decide whether a resource is ready.
    """
    others = (condition(resource, each) for each in ASIDE[kind] if each not in _OF_UPSTREAMS)
    return tuple(each for each in others if each.status == ConditionStatus.FALSE)


def upstream_health(proxy: Mapping[str, Any]) -> Readiness:
    """Return UpstreamHealthy, or UpstreamsHealthy of a proxy with several servers."""
    held = {each.get("type") for each in (proxy.get("status") or {}).get("conditions") or ()}
    several = ConditionType.UPSTREAMS_HEALTHY in held
    return condition(proxy, ConditionType.UPSTREAMS_HEALTHY if several else ConditionType.UPSTREAM_HEALTHY)


def remedy(of_type: ConditionType, reason: str) -> str:
    """Return the remedy for a reason; empty for one that this version does not know."""
    return next((each.remedy for each in REASONS[of_type] if each == reason), "")


@dataclass(frozen=True, slots=True)
class ProxyRow:
    """The row of an MCPProxy."""

    namespace: str
    name: str
    verdict: Readiness
    url: str
    urls: tuple[str, ...]
    replicas: Mapping[str, str]
    """By gateway, ``ready/desired``."""
    digests: Mapping[str, str]
    """By gateway; only those whose config may be read."""
    policies: tuple[str, ...]
    servers: tuple[str, ...]
    upstream: Readiness
    """The condition UpstreamHealthy or UpstreamsHealthy; it does not decide whether the proxy is ready."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """By server, its endpoints in words; only servers that are reached at several places."""
    change_trace: str = ""
    """The id of the trace of the change that its status shows."""
    remarks: tuple[Readiness, ...] = ()

    @property
    def digest(self) -> str:
        """The short digest; with several gateways, each distinct one."""
        return ",".join(dict.fromkeys(each[:SHORT] for each in self.digests.values()))

    @property
    def endpoint_counts(self) -> str:
        """The endpoints in one cell; the server is named if there are several."""
        if len(self.servers) == 1:
            return next(iter(self.endpoints.values()), "")
        return "; ".join(f"{server} {count}" for server, count in self.endpoints.items())

    @property
    def replica_counts(self) -> str:
        """The replica counts in one cell; the gateway is named if there are several."""
        if len(self.replicas) == 1:
            return next(iter(self.replicas.values()))
        return ",".join(f"{gateway.partition('/')[2]} {count}" for gateway, count in self.replicas.items())


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """The row of an MCPPolicy."""

    namespace: str
    name: str
    verdict: Readiness
    target_count: int | None
    targets: tuple[str, ...]
    change_trace: str = ""
    remarks: tuple[Readiness, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """The row of a gateway."""

    namespace: str
    name: str
    service: str
    revision: int | None
    entries: int | None


def proxy_row(proxy: Mapping[str, Any], gateways: Mapping[str, GatewayOverview]) -> ProxyRow:
    """Return the row of an MCPProxy."""
    status = proxy.get("status") or {}
    identity = identity_of(proxy)
    found = {each: gateways[each].digests.get(identity) for each in serving_gateways(proxy) if each in gateways}
    return ProxyRow(
        namespace_of(proxy),
        name_of(proxy),
        proxy_readiness(proxy, gateways),
        url=printable(status.get("url") or "", limit=_URL),
        urls=tuple(printable(each.get("url") or "", limit=_URL) for each in status.get("urls") or ()),
        replicas={
            f"{each.get('namespace')}/{each.get('name')}": f"{each.get('ready')}/{each.get('desired')}"
            for each in status.get("gateways") or ()
        },
        digests={gateway: digest for gateway, digest in found.items() if digest is not None},
        policies=_references(status.get("policies"), near=namespace_of(proxy)),
        servers=tuple(_server(each) for each in proxy.get("spec", {}).get("servers") or ()),
        upstream=upstream_health(proxy),
        endpoints=_endpoints(status),
        change_trace=_change_trace(status),
        remarks=remarks(proxy, PROXY.name),
    )


def proxy_readiness(proxy: Mapping[str, Any], gateways: Mapping[str, GatewayOverview]) -> Readiness:
    """Return the readiness in the status, or Unknown if no operator seems to update it."""
    judged, identity = readiness_of(proxy), identity_of(proxy)
    lacking = [each for each in serving_gateways(proxy) if each in gateways and gateways[each].lacks(identity)]
    if not judged.ready or not lacking:
        return judged
    message = f"its status says that it is ready, but it is not in the config of gateway {lacking[0]}"
    remedy = "Check that an operator still serves its namespace: run ostiary doctor."
    return Readiness(ConditionStatus.UNKNOWN, ReadyReason.PENDING, message, remedy)


def policy_row(policy: Mapping[str, Any]) -> PolicyRow:
    """Return the row of an MCPPolicy."""
    status = policy.get("status") or {}
    return PolicyRow(
        namespace_of(policy),
        name_of(policy),
        readiness_of(policy),
        target_count=status.get("targetCount"),
        targets=_references(status.get("targets"), near=namespace_of(policy)),
        change_trace=_change_trace(status),
        remarks=remarks(policy, POLICY.name),
    )


def gateway_row(gateway: GatewayOverview) -> GatewayRow:
    """Return the row of a gateway."""
    namespace, _, name = gateway.identity.partition("/")
    manifest = gateway.manifest
    return GatewayRow(
        namespace,
        name,
        gateway.service or "",
        manifest.revision if manifest is not None else None,
        len(manifest.entries) if manifest is not None else None,
    )


def _change_trace(status: Mapping[str, Any]) -> str:
    return printable(str(status.get("changeTrace") or ""), limit=_TRACE_ID)


def _references(found: Iterable[Mapping[str, Any]] | None, *, near: str) -> tuple[str, ...]:
    """Return the referenced names, as `namespace/name` if the namespace is not ``near``."""
    return tuple(
        str(each.get("name")) if each.get("namespace") == near else f"{each.get('namespace')}/{each.get('name')}"
        for each in found or ()
    )


def _endpoints(status: Mapping[str, Any]) -> dict[str, str]:
    servers = (each for each in status.get("servers") or () if each.get("endpoints"))
    return {printable(str(each.get("name"))): printable(str(each["endpoints"])) for each in servers}


def _server(server: Mapping[str, Any]) -> str:
    """Return the address of a server. Its URL has no credentials: the CRD refuses those."""
    reference, service = server.get("serverRef"), server.get("service") or {}
    place = f"service {service.get('name')}:{service.get('port')}"
    if reference is not None:
        place = f"{reference.get('kind')} {reference.get('name')}"
    return printable(str(server.get("url") or place), limit=_URL)


def as_object(seen: ClusterOverview) -> dict[str, Any]:
    """Return all rows as a JSON object."""
    proxies = [proxy_row(each, seen.gateways) for each in seen.proxies]
    policies = [policy_row(each) for each in seen.policies]
    rows: list[ProxyRow | PolicyRow] = [*proxies, *policies]
    return {
        "ready": all(row.verdict.ready for row in rows),
        "gateways": [asdict(gateway_row(each)) for each in seen.gateways.values()],
        "proxies": [_flat(row) for row in proxies],
        "policies": [_flat(row) for row in policies],
        "notes": list(seen.notes),
    }


def _flat(row: ProxyRow | PolicyRow) -> dict[str, Any]:
    """Return a row as JSON, with the members of its readiness at the top level."""
    fields = asdict(row)
    judged = fields.pop("verdict")
    if "target_count" in fields:
        fields["targetCount"] = fields.pop("target_count")
    fields["changeTrace"] = fields.pop("change_trace")
    head = {"namespace": fields.pop("namespace"), "name": fields.pop("name"), "ready": judged["status"]}
    return head | {key: judged[key] for key in ("reason", "message", "remedy")} | fields
