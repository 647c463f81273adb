"""The page ``/limits`` of the admin port: what each key has used of its limits, live.

``docs/guides/limits.md`` documents it.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ostiary_core.limits.charge import limit_of, values_of
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.policy_limits.key_counters import unit_of
from ostiary_gateway.policy_limits.limit_words import timestamp
from ostiary_gateway.policy_limits.store import CounterStore, KeyUsage, Unit

_USUAL: Final = 500
_MOST: Final = 1000


class UsageReport:
    """Writes the page.

    ``snapshot`` and ``store`` return what is in force; ``replica`` names this process.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        store: Callable[[], CounterStore],
        *,
        replica: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._snapshot = snapshot
        self._store = store
        self._replica = replica
        self._clock = clock

    async def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return at most ``most`` keys, after the key ``after``.

        They are those of one ``policy`` or one ``proxy``, or all. ``counters`` says whether replicas share them: if
        not, a reader of several adds them up.

        Raises:
            ValueError: a parameter is not as documented.
        """
        most = _number(query.get("most", str(_USUAL)))
        limits = _limits(self._snapshot(), policy=query.get("policy", ""), proxy=query.get("proxy", ""))
        store = self._store()
        is_shared = store.is_shared
        found = store.usage(self._clock(), limits=limits, after=query.get("after", ""), most=most)
        usages: Sequence[KeyUsage] = await found if isinstance(found, Awaitable) else found
        return {
            "replica": self._replica,
            "counters": "Shared" if is_shared else "Local",
            "keys": [_shown(usage) for each in usages if (usage := _in_force(each, limits)) is not None],
            "next": usages[-1].key if len(usages) == most else None,
        }


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(_MOST)) or not 1 <= int(text) <= _MOST:
        raise ValueError(f"most: use a number from 1 to {_MOST}")
    return int(text)


def _limits(snapshot: Snapshot | None, *, policy: str, proxy: str) -> dict[str, CompiledLimit]:
    """Return the limits that are asked for, by the beginnings of their keys."""
    proxies = snapshot.proxies.values() if snapshot is not None else ()
    return {
        f"{limit.uid}/{limit.name}": limit
        for each in proxies
        if each.limits is not None and proxy in ("", each.identity)
        for limit in each.limits.limits
        if policy in ("", limit.policy)
    }


def _in_force(usage: KeyUsage, limits: Mapping[str, CompiledLimit]) -> KeyUsage | None:
    """Return the usage under the limit that is in force now.

    A counter learns of a changed limit with its next request. None where the changed limit counts by other counters.
    """
    old, new = usage.limit, limits[limit_of(usage.key)]
    if (old.per, old.rate is None, old.quota is None) != (new.per, new.rate is None, new.quota is None):
        return None
    most = new.largest_take
    return usage._replace(limit=new, remaining=max(0, most - usage.used) if most is not None else None)


def _shown(usage: KeyUsage) -> dict[str, Any]:
    limit = usage.limit
    counted = limit.amount is not None
    found: dict[str, Any] = {
        "policy": limit.policy,
        "limit": limit.name,
        "key": usage.key,
        "dimensions": dict(zip((each.value for each in limit.per), values_of(usage.key), strict=False)),
        "unit": unit_of(limit).value if counted else Unit.CONCURRENCY.value,
        "used": usage.used if counted else usage.in_flight,
        "amount": limit.amount if counted else limit.concurrency,
        "remaining": usage.remaining if counted else max(0, (limit.concurrency or 0) - usage.in_flight),
        "resetAt": None if usage.reset_at is None else timestamp(usage.reset_at),
    }
    if counted and limit.concurrency is not None:
        found["concurrency"] = {"used": usage.in_flight, "amount": limit.concurrency}
    return found | ({"shadow": True} if limit.shadow else {})
