import pytest

from ostiary_core.evidence.latency import BOUNDARIES, bucket_of
from ostiary_core.evidence.name_use import NameUse, NameUses
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.evidence.traffic_window import TrafficWindow
from ostiary_operator.view.traffic_numbers import TrafficRange, TrafficReport
from ostiary_operator.view.traffic_report import NO_MESSAGE, traffic_report

NOW = 1_700_000_000_000
SLOT = NOW - NOW % 10_000


def window(at: int, *seconds: float, method: str = "tools/call", outcome: str = "ok", errors: int = 0) -> TrafficWindow:
    buckets = [0] * (len(BOUNDARIES) + 1)
    for each in seconds:
        buckets[bucket_of(each)] += 1
    return TrafficWindow(
        at=at,
        calls=len(seconds),
        errors=errors,
        seconds=sum(seconds),
        upstream_seconds=sum(seconds) / 2,
        slowest=max(seconds),
        buckets=tuple(buckets),
        methods={method: len(seconds)},
        statuses={"200": len(seconds)},
        error_types={"tool_error": errors} if errors else {},
        outcomes={outcome: len(seconds)},
    )


def report(*windows: TrafficWindow, since: int = 0, names: NameUses | None = None) -> TrafficReport:
    traffic = ProxyTraffic(proxy="", since=since, slots=windows, recent_names=names)
    return traffic_report(traffic, span=TrafficRange.QUARTER_HOUR, now=NOW)


def test_totals_and_durations_are_those_of_all_windows() -> None:
    found = report(window(SLOT - 60_000, 0.2, 0.4), window(SLOT, 0.6, outcome="tool error", errors=1)).numbers

    assert (found.calls, found.errors, found.slowest) == (3, 1, 0.6)
    assert found.mean == pytest.approx(0.4)
    assert found.upstream_mean == pytest.approx(0.2)
    assert found.gateway_mean == pytest.approx(0.2)
    assert found.p50 == pytest.approx(0.35)  # as histogram_quantile interpolates in the bucket from 0.2 to 0.5


def test_without_requests_there_is_no_duration() -> None:
    found = report().numbers

    assert (found.calls, found.mean, found.slowest, found.p99, found.gateway_mean) == (0, None, None, None, None)


def test_a_step_without_requests_is_zero_and_one_before_the_recording_is_unknown() -> None:
    found = report(window(SLOT, 0.1), since=SLOT - 15_000)

    (ok,) = found.outcomes_over_time
    assert len(ok.values) == 91
    assert ok.values[-4:] == (None, 0, 0, 1)
    assert ok.values[0] is None
    assert found.start + 90 * found.step == SLOT


def test_requests_of_a_moment_after_the_clock_of_the_page_are_in_its_last_step() -> None:
    found = report(window(SLOT, 0.1), window(SLOT + 10_000, 0.1, 0.1))

    (ok,) = found.outcomes_over_time
    assert len(ok.values) == 91
    assert (found.numbers.calls, ok.values[-1]) == (3, 3)


def test_latency_has_a_value_only_where_there_were_requests() -> None:
    latency = {each.name: each.values for each in report(window(SLOT, 0.015)).latency}

    assert latency["average"][-2] is None
    assert latency["p50"][-2] is None
    assert latency["average"][-1] == pytest.approx(0.015)
    assert latency["p50"][-1] == pytest.approx(0.015)


def test_methods_are_ranked_and_a_request_without_a_message_is_named_so() -> None:
    found = report(window(SLOT - 10_000, 0.1, 0.1, 0.1), window(SLOT, 0.1, method="", outcome="refused"))

    assert [(each.name, each.calls, each.share) for each in found.methods] == [
        ("tools/call", 3, 0.75),
        (NO_MESSAGE, 1, 0.25),
    ]
    assert [each.values[-2:] for each in found.methods_over_time] == [(3, 0), (0, 1)]
    assert [each.name for each in found.outcomes] == ["ok", "refused"]


def test_kinds_of_errors_are_parts_of_all_requests() -> None:
    (kind,) = report(window(SLOT, 0.1, 0.1, 0.1, 0.1, errors=1, outcome="tool error")).error_types

    assert (kind.name, kind.calls, kind.share) == ("tool_error", 1, 0.25)


def test_the_most_used_names_are_kept_apart_by_primitive() -> None:
    uses = NameUses(
        since=SLOT,
        names=(
            *(
                NameUse(method="tools/call", name=f"tool-{number}", calls=10 - number, seconds=1.0)
                for number in range(7)
            ),
            NameUse(method="resources/read", name="file:///a", calls=1, seconds=0.5, slowest=0.5),
            NameUse(method="prompts/get", name="greet", calls=2, errors=1),
        ),
        others=NameUse(method="", name="", calls=4),
    )

    found = report(window(SLOT, 0.1), names=uses).names

    assert [each.name for each in found.tools] == [f"tool-{number}" for number in range(5)]
    assert found.tools[0].mean == pytest.approx(0.1)
    assert [(each.name, each.mean) for each in found.resources] == [("file:///a", 0.5)]
    assert [(each.name, each.errors) for each in found.prompts] == [("greet", 1)]
    assert (found.since, found.others) == (SLOT, 4)


@pytest.mark.parametrize(("span", "steps"), [("1h", 5), ("6h", 25), ("24h", 97)])
def test_longer_ranges_are_made_of_quarters_of_an_hour(span: str, steps: int) -> None:
    quarter = NOW - NOW % 900_000
    traffic = ProxyTraffic(proxy="", since=0, quarters=(window(quarter, 0.1, 0.2),))

    found = traffic_report(traffic, span=TrafficRange(span), now=NOW)

    assert found.step == 900_000
    assert [len(each.values) for each in found.outcomes_over_time] == [steps]
    assert found.outcomes_over_time[0].values[-1] == 2


def test_the_time_at_servers_is_never_more_than_the_whole() -> None:
    merged = window(SLOT, 0.1).model_copy(update={"upstream_seconds": 5.0})  # several servers were asked at once

    found = report(merged)

    assert found.numbers.gateway_mean == 0
    assert {each.name: each.values[-1] for each in found.composition}["gateway"] == 0
