"""Exhausted quotas are told once when that begins and once when it ends, and their number is bounded."""

import asyncio
from typing import Any

import pytest
from limits import NOW, charge, compiled_limit

from ostiary_gateway.policy_limits import exhausted_keys
from ostiary_gateway.policy_limits.exhausted_keys import ExhaustedKeys
from ostiary_gateway.policy_limits.store import Exhaustion, Unit

LIMIT = compiled_limit(requests=1)


class Told:
    """What was told, and a clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.told: list[tuple[str, str]] = []
        self.news = asyncio.Event()
        self.keys = ExhaustedKeys(self.tell, clock=lambda: self.now)

    def tell(self, key: str, tool: str) -> None:
        self.told.append((key.rpartition("/")[2], tool))
        self.news.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(exhausted_keys, "_LONGEST_SECONDS", 0.01)
    return Told()


def exhausted(who: str = "a", *, reset_at: float | None = NOW + 3600) -> Exhaustion:
    return Exhaustion(charge(LIMIT, who), Unit.REQUESTS, 1, 0, reset_at, reset_at)


async def test_a_key_is_told_once_and_again_at_its_reset(told: Told) -> None:
    for _ in range(3):
        told.keys.note(exhausted(), "get_users")
    assert told.told == [("a", "get_users")]

    told.news.clear()
    told.now += 3600
    await told.news.wait()
    assert told.told == [("a", "get_users")] * 2
    assert len(told.keys) == 0


async def test_a_key_that_is_free_again_before_its_reset_is_told(told: Told) -> None:
    told.keys.note(exhausted(), "get_users")
    told.keys.forget(exhausted().charge.key)
    told.keys.forget(exhausted().charge.key)
    assert told.told == [("a", "get_users")] * 2


async def test_a_changed_limit_is_forgotten_and_told_again_when_it_is_exhausted(told: Told) -> None:
    told.keys.note(exhausted(), "get_users")
    told.keys.keep([LIMIT])
    assert len(told.keys) == 1
    told.keys.keep([])
    told.keys.note(exhausted(), "get_users")
    assert told.told == [("a", "get_users")] * 2
    told.keys.close()


async def test_what_has_no_reset_is_not_noted(told: Told) -> None:
    told.keys.note(exhausted(reset_at=None), "get_users")
    assert (told.told, len(told.keys)) == ([], 0)


async def test_the_number_of_noted_keys_is_bounded(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhausted_keys, "MOST_KEYS", 10)
    for number in range(100):
        told.keys.note(exhausted(str(number)), "get_users")
    assert len(told.keys) == len(told.told) == 10
    told.keys.close()
