import re
from dataclasses import replace

from ostiary_core.evidence.latency import BOUNDARIES
from ostiary_core.evidence.name_use import NameUse, NameUses
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.evidence.traffic_window import TrafficWindow
from ostiary_operator.view import traffic_text
from ostiary_operator.view.traffic_numbers import Share, TrafficRange, TrafficReport
from ostiary_operator.view.traffic_report import traffic_report

NOW = 1_700_000_000_000
SLOT = NOW - NOW % 10_000


def report(*names: NameUse) -> TrafficReport:
    buckets = [0] * (len(BOUNDARIES) + 1)
    buckets[4] = 4
    window = TrafficWindow(
        at=SLOT,
        calls=4,
        errors=1,
        seconds=0.032,
        upstream_seconds=0.02,
        slowest=0.009,
        buckets=tuple(buckets),
        methods={"tools/call": 3, "initialize": 1},
        statuses={"200": 4},
        error_types={"tool_error": 1},
        outcomes={"ok": 3, "tool error": 1},
    )
    traffic = ProxyTraffic(proxy="", since=SLOT, slots=(window,), recent_names=NameUses(since=SLOT, names=names))
    return traffic_report(traffic, span=TrafficRange.QUARTER_HOUR, now=NOW)


def test_the_totals_are_those_of_the_page() -> None:
    header, row, *_ = traffic_text.render(report()).splitlines()

    assert header.split() == ["CALLS", "ERRORS", "DENIED", "AVERAGE", "MAX", "P50", "P90", "P99", "GATEWAY", "UPSTREAM"]
    assert re.split("  +", row) == ["4", "1", "0", "8 ms", "9 ms", "7.5 ms", "9.5 ms", "9.95 ms", "3 ms", "5 ms"]


def test_series_are_drawn_and_kinds_are_ranked() -> None:
    text = traffic_text.render(report(NameUse(method="tools/call", name="get", calls=3, seconds=0.3, slowest=0.2)))

    assert "tools/call █  most 3" in text.replace("·", "")
    assert "get    tools/call   3       0        0        100 ms    200 ms   ████████████████████" in text
    assert "tool_error   1       25 %" in text


def test_without_requests_only_zeros_are_written() -> None:
    quiet = traffic_report(ProxyTraffic(proxy="", since=0), span=TrafficRange.HOUR, now=NOW)

    lines = traffic_text.render(quiet).splitlines()

    assert len(lines) == 2
    assert lines[1].split() == ["0", "0", "0", *["-"] * 7]


def test_names_of_others_cannot_move_the_cursor() -> None:
    hostile = replace(
        report(NameUse(method="tools/call", name="\x1b[2Jx", calls=1)), methods=(Share("\x1b[1m", 1, 1.0),)
    )

    assert "\x1b" not in traffic_text.render(hostile)
