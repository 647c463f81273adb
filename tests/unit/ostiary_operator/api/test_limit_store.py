"""The settings of the store that replicas share: what is accepted, and what names its remedy."""

import pytest

from ostiary_operator.api.limit_store import Leases, LimitStore, RedisMode
from ostiary_operator.api.load import InvalidSettings, parse_settings


def store(redis: str, rest: str = "") -> LimitStore:
    found = parse_settings(f"limitStore: {{redis: {{{redis}}}{rest}}}").limit_store
    assert found is not None
    return found


def test_one_address_is_enough() -> None:
    found = store('addresses: ["redis.data.svc:6379"]')
    assert (found.redis.mode, found.leases, found.timeout.milliseconds) == (RedisMode.STANDALONE, Leases.AUTO, 50)


def test_sentinels_and_clusters_have_several_addresses() -> None:
    assert store('mode: Sentinel, masterName: limits, addresses: ["a:26379", "[fd00::1]:26379"]').redis.master_name
    assert len(store('mode: Cluster, addresses: ["a:6379", "b:6379", "c:6379"]').redis.addresses) == 3


@pytest.mark.parametrize(
    ("redis", "fault"),
    [
        ("addresses: []", "addresses"),
        ('addresses: ["redis"]', "is not a host with a port"),
        ('addresses: ["redis://user:secret@redis:6379"]', "is not a host with a port"),
        ('addresses: ["a:6379", "b:6379"]', "has several addresses with mode Standalone"),
        ('mode: Sentinel, addresses: ["a:26379"]', "needs masterName with mode Sentinel"),
        ('masterName: x, addresses: ["a:6379"]', "needs masterName with mode Sentinel"),
        ('mode: Cluster, database: 1, addresses: ["a:6379"]', "has a database with mode Cluster"),
        ('sentinelCredentialsRef: {name: x}, addresses: ["a:6379"]', "has sentinelCredentialsRef without"),
        ('addresses: ["a:6379"], password: secret', "password"),
    ],
)
def test_what_cannot_work_is_refused_with_its_remedy(redis: str, fault: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        store(redis)
    assert fault in str(refused.value)
    assert "secret" not in str(refused.value), "values are never repeated"


@pytest.mark.parametrize("timeout", ["1ms", "6s"])
def test_a_call_waits_neither_for_nothing_nor_for_ever(timeout: str) -> None:
    with pytest.raises(InvalidSettings, match="must be from 5ms to 5s"):
        store('addresses: ["a:6379"]', f", timeout: {timeout}")
