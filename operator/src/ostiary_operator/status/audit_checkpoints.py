"""Keeps the last checkpoint of every audit trail, and public keys, where Pods cannot reach.

For each gateway with a trail there is a ConfigMap ``ostiary-<gateway>-audit``, with one key for each trail and one for
the public keys. It outlives the gateway's Pods, and is not deleted with the gateway: it is evidence.
"""

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_operator.api.objects import Object
from ostiary_operator.clock import Clock, rfc3339
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP
from ostiary_operator.status.replica_reports import Report, ReportedCheckpoint

_log = logging.getLogger(__name__)
PUBLIC_KEYS: Final = "public-keys"
_MANAGER: Final = "ostiary-audit"
#: Seconds between two writes for a gateway, unless a trail is new or closed; and after a failed one.
_INTERVAL: Final = 60.0
#: Seconds between two checks whether something is due.
_PAUSE: Final = 2.0
#: The most trails of one gateway that are kept, and the most public keys.
_MOST_TRAILS: Final = 500
_MOST_KEYS: Final = 100


def config_map_name(gateway: str) -> str:
    """Return the name of the ConfigMap with the checkpoints of a gateway."""
    return f"ostiary-{gateway}-audit"


@dataclass(slots=True)
class _NotedCheckpoints:
    """What is to be written for one gateway, and what is known to be there."""

    trails: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    changed: set[str] = field(default_factory=set)
    urgent: bool = False
    written_at: float = float("-inf")
    loaded: bool = False


class AuditCheckpoints:
    """Collects checkpoints from reports, and writes them."""

    def __init__(self, cluster: KubernetesClient, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._noted: dict[str, _NotedCheckpoints] = {}

    def note(self, identity: str, report: Report) -> None:
        """Take the checkpoints of a report, unless a later one of their trail is known."""
        if report.audit is None or not report.audit.trails:
            return
        noted = self._noted.setdefault(identity, _NotedCheckpoints())
        for found in report.audit.trails:
            self._note(noted, found, report.replica)
        if not set(report.audit.public_keys) <= set(noted.keys):
            noted.keys = _joined(noted.keys, report.audit.public_keys)
            noted.urgent = True
            noted.changed.add(PUBLIC_KEYS)

    def _note(self, noted: _NotedCheckpoints, found: ReportedCheckpoint, replica: str) -> None:
        name = _key_of(found.chain)
        before = noted.trails.get(name)
        if before is None or before["seq"] < found.seq:
            noted.urgent |= before is None or found.closing
            now = rfc3339(self._clock.time())
            noted.trails[name] = {**found.model_dump(), "replica": replica, "seenAt": now}
            noted.changed.add(name)

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        while True:
            await self._clock.wait(asyncio.Event(), _PAUSE)
            await self.write()

    async def write(self) -> None:
        """Write what is due. A failure is logged, and tried again after a while."""
        now = self._clock.monotonic()
        for identity, noted in self._noted.items():
            is_due = now - noted.written_at >= _INTERVAL or (noted.urgent and noted.loaded)
            if noted.changed and is_due:
                noted.written_at = now
                try:
                    await self._write(identity, noted)
                except ClusterError as error:
                    noted.urgent = False  # not at every poll
                    _log.warning("gateway %s: the checkpoints of its audit trails are not kept: %s", identity, error)

    async def _write(self, identity: str, noted: _NotedCheckpoints) -> None:
        namespace, _, gateway = identity.partition("/")
        name = config_map_name(gateway)
        if not noted.loaded:
            await self._load(noted, name, namespace)
        data: dict[str, str | None] = {key: _text(noted, key) for key in sorted(noted.changed)}
        surplus = sorted(noted.trails, key=lambda key: str(noted.trails[key].get("seenAt")))[:-_MOST_TRAILS]
        data |= dict.fromkeys(surplus)
        await self._cluster.patch(CONFIG_MAP, {"data": data}, name=name, namespace=namespace)
        for key in surplus:
            del noted.trails[key]
        noted.changed.clear()
        noted.urgent = False

    async def _load(self, noted: _NotedCheckpoints, name: str, namespace: str) -> None:
        """Read what an earlier process kept, so that no checkpoint replaces a newer one."""
        try:
            found = await self._cluster.get(CONFIG_MAP, name=name, namespace=namespace)
        except NotFound:
            body: Object = {"metadata": {"name": name, "namespace": namespace}}
            found = await self._cluster.apply(CONFIG_MAP, body, manager=_MANAGER)
        for key, text in (found.get("data") or {}).items():
            kept = _parsed(text) if key != PUBLIC_KEYS else None
            if kept is not None and (key not in noted.trails or noted.trails[key]["seq"] < kept["seq"]):
                noted.trails[key] = kept
                noted.changed.discard(key)
        known = tuple(str((found.get("data") or {}).get(PUBLIC_KEYS, "")).split())
        noted.keys = _joined(known, noted.keys)
        noted.loaded = True


def _joined(known: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Return keys, the latest found last; the first ones go where there are too many."""
    return tuple(dict.fromkeys((*known, *new)))[-_MOST_KEYS:]


def _key_of(chain: str) -> str:
    """Return the key of a trail in the ConfigMap, which allows fewer characters than an id."""
    return chain.replace("/", "_").replace(":", "_")


def _text(noted: _NotedCheckpoints, key: str) -> str:
    if key == PUBLIC_KEYS:
        return "".join(f"{each}\n" for each in noted.keys)
    return json.dumps(noted.trails[key], separators=(",", ":"))


def _parsed(text: object) -> dict[str, Any] | None:
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and type(value.get("seq")) is int else None
