"""Computes ``status.servers`` of an MCPProxy from the reports of replicas. Pure.

Servers and URLs are those that were compiled; a replica only adds what it has seen of them. A replica that has just
started has seen nothing yet, so what another one reported before stays. Numbers change with every list, and a status is
for people, so they are written at most once a minute.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.compile.model import ResourceStatus
from ostiary_operator.status.observed_conditions import DWELL
from ostiary_operator.status.replica_state import GatewayState, reported_entries
from ostiary_operator.status.reported_servers import ReportedEndpoints, ReportedServer

#: The lists of a server, as reports and the status name them.
_LISTS: Final = ("tools", "resources", "resourceTemplates", "prompts")
#: The states of endpoints, as reports name them.
_STATES: Final = ("ready", "draining", "ejected", "unhealthy", "blocked")
_NAMED: Final = ("name", "url")
_NEVER: Final = float("inf")
_REASONS_LENGTH: Final = 512


@dataclass(frozen=True, slots=True)
class ServerStatuses:
    """The servers to write. ``until`` is when delayed numbers are due (monotonic)."""

    servers: Sequence[Mapping[str, Any]]
    until: float = _NEVER


def evaluate(
    status: ResourceStatus,
    gateway_states: Mapping[str, GatewayState],
    live: Mapping[str, Any],
    *,
    written_at: float,
    now: float,
) -> ServerStatuses:
    """Return the servers of a proxy; none for other kinds.

    ``live`` is the status in the cluster, and ``written_at`` when its servers were last written (monotonic).
    """
    reported: dict[str, list[ReportedServer]] = {}
    for entry in reported_entries(status, gateway_states):
        for name, server in entry.servers.items():
            reported.setdefault(name, []).append(server)
    before = live.get("servers") or []
    known = {(each.get("name"), each.get("url")): each for each in before}
    found = [_server(name, url, reported.get(name, ()), known.get((name, url), {})) for name, url in status.servers]
    until = written_at + DWELL
    has_numbers = any(each.keys() - set(_NAMED) for each in before)
    if found != before and has_numbers and _places(found) == _places(before) and now < until:
        return ServerStatuses(before, until)
    return ServerStatuses(found)


def _places(servers: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(each.get(key) for key in _NAMED) for each in servers]


def _server(name: str, url: str, reported: Iterable[ReportedServer], before: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {**before, "name": name, "url": url}
    reports = list(reported)
    if revisions := [each.revision for each in reports if each.revision is not None]:
        found["revision"] = max(revisions)
    found.pop("endpoints", None)
    if places := [each.endpoints for each in reports if each.endpoints is not None and each.endpoints.is_known]:
        found["endpoints"] = _endpoints(max(places, key=lambda each: (each.usable, each.ready)))
    elif not reports and "endpoints" in before:
        found["endpoints"] = before["endpoints"]
    for member in _LISTS:
        if counts := [each.listed[member] for each in reports if member in each.listed]:
            found[member] = max(counts)
    if any(each.listed for each in reports):
        for member in ("dropped", "dropReasons"):
            found.pop(member, None)
        found |= _drops(reports)
    return found


def _endpoints(found: ReportedEndpoints) -> str:
    """Return the numbers in words; that of ready ones in any case."""
    counts = {state: getattr(found, state) for state in _STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count or state == "ready")


def _drops(reports: Iterable[ReportedServer]) -> dict[str, Any]:
    drops: Counter[str] = Counter()
    for each in reports:
        drops |= Counter(each.dropped)
    if not drops:
        return {}
    reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(drops.items()))
    return {"dropped": sum(drops.values()), "dropReasons": reasons[:_REASONS_LENGTH]}
