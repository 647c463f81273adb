"""Computes ``status.drift`` and DefinitionsMatch from what replicas have seen. Pure.

A replica reports definitions that no MCPLock approves; what differs is found here, where the approved definitions are.
A server may show another definition with every request, so a drift is written at most once in 30 seconds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ostiary_core.definitions.definition_diff import differences
from ostiary_core.definitions.visible_text import visible_name
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.definition_reasons import DefinitionsMatchReason
from ostiary_operator.api.definition_text import DefinitionTextError, read_definition
from ostiary_operator.api.objects import Object, namespace_of
from ostiary_operator.compile.lock_content import LOCK_FIELDS
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.compile.resource_parser import EncodedResource
from ostiary_operator.kube.kinds import LOCK, POLICY
from ostiary_operator.status.drift_reports import ReportedDrift
from ostiary_operator.status.replica_state import GatewayState, reported_entries

#: Seconds between two writes of a drift.
DWELL: Final = 30.0
_ROWS: Final = 32
_NAME: Final = 256
_DIFF: Final = 1024
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class DriftStatus:
    """The rows to write. ``until`` is when delayed ones are due (monotonic)."""

    rows: Sequence[Mapping[str, Any]]
    until: float = _NEVER


@dataclass(slots=True)
class ApprovedDefinitions:
    """The definitions in the MCPLocks of the last pass, read when a drift must be described."""

    locks: Sequence[Object] = ()
    _described: dict[tuple[str, str, str, str, str], tuple[str, str]] = field(default_factory=dict)

    def take(self, locks: Sequence[Object]) -> None:
        """Use the MCPLocks of a pass."""
        if locks is not self.locks and list(map(id, locks)) != list(map(id, self.locks)):
            self.locks = locks
            self._described.clear()

    def describe(self, namespace: str, proxy: str, drift: ReportedDrift) -> tuple[str, str]:
        """Return the field in which a definition differs, and the difference in words."""
        key = (f"{namespace}/{proxy}", drift.server, drift.primitive, drift.name, drift.digest)
        if key not in self._described:
            self._described[key] = self._compared(namespace, proxy, drift)
        return self._described[key]

    def _compared(self, namespace: str, proxy: str, drift: ReportedDrift) -> tuple[str, str]:
        approved = list(self._approved(namespace, proxy, drift))
        if not approved:
            return LOCK_FIELDS.get(drift.primitive, "name"), "no definition of this name is approved"
        if drift.definition is None:
            return "definition", "it is too large to be compared here: run ostiary lock --check"
        try:
            seen = orjson.loads(drift.definition)
        except orjson.JSONDecodeError:
            return "definition", "the replica reports no JSON"
        found = differences(approved, seen if isinstance(seen, dict) else {})
        return (found[0].path, "; ".join(map(str, found))) if found else ("definition", "it is approved by now")

    def _approved(self, namespace: str, proxy: str, drift: ReportedDrift) -> Iterator[dict[str, Any]]:
        for lock in self.locks:
            if namespace_of(lock) != namespace or not isinstance(lock, EncodedResource):
                continue
            spec = orjson.loads(lock.content).get("spec") or {}
            if spec.get("server") == drift.server and (spec.get("proxyRef") or {}).get("name") == proxy:
                yield from _named(spec.get(drift.primitive) or (), LOCK_FIELDS.get(drift.primitive, ""), drift.name)


def _named(texts: Iterable[str], key: str, name: str) -> Iterator[dict[str, Any]]:
    for text in texts:
        if name.isascii() and name not in text:
            continue  # reading YAML takes long
        try:
            found = read_definition(text)
        except DefinitionTextError:
            continue
        if found.get(key) == name:
            yield found


def rows(
    status: ResourceStatus,
    gateway_states: Mapping[str, GatewayState],
    approved: ApprovedDefinitions,
    live: Mapping[str, Any],
    *,
    written_at: float,
    now: float,
) -> DriftStatus:
    """Return what drifted of a proxy; nothing for other kinds, and where nothing is pinned."""
    if status.key.kind in {POLICY.name, LOCK.name} or not status.is_pinned:
        return DriftStatus(())
    before = live.get("drift") or []
    if not any(each.definitions is not None for each in reported_entries(status, gateway_states)):
        return DriftStatus(before)
    found = [_row(status, approved, each) for each in _drifts(status, gateway_states)[:_ROWS]]
    if found != before and now < written_at + DWELL:
        return DriftStatus(before, written_at + DWELL)
    return DriftStatus(found)


def _drifts(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> list[ReportedDrift]:
    """Return what replicas report of a proxy, each definition once."""
    proxy = f"{status.key.namespace}/{status.key.name}"
    found: dict[tuple[str, str, str], ReportedDrift] = {}
    for identity in sorted(status.expected):
        gateway = gateway_states.get(identity)
        for state in gateway.states.values() if gateway is not None else ():
            for drift in state.drifts.get(proxy, ()):
                found.setdefault((drift.server, drift.primitive, drift.name), drift)
    return [found[key] for key in sorted(found)]


def _row(status: ResourceStatus, approved: ApprovedDefinitions, drift: ReportedDrift) -> dict[str, Any]:
    path, words = approved.describe(status.key.namespace, status.key.name, drift)
    row = {"server": drift.server, "primitive": drift.primitive, "name": visible_name(drift.name)[:_NAME]}
    return {**row, "field": path[:_NAME], "digest": drift.digest, "diff": words[:_DIFF]}


def condition(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> ConditionDraft | None:
    """Return DefinitionsMatch of a proxy or a lock.

    It is None for policies, and for a proxy that pins nothing.
    """
    if status.key.kind == LOCK.name and not status.is_pinned:
        return _draft(DefinitionsMatchReason.NOT_PINNED, ConditionStatus.UNKNOWN)
    if status.key.kind == POLICY.name or not status.is_pinned:
        return None
    found = [each for report in _reports(status, gateway_states) for each in report]
    drifted = sorted({f"{each.primitive.removesuffix('s')} {visible_name(each.name)[:64]}" for each in found})
    if drifted:
        names = f"{', '.join(drifted[:5])}{f' and {len(drifted) - 5} more' if len(drifted) > 5 else ''}"
        reason = DefinitionsMatchReason.DEFINITIONS_CHANGED
        message = f"{status.key.kind} {status.key.namespace}/{status.key.name}: not approved: {names}. {reason.remedy}"
        return ConditionDraft(ConditionType.DEFINITIONS_MATCH, ConditionStatus.FALSE, reason, message)
    if not any(each.definitions is not None and each.definitions.seen for each in _entries(status, gateway_states)):
        return _draft(DefinitionsMatchReason.PENDING, ConditionStatus.UNKNOWN)
    return _draft(DefinitionsMatchReason.DEFINITIONS_MATCH, ConditionStatus.TRUE)


def _draft(reason: DefinitionsMatchReason, value: ConditionStatus) -> ConditionDraft:
    return ConditionDraft(ConditionType.DEFINITIONS_MATCH, value, reason, reason.meaning)


def _proxy_of(status: ResourceStatus) -> str:
    if status.key.kind == LOCK.name and status.related:
        return "/".join(status.related[0])
    return f"{status.key.namespace}/{status.key.name}"


def _entries(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[Any]:
    proxy = _proxy_of(status)
    for identity, entries in status.expected.items():
        gateway = gateway_states.get(identity) if entries else None
        for state in gateway.states.values() if gateway is not None else ():
            if state.report is not None and proxy in state.report.entries:
                yield state.report.entries[proxy]


def _reports(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[Sequence[ReportedDrift]]:
    proxy = _proxy_of(status)
    for identity in status.expected:
        gateway = gateway_states.get(identity)
        for state in gateway.states.values() if gateway is not None else ():
            yield [each for each in state.drifts.get(proxy, ()) if status.locked_server in {"", each.server}]
