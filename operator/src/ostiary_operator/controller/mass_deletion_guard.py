"""Delays removing all proxies, policies or locks until a second list confirms it. Pure.

Deleting a CRD deletes all its objects. When it is installed again they come back one by one, with new uids. Meanwhile a
gateway must not lose all its proxies, its policies or its locks. So where all objects of a kind are gone, the last good
config stays in force until a later list shows the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.definitions import LockConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.objects import uid_of
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot

#: Seconds between the list without the objects and the one that confirms it.
CONFIRM_AFTER: Final = 3.0
#: Seconds after which the list counts as confirmed even if it still changes.
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Uids:
    proxies: frozenset[str]
    policies: frozenset[str]
    locks: frozenset[str]

    def lost_all_of(self, before: "_Uids") -> list[str]:
        lost = []
        if before.proxies and not before.proxies & self.proxies:
            lost.append("MCPProxy")
        if before.policies and not before.policies & self.policies:
            lost.append("MCPPolicy")
        if before.locks and not before.locks & self.locks:
            lost.append("MCPLock")
        return lost


@dataclass(frozen=True, slots=True)
class ConfirmationPending:
    """The pass must stop: the kinds that lost all objects, and when to list again in seconds."""

    kinds: tuple[str, ...]
    requeue_after: float


class MassDeletionGuard:
    """Remembers the objects in the last unconfirmed list."""

    def __init__(self) -> None:
        self._unconfirmed: _Uids | None = None
        self._since = 0.0
        self._last_change = 0.0

    def check(
        self, snapshot: ClusterSnapshot, previous: Mapping[str, GatewayConfig], *, now: float
    ) -> ConfirmationPending | None:
        """Return what waits for confirmation; None to proceed. ``now`` is monotonic, in seconds."""
        seen = _Uids(_uids(snapshot.proxies), _uids(snapshot.policies), _uids(snapshot.locks))
        lost = seen.lost_all_of(_in_force(previous))
        if not lost:
            self._unconfirmed = None
            return None
        if self._unconfirmed is None:
            self._since = now
        if self._unconfirmed != seen:
            self._unconfirmed, self._last_change = seen, now
        if now - self._last_change >= CONFIRM_AFTER or now - self._since >= PATIENCE:
            self._unconfirmed = None
            return None
        return ConfirmationPending(tuple(lost), self._last_change + CONFIRM_AFTER - now)


def _uids(objects: Iterable[Mapping[str, object]]) -> frozenset[str]:
    return frozenset(uid_of(obj) for obj in objects)


def _locks(entry: EntryDocument) -> Iterable[LockConfig]:
    return (entry.definitions.locks if entry.definitions is not None else None) or ()


def _in_force(previous: Mapping[str, GatewayConfig]) -> _Uids:
    configs = previous.values()
    return _Uids(
        frozenset(entry.uid for config in configs for entry in config.entries.values()),
        frozenset(policy.uid for config in configs for policy in config.policies.values()),
        frozenset(lock.uid for config in configs for entry in config.entries.values() for lock in _locks(entry)),
    )
