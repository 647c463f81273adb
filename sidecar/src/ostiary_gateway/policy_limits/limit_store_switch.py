"""Chooses where a gateway counts limits: in this process, or in a shared store.

The library for Redis is imported when the first settings name a store: a gateway without one does not load it.
"""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ostiary_core.limit_store_states import StoreState
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.store import CounterStore

if TYPE_CHECKING:
    from ostiary_gateway.policy_limits.shared_counters import SharedCounters
    from ostiary_gateway.policy_limits.store_link import StoreLink


class HasCounters(Protocol):
    """What counts requests: the limit stage."""

    store: CounterStore


class LimitStoreSwitch:
    """Follows the settings in force.

    ``stage`` is given the counters to use, ``local`` are those of this process. ``replica`` names this process to
    others, and ``credential`` returns entries of the gateway's Secret.
    """

    def __init__(
        self, stage: HasCounters, local: LocalCounters, *, replica: str, credential: Callable[[str], SecretBytes]
    ) -> None:
        self.shared: SharedCounters | None = None
        self._stage = stage
        self._local = local
        # Not the same after a restart: requests in flight of before must not be taken for ours.
        self._replica = f"{replica}-{secrets.token_hex(4)}"
        self._credential = credential

    def on_swap(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Use the store of new settings."""
        config = snapshot.settings.limit_store
        if self.shared is None:
            if config is None:
                return
            from ostiary_gateway.policy_limits.shared_counters import SharedCounters  # noqa: PLC0415  see above

            self.shared = SharedCounters(self._local, replica=self._replica, credential=self._credential)
            self._stage.store = self.shared
        self.shared.configure(config)

    @property
    def state(self) -> StoreState | None:
        """What is known of the store; None where the settings name none."""
        return self.shared.link.state if self.shared is not None and self.shared.link.config is not None else None

    @property
    def link(self) -> "StoreLink | None":
        """The connection to the store; None where the settings name none."""
        return self.shared.link if self.shared is not None and self.shared.link.config is not None else None

    def report(self) -> dict[str, Any]:
        """Return the part of this replica's report that is about the store."""
        return {} if self.state is None else {"limitStore": {"reason": self.state.value}}

    async def close(self) -> None:
        """Give everything back that this replica holds."""
        if self.shared is not None:
            await self.shared.close()
