"""`ostiary calls` shows the latest calls of all replicas, one line each."""

import functools
import json
from typing import Any

import pytest
from aiohttp import web
from evidence_replicas import NOW, AskReplicas, Handler, StartReplica, answers, head


@pytest.fixture
def ask(ask_replicas: AskReplicas) -> AskReplicas:
    return functools.partial(ask_replicas, "calls")


def call(number: int, **more: Any) -> dict[str, Any]:
    found = {"number": number, "at": NOW + number, "proxy": "sales/crm", "method": "tools/call", "name": "get_user"}
    return found | {"durationMs": 2.5, "outcome": "ok"} | more


DENIED = call(2, outcome="denied", name="delete_user", policy="sales/rules", rule="no-deletes", reason="Denied")


async def test_the_latest_calls_of_all_replicas_are_shown_oldest_first(start: StartReplica, ask: AskReplicas) -> None:
    a = await start(answers(head(calls=[call(1), call(3, principal="support-agent")], last=3)), "a")
    b = await start(answers(head(calls=[DENIED], last=2)), "b")
    done = await ask(admin=(a.admin.url, b.admin.url))
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[1:4] for line in lines] == [
        ["ok", "sales/crm", "get_user"],
        ["denied", "sales/crm", "delete_user"],
        ["ok", "sales/crm", "get_user"],
    ]
    assert "Denied by rule no-deletes of policy sales/rules" in done.out
    assert (lines[2][4], done.code) == ("support-agent", 0)


async def test_only_outcomes_that_were_asked_for_are_shown(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(calls=[call(1), DENIED], last=2)))
    done = await ask("--outcome", "denied", admin=(port.admin.url,))
    assert [line.split()[1] for line in done.out.splitlines()] == ["denied"]


def keeps(*calls: dict[str, Any]) -> Handler:
    """A replica that keeps these calls, and tells as many of the newest as it is asked for."""

    async def handler(request: web.Request) -> web.StreamResponse:
        told = calls[-int(request.query["limit"]) :]
        return web.json_response(head(calls=list(told), last=len(calls)))

    return handler


async def test_an_outcome_is_found_behind_many_calls_that_ended_otherwise(
    start: StartReplica, ask: AskReplicas
) -> None:
    denied = [call(number, outcome="denied", name=f"delete_{number}") for number in range(1, 4)]
    port = await start(keeps(*denied, *(call(number) for number in range(4, 1000))))
    done = await ask("--outcome", "denied", "--limit", "2", admin=(port.admin.url,))
    assert [line.split()[3] for line in done.out.splitlines()] == ["delete_2", "delete_3"]


async def test_where_none_of_an_outcome_is_kept_a_note_says_so(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(calls=[call(1)], last=1)))
    done = await ask("--outcome", "denied", "--outcome", "hidden", admin=(port.admin.url,))
    assert (done.code, done.out) == (0, "")
    assert "no calls that ended denied or hidden are kept" in done.err


async def test_programs_get_an_object_for_each_call_with_its_replica(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(calls=[DENIED], last=2)))
    done = await ask("-o", "json", admin=(port.admin.url,))
    (found,) = map(json.loads, done.out.splitlines())
    assert (found["replica"], found["outcome"], found["rule"]) == (port.admin.url, "denied", "no-deletes")
    assert "principal" not in found


async def test_programs_are_told_that_a_call_ended_well(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(calls=[call(1)], last=1)))
    done = await ask("-o", "json", admin=(port.admin.url,))
    assert json.loads(done.out)["outcome"] == "ok"


async def test_escape_sequences_of_callers_do_not_reach_the_terminal(start: StartReplica, ask: AskReplicas) -> None:
    hostile = "\x1b[2J\u202e\r\n"
    members = ("name", "principal", "outcome", "detail", "reason", "rule", "policy", "errorType", "shadowPolicy")
    port = await start(answers(head(calls=[call(1, findings=[hostile], **dict.fromkeys(members, hostile))], last=1)))
    done = await ask(admin=(port.admin.url,))
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert done.out.rstrip("\n").isprintable()


async def test_where_no_calls_are_kept_a_note_says_so(start: StartReplica, ask: AskReplicas) -> None:
    port = await start(answers(head(calls=[], last=0)))
    done = await ask("sales/crm", admin=(port.admin.url,))
    assert (done.code, done.out) == (0, "")
    assert "no calls of MCPProxy sales/crm are kept" in done.err


async def test_a_number_that_is_none_is_wrong_usage(ask: AskReplicas) -> None:
    done = await ask("--limit", "0", admin=("http://127.0.0.1:1",))
    assert (done.code, "use a number from 1 to 500" in done.err) == (2, True)
