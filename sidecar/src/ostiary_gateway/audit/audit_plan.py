"""What is recorded at each proxy.

It is compiled at every change of the config, and looked up for every request.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ostiary_core.contract.audit import DEFAULT_CONTENT_BYTES, AuditConfig, AuditContent, AuditLevel, highest
from ostiary_core.mcp.methods import Method, Primitive
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class AuditPlan:
    """What is recorded of requests to one proxy.

    ``received`` is whether a record is written before a request is forwarded: for all, for none, or None for those
    that may have effects. ``target`` is the member ``objectRef`` of its records, encoded. Where a proxy has several
    servers, ``by_server`` has the plan of what one of them got; it is empty elsewhere.
    """

    proxy: str
    level: AuditLevel
    arguments: AuditContent
    results: AuditContent
    max_bytes: int
    received: bool | None
    completes: bool
    fails: bool
    target: orjson.Fragment
    by_server: Mapping[str, "AuditPlan"] = field(default_factory=dict)

    def records_reception(self, method: Method, *, only_reads: bool) -> bool:
        """Return whether a request gets a record before it is forwarded.

        ``only_reads`` where its tool is known to have no effects.
        """
        if self.received is not None:
            return self.received
        return method.primitive is Primitive.TOOLS and method.name != "tools/list" and not only_reads


def plans_of(snapshot: Snapshot, floor: AuditConfig | None, kept: Mapping[str, AuditPlan]) -> Mapping[str, AuditPlan]:
    """Return the plans of a config, by proxy. A proxy of which nothing is recorded has none.

    ``floor`` applies to all, besides that of the settings. ``kept`` are plans of before that still hold.
    """
    floors = _floors(snapshot, floor)
    others = (proxy for identity, proxy in snapshot.proxies.items() if identity not in kept)
    found = ((proxy, highest([*floors, *_of_policies(proxy)])) for proxy in others)
    gateway = snapshot.gateway.identity
    made = {proxy.identity: _plan(gateway, proxy, config) for proxy, config in found if config is not None}
    return {**kept, **made}


def plan_of_gateway(snapshot: Snapshot, floor: AuditConfig | None) -> AuditPlan | None:
    """Return what is recorded of requests that reach no proxy: by the floors alone.

    None where nothing is.
    """
    config = highest(_floors(snapshot, floor))
    if config is None:
        return None
    target = orjson.Fragment(orjson.dumps({"gateway": snapshot.gateway.identity}))
    return _plan_for("", target, config)


def _floors(snapshot: Snapshot, floor: AuditConfig | None) -> list[AuditConfig]:
    audit = snapshot.settings.audit
    found = (floor, audit.floor if audit is not None else None)
    return [each for each in found if each is not None]


def _of_policies(proxy: ProxyRuntime) -> Iterator[AuditConfig]:
    """Yield what policies demand.

    One in Shadow mode changes nothing for callers, so it never refuses.
    """
    for policy in proxy.policies.values():
        if policy.audit is not None:
            yield policy.audit.model_copy(update={"failure_policy": None}) if policy.is_shadow else policy.audit


def _plan(gateway: str, proxy: ProxyRuntime, config: AuditConfig) -> AuditPlan:
    if len(proxy.servers) == 1:
        return _plan_for(proxy.identity, _target(gateway, proxy, proxy.server.name), config)
    plan = _plan_for(proxy.identity, _target(gateway, proxy), config)
    names = [server.name for server in proxy.servers]
    return replace(plan, by_server={name: replace(plan, target=_target(gateway, proxy, name)) for name in names})


def _plan_for(proxy: str, target: orjson.Fragment, config: AuditConfig) -> AuditPlan:
    arguments, results = config.contents
    stages = config.stages
    return AuditPlan(
        proxy=proxy,
        level=config.level,
        arguments=arguments,
        results=results,
        max_bytes=config.max_bytes or DEFAULT_CONTENT_BYTES,
        received=None if stages is None else "RequestReceived" in stages,
        completes=stages is None or "ResponseComplete" in stages,
        fails=config.fails,
        target=target,
    )


def _target(gateway: str, proxy: ProxyRuntime, server: str | None = None) -> orjson.Fragment:
    """Return the member ``objectRef``, without a server where not exactly one gets the request."""
    members: dict[str, Any] = {"gateway": gateway, "proxy": proxy.identity, "uid": proxy.uid}
    if server is not None:
        members["server"] = server
    return orjson.Fragment(orjson.dumps(members))
