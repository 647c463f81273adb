"""What replicas captured of one proxy."""

import json
from functools import reduce
from typing import Any

from ostiary_operator.view.evidence.capture_log import MOST_EXCHANGES, DebugCaptureLog, parse_capture


def body(*lines: Any) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n\n"


def log(*lines: Any, replica: str = "gw-a") -> DebugCaptureLog:
    return parse_capture(body(*lines), gateway="ostiary-system/default", replica=replica)


def exchange(at: str) -> dict[str, str]:
    return {"kind": "Exchange", "at": at}


def test_the_newest_exchanges_of_all_replicas_come_first() -> None:
    found = log(exchange("T1"), exchange("T3")).joined(log(exchange("T2"), replica="gw-b"))
    assert [(each.replica, each.record["at"]) for each in found.records] == [
        ("gw-a", "T3"),
        ("gw-b", "T2"),
        ("gw-a", "T1"),
    ]


def test_it_says_until_when_and_what_was_skipped() -> None:
    description = {"kind": "Capture", "until": "2026-11-30T10:00:00Z", "ended": None, "skipped": 3}
    found = reduce(DebugCaptureLog.joined, [log(description), log(description), log()], DebugCaptureLog())
    assert (found.until, found.is_running, found.skipped) == ("2026-11-30T10:00:00Z", True, 6)
    assert not log(description | {"ended": "Expired"}).is_running


def test_no_more_is_kept_than_is_shown() -> None:
    found = log(*(exchange(f"T{number:03}") for number in range(200)))
    assert (len(found.records), found.records[0].record["at"]) == (MOST_EXCHANGES, "T199")


def test_lines_that_are_no_objects_are_left_out() -> None:
    hostile = b'not JSON\n[]\n1\n"x"\n' + b"[" * 200_000 + b'\n{"kind":"Capture","until":7,"skipped":-1}\n{"kind":[]}\n'
    found = parse_capture(hostile, gateway="g/g", replica="r")
    assert (found.records, found.until, found.skipped) == ((), "7", 0)


def test_what_a_twin_cannot_hold_is_left_out() -> None:
    values = ("[" * 400 + "]" * 400, "123456789012345678901234567890", '"\\ud800"', '"kept"')
    lines = (f'{{"kind":"Exchange","at":"T1","value":{value}}}' for value in values)
    found = parse_capture("\n".join(lines).encode(), gateway="g/g", replica="r")
    assert [each.record["value"] for each in found.records] == ["kept"]
