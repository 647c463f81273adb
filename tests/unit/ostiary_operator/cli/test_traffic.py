"""`ostiary traffic` shows what replicas counted, and what is missing."""

import functools
import json
import time
from typing import Any

import pytest
from evidence_replicas import AskReplicas, StartReplica, answers, head

from ostiary_core.evidence.latency import BUCKETS, bucket_of


@pytest.fixture
def ask(ask_replicas: AskReplicas) -> AskReplicas:
    return functools.partial(ask_replicas, "traffic")


def document(calls: int, *, recording: bool = True) -> dict[str, Any]:
    """A replica that counted so many calls of one tool a moment ago, each of 3 ms."""
    now = int(time.time() * 1000)
    buckets = [0] * BUCKETS
    buckets[bucket_of(0.003)] = calls
    counted = {
        "at": now - now % 10_000,
        "calls": calls,
        "errors": 1,
        "denied": 0,
        "seconds": calls * 0.003,
        "upstreamSeconds": calls * 0.002,
        "slowest": 0.003,
        "buckets": buckets,
        "methods": {"tools/call": calls},
        "statuses": {"200": calls},
        "outcomes": {"ok": calls},
    }
    use = {"method": "tools/call", "name": "get_weather", "calls": calls, "seconds": calls * 0.003, "slowest": 0.003}
    names = {"since": now - 60_000, "names": [use]}
    traffic = {"proxy": "", "since": now - 60_000, "slots": [counted], "recentNames": names}
    return head(since=now - 60_000, now=now, recording=recording, gateway="", proxies=[traffic] if calls else [])


async def test_the_sum_of_all_replicas_is_shown_with_the_tools_that_were_used(
    start: StartReplica, ask: AskReplicas
) -> None:
    a, b = await start(answers(document(3)), "a"), await start(answers(document(4)), "b")
    done = await ask(admin=(a.admin.url, b.admin.url))
    assert (done.code, done.err) == (0, "")
    totals = dict(zip(*(line.split() for line in done.out.splitlines()[:2]), strict=False))
    assert (totals["CALLS"], totals["ERRORS"]) == ("7", "2")
    assert any(line.split()[:3] == ["get_weather", "tools/call", "7"] for line in done.out.splitlines())


async def test_programs_get_the_report_as_the_console_gives_it(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(document(3)))
    found = json.loads((await ask("-o", "json", admin=(port.admin.url,))).out)
    assert (found["range"], found["report"]["numbers"]["calls"]) == ("15m", 3)
    assert found["report"]["names"]["tools"][0]["name"] == "get_weather"
    assert (found["evidence"]["asked"], found["evidence"]["answered"]) == (1, 1)


async def test_a_replica_that_does_not_answer_is_named_and_the_exit_code_says_so(
    start: StartReplica, ask: AskReplicas
) -> None:
    port = await start(answers(document(3)))
    done = await ask(admin=(port.admin.url, "http://127.0.0.1:1"))
    assert done.code == 1
    assert "replica http://127.0.0.1:1: no answer: Connection refused: what it recorded is missing" in done.err


async def test_where_none_answers_nothing_is_shown(ask: AskReplicas) -> None:
    done = await ask(admin=("http://127.0.0.1:1",))
    assert (done.code, done.out) == (2, "")
    assert "no replica can be reached from here" in done.err


async def test_no_traffic_and_no_recording_are_not_the_same(start: StartReplica, ask: AskReplicas) -> None:
    idle, off = await start(answers(document(0))), await start(answers(document(0, recording=False)))
    done = await ask("crm", "-n", "sales", "--range", "1h", admin=(idle.admin.url,))
    assert (done.out, done.err) == ("no traffic of MCPProxy sales/crm in the last 1h\n", "")
    assert "switch the recording off" in (await ask(admin=(off.admin.url,))).err


async def test_a_watch_of_json_is_refused(ask: AskReplicas) -> None:
    done = await ask("--watch", "-o", "json", admin=("http://127.0.0.1:1",))
    assert (done.code, "--watch shows tables" in done.err) == (2, True)
