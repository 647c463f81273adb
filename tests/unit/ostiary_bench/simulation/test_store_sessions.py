"""The counters of simulated sessions are those that the gateway itself finds in the store."""

import time
from pathlib import Path

from limit_replicas import charge, replicas, store_config, take
from redis_servers import redis_server

from ostiary_bench.simulation import store_sessions
from ostiary_bench.simulation.lease_traffic import daily_quota


async def used_after_a_call(address: str, session: str) -> float:
    """How many units of a session's counter are used, once a replica has taken one."""
    async with replicas(store_config(address, leases="Off", timeout=60_000), number=1) as (replica,):
        asked = charge(daily_quota("daily"), who=session)
        assert await take(replica, asked, at=time.time()) == ()
        key = replica.keys.find(asked.key)
        assert key is not None
        return key.used


async def test_each_session_has_a_counter_of_its_own_with_one_unit_used(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        store_sessions.write(server.port, range(1_200))
        assert await used_after_a_call(server.address, "session-7") == 2
        assert await used_after_a_call(server.address, "session-9999") == 1


def test_a_larger_number_of_sessions_takes_more_of_the_store() -> None:
    small, large = store_sessions.measure((200, 1_000))

    assert (small.sessions, large.sessions) == (200, 1_000)
    assert 0 < small.mebibytes < large.mebibytes
