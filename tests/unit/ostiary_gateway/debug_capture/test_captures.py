"""A capture ends by itself, and tenants share the memory for records fairly."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from ostiary_core.contract.debug_capture import LONGEST_MS, DebugCaptureConfig
from ostiary_gateway.debug_capture.captures import ALL_BYTES, READABLE_SECONDS, Clocks, DebugCaptures, ProxyCapture
from ostiary_gateway.debug_capture.ring import MOST_BYTES

NOW = 1_000_000.0
LONGEST = LONGEST_MS / 1000


class Times:
    """Two clocks that tests set: of the day, and of the process."""

    def __init__(self) -> None:
        self.day = NOW
        self.process = 50.0

    def pass_by(self, seconds: float) -> None:
        self.day += seconds
        self.process += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
async def captures(times: Times) -> AsyncIterator[DebugCaptures]:
    made = DebugCaptures(Clocks(lambda: times.day, lambda: times.process))
    yield made
    made.close()


def proxy(name: str, seconds: float | None, contents: str = "Redacted") -> Any:
    """A proxy as the snapshot holds it, captured for this long from the start."""
    config = None
    if seconds is not None:
        config = DebugCaptureConfig.model_validate({"until": int((NOW + seconds) * 1000), "contents": contents})
    return SimpleNamespace(identity=name, uid=f"uid-{name}", debug_capture=config)


def swap(captures: DebugCaptures, *proxies: Any) -> None:
    captures.on_swap(SimpleNamespace(proxies={each.identity: each for each in proxies}), frozenset())  # type: ignore[arg-type]  # all that it reads


def active(captures: DebugCaptures, found: Any) -> ProxyCapture:
    capture = captures.of(found)
    assert capture is not None
    return capture


async def test_a_capture_ends_at_its_time(captures: DebugCaptures, times: Times) -> None:
    watched = proxy("a/x", 60)
    swap(captures, watched)
    active(captures, watched).ring.add({"n": 1})
    times.pass_by(59)
    assert captures.ends_of(watched) == NOW + 60
    times.pass_by(1)
    assert captures.of(watched) is None
    named = captures.named("a/x")
    assert named is not None
    assert (named.ring.ended, named.ring.size[0]) == ("Expired", 1)


async def test_it_never_lasts_longer_than_a_day_from_when_it_was_seen(captures: DebugCaptures, times: Times) -> None:
    watched = proxy("a/x", 10 * LONGEST)
    swap(captures, watched)
    assert captures.ends_of(watched) == NOW + LONGEST
    times.pass_by(LONGEST - 1)
    swap(captures, watched)  # another change of the config does not prolong it
    assert captures.of(watched) is not None
    times.pass_by(1)
    assert captures.of(watched) is None


async def test_a_clock_that_is_set_back_does_not_prolong_it_beyond_a_day(captures: DebugCaptures, times: Times) -> None:
    watched = proxy("a/x", 10 * LONGEST)
    swap(captures, watched)
    times.process += LONGEST
    assert captures.of(watched) is None


async def test_another_end_begins_it_again_and_keeps_the_records(captures: DebugCaptures, times: Times) -> None:
    swap(captures, proxy("a/x", 60))
    active(captures, proxy("a/x", 60)).ring.add({"n": 1})
    times.pass_by(60)
    longer = proxy("a/x", 120)
    swap(captures, longer)
    assert active(captures, longer).ring.size[0] == 1


async def test_other_contents_apply_at_once(captures: DebugCaptures) -> None:
    swap(captures, proxy("a/x", 60))
    without = proxy("a/x", 60, "None")
    swap(captures, without)
    assert not active(captures, without).has_contents


async def test_records_are_forgotten_a_while_after_the_end(captures: DebugCaptures, times: Times) -> None:
    watched = proxy("a/x", 60)
    swap(captures, watched)
    active(captures, watched).ring.add({"n": 1})
    times.pass_by(60 + READABLE_SECONDS)
    named = captures.named("a/x")
    assert named is not None
    assert named.ring.size == (0, 0)


async def test_removing_it_forgets_everything_at_once(captures: DebugCaptures) -> None:
    watched = proxy("a/x", 60)
    swap(captures, watched)
    ring = active(captures, watched).ring
    ring.add({"n": 1})
    swap(captures, proxy("a/x", None))
    assert (captures.named("a/x"), ring.ended, ring.size) == (None, "Removed", (0, 0))


async def test_namespaces_share_memory_and_within_each_its_proxies(captures: DebugCaptures) -> None:
    many = [proxy(f"greedy/{number}", 60) for number in range(100)]
    swap(captures, *many, proxy("modest/x", 60))
    shares = {each.proxy: each.ring.most_bytes for each in captures}

    assert shares["modest/x"] == MOST_BYTES
    assert shares["greedy/1"] == ALL_BYTES // 2 // 100
    assert sum(shares.values()) <= ALL_BYTES
