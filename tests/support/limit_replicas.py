"""Replicas of a gateway that share counters, without the gateways: limits, charges and counters.

async with replicas(config, number=3) as (one, two, three):
    await take(one, charge(limit))
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from timeouts import TIMEOUT_SECONDS

from ostiary_core.contract.limit_store import LimitStoreConfig, RedisConfig
from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.quota import Quota
from ostiary_core.limits.rate import Rate
from ostiary_core.limits.request_matcher import RequestMatcher
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.shared_counters import SharedCounters
from ostiary_gateway.policy_limits.store import Taken

_ANY = RequestMatcher.build({})


def quota_of(amount: int, **members: Any) -> CompiledLimit:
    """A limit of so many requests a day."""
    return _limit(quota=Quota(amount, 86_400.0), **members)


def rate_of(amount: int, *, window: float, burst: int | None = None, **members: Any) -> CompiledLimit:
    """A limit of so many requests in each window of these seconds."""
    return _limit(rate=Rate(amount, window, amount if burst is None else burst), **members)


def concurrency_of(slots: int, **members: Any) -> CompiledLimit:
    """A limit of so many requests in flight."""
    return _limit(concurrency=slots, **members)


def _limit(*, policy: str = "tools/limits", name: str = "limit", shadow: bool = False, **members: Any) -> CompiledLimit:
    return CompiledLimit(
        policy=policy,
        uid=f"uid-of-{policy.replace('/', '-')}",
        name=name,
        tier="owner",
        generation=1,
        shadow=shadow,
        per=(),
        matcher=_ANY,
        **members,
    )


def charge(limit: CompiledLimit, units: int = 1, *, who: str = "agent") -> Charge:
    """A charge of one caller."""
    return Charge(limit, f"{limit.uid}/{limit.name}/{who}", units)


def store_config(
    *addresses: str,
    mode: Literal["Standalone", "Sentinel", "Cluster"] = "Standalone",
    leases: Literal["Auto", "Off"] = "Off",
    timeout: int = 5000,
    **redis: Any,
) -> LimitStoreConfig:
    """The store in a gateway's settings. By default a call waits long: the machine may be busy."""
    return LimitStoreConfig(
        redis=RedisConfig(mode=mode, addresses=list(addresses), **redis), timeout=timeout, leases=leases
    )


def credentials(values: Mapping[str, str]) -> Callable[[str], SecretBytes]:
    """The entries of a gateway's Secret."""

    def find(name: str) -> SecretBytes:
        if name not in values:
            raise CredentialMissing("the credential is not in the gateway's Secret yet")
        return SecretBytes(values[name].encode())

    return find


@asynccontextmanager
async def replicas(
    config: LimitStoreConfig | None, *, number: int = 3, secret: Mapping[str, str] | None = None
) -> AsyncIterator[list[SharedCounters]]:
    """Run the counters of so many replicas with this store."""
    found = [
        SharedCounters(
            LocalCounters(), replica=f"replica-{each}", credential=credentials({} if secret is None else secret)
        )
        for each in range(number)
    ]
    for each in found:
        each.configure(config)
    try:
        yield found
    finally:
        for each in found:
            await each.close()


async def take(counters: SharedCounters, *charges: Charge, at: float | None = None) -> Taken:
    """Take charges at a time, by default now; wait where the counters wait."""
    taken = counters.take(charges, time.time() if at is None else at)
    return await taken if isinstance(taken, Awaitable) else taken


async def count_taken(counters: list[SharedCounters], made: Charge, *, calls: int) -> int:
    """Make calls at once, spread over replicas, and return how many were let through."""
    taken = await asyncio.gather(*(take(counters[each % len(counters)], made) for each in range(calls)))
    return sum(not refused for refused in taken)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not holds():  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0.01)
