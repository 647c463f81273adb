"""The simulated leases ask the store exactly when a replica's own counters ask a real Redis."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from limit_replicas import charge, replicas, store_config, take
from redis_servers import redis_server

from ostiary_bench.simulation.lease_traffic import SWEEP, daily_quota, measure, traffic
from ostiary_gateway.policy_limits import shared_counters


async def asked_of_redis(address: str, events: Sequence[tuple[float, int]], *, number: int) -> int:
    """Play calls at their simulated times to real replicas, and return how many messages calls waited for."""
    daily, began = charge(daily_quota("daily")), time.time()
    async with replicas(store_config(address, leases="Auto", timeout=10_000), number=number) as found:
        for at, replica in events:
            if replica == SWEEP:
                for each in found:
                    each.sweep(began + at)
            else:
                assert await take(found[replica], daily, at=began + at) == ()
        return sum(each.takes.messages for each in found)


@pytest.mark.parametrize(("rate", "number"), [(1.0, 1), (10.0, 1), (10.0, 3), (60.0, 1), (60.0, 3)])
async def test_it_counts_the_messages_that_real_counters_send_for_the_same_calls(
    rate: float, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time is simulated, so leases are swept by the events, and not by the clock of this machine.
    monkeypatch.setattr(shared_counters, "_SWEEP_SECONDS", 3600.0)
    with redis_server(tmp_path) as server:
        asked = await asked_of_redis(server.address, traffic(rate, number, seed=3, seconds=20.0), number=number)
    assert asked == measure(number, rate, seed=3, seconds=20.0).asked


def test_leases_save_messages_where_calls_of_a_key_are_frequent_at_few_replicas() -> None:
    often, rarely, spread = (measure(*each).messages_a_call for each in ((1, 100.0), (1, 0.1), (100, 10.0)))
    assert often < 0.05
    assert rarely == pytest.approx(1.0)
    assert spread == pytest.approx(1.0)
