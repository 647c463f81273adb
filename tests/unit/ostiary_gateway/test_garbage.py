"""The garbage collector runs in pauses, and looks at a config once."""

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ostiary_gateway import garbage
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.garbage import WORTH, PauseCollector

NO_CONFIG = cast("Snapshot", None)


class Node:
    """Refers to itself, so only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def generations() -> Iterator[list[int]]:
    """The generations that are collected during the test, which begins with an empty youngest one."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    threshold = gc.get_threshold()
    gc.collect()
    gc.set_threshold(10**6, 10, 20)
    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_after_a_swap_garbage_is_collected_once_and_what_lives_is_frozen(generations: list[int]) -> None:
    collector = PauseCollector(lambda: True)
    kept, dropped = Node(), Node()
    gone = weakref.ref(dropped)
    del dropped
    collector.collect()
    assert gone() is None
    assert generations == [2]
    assert not any(each is kept for each in gc.get_objects())
    collector.collect()
    assert generations == [2]
    frozen = weakref.ref(kept)
    del kept
    collector.on_swap(NO_CONFIG, frozenset())
    collector.collect()
    assert generations == [2, 2]
    assert frozen() is None


def test_what_building_a_config_has_freed_is_returned_once_and_not_where_the_c_library_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []
    monkeypatch.setattr(garbage, "_C_LIBRARY", SimpleNamespace(malloc_trim=given.append))
    collector = PauseCollector(lambda: True)
    collector.collect()
    collector.collect()
    assert given == [0]

    monkeypatch.setattr(garbage, "_C_LIBRARY", SimpleNamespace())
    collector.on_swap(NO_CONFIG, frozenset())
    collector.collect()
    assert given == [0]


def test_between_swaps_young_garbage_is_collected_once_there_is_enough(generations: list[int]) -> None:
    collector = PauseCollector(lambda: True)
    collector.collect()
    generations.clear()
    collector.collect()
    assert generations == []
    gone = weakref.ref(Node())
    alive = [[] for _ in range(WORTH)]  # type: ignore[var-annotated]
    collector.collect()
    assert generations == [1]
    assert gone() is None
    assert len(alive) == WORTH


async def test_nothing_is_collected_while_requests_are_served(
    generations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "INTERVAL_SECONDS", 0)
    looks = iter([False] * 10 + [True])
    seen: list[int] = []

    def is_idle() -> bool:
        seen.append(len(generations))
        return next(looks)

    with pytest.raises(RuntimeError):  # there is no further look
        await PauseCollector(is_idle).run()
    assert seen == [0] * 11 + [1]
