"""The shared store fails, hangs, comes back, moves, and wants credentials; calls never wait longer than they may."""

import asyncio
import logging
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from limit_replicas import charge, concurrency_of, count_taken, quota_of, replicas, store_config, take, until
from redis_servers import RedisServer, redis_cluster, redis_server, redis_with_sentinel

from ostiary_core.contract.limit_store import StoreCredentialsConfig, StoreTlsConfig
from ostiary_core.limit_store_states import StoreState
from ostiary_core.limits.compiled_limit import OnStoreFailure
from ostiary_gateway.policy_limits.counter_script import SCRIPT
from ostiary_gateway.policy_limits.store import Unit
from ostiary_gateway.policy_limits.store_messages import store_key
from ostiary_tools.cluster.certificates import write_authority_and_server

ROOT = Path(__file__).parents[4]
PASSWORD = "canary-of-the-store"
#: What an ACL user needs, as docs/guides/limits.md says.
RIGHTS = (
    *("~{ostiary:*", "resetchannels", "-@all", "+eval", "+evalsha", "+ping", "+select", "+time", "+hmget", "+hgetall"),
    *("+hset", "+hdel", "+pexpire"),
)
OF_A_CLUSTER = ("+command", "+cluster|slots", "+asking")


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that is not started yet."""
    server = RedisServer(tmp_path / "absent")
    yield server
    server.kill()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


def test_the_rights_of_the_guide_are_those_that_the_script_needs() -> None:
    assert " ".join(RIGHTS) in (ROOT / "docs" / "guides" / "limits.md").read_text()
    called = {
        line.split("redis.call('")[1].split("'")[0].lower() for line in SCRIPT.splitlines() if "redis.call(" in line
    }
    assert {f"+{each}" for each in called} <= set(RIGHTS)


@pytest.mark.parametrize("leases", ["Auto", "Off"])
async def test_a_store_that_is_killed_and_comes_back_is_used_again(server: RedisServer, leases: str) -> None:
    limit = quota_of(1000)
    async with replicas(store_config(server.address, leases=leases), number=1) as [one]:  # type: ignore[arg-type]
        assert await take(one, charge(limit)) == ()
        server.kill()
        assert await take(one, charge(quota_of(10, on_store_failure=OnStoreFailure.ALLOW), who="other")) == ()
        await until(lambda: not one.link.is_up)
        assert one.link.state in {StoreState.UNREACHABLE, StoreState.TIMEOUT}
        server.start()
        await until(lambda: one.link.is_up)
        messages = one.takes.messages
        assert await take(one, charge(limit, who="another")) == ()
        assert one.takes.messages == messages + 1


async def test_each_limit_does_what_it_says_while_the_store_is_down(server: RedisServer) -> None:
    allow = quota_of(2, name="allow", on_store_failure=OnStoreFailure.ALLOW)
    deny = quota_of(2, name="deny", on_store_failure=OnStoreFailure.DENY)
    local = quota_of(2, name="local", on_store_failure=OnStoreFailure.LOCAL)
    async with replicas(store_config(server.address), number=1) as [one]:
        await take(one, charge(allow))
        server.kill()
        assert [await take(one, charge(allow)) for _ in range(5)] == [()] * 5
        [found] = await take(one, charge(deny))
        assert (found.store_failed, found.unit, found.remaining) == (True, Unit.REQUESTS, 0)
        assert found.retry_at is not None
        assert [len(await take(one, charge(local))) for _ in range(3)] == [0, 0, 1]
        assert one.outage.calls == {OnStoreFailure.ALLOW: 5, OnStoreFailure.DENY: 1, OnStoreFailure.LOCAL: 3}
        server.start()
        await until(lambda: one.link.is_up)
        assert await take(one, charge(deny)) == ()


async def test_a_call_that_one_limit_denies_takes_nothing_of_those_counted_alone(server: RedisServer) -> None:
    deny, local = quota_of(2, name="deny", on_store_failure=OnStoreFailure.DENY), quota_of(1, name="local")
    async with replicas(store_config(server.address), number=1) as [one]:
        await take(one, charge(local, who="other"))
        server.kill()
        for _ in range(3):
            assert await take(one, charge(local), charge(deny))
        assert await take(one, charge(local)) == ()


async def test_requests_in_flight_before_the_outage_count_in_it_and_after_it(server: RedisServer) -> None:
    limit = concurrency_of(2)
    async with replicas(store_config(server.address), number=2) as [one, two]:
        assert await take(one, charge(limit)) == ()
        server.kill()
        assert await take(one, charge(limit)) == ()
        await until(lambda: not one.link.is_up)
        [found] = await take(one, charge(limit))
        assert found.unit is Unit.CONCURRENCY
        server.start()
        await until(lambda: one.link.is_up and not one.settlements.busy)
        await take(two, charge(concurrency_of(9, name="wakes"), who="x"))
        await until(lambda: two.link.is_up)
        [found] = await take(two, charge(limit))
        assert found.unit is Unit.CONCURRENCY, "the store was told of both again"
        one.release([charge(limit), charge(limit)])
        await until(lambda: not one.settlements.busy)
        assert await take(two, charge(limit)) == ()


async def test_units_that_were_counted_alone_go_back_where_they_came_from(server: RedisServer) -> None:
    limit = quota_of(1)
    async with replicas(store_config(server.address), number=1) as [one]:
        await take(one, charge(limit, who="x"))
        server.kill()
        await take(one, charge(limit, who="y"))
        await until(lambda: not one.link.is_up)
        now = time.time()
        assert await take(one, charge(limit), at=now) == ()
        one.give_back([charge(limit)], now, time.time())
        assert await take(one, charge(limit)) == ()


async def test_units_that_go_back_while_the_store_is_away_wait_for_it(server: RedisServer) -> None:
    limit = quota_of(1)
    async with replicas(store_config(server.address, timeout=300), number=1) as [one]:
        now = time.time()
        assert await take(one, charge(limit), at=now) == ()
        server.pause()
        await take(one, charge(limit, who="other"))
        assert not one.link.is_up
        one.give_back([charge(limit)], now, time.time())
        server.resume()
        await until(lambda: one.link.is_up and not one.settlements.busy)
        assert await take(one, charge(limit)) == ()


async def test_a_call_that_waited_too_long_for_others_changes_nothing_for_later_ones(server: RedisServer) -> None:
    limit = quota_of(1, on_store_failure=OnStoreFailure.ALLOW)
    async with replicas(store_config(server.address), number=1) as [one]:
        await until(lambda: one.link.is_up)
        earlier = time.time() - 1
        one.outage.take([charge(limit)], earlier)
        one.outage.end(earlier)
        now = time.time()
        assert await take(one, charge(limit), at=now) == ()
        one.give_back([charge(limit)], now, time.time())
        await until(lambda: not one.settlements.busy)
        assert await take(one, charge(limit)) == ()


async def test_a_store_that_hangs_costs_one_call_its_timeout_and_the_next_ones_nothing(server: RedisServer) -> None:
    limit = quota_of(1000, on_store_failure=OnStoreFailure.ALLOW)
    async with replicas(store_config(server.address, timeout=200), number=1) as [one]:
        await until(lambda: one.link.is_up)
        server.pause()
        assert await take(one, charge(limit)) == ()
        assert one.link.state is StoreState.TIMEOUT
        assert not one.link.is_up
        for _ in range(100):
            assert one.take([charge(limit)], time.time()) == (), "it does not even wait for the loop"
        server.resume()
        await until(lambda: one.link.is_up)


async def test_a_hundred_calls_at_once_wait_once_for_a_store_that_hangs(server: RedisServer) -> None:
    limit = quota_of(1000, on_store_failure=OnStoreFailure.ALLOW)
    async with replicas(store_config(server.address, timeout=300), number=1) as [one]:
        await until(lambda: one.link.is_up)
        server.pause()
        # Were they to wait one after the other, this would take half a minute.
        async with asyncio.timeout(20):
            assert await count_taken([one], charge(limit), calls=100) == 100
        server.resume()


async def test_calls_at_the_start_wait_for_the_first_connection(server: RedisServer) -> None:
    limit = quota_of(100)
    async with replicas(store_config(server.address)) as counters:
        assert not any(each.link.is_up for each in counters)
        assert await count_taken(counters, charge(limit), calls=150) == 100


async def test_a_store_that_was_never_there_makes_no_call_wait_twice(absent: RedisServer) -> None:
    async with replicas(store_config(absent.address), number=1) as [one]:
        assert await take(one, charge(quota_of(1))) == ()
        assert one.link.state is StoreState.UNREACHABLE
        assert isinstance(one.take([charge(quota_of(1, name="other"))], time.time()), tuple)
        absent.start()
        await until(lambda: one.link.is_up)


async def test_missing_references_are_a_store_that_fails() -> None:
    config = store_config("127.0.0.1:1").model_copy(update={"problem": "ReferencesMissing"})
    async with replicas(config, number=1) as [one]:
        assert await take(one, charge(quota_of(1))) == ()
        assert one.link.state is StoreState.REFERENCES_MISSING


async def test_credentials_may_come_later_and_change(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ostiary", "on", f">{PASSWORD}", *RIGHTS)
        admin.execute_command("ACL", "SETUSER", "default", "off")
    secret: dict[str, str] = {}
    login = StoreCredentialsConfig(username="user", password="password-1")
    async with replicas(store_config(server.address, credentials=login), number=1, secret=secret) as [one]:
        await until(lambda: one.link.state is StoreState.CREDENTIAL_MISSING)
        secret |= {"user": "ostiary", "password-1": "wrong"}
        await until(lambda: one.link.state is StoreState.CREDENTIALS_REFUSED)
        assert await take(one, charge(quota_of(1))) == ()
        secret |= {"password-1": PASSWORD}
        await until(lambda: one.link.is_up)
        assert await count_taken([one], charge(quota_of(5, name="five")), calls=9) == 5
    assert PASSWORD not in caplog.text
    assert "wrong" not in caplog.text


async def test_a_user_without_the_rights_is_named(server: RedisServer) -> None:
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "weak", "on", f">{PASSWORD}", "~other:*", "+@all")
    login = StoreCredentialsConfig(username="user", password="password")
    config = store_config(server.address, credentials=login)
    async with replicas(config, number=1, secret={"user": "weak", "password": PASSWORD}) as [one]:
        await until(lambda: one.link.state is StoreState.NOT_PERMITTED)


async def test_a_replica_of_another_redis_is_not_written_to(server: RedisServer, tmp_path: Path) -> None:
    with redis_server(tmp_path / "follower", "--replicaof", f"127.0.0.1 {server.port}") as follower:
        async with replicas(store_config(follower.address), number=1) as [one]:
            await until(lambda: one.link.state in {StoreState.READ_ONLY, StoreState.NO_PRIMARY})
            assert not one.link.is_up


async def test_a_full_store_is_named(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with replicas(store_config(server.address), number=1) as [one]:
            await until(lambda: one.link.is_up)
            with server.client() as admin:
                admin.config_set("maxmemory", "1")
            await take(one, charge(quota_of(5)))
            await until(lambda: one.link.state is StoreState.FULL)


async def test_tls_is_verified_by_the_authority_in_the_settings_alone(tmp_path: Path) -> None:
    folder, other = tmp_path / "tls", tmp_path / "other"
    for each in (folder, other):
        each.mkdir()
        write_authority_and_server(each, names=["redis.data.svc"], addresses=[])
    tls = (
        *("--tls-cert-file", str(folder / "server.crt"), "--tls-key-file", str(folder / "server.key")),
        *("--tls-ca-cert-file", str(folder / "ca.crt"), "--tls-auth-clients", "no"),
    )
    authority = (folder / "ca.crt").read_text()
    with redis_server(tmp_path, tls=tls) as server:
        given = StoreTlsConfig(ca=authority, hostname="redis.data.svc")
        async with replicas(store_config(server.address, tls=given)) as counters:
            assert await count_taken(counters, charge(quota_of(10)), calls=15) == 10
        for wrong in (
            StoreTlsConfig(ca=(other / "ca.crt").read_text(), hostname="redis.data.svc"),
            StoreTlsConfig(ca=authority),
            StoreTlsConfig(hostname="redis.data.svc"),
        ):
            async with replicas(store_config(server.address, tls=wrong), number=1) as [one]:
                await until(lambda: one.link.state is StoreState.CERTIFICATE_REFUSED)
        async with replicas(store_config(server.address), number=1) as [one]:
            await until(lambda: one.link.state not in {StoreState.CONNECTING, StoreState.READY})


async def test_a_failover_of_sentinels_is_followed(tmp_path: Path) -> None:
    with redis_with_sentinel(tmp_path) as setup:
        config = store_config(setup.sentinel.address, mode="Sentinel", master_name="limits")
        async with replicas(config) as counters:
            assert await count_taken(counters, charge(quota_of(10)), calls=15) == 10
            setup.primary.kill()
            await take(counters[0], charge(quota_of(5, name="wakes")))
            await until(lambda: setup.primary_port() == setup.replica.port)
            await until(lambda: counters[0].link.is_up)
            # A connection may break once more while the replica becomes the primary: then both count, and 8 pass.
            names = (f"later-{number}" for number in count())
            while await count_taken(counters[:1], charge(quota_of(4, name=next(names))), calls=9) != 4:
                pass


async def test_sentinels_that_know_no_such_primary_are_named(tmp_path: Path) -> None:
    with redis_with_sentinel(tmp_path) as setup:
        config = store_config(setup.sentinel.address, mode="Sentinel", master_name="mistyped")
        async with replicas(config, number=1) as [one]:
            await until(lambda: one.link.state is StoreState.NO_PRIMARY)


async def test_a_cluster_that_loses_a_node_fails_and_comes_back(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        config = store_config(*(node.address for node in nodes), mode="Cluster")
        async with replicas(config, number=1) as [one]:
            limits = [quota_of(3, policy=f"namespace-{number}/limits") for number in range(12)]
            for limit in limits:
                assert await count_taken([one], charge(limit), calls=5) == 3
            nodes[1].pause()
            quick = store_config(*(node.address for node in nodes), mode="Cluster", timeout=500)
            one.configure(quick)
            for limit in limits:
                await take(one, charge(limit))
            assert one.link.failures
            nodes[1].resume()
            await until(lambda: one.link.is_up)


async def test_a_user_of_a_cluster_needs_three_rights_more(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        for node in nodes:
            with node.client() as admin:
                admin.execute_command("ACL", "SETUSER", "ostiary", "on", f">{PASSWORD}", *RIGHTS, *OF_A_CLUSTER)
        login = StoreCredentialsConfig(username="user", password="password")
        config = store_config(*(node.address for node in nodes), mode="Cluster", credentials=login)
        async with replicas(config, secret={"user": "ostiary", "password": PASSWORD}) as counters:
            assert await count_taken(counters, charge(quota_of(10)), calls=15) == 10


async def test_a_server_that_answers_something_else_is_named() -> None:
    """It speaks the protocol, as a cache of another kind may, and runs no script."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(b"+OK\r\n")
        writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with replicas(store_config(f"127.0.0.1:{port}"), number=1) as [one]:
        await until(lambda: one.link.state is StoreState.FAILED)
        assert await take(one, charge(quota_of(1))) == ()
    listener.close()


async def test_another_store_in_the_settings_takes_over_once_it_answers_and_no_call_fails(
    server: RedisServer, absent: RedisServer
) -> None:
    deny = quota_of(1000, on_store_failure=OnStoreFailure.DENY)
    async with replicas(store_config(server.address, leases="Auto"), number=1) as [one]:
        assert await count_taken([one], charge(deny), calls=50) == 50
        one.configure(store_config(absent.address, leases="Auto"))
        assert await count_taken([one], charge(deny), calls=50) == 50, "the earlier one counts on"
        absent.start()
        await until(lambda: one.link._in_use is not None and one.link._in_use[0].redis.addresses == [absent.address])
        assert await count_taken([one], charge(deny), calls=50) == 50
        with absent.client() as client:
            assert client.exists(store_key(deny, charge(deny).key))


async def test_without_a_store_in_the_settings_this_replica_counts_alone(server: RedisServer) -> None:
    limit = quota_of(3)
    async with replicas(store_config(server.address)) as counters:
        assert await count_taken(counters, charge(limit), calls=9) == 3
        for each in counters:
            each.configure(None)
        assert await count_taken(counters, charge(limit), calls=12) == 9, "three each"


async def test_requests_in_flight_when_the_store_is_named_end_where_they_began(server: RedisServer) -> None:
    limit = concurrency_of(1)
    async with replicas(None, number=1) as [one]:
        assert one.take([charge(limit)], time.time()) == ()
        one.configure(store_config(server.address))
        one.release([charge(limit)])
        assert await take(one, charge(limit)) == ()
        one.configure(None)
        one.release([charge(limit)])
        assert one.take([charge(limit)], time.time()) == ()
