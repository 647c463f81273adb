"""Builds the whole desired status of one resource. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ostiary_core.canonical import canonical, digest
from ostiary_operator.api.conditions import ASIDE, MESSAGE_LIMIT, UNJUDGED_SINCE, ConditionType
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus, ready
from ostiary_operator.kube.kinds import LOCK, POLICY
from ostiary_operator.status.programmed import GatewayCount, ProgrammedState

_RELATED: Final = 256
_URLS: Final = 64
_PROGRAMMED_LENGTH: Final = 1024

_NUMBERS: Final = ("gateways", "programmed")

#: The fields of a status that the operator writes; others belong to other field managers. ``changeTrace`` is none of
#: those that decide whether a status must be written: it is written with them.
FIELDS: Final = {
    "MCPProxy": (
        "observedGeneration",
        "url",
        "urls",
        "conditions",
        "gateways",
        "programmed",
        "servers",
        "drift",
        "policies",
        "policyCount",
    ),
    "MCPPolicy": ("observedGeneration", "conditions", "targets", "targetCount"),
    "MCPLock": ("observedGeneration", "conditions", "definitions"),
}

_NOTHING: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {}


def build(
    status: ResourceStatus,
    programmed_state: ProgrammedState,
    live: Mapping[str, Any],
    *,
    now: str,
    observed: Sequence[ConditionDraft] = (),
    aside: Sequence[ConditionDraft] | None = None,
    seen: Mapping[str, Sequence[Mapping[str, Any]]] = _NOTHING,
    change_trace: str = "",
) -> dict[str, Any]:
    """Return the status to write. ``observed`` and ``aside`` are conditions that Ready ignores,
    ``seen`` is what gateways see of the servers of a proxy: ``servers``
    and ``drift``.

    ``live`` is the status in the cluster. It provides the transition times, and Programmed while ``programmed_state``
    is not settled. ``now`` is the time in RFC 3339. ``change_trace`` is the trace of the change that is reported, ""
    where none is recorded: then that of an earlier one stays.
    """
    programmed = programmed_state.condition
    gateways = [_gateway(count) for count in programmed_state.gateways]
    if not programmed_state.settled:
        programmed, gateways = _as_written(live, programmed, gateways)
    conditions = [*status.conditions, programmed]
    conditions += [
        ready(conditions),
        *observed,
        *(status.aside if aside is None else aside),
    ]
    whole: dict[str, Any] = {
        "observedGeneration": status.generation,
        "conditions": [_condition(each, status.generation, live, now) for each in conditions],
    }
    trace = change_trace or live.get("changeTrace")
    whole |= {"changeTrace": trace} if trace else {}
    if status.key.kind == LOCK.name:
        return whole | ({"definitions": status.definitions} if status.definitions is not None else {})
    if status.key.kind == POLICY.name:
        return whole | _of_policy(status)
    return whole | _of_proxy(status, gateways, seen)


def _of_proxy(
    status: ResourceStatus, gateways: Sequence[Mapping[str, Any]], seen: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    urls = [
        {"gateway": gateway, **({"hostname": hostname} if hostname else {}), "url": url}
        for gateway, hostname, url in status.urls
    ]
    short = _in_short(gateways)
    return {
        **({"url": urls[0]["url"], "urls": urls[:_URLS]} if urls else {}),
        **({"gateways": list(gateways)} if gateways else {}),
        **({"programmed": short} if short else {}),
        **{member: list(found) for member, found in seen.items() if found},
        **({"policies": _references(status.related)} if status.related else {}),
        "policyCount": len(status.related),
    }


def _of_policy(status: ResourceStatus) -> dict[str, Any]:
    targets = {"targets": _references(status.related)} if status.related else {}
    return targets | {"targetCount": len(status.related)}


def _references(related: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"namespace": namespace, "name": name} for namespace, name in sorted(related)[:_RELATED]]


def _gateway(count: GatewayCount) -> dict[str, Any]:
    return {"namespace": count.namespace, "name": count.name, "ready": count.ready, "desired": count.desired}


def _in_short(gateways: Sequence[Mapping[str, Any]]) -> str:
    """Return ``default 2/2, edge 1/2``; gateways with the same name get their namespaces."""
    names = [gateway["name"] for gateway in gateways]
    texts = []
    for gateway in gateways:
        name = gateway["name"]
        title = name if names.count(name) == 1 else f"{gateway['namespace']}/{name}"
        texts.append(f"{title} {gateway['ready']}/{gateway['desired']}")
    return ", ".join(texts)[:_PROGRAMMED_LENGTH]


def _as_written(
    live: Mapping[str, Any], programmed: ConditionDraft, gateways: list[dict[str, Any]]
) -> tuple[ConditionDraft, list[dict[str, Any]]]:
    """Return Programmed and the counts as the live status has them."""
    written = condition_of(live, ConditionType.PROGRAMMED)
    if written is None:
        return programmed, gateways
    condition = ConditionDraft(ConditionType.PROGRAMMED, written["status"], written["reason"], written["message"])
    return condition, list(live.get("gateways") or [])


def condition_of(status: Mapping[str, Any], of_type: str) -> Mapping[str, Any] | None:
    """Return a condition of a status by type."""
    return next((each for each in status.get("conditions") or () if each.get("type") == of_type), None)


def as_it_is(of_type: str, live: Mapping[str, Any]) -> ConditionDraft:
    """Return a condition of the cluster as a draft that changes nothing."""
    return ConditionDraft(of_type, live["status"], live["reason"], live["message"])


def differs(of_type: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether a condition differs between two statuses, apart from its time."""
    first, second = condition_of(one, of_type) or {}, condition_of(other, of_type) or {}
    return any(first.get(key) != second.get(key) for key in ("status", "reason", "message"))


def _condition(condition: ConditionDraft, generation: int, live: Mapping[str, Any], now: str) -> dict[str, Any]:
    """Return a condition as in the API; its transition time stays while the value is the same."""
    before = condition_of(live, condition.type)
    same = before is not None and before.get("status") == condition.status
    since = before.get("lastTransitionTime") if before is not None and same else None
    if since == UNJUDGED_SINCE:
        since = None  # the placeholder of a new resource: no controller has set the condition yet
    return {
        "type": str(condition.type),
        "status": str(condition.status),
        "reason": str(condition.reason),
        "message": condition.message[:MESSAGE_LIMIT],
        "observedGeneration": generation,
        "lastTransitionTime": since or now,
    }


def same(kind: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Return whether our fields in the live status are exactly as desired."""
    ours = {each["type"]: each for each in wanted["conditions"]}
    judged = ours.keys() | set(ASIDE[kind])  # one that a resource has lost must be removed
    theirs = {each.get("type"): each for each in live.get("conditions") or () if each.get("type") in judged}
    fields = (field for field in FIELDS[kind] if field != "conditions")
    return ours == theirs and all(wanted.get(field) == live.get(field) for field in fields)


def only_numbers_differ(kind: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Return whether only the counts of replicas differ."""
    plain = {field: value for field, value in wanted.items() if field not in _NUMBERS}
    return same(kind, plain | {field: live[field] for field in _NUMBERS if field in live}, live)


def fingerprint(status: Mapping[str, Any]) -> str:
    """Return a fingerprint that is equal for equal statuses, in any order of conditions."""
    conditions = sorted(status.get("conditions") or (), key=lambda each: str(each.get("type")))
    return digest(canonical({**status, "conditions": conditions}))
