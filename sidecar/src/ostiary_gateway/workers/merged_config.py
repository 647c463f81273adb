"""The page ``/config`` for all workers, made of the pages of each.

The operator reads one report a replica. A proxy is in force there once every worker runs it, so the page tells of each
entry what the worker says that is furthest behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ostiary_core.limit_store_states import StoreState
from ostiary_core.strict_json import dumps

Page: TypeAlias = Mapping[str, Any]


class LastReports:
    """What each worker reported last: it runs that while it does not answer, too.

    ``replica`` is the name of the gateway's process.
    """

    def __init__(self, *, replica: str) -> None:
        self._replica = replica
        self._bodies: dict[int, bytes] = {}

    def take(self, index: int, body: bytes) -> None:
        """Note the page of a worker."""
        self._bodies[index] = body

    def of(self, index: int) -> bytes:
        """Return the last page of a worker; one without any config if it was never asked for."""
        empty: Page = {"replica": f"{self._replica}-w{index}", "gateway": None, "revision": None, "entries": {}}
        return self._bodies.get(index) or dumps(empty)

    def worker_ended(self, index: int) -> None:
        """Forget the page of a worker: its replacement begins without a config."""
        self._bodies.pop(index, None)


def merged_config(pages: Sequence[Page], *, replica: str) -> dict[str, Any]:
    """Return the page of a gateway whose workers answered with ``pages``.

    ``replica`` is the name of the gateway's process. ``workers`` says of each worker which revision it runs.

    Raises:
        ValueError: there is no page.
    """
    if not pages:
        raise ValueError("pages: give the page of at least one worker")
    ordered = sorted(pages, key=lambda page: page.get("revision") or 0)
    oldest = ordered[0]
    return {
        **oldest,
        "replica": replica,
        "gateway": _first(ordered, "gateway"),
        "entries": _entries(ordered),
        "rejected": _first(ordered, "rejected"),
        "incomplete": _first(ordered, "incomplete"),
        "misplacedKeys": sorted({key for page in pages for key in page.get("misplacedKeys", ())}),
        **_telemetry(pages),
        **_audit(pages),
        **_limit_store(pages),
        "workers": [{"replica": page.get("replica"), "revision": page.get("revision")} for page in pages],
    }


def _first(pages: Iterable[Page], member: str) -> Any:
    """Return a member of the first page that has one."""
    return next((found for page in pages if (found := page.get(member)) is not None), None)


def _entries(pages: Sequence[Page]) -> dict[str, Any]:
    names = sorted({name for page in pages for name in page.get("entries", ())})
    return {name: _entry([page.get("entries", {}).get(name) or {"active": None} for page in pages]) for name in names}


def _entry(found: Sequence[Page]) -> dict[str, Any]:
    """Return one entry. ``found`` are those of the workers, of the oldest revision first."""
    behind = next((each for each in found if each.get("rejected") is not None), found[0])
    joined: dict[str, Any] = {"active": behind.get("active"), "rejected": behind.get("rejected")}
    servers: dict[str, Any] = {}
    for each in found:
        for name, server in each.get("servers", {}).items():
            servers[name] = _server(servers.get(name, {}), server)
    if servers:
        joined["servers"] = servers
    if offers := [each["offers"] for each in found if "offers" in each]:
        joined["offers"] = max(offers, key=lambda each: len(each["known"]))
    for member in ("authDiscovery", "debugCapture"):
        if (told := _first(found, member)) is not None:
            joined[member] = told
    if definitions := [each["definitions"] for each in found if "definitions" in each]:
        joined["definitions"] = max(definitions, key=lambda each: (each.get("drifted", 0), each.get("seen", False)))
    return joined


def _server(one: Page, other: Page) -> dict[str, Any]:
    """Return what two workers know of a server: the later fault, and what either of them knows."""
    later = max((one, other), key=lambda each: (each.get("fault") or {}).get("at", 0))
    joined = {**one, **other, **later}
    if "answered" in joined:
        joined["answered"] = bool(one.get("answered") or other.get("answered"))
    return joined


def _telemetry(pages: Sequence[Page]) -> dict[str, Any]:
    """Return of each exported signal whether any worker fails to export it."""
    failing: dict[str, bool] = {}
    for page in pages:
        for signal, state in page.get("telemetry", {}).items():
            failing[signal] = failing.get(signal, False) or bool(state.get("failing"))
    return {"telemetry": {signal: {"failing": fails} for signal, fails in failing.items()}}


def _audit(pages: Sequence[Page]) -> dict[str, Any]:
    """Return the audit trails: each worker signs a chain of its own."""
    trails = [page["auditTrail"] for page in pages if page.get("auditTrail") is not None]
    reports = [page["audit"] for page in pages if page.get("audit") is not None]
    joined: dict[str, Any] = {}
    if reports:
        checkpoints = [each["checkpoint"] for each in reports if each.get("checkpoint") is not None]
        keys = dict.fromkeys(key for each in reports for key in each.get("publicKeys", ()))
        first = checkpoints[0] if checkpoints else None
        joined["audit"] = {**reports[0], "checkpoint": first, "checkpoints": checkpoints, "publicKeys": list(keys)}
    if trails:
        sums = {count: sum(each.get(count, 0) for each in trails) for count in ("waiting", "dropped", "counted")}
        sinks = [sink for each in trails for sink in each.get("sinks", ())]
        joined["auditTrail"] = {**trails[0], "fault": _first(trails, "fault"), "sinks": sinks, **sums}
    return joined


def _limit_store(pages: Sequence[Page]) -> dict[str, Any]:
    """Return the state of the store of limits: the worst that a worker knows."""
    reasons = [page["limitStore"] for page in pages if page.get("limitStore") is not None]
    worst = next((each for each in reasons if each.get("reason") != StoreState.READY), reasons[0] if reasons else None)
    return {} if worst is None else {"limitStore": worst}
