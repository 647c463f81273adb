"""Ranges of time, and the traffic of several replicas as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.name_use import NameUse, most_used
from ostiary_core.evidence.proxy_traffic import ProxyTraffic, TrafficDocument, first_start, joined_traffic, resolution
from ostiary_core.evidence.traffic_window import QUARTER_SECONDS, QUARTERS, SLOT_SECONDS, SLOTS, TrafficWindow

NOW = 1_790_000_000_000 - 1_790_000_000_000 % 900_000 + 123_456


def traffic(
    proxy: str = "a/b", *, slots: int = SLOTS + 1, quarters: int = QUARTERS + 1, calls: int = 1
) -> ProxyTraffic:
    """Traffic with the same calls in each window, the last of which holds the instant NOW."""

    def windows(number: int, seconds: int) -> tuple[TrafficWindow, ...]:
        last = NOW - NOW % (seconds * 1000)
        return tuple(TrafficWindow(at=last - back * seconds * 1000, calls=calls) for back in reversed(range(number)))

    return ProxyTraffic(
        proxy=proxy, since=NOW - 10, slots=windows(slots, SLOT_SECONDS), quarters=windows(quarters, QUARTER_SECONDS)
    )


@pytest.mark.parametrize(
    ("seconds", "length", "windows"), [(60, 10, 7), (900, 10, 91), (3600, 900, 5), (21_600, 900, 25), (86_400, 900, 97)]
)
def test_a_range_has_the_windows_that_it_touches(seconds: int, length: int, windows: int) -> None:
    found = traffic()
    assert resolution(seconds) == length
    assert len(found.windows(now=NOW, seconds=seconds)) == windows
    whole = found.total(now=NOW, seconds=seconds)
    assert (whole.calls, whole.at) == (windows, first_start(now=NOW, seconds=seconds))


@given(st.integers(1, 86_400))
def test_a_range_is_longer_than_asked_for_by_less_than_a_window(seconds: int) -> None:
    begin = first_start(now=NOW, seconds=seconds)
    assert seconds * 1000 <= NOW - begin < (seconds + resolution(seconds)) * 1000


def test_replicas_are_joined_window_by_window() -> None:
    joined = joined_traffic([traffic(calls=2), traffic(calls=3, slots=5)], proxy="a/b")
    assert [each.calls for each in joined.slots[-6:]] == [2, 5, 5, 5, 5, 5]
    assert {each.calls for each in joined.quarters} == {5}


def test_clocks_that_differ_make_no_more_windows_than_a_reader_takes() -> None:
    late = traffic()
    early = ProxyTraffic(
        proxy="a/b", since=1, slots=tuple(TrafficWindow(at=each.at - 3_600_000, calls=9) for each in late.slots)
    )
    joined = joined_traffic([late, early], proxy="a/b")
    assert joined.slots == late.slots


def test_names_of_replicas_that_have_none_are_left_out() -> None:
    names = most_used(NOW, [NameUse(method="tools/call", name="a", calls=1)])
    one = ProxyTraffic(proxy="a/b", since=NOW, names=names)
    joined = joined_traffic([one, ProxyTraffic(proxy="a/b", since=NOW - 1)], proxy="a/b")
    assert (joined.names, joined.recent_names, joined.since) == (names, None, NOW - 1)


def test_there_must_be_something_to_join() -> None:
    with pytest.raises(ValueError, match="at least one"):
        joined_traffic([], proxy="a/b")


def test_a_document_survives_its_json() -> None:
    document = TrafficDocument(replica="r", gateway="g/h", since=1, now=NOW, proxies=(traffic(),))
    assert TrafficDocument.model_validate_json(document.model_dump_json(by_alias=True)) == document
