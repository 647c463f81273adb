"""Which way leads to a replica: its address, or the API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from evidence_replicas import TOKEN, Handler, answers, evidence_replicas, head
from pod_proxies import POD, pod_proxying, status
from timeouts import TIMEOUT_SECONDS
from waiting import for_ever

from ostiary_core.evidence.document import TOKEN_HEADER, EvidencePath
from ostiary_core.evidence.proxy_traffic import TrafficDocument
from ostiary_operator.view import admin_client
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.replica_requests import AnswerBytes, EvidencePort, EvidenceRequest, ask
from ostiary_operator.view.replica_relay import RelayedReplica, ReplicaRelay

TRAFFIC = EvidenceRequest(EvidencePath.TRAFFIC, TrafficDocument)


class Asked:
    """A replica with two ways to it; ``ways`` are those that requests came on."""

    def __init__(self, port: EvidencePort, ways: list[str]) -> None:
        self.port = port
        self.ways = ways
        self.now = 0.0

    async def traffic(self, *, seconds: float = TIMEOUT_SECONDS) -> str:
        """Ask for traffic; return the name of the replica that answers, or the problem."""
        async with admin_client.session() as http:
            found = await ask(http, self.port, [TRAFFIC], room=AnswerBytes(), seconds=seconds)
        return f"{found.kind}: {found.why}" if isinstance(found, ReplicaProblem) else found[0].replica


@asynccontextmanager
async def replica(direct: Handler, relayed: Handler) -> AsyncIterator[Asked]:
    """A replica whose address has one handler, and the API server another."""
    ways: list[str] = []

    def noted(handler: Handler, way: str) -> Handler:
        async def noting(request: web.Request) -> web.StreamResponse:
            ways.append(way)
            return await handler(request)

        return noting

    async with evidence_replicas() as start, pod_proxying(noted(relayed, "API server")) as (proxy, _):
        port = await start(noted(direct, "address"))
        relay = ReplicaRelay(proxy, head_start=0.05, together=TIMEOUT_SECONDS, clock=lambda: asked.now)
        way = RelayedReplica(relay, POD)
        asked = Asked(replace(port, admin=replace(port.admin, other_way=way)), ways)
        yield asked


async def hangs(_: web.Request) -> web.StreamResponse:
    await for_ever()
    raise AssertionError


async def through(request: web.Request) -> web.StreamResponse:
    """What a gateway answers to whom the API server passes on."""
    assert request.headers[TOKEN_HEADER] == TOKEN.decode()
    return web.json_response(head("relayed", proxies=[]))


async def forbidden(_: web.Request) -> web.StreamResponse:
    return status(403, "Forbidden")


async def test_an_address_that_answers_is_the_way() -> None:
    async with replica(answers(head(proxies=[])), through) as asked:
        assert await asked.traffic() == "gw-a"
        assert asked.ways == ["address"]


async def test_an_address_that_hangs_costs_its_time_once_in_some_minutes() -> None:
    async with replica(hangs, through) as asked:
        assert [await asked.traffic() for _ in range(3)] == ["relayed"] * 3
        assert asked.ways == ["address", "API server", "API server", "API server"]
        asked.now = 301.0
        assert await asked.traffic() == "relayed"
        assert asked.ways[4:] == ["address", "API server"]


@pytest.mark.parametrize("code", [200, 401, 404, 502])
async def test_another_program_at_the_address_is_not_believed(code: int) -> None:
    async def other(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html", status=code)

    async with replica(other, through) as asked:
        assert await asked.traffic() == "relayed"


async def test_a_missing_right_is_named_with_what_the_address_did() -> None:
    async with replica(answers(b"", status=500), forbidden) as asked:
        for _ in range(2):
            assert await asked.traffic() == (
                f"{ProblemKind.NO_RIGHT}: it answers 500, and you may not ask it through the API server: get on "
                "pods/proxy in namespace ostiary-system is missing"
            )
        assert asked.ways == ["address", "API server", "API server"]
        asked.now = 11.0
        await asked.traffic()
        assert asked.ways[3:] == ["address", "API server"], "where no way works, the address is soon tried again"


async def test_a_replica_that_has_nothing_to_show_is_asked_on_one_way() -> None:
    async with replica(answers({"reason": "NotServed", "message": "no such proxy"}, status=404), through) as asked:
        assert await asked.traffic() == f"{ProblemKind.NOT_SERVED}: no such proxy"
        assert asked.ways == ["address"]


async def test_where_neither_answers_both_are_told_and_an_old_token_is_an_old_token() -> None:
    async def unreachable(_: web.Request) -> web.StreamResponse:
        return status(503, "not reachable")

    async def other_token(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async with replica(answers(b"", status=500), unreachable) as asked:
        assert await asked.traffic() == (
            f"{ProblemKind.UNREACHABLE}: it answers 500, and the API server does not lead to it: pods is not reachable"
        )
    async with replica(other_token, other_token) as asked:
        assert await asked.traffic() == f"{ProblemKind.REFUSED}: it refuses the token with 401"


async def test_who_does_not_wait_has_learned_that_the_address_hangs() -> None:
    async with replica(hangs, hangs) as asked:
        assert "it took too long" in await asked.traffic(seconds=0.5)
        await asked.traffic(seconds=0.5)
        assert asked.ways == ["address", "API server", "API server"]


async def test_lines_that_go_on_come_through() -> None:
    async def follows(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        await response.write(b'{"kind": "Calls"}\n')
        await for_ever()
        return response

    async with replica(hangs, follows) as asked, admin_client.session() as http:
        lines = admin_client.lines(http, asked.port.admin, EvidencePath.CALLS, {"follow": "true"})
        assert await anext(lines) == {"kind": "Calls"}
        await lines.aclose()  # type: ignore[attr-defined]  # it is a generator
