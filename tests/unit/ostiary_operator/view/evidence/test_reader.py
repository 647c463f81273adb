"""Evidence of all replicas together, whatever some of them do."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from evidence_replicas import GATEWAY, NOW, KnownPorts, StartReplica, answers, head

from ostiary_core.evidence.latency import BUCKETS
from ostiary_operator.view import admin_client
from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficQuery
from ostiary_operator.view.evidence.reader import EvidenceReader
from ostiary_operator.view.evidence.replica_requests import EvidencePort

ALL = ProxyScope()
EVERYTHING = TrafficQuery(ALL, 900)
#: Seconds after which a replica that hangs is given up; those that answer take a fraction of it.
PATIENCE = 5.0


def slot(at: int, calls: int) -> dict[str, Any]:
    buckets = [calls, *[0] * (BUCKETS - 1)]
    return {"at": at, "calls": calls, "buckets": buckets, "seconds": 0.1, "methods": {"tools/call": calls}}


def traffic(*proxies: tuple[str, int], **more: Any) -> dict[str, Any]:
    found = [{"proxy": name, "since": NOW - 60_000, "slots": [slot(NOW - 20_000, calls)]} for name, calls in proxies]
    return head(proxies=found, **more)


def call(number: int, *, at: int, proxy: str = "sales/crm") -> dict[str, Any]:
    return {"number": number, "at": at, "proxy": proxy, "method": "tools/call", "name": "echo", "durationMs": 1.5}


def refusal(count: int, *, proxy: str = "sales/crm", last: int = NOW) -> dict[str, Any]:
    return {"proxy": proxy, "method": "tools/call", "name": "x", "count": count, "first": NOW - 9, "last": last}


def calls_of(found: Gathered[Any]) -> dict[str, int]:
    return {proxy: each.total(now=NOW, seconds=900).calls for proxy, each in found.value.items()}


def reader(http: aiohttp.ClientSession, *ports: EvidencePort, seconds: float = PATIENCE) -> EvidenceReader:
    return EvidenceReader(http, KnownPorts(*ports), seconds=seconds)


async def test_what_replicas_counted_is_added_up(http: aiohttp.ClientSession, start: StartReplica) -> None:
    a = await start(answers(traffic(("sales/crm", 2), ("hr/files", 1))), "gw-a")
    b = await start(answers(traffic(("sales/crm", 5), since=NOW - 10_000)), "gw-b")
    found = await reader(http, a, b).traffic(EVERYTHING)
    assert calls_of(found) == {"hr/files": 1, "sales/crm": 7}
    assert (found.asked, found.answered, found.problems, found.since) == (2, 2, (), NOW - 10_000)


async def test_a_replica_that_hangs_is_killed_or_has_another_secret_is_named_and_the_others_count(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    async def hangs(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("never set")

    good = await start(answers(traffic(("sales/crm", 2))), "gw-good")
    hanging = await start(hangs, "gw-hangs")
    refusing = await start(answers(head()), "gw-other-secret", token=b"of-another-gateway")
    gone = EvidencePort(admin_client.AdminPort("http://127.0.0.1:1", "gw-gone", GATEWAY, good.admin.token))
    found = await reader(http, good, hanging, refusing, gone, seconds=1).traffic(EVERYTHING)
    assert calls_of(found) == {"sales/crm": 2}
    assert (found.asked, found.answered) == (4, 1)
    assert [(each.replica, each.kind) for each in found.problems] == [
        ("gw-gone", ProblemKind.UNREACHABLE),
        ("gw-hangs", ProblemKind.UNREACHABLE),
        ("gw-other-secret", ProblemKind.REFUSED),
    ]
    assert "gw-hangs: no answer: it took too long" in found.sentence()


@pytest.mark.parametrize(
    "lie",
    [
        b"not JSON",
        b"[]",
        b'{"replica": "gw-a"}',
        b"[" * 100_000,
        b'{"since": -1}',
        b'{"replica":"a","gateway":"ostiary-system/default","since":1e400,"now":1,"proxies":[]}',
        (
            b'{"replica":"a","gateway":"ostiary-system/default","since":1,"now":1,"proxies":[{"proxy":"a/b","since":1,'
            b'"slots":[{"at":1,"calls":NaN}]}]}'
        ),
    ],
)
async def test_a_replica_that_sends_something_else_is_named_and_counts_nothing(
    http: aiohttp.ClientSession, start: StartReplica, lie: bytes
) -> None:
    good = await start(answers(traffic(("sales/crm", 2))), "gw-good")
    lying = await start(answers(lie), "gw-lies")
    found = await reader(http, good, lying).traffic(EVERYTHING)
    assert calls_of(found) == {"sales/crm": 2}
    (problem,) = found.problems
    assert (problem.replica, problem.kind) == ("gw-lies", ProblemKind.MALFORMED)
    assert len(problem.why) <= 200


async def test_an_answer_without_an_end_is_given_up(http: aiohttp.ClientSession, start: StartReplica) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 1_000_000)

    found = await reader(http, await start(endless), seconds=60).traffic(EVERYTHING)
    (problem,) = found.problems
    assert "is larger than" in problem.why


async def test_pages_are_followed_and_one_that_leads_to_itself_is_not(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    async def paged(request: web.Request) -> web.Response:
        after = request.query.get("after", "")
        page = traffic(("a/a", 1), next="a/a") if not after else traffic(("b/b", 2), next="a/a")
        return web.json_response(page)

    assert calls_of(await reader(http, await start(paged)).traffic(EVERYTHING)) == {"a/a": 1, "b/b": 2}


async def test_what_a_gateway_of_a_tenant_says_of_other_namespaces_is_not_believed(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    queries = []

    async def lies(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        return web.json_response(
            traffic(("sales/crm", 1), ("hr/files", 1000), ("", 9))
            | {"calls": [call(1, at=NOW, proxy="hr/files"), call(2, at=NOW)]}
            | {"refusals": [refusal(3, proxy="hr/files"), refusal(1)]}
            | {"gateway": "sales/own"}
        )

    reads = reader(http, await start(lies, gateway="sales/own", only="sales"))
    assert calls_of(await reads.traffic(EVERYTHING)) == {"sales/crm": 1}
    assert [each.call.proxy for each in (await reads.calls(ALL)).value.calls] == ["sales/crm"]
    assert [each.proxy for each in (await reads.refusals(ALL)).value.refusals] == ["sales/crm"]
    assert {each["namespace"] for each in queries} == {"sales"}
    assert (await reads.definitions("hr/files")).asked == 0


async def test_a_replica_of_another_gateway_is_not_believed(http: aiohttp.ClientSession, start: StartReplica) -> None:
    found = await reader(http, await start(answers(traffic(gateway="sales/own")))).traffic(EVERYTHING)
    assert found.problems[0].why == "it says that it is a replica of gateway sales/own"


async def test_only_proxies_that_were_asked_for_are_kept(http: aiohttp.ClientSession, start: StartReplica) -> None:
    port = await start(answers(traffic(("sales/crm", 1), ("hr/files", 7))))
    wanted = TrafficQuery(ProxyScope.of(["sales/crm"]), 900)
    assert calls_of(await reader(http, port).traffic(wanted)) == {"sales/crm": 1}


async def test_the_sum_of_all_is_one_answer(http: aiohttp.ClientSession, start: StartReplica) -> None:
    a, b = await start(answers(traffic(("", 2))), "gw-a"), await start(answers(traffic(("", 3))), "gw-b")
    found = await reader(http, a, b).traffic(TrafficQuery(ALL, 900, is_sum=True))
    assert calls_of(found) == {"": 5}


async def test_the_latest_calls_of_all_replicas_come_first_with_their_replica(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    a = await start(answers(head(calls=[call(1, at=NOW - 30), call(2, at=NOW - 10)])), "gw-a")
    b = await start(answers(head(calls=[call(1, at=NOW - 20)])), "gw-b")
    found = await reader(http, a, b).calls(ALL, limit=2)
    assert [(each.replica, each.call.number) for each in found.value.calls] == [("gw-a", 2), ("gw-b", 1)]


async def test_the_same_refusal_at_two_replicas_is_one(http: aiohttp.ClientSession, start: StartReplica) -> None:
    a = await start(answers(head(refusals=[refusal(2)], forgotten=3)), "gw-a")
    b = await start(answers(head(refusals=[refusal(5)], forgotten=1)), "gw-b")
    found = (await reader(http, a, b).refusals(ALL)).value
    assert ([each.count for each in found.refusals], found.forgotten) == ([7], 4)


async def test_where_nothing_is_recorded_the_answer_says_so(http: aiohttp.ClientSession, start: StartReplica) -> None:
    found = await reader(http, await start(answers(traffic(recording=False)))).traffic(EVERYTHING)
    assert (found.recording, found.is_complete) == (False, True)


async def test_an_older_gateway_without_evidence_is_named(http: aiohttp.ClientSession, start: StartReplica) -> None:
    found = await reader(http, await start(answers(b"404: Not Found", status=404))).refusals(ALL)
    assert [(each.kind, each.why) for each in found.problems] == [(ProblemKind.UNREACHABLE, "it answers 404")]


async def test_without_replicas_nothing_is_asked(http: aiohttp.ClientSession) -> None:
    found = await reader(http).calls(ALL)
    assert (found.value.calls, found.asked) == ((), 0)
