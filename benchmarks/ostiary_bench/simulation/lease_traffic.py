"""Messages to the store of limits that a fleet sends, by the replicas' own arithmetic of leases.

Each replica decides with :class:`~ostiary_gateway.policy_limits.shared_keys.SharedKey`, as in production, whether a
call needs a message; the store grants as its script does, by :mod:`ostiary_core.limits.quota`. Time is simulated, so
that a minute of a hundred replicas takes a second.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.quota import Quota
from ostiary_core.limits.request_matcher import RequestMatcher
from ostiary_gateway.policy_limits.counter_script import SHARE
from ostiary_gateway.policy_limits.shared_keys import SharedKey

_SECONDS: Final = 60.0
#: Seconds between two looks for leases that must go back, as in production.
_SWEEP_SECONDS: Final = 0.5
#: In place of a replica: all of them look for such leases.
SWEEP: Final = -1
#: A quota of a day that is never exhausted here.
_AMOUNT: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class LeaseTraffic:
    """Messages a call, where ``replicas`` serve a key of ``rate`` calls a second in all.

    ``asked`` are the messages that calls waited for; the others give leases back.
    """

    replicas: int
    rate: float
    messages_a_call: float
    asked: int


def measure(replicas: int, rate: float, *, seed: int = 17, seconds: float = _SECONDS) -> LeaseTraffic:
    """Simulate a minute of one key: calls come at random times, to a random replica each."""
    keys = [SharedKey(daily_quota("daily"), "caller") for _ in range(replicas)]
    store = _Store()
    calls = 0
    for now, replica in traffic(rate, replicas, seed=seed, seconds=seconds):
        if replica == SWEEP:
            store.sweep(keys, now)
            continue
        calls += 1
        store.call(keys[replica], now)
    messages = store.asked + store.returned
    return LeaseTraffic(replicas, rate, messages / max(calls, 1), store.asked)


def traffic(rate: float, replicas: int, *, seed: int, seconds: float) -> Sequence[tuple[float, int]]:
    """Return times with the replica of a call, or :data:`SWEEP`."""
    draw = random.Random(seed)  # noqa: S311  a simulation that gives the same figures each time
    found = [(number * _SWEEP_SECONDS, SWEEP) for number in range(int(seconds / _SWEEP_SECONDS))]
    now = draw.expovariate(rate)
    while now < seconds:
        found.append((now, draw.randrange(replicas)))
        now += draw.expovariate(rate)
    return sorted(found)


class _Store:
    """The store's side of a quota: it grants in advance at most a sixteenth of what is free."""

    def __init__(self) -> None:
        self.asked = 0
        self.returned = 0
        self._used = 0

    def call(self, key: SharedKey, now: float) -> None:
        """Count a call of a replica, which asks only where it holds no units."""
        key.note_call(now)
        if key.available(now) >= 1:
            key.leased -= 1
            return
        self.asked += 1
        self._used += 1
        granted = min(key.wanted(), (_AMOUNT - self._used) // SHARE)
        self._used += granted
        if granted:
            key.grant(granted, now=now, ends=float("inf"), taken_at=round(now * 1e6))

    def sweep(self, keys: Sequence[SharedKey], now: float) -> None:
        """Take back leases that are over, each by a message."""
        for key in keys:
            if key.must_return(now):
                self.returned += 1
                self._used -= key.leased
                key.leased = 0


def daily_quota(name: str) -> CompiledLimit:
    """Return a quota of a day that is never exhausted here."""
    return CompiledLimit(
        policy="tools/limits",
        uid="limits",
        name=name,
        tier="owner",
        generation=1,
        shadow=False,
        per=(),
        matcher=RequestMatcher.build({}),
        quota=Quota(_AMOUNT, 86_400.0),
    )
