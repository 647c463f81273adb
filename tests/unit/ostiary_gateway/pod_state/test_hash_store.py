"""The hashes of session notes: as Redis would answer, and bounded."""

from typing import Any

import pytest

from ostiary_gateway.pod_state.hash_store import HashStore


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_fields_are_set_read_and_deleted() -> None:
    store = HashStore()
    assert store.run(["HSET", "h", "a", "1"]) == store.run(["HSET", "h", "b", "2"]) == 1
    assert store.run(["HSET", "h", "a", "3"]) == 0
    assert store.run(["HGETALL", "h"]) == ["a", "3", "b", "2"]
    assert store.run(["HDEL", "h", "a", "x"]) == 1
    assert store.run(["HDEL", "h", "b"]) == 1
    assert store.run(["HDEL", "h", "b"]) == 0
    assert store.run(["HGETALL", "h"]) == []
    assert (len(store), store.bytes) == (0, 0)


def test_a_hash_expires() -> None:
    clock = Clock()
    store = HashStore(clock=clock)
    store.run(["HSET", "h", "a", "1"])
    assert store.run(["PEXPIRE", "h", "2000"]) == 1
    assert store.run(["PEXPIRE", "other", "2000"]) == 0
    clock.now += 1.9
    assert store.run(["HGETALL", "h"]) == ["a", "1"]
    clock.now += 0.1
    assert store.run(["HGETALL", "h"]) == []
    assert store.bytes == 0


def replaced(store: HashStore, before: str, value: str) -> int:
    found: int = store.run(["EVAL", "script", "1", "h", "field", before, value, "60000", "ended"])
    return found


def test_a_field_is_replaced_only_where_it_is_what_was_read_and_the_session_has_not_ended() -> None:
    store = HashStore()
    assert replaced(store, "", "first") == 1
    assert replaced(store, "", "second") == 0
    assert replaced(store, "first", "second") == 1
    store.run(["HSET", "h", "ended", "yes"])
    assert replaced(store, "second", "third") == 0
    assert store.run(["HGETALL", "h"]) == ["field", "second", "ended", "yes"]


@pytest.mark.parametrize("bounds", [{"most_hashes": 3}, {"most_bytes": 3 * 302}])
def test_what_was_not_used_for_longest_makes_room(bounds: dict[str, Any]) -> None:
    store = HashStore(**bounds)
    for name in "abc":
        store.run(["HSET", name, "f", "v" * 100])
    store.run(["HGETALL", "a"])
    store.run(["HSET", "d", "f", "v" * 100])
    assert [store.run(["HGETALL", name]) != [] for name in "abcd"] == [True, False, True, True]


@pytest.mark.parametrize("words", [[], ["GET", "h"], ["HSET", "h"], ["HGETALL"], ["EVAL", "s", "1", "h"]])
def test_other_commands_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"command|values"):
        HashStore().run(words)
