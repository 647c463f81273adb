"""Requests that limits of policies let through, refused, or would refuse in Shadow mode.

They are counted for each limit; refusals are logged.
"""

import logging
from collections.abc import Iterable
from typing import Final

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_LIMITED: Final = "policy %s: limit %s refused %s of %.256r by %.256s: %s"
_WOULD_LIMIT: Final = "policy %s: limit %s, in Shadow mode, would refuse %s of %.256r by %.256s: %s"


class LimitTally:
    """The requests that one limit counted, by what became of them."""

    __slots__ = ("allowed", "limited", "limiter", "shadow")

    def __init__(self) -> None:
        self.allowed = 0
        self.limited = 0
        self.shadow = 0
        self.limiter = WarningLimiter(_log, level=logging.INFO)


class LimitDecisions:
    """The counts of this process, by limit."""

    def __init__(self) -> None:
        #: The counts by limit, as far as there are any; see :meth:`tally`.
        self.tallies: dict[CompiledLimit, LimitTally] = {}
        self._former: dict[tuple[str, str], LimitTally] = {}

    def tally(self, limit: CompiledLimit) -> LimitTally:
        """Return the counts of a limit."""
        found = self.tallies.get(limit)
        if found is None:
            found = self.tallies[limit] = self._former.setdefault((limit.policy, limit.name), LimitTally())
        return found

    @property
    def counts(self) -> dict[tuple[str, str], LimitTally]:
        """The counts by the identity of the policy and the name of the limit."""
        return dict(self._former)

    def note(self, limit: CompiledLimit, method: str, name: str, caller: str, reason: str) -> None:
        """Count a request that a limit refuses, or would refuse.

        Log one a minute for each limit.
        """
        tally = self.tally(limit)
        if limit.shadow:
            tally.shadow += 1
        else:
            tally.limited += 1
        words = _WOULD_LIMIT if limit.shadow else _LIMITED
        tally.limiter.warn(words, limit.policy, limit.name, method, name, caller, reason)

    def keep(self, limits: Iterable[CompiledLimit]) -> None:
        """Forget all other limits."""
        kept = set(limits)
        names = {(limit.policy, limit.name) for limit in kept}
        self.tallies = {limit: tally for limit, tally in self.tallies.items() if limit in kept}
        self._former = {name: tally for name, tally in self._former.items() if name in names}


#: The decisions of this process.
LIMIT_DECISIONS: Final = LimitDecisions()
