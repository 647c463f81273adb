"""Windows are packed without loss, and what callers or servers invent makes no new kinds."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.latency import BUCKETS
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.evidence.live_window import MOST_KINDS, LiveWindow, PackedWindows, RequestKinds, absorb_packed

counts = st.integers(1, 2**40)


@st.composite
def live_windows(draw: st.DrawFn) -> LiveWindow:
    window = LiveWindow()
    for bucket, count in draw(st.dictionaries(st.integers(0, BUCKETS - 1), counts, max_size=5)).items():
        window.buckets[bucket] = count
    window.kinds = draw(st.dictionaries(st.integers(0, MOST_KINDS), counts, min_size=1, max_size=5))
    microseconds = st.integers(0, 2**50)
    window.seconds, window.upstream_seconds, window.slowest = (draw(microseconds) / 1_000_000 for _ in range(3))
    return window


def shape(window: LiveWindow) -> tuple[object, ...]:
    times = (round(each * 1_000_000) for each in (window.seconds, window.upstream_seconds, window.slowest))
    return (tuple(window.buckets), window.kinds, *times)


def unpacked(packed: bytes, *, first: int = 0) -> dict[int, LiveWindow]:
    found: dict[int, LiveWindow] = {}
    absorb_packed(packed, first=first, into=lambda number: found.setdefault(number, LiveWindow()))
    return found


@given(st.lists(live_windows(), max_size=6), st.integers(0, 6))
def test_windows_come_back_as_they_were_packed(windows: list[LiveWindow], first: int) -> None:
    packed = PackedWindows()
    for number, window in enumerate(windows):
        packed.append(number, window)
    found = unpacked(packed.copy(), first=first)
    assert {number: shape(window) for number, window in found.items()} == {
        number: shape(window) for number, window in enumerate(windows) if number >= first
    }


@given(st.lists(live_windows(), max_size=8), st.integers(0, 10), st.integers(1, 10))
def test_the_oldest_windows_are_forgotten_and_the_rest_stays_whole(
    windows: list[LiveWindow], first: int, most: int
) -> None:
    packed = PackedWindows()
    for number, window in enumerate(windows):
        packed.append(number, window)
    packed.keep(first=first, most=most)
    wanted = [number for number in range(len(windows)) if number >= first][-most:]
    assert list(unpacked(packed.copy())) == wanted
    assert packed.count == len(wanted)


def test_two_windows_of_one_number_are_one() -> None:
    packed, window = PackedWindows(), LiveWindow()
    window.kinds, window.buckets[3] = {0: 2}, 2
    packed.append(7, window)
    packed.append(7, window)
    assert unpacked(packed.copy())[7].kinds == {0: 4}
    assert unpacked(packed.copy())[7].buckets[3] == 4


def test_a_document_counts_by_method_status_error_and_outcome() -> None:
    kinds, window = RequestKinds(), LiveWindow()
    window.kinds = {
        kinds.number_of("tools/call", 200, "", CallOutcome.OK): 3,
        kinds.number_of("tools/call", 200, "-31001", CallOutcome.DENIED): 2,
        kinds.number_of("", 0, "caller_left", CallOutcome.FAILED): 1,
    }
    found = window.document(5, kinds)
    assert (found["at"], found["calls"], found["errors"], found["denied"]) == (5, 6, 3, 2)
    assert found["methods"] == {"tools/call": 5, "": 1}
    assert found["statuses"] == {"200": 5}
    assert found["errorTypes"] == {"-31001": 2, "caller_left": 1}
    assert found["outcomes"] == {"ok": 3, "denied": 2, "failed": 1}


def test_error_types_that_an_upstream_invents_are_one_kind() -> None:
    kinds = RequestKinds()
    numbers = {kinds.number_of("tools/call", 200, f"-9{number}", CallOutcome.FAILED) for number in range(1000)}
    assert len(numbers) == 1
    assert kinds[numbers.pop()].error_type == "_OTHER"


def test_kinds_are_bounded_and_beyond_the_bound_method_and_outcome_stay() -> None:
    kinds = RequestKinds()
    for status in range(MOST_KINDS + 100):
        kinds.number_of("tools/call", status, "", CallOutcome.OK)
    late = kinds[kinds.number_of("prompts/get", 999_999, "timeout", CallOutcome.FAILED)]
    assert late == ("prompts/get", 0, "_OTHER", CallOutcome.FAILED)
