"""Everything that the status of one MCPProxy says. Pure.

That is its conditions with remedies, replicas, servers, drift and locks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api import labels
from ostiary_operator.api.conditions import REASONS, UNJUDGED_SINCE, ConditionStatus, ConditionType
from ostiary_operator.api.objects import ReadOnlyObject, identity_of, mapping_of, namespace_of, text_of
from ostiary_operator.view import rows
from ostiary_operator.view.cluster_reader import GatewayOverview
from ostiary_operator.view.rows import ProxyRow, Readiness

_OF_READY: Final = (
    ConditionType.READY,
    ConditionType.ACCEPTED,
    ConditionType.RESOLVED_REFS,
    ConditionType.PROGRAMMED,
)


@dataclass(frozen=True, slots=True)
class ConditionDetail:
    """One condition, in words for people.

    ``meaning`` is what its reason means, ``remedy`` what to do, empty if nothing. ``since`` is when it last changed, as
    in the status. ``is_of_ready`` where it decides whether the object is ready.
    """

    type: str
    status: str
    reason: str
    message: str
    meaning: str
    remedy: str
    since: str
    is_of_ready: bool


@dataclass(frozen=True, slots=True)
class GatewayDetail:
    """A gateway that serves a proxy, and how many of its replicas run it.

    Without a config ``digest`` is empty.
    """

    gateway: str
    ready: int
    desired: int
    digest: str
    urls: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every replica runs it."""
        return 0 < self.desired <= self.ready


@dataclass(frozen=True, slots=True)
class ServerDetail:
    """A server of a proxy, and what gateways saw of it. Unknown numbers are None."""

    name: str
    prefix: str
    address: str
    url: str
    revision: str
    tools: int | None
    resources: int | None
    templates: int | None
    prompts: int | None
    dropped: int | None
    drop_reasons: str
    endpoints: str


@dataclass(frozen=True, slots=True)
class DriftDetail:
    """A definition that no lock approves."""

    server: str
    primitive: str
    name: str
    field: str
    diff: str


@dataclass(frozen=True, slots=True)
class LockDetail:
    """An MCPLock of a proxy: its server, and how many definitions it approves."""

    identity: str
    server: str
    definitions: int | None
    verdict: Readiness
    matches: Readiness
    source: str


@dataclass(frozen=True, slots=True)
class ProxyDetails:
    """Everything that the status of an MCPProxy says. ``row`` is its row in lists.

    ``source`` is the annotation with the place of its YAML in Git, as its author wrote it: it is not judged.
    """

    row: ProxyRow
    generation: int | None
    created: str
    conditions: tuple[ConditionDetail, ...]
    gateways: tuple[GatewayDetail, ...]
    servers: tuple[ServerDetail, ...]
    drift: tuple[DriftDetail, ...]
    policy_count: int
    pinning: str
    source: str

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.row.namespace}/{self.row.name}"


def proxy_details(proxy: ReadOnlyObject, gateways: Mapping[str, GatewayOverview]) -> ProxyDetails:
    """Return the details of an MCPProxy."""
    status = mapping_of(proxy.get("status"))
    spec = mapping_of(proxy.get("spec"))
    row = rows.proxy_row(proxy, gateways)
    return ProxyDetails(
        row,
        generation=_number(mapping_of(proxy.get("metadata")).get("generation")),
        created=text_of(proxy, "creationTimestamp"),
        conditions=conditions_of(proxy),
        gateways=tuple(_gateway(each, status, row) for each in _objects(status.get("gateways"))),
        servers=tuple(_servers(spec, status, row)),
        drift=tuple(_drift(each) for each in _objects(status.get("drift"))),
        policy_count=_number(status.get("policyCount")) or len(row.policies),
        pinning=_text(mapping_of(spec.get("catalogue")).get("pinning")),
        source=source_of(proxy),
    )


def source_of(resource: ReadOnlyObject) -> str:
    """Return where the YAML of an object is in Git, as its annotation says; empty without one."""
    return labels.annotations_of(resource).get(labels.SOURCE, "")


def conditions_of(resource: ReadOnlyObject) -> tuple[ConditionDetail, ...]:
    """Return the conditions of an object, first those that decide whether it is ready.

    One of an older generation is Unknown, as in :func:`rows.condition`.
    """
    held = {_text(each.get("type")): each for each in _objects(mapping_of(resource.get("status")).get("conditions"))}
    others = [each for each in ConditionType if each in held and each not in _OF_READY]
    return tuple(_condition(resource, each, held) for each in (*_OF_READY, *others))


def _condition(resource: ReadOnlyObject, wanted: ConditionType, held: Mapping[str, ReadOnlyObject]) -> ConditionDetail:
    judged = rows.condition(resource, wanted)
    since = _text(held[wanted].get("lastTransitionTime")) if wanted in held else ""
    found = held.get(wanted, {})
    message = judged.message or _text(found.get("message"))
    return ConditionDetail(
        wanted.value,
        judged.status,
        judged.reason,
        message.removesuffix(judged.remedy).rstrip() if judged.remedy else message,
        meaning_of(wanted, judged.reason),
        judged.remedy if judged.status != ConditionStatus.TRUE else "",
        "" if since == UNJUDGED_SINCE else since,
        wanted in _OF_READY,
    )


def meaning_of(of_type: ConditionType, reason: str) -> str:
    """Return what a reason means; empty for one that this version does not know."""
    return next((each.meaning for each in REASONS[of_type] if each == reason), "")


def _gateway(gateway: ReadOnlyObject, status: ReadOnlyObject, row: ProxyRow) -> GatewayDetail:
    identity = f"{_text(gateway.get('namespace'))}/{_text(gateway.get('name'))}"
    urls = tuple(_text(each.get("url")) for each in _objects(status.get("urls")) if each.get("gateway") == identity)
    ready, desired = _number(gateway.get("ready")) or 0, _number(gateway.get("desired")) or 0
    return GatewayDetail(identity, ready, desired, row.digests.get(identity, ""), urls)


def _servers(spec: ReadOnlyObject, status: ReadOnlyObject, row: ProxyRow) -> Iterable[ServerDetail]:
    seen = {_text(each.get("name")): each for each in _objects(status.get("servers"))}
    for server, address in zip(_objects(spec.get("servers")), row.servers, strict=False):
        name = _text(server.get("name"))
        found = seen.get(name, {})
        yield ServerDetail(
            name,
            _text(server.get("prefix")),
            address,
            _text(found.get("url")),
            _text(found.get("revision")),
            tools=_number(found.get("tools")),
            resources=_number(found.get("resources")),
            templates=_number(found.get("resourceTemplates")),
            prompts=_number(found.get("prompts")),
            dropped=_number(found.get("dropped")),
            drop_reasons=_text(found.get("dropReasons")),
            endpoints=_text(found.get("endpoints")),
        )


def _drift(found: ReadOnlyObject) -> DriftDetail:
    return DriftDetail(*(_text(found.get(member)) for member in ("server", "primitive", "name", "field", "diff")))


def locks_of(identity: str, locks: Iterable[ReadOnlyObject]) -> tuple[LockDetail, ...]:
    """Return those of the MCPLocks that are of an MCPProxy (``namespace/name``)."""
    namespace, _, name = identity.partition("/")
    return tuple(_lock(each) for each in locks if namespace_of(each) == namespace and _proxy_of(each) == name)


def _proxy_of(lock: ReadOnlyObject) -> str:
    return _text(mapping_of(mapping_of(lock.get("spec")).get("proxyRef")).get("name"))


def _lock(lock: ReadOnlyObject) -> LockDetail:
    return LockDetail(
        identity_of(lock),
        _text(mapping_of(lock.get("spec")).get("server")),
        _number(mapping_of(lock.get("status")).get("definitions")),
        rows.readiness_of(lock),
        rows.condition(lock, ConditionType.DEFINITIONS_MATCH),
        source_of(lock),
    )


def _objects(value: Any) -> Sequence[ReadOnlyObject]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, Sequence) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
