"""When a listing is too bad to be believed at once. Pure.

A CRD that is deleted and made again takes all its objects with it; they come back one by one, with new uids. A gateway
must not lose all its doors, or all its policies, for that. So when nothing is left of what there was, the last good
config is held until a later listing shows the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.kube.client import uid_of
from ostiary_operator.kube.listing import ClusterSnapshot

#: Seconds between the listing that shocks and the one that confirms it.
CONFIRM_AFTER: Final = 3.0
#: Seconds after which even a listing that still changes is believed.
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Uids:
    proxies: frozenset[str]
    policies: frozenset[str]

    def lost_all_of(self, before: "_Uids") -> list[str]:
        lost = []
        if before.proxies and not before.proxies & self.proxies:
            lost.append("MCPProxy")
        if before.policies and not before.policies & self.policies:
            lost.append("MCPPolicy")
        return lost


@dataclass(frozen=True, slots=True)
class ConfirmationPending:
    """A pass must not go on: which kinds lost all that was in force, and after how many seconds to look again."""

    kinds: tuple[str, ...]
    again_in: float


class MassDeletionGuard:
    """Remembers what it did not believe yet."""

    def __init__(self) -> None:
        self._doubted: _Uids | None = None
        self._since = 0.0
        self._last_change = 0.0

    def judge(
        self, listing: ClusterSnapshot, previous: Mapping[str, GatewayConfig], *, now: float
    ) -> ConfirmationPending | None:
        """Say whether to hold; None to go on. ``now`` is a monotonic moment in seconds."""
        seen = _Uids(_uids(listing.proxies), _uids(listing.policies))
        lost = seen.lost_all_of(_in_force(previous))
        if not lost:
            self._doubted = None
            return None
        if self._doubted is None:
            self._since = now
        if self._doubted != seen:
            self._doubted, self._last_change = seen, now
        if now - self._last_change >= CONFIRM_AFTER or now - self._since >= PATIENCE:
            self._doubted = None
            return None
        return ConfirmationPending(tuple(lost), self._last_change + CONFIRM_AFTER - now)


def _uids(objects: Iterable[Mapping[str, object]]) -> frozenset[str]:
    return frozenset(uid_of(obj) for obj in objects)


def _in_force(previous: Mapping[str, GatewayConfig]) -> _Uids:
    configs = previous.values()
    return _Uids(
        frozenset(entry.uid for config in configs for entry in config.entries.values()),
        frozenset(policy.uid for config in configs for policy in config.policies.values()),
    )
