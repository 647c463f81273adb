"""The keys of quotas that are exhausted now.

Callers are told when that begins and when it ends.

Only quotas that change lists of tools are noted. Beyond :data:`MOST_KEYS` none is: then clients see the change when
they read the list again.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.store import Exhaustion

#: Each has a timer.
MOST_KEYS: Final = 10_000
#: Timers fire a little early.
_GRACE_SECONDS: Final = 0.05
#: A clock that was set back makes a timer wait no longer than this before it looks again.
_LONGEST_SECONDS: Final = 3600.0


class _Noted(NamedTuple):
    limit: CompiledLimit
    tool: str
    reset_at: float
    timer: asyncio.TimerHandle


class ExhaustedKeys:
    """Notes exhausted keys.

    ``tell`` is called with a key, and a tool that counts for it, when its state changes.
    """

    def __init__(self, tell: Callable[[str, str], None], *, clock: Callable[[], float] = time.time) -> None:
        self._tell = tell
        self._clock = clock
        self._noted: dict[str, _Noted] = {}

    def __len__(self) -> int:
        """Return how many keys are noted."""
        return len(self._noted)

    def note(self, found: Exhaustion, tool: str) -> None:
        """Note that a key is exhausted, and tell it if that is new."""
        if found.reset_at is None:
            return
        limit, key, _ = found.charge
        known = self._noted.get(key)
        if known is not None and known.reset_at == found.reset_at:
            return
        if known is not None:
            known.timer.cancel()
        elif len(self._noted) >= MOST_KEYS:
            return
        self._noted[key] = _Noted(limit, tool, found.reset_at, self._timer(key, found.reset_at))
        self._tell(key, tool)

    def _timer(self, key: str, reset_at: float) -> asyncio.TimerHandle:
        seconds = min(max(0.0, reset_at - self._clock()) + _GRACE_SECONDS, _LONGEST_SECONDS)
        return asyncio.get_running_loop().call_later(seconds, self._due, key)

    def _due(self, key: str) -> None:
        noted = self._noted[key]
        if self._clock() < noted.reset_at:
            self._noted[key] = noted._replace(timer=self._timer(key, noted.reset_at))
        else:
            self.forget(key)

    def forget(self, key: str) -> None:
        """Forget a key that is no longer exhausted, and tell it."""
        noted = self._noted.pop(key, None)
        if noted is not None:
            noted.timer.cancel()
            self._tell(key, noted.tool)

    def keep(self, limits: Iterable[CompiledLimit]) -> None:
        """Forget the keys of all other limits: a changed limit may not be exhausted any more."""
        kept = set(limits)
        for key in [key for key, noted in self._noted.items() if noted.limit not in kept]:
            self._noted.pop(key).timer.cancel()

    def close(self) -> None:
        """Forget all keys, and tell nothing."""
        self.keep(())
