"""The cache of accepted credentials: bounded in number and in memory, alone and together with others."""

from typing import Any

from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.credential_cache import CacheMemory, CredentialCache, weight_of


def agent(**claims: Any) -> Principal:
    return Principal(id="token:agent", method="jwt", claims=claims)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


SMALL, LARGE = agent(sub="ada"), agent(groups=[[]] * 1_000)


def filled(memory: CacheMemory, principal: Principal, number: int) -> CredentialCache[int]:
    cache = CredentialCache[int](memory=memory)
    for position in range(number):
        cache.put(digest(position), position, principal)
    return cache


def test_every_value_and_character_of_the_claims_counts() -> None:
    assert weight_of(agent(a="x" * 1_000)) > weight_of(agent(a="x")) + 1_000
    assert weight_of(agent(a=[{"b": {}}] * 1_000)) > weight_of(agent(a=[])) + 1_000 * 200
    assert weight_of(Principal(id="a", method="jwt", groups=frozenset({"x" * 500}))) > weight_of(SMALL)


def test_large_claims_take_the_room_of_many_small_ones() -> None:
    each = 100 * weight_of(SMALL)
    cache = CredentialCache[int](each=each, memory=CacheMemory())
    for number in range(100):
        cache.put(digest(number), number, SMALL)
    assert len(cache) == 100
    cache.put(digest(100), 100, agent(groups=["x"] * 500))
    assert len(cache) < 100
    assert cache.weight <= each
    assert digest(100) in cache.known


def test_a_tenant_with_many_large_tokens_displaces_its_own_and_not_those_of_others() -> None:
    memory = CacheMemory(limit=50 * weight_of(LARGE))
    others = filled(memory, SMALL, 100)

    hostile = filled(memory, LARGE, 1_000)

    assert len(others) == 100
    assert hostile.weight + others.weight <= 50 * weight_of(LARGE)


def test_a_cache_that_is_no_longer_used_takes_no_room() -> None:
    memory = CacheMemory(limit=50 * weight_of(LARGE))
    for _ in range(10):
        filled(memory, LARGE, 40)

    assert len(filled(memory, LARGE, 40)) == 40


def test_the_same_credential_counts_once() -> None:
    cache = CredentialCache[int](memory=CacheMemory())
    for _ in range(10):
        cache.put(digest(1), 1, SMALL)
    assert cache.weight == weight_of(SMALL)
    cache.drop(digest(1))
    assert (cache.weight, len(cache)) == (0, 0)
