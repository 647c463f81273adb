"""What is known of each resource and gateway, as plain data that tables, JSON and the summary are made of. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from ostiary_operator.api.status import ConditionStatus, ConditionType, ReadyReason
from ostiary_operator.kube.client import name_of, namespace_of
from ostiary_operator.kube.kinds import POLICY, PROXY
from ostiary_operator.local.console import printable
from ostiary_operator.view import verdict
from ostiary_operator.view.reading import ClusterOverview, GatewayOverview, serving_gateways
from ostiary_operator.view.verdict import Readiness

#: Characters of a digest that tell entries apart.
SHORT: Final = 12
_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class ProxyRow:
    """An MCPProxy."""

    namespace: str
    name: str
    verdict: Readiness
    url: str
    urls: tuple[str, ...]
    replicas: Mapping[str, str]
    """By gateway, ``ready/desired``."""
    digests: Mapping[str, str]
    """By gateway, as far as its config may be read."""
    policies: tuple[str, ...]
    servers: tuple[str, ...]
    upstream: Readiness
    """What the gateways saw of the server; no part of the verdict."""
    remarks: tuple[Readiness, ...] = ()

    @property
    def digest(self) -> str:
        """The digest in short; of several gateways, each different one."""
        return ",".join(dict.fromkeys(each[:SHORT] for each in self.digests.values()))

    @property
    def replica_counts(self) -> str:
        """The replicas in one cell; a lone gateway needs no name."""
        if len(self.replicas) == 1:
            return next(iter(self.replicas.values()))
        return ",".join(f"{gateway.partition('/')[2]} {count}" for gateway, count in self.replicas.items())


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """An MCPPolicy."""

    namespace: str
    name: str
    verdict: Readiness
    target_count: int | None
    targets: tuple[str, ...]
    remarks: tuple[Readiness, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway."""

    namespace: str
    name: str
    service: str
    revision: int | None
    entries: int | None


def proxy_row(proxy: Mapping[str, Any], gateways: Mapping[str, GatewayOverview]) -> ProxyRow:
    """Say of an MCPProxy what matters."""
    status = proxy.get("status") or {}
    identity = f"{namespace_of(proxy)}/{name_of(proxy)}"
    found = {each: gateways[each].digests.get(identity) for each in serving_gateways(proxy) if each in gateways}
    return ProxyRow(
        namespace_of(proxy),
        name_of(proxy),
        _verdict(proxy, identity, gateways),
        url=printable(status.get("url") or "", limit=_URL),
        urls=tuple(printable(each.get("url") or "", limit=_URL) for each in status.get("urls") or ()),
        replicas={
            f"{each.get('namespace')}/{each.get('name')}": f"{each.get('ready')}/{each.get('desired')}"
            for each in status.get("gateways") or ()
        },
        digests={gateway: digest for gateway, digest in found.items() if digest is not None},
        policies=_references(status.get("policies"), near=namespace_of(proxy)),
        servers=tuple(_server(each) for each in proxy.get("spec", {}).get("servers") or ()),
        upstream=verdict.condition(proxy, ConditionType.UPSTREAM_HEALTHY),
        remarks=verdict.remarks(proxy, PROXY.name),
    )


def _verdict(proxy: Mapping[str, Any], identity: str, gateways: Mapping[str, GatewayOverview]) -> Readiness:
    """Judge by the status, unless nobody keeps it true any more."""
    judged = verdict.of(proxy)
    lacking = [each for each in serving_gateways(proxy) if each in gateways and gateways[each].lacks(identity)]
    if not judged.ready or not lacking:
        return judged
    message = f"its status says that it is ready, but it is not in the config of gateway {lacking[0]}"
    remedy = "See whether an operator still serves its namespace: ostiary doctor says more."
    return Readiness(ConditionStatus.UNKNOWN, ReadyReason.PENDING, message, remedy)


def policy_row(policy: Mapping[str, Any]) -> PolicyRow:
    """Say of an MCPPolicy what matters."""
    status = policy.get("status") or {}
    return PolicyRow(
        namespace_of(policy),
        name_of(policy),
        verdict.of(policy),
        target_count=status.get("targetCount"),
        targets=_references(status.get("targets"), near=namespace_of(policy)),
        remarks=verdict.remarks(policy, POLICY.name),
    )


def gateway_row(gateway: GatewayOverview) -> GatewayRow:
    """Say of a gateway what matters."""
    namespace, _, name = gateway.identity.partition("/")
    manifest = gateway.manifest
    return GatewayRow(
        namespace,
        name,
        gateway.service or "",
        manifest.revision if manifest is not None else None,
        len(manifest.entries) if manifest is not None else None,
    )


def _references(found: Iterable[Mapping[str, Any]] | None, *, near: str) -> tuple[str, ...]:
    """Return names; those of another namespace with it."""
    return tuple(
        str(each.get("name")) if each.get("namespace") == near else f"{each.get('namespace')}/{each.get('name')}"
        for each in found or ()
    )


def _server(server: Mapping[str, Any]) -> str:
    """Return where a server is. A URL holds no credentials: the definition refuses those."""
    service = server.get("service") or {}
    return printable(str(server.get("url") or f"service {service.get('name')}:{service.get('port')}"), limit=_URL)


def as_object(seen: ClusterOverview) -> dict[str, Any]:
    """Return all of it for programs."""
    proxies = [proxy_row(each, seen.gateways) for each in seen.proxies]
    policies = [policy_row(each) for each in seen.policies]
    lines: list[ProxyRow | PolicyRow] = [*proxies, *policies]
    return {
        "ready": all(line.verdict.ready for line in lines),
        "gateways": [asdict(gateway_row(each)) for each in seen.gateways.values()],
        "proxies": [_flat(line) for line in proxies],
        "policies": [_flat(line) for line in policies],
        "notes": list(seen.notes),
    }


def _flat(line: ProxyRow | PolicyRow) -> dict[str, Any]:
    """Return a line with its verdict's members beside its own, in the spelling of the API."""
    fields = asdict(line)
    judged = fields.pop("verdict")
    if "target_count" in fields:
        fields["targetCount"] = fields.pop("target_count")
    head = {"namespace": fields.pop("namespace"), "name": fields.pop("name"), "ready": judged["status"]}
    return head | {key: judged[key] for key in ("reason", "message", "remedy")} | fields
