"""However a request ends, its trail has exactly one record of that."""

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from audited_gateway import audited, records
from gateways import SHORT_TIMEOUTS, RunningGateway, running_gateway
from limits import limit_config, limiting
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, answer, document, events, serving
from waiting import for_ever

from ostiary_core.contract.audit import AuditConfig, AuditFileConfig, AuditSinkConfig, GatewayAuditConfig
from ostiary_gateway.pipeline import pipeline

RESULT = {"content": [{"type": "text", "text": "done"}]}


async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """A server whose tools answer, hang, or stream, by their names."""
    name = arrived.message["params"]["name"]
    if name == "hang":
        await for_ever()
    if name == "stream":
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}})
            await stream.send(answer(arrived, RESULT))
        return stream.response
    return document(answer(arrived, RESULT))


def call(name: str, *, id: str = "1") -> dict[str, object]:  # noqa: A002
    return modern("tools/call", {"name": name, "arguments": {}}, id=id)


def ends(path: Path) -> dict[str, dict[str, object]]:
    """The one record of each request's end, by request id."""
    found = records(path, kind="Event", stage="ResponseComplete")
    counts = Counter(record["mcp"]["requestId"] for record in found)
    assert set(counts.values()) <= {1}, counts
    return {record["mcp"]["requestId"]: record for record in found}


async def test_every_way_to_end_has_exactly_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    async with serving(script) as upstream, audited(path) as gateway:
        await gateway.apply(
            gateway.entry("mock", upstream.url, timeouts=SHORT_TIMEOUTS), gateway.entry("patient", upstream.url)
        )
        async with mcp_caller(gateway.url()) as caller:
            await caller.post(call("plain", id="plain"))
            await caller.post(call("stream", id="stream"))
            await caller.post(call("hang", id="timeout"))
        await leave(gateway, upstream.arrived)
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "carry_out", broken)
            async with mcp_caller(gateway.url()) as caller:
                assert (await caller.post(call("plain", id="bug"))).status == 500
        await eventually(lambda: "gone" in ends(path))
        cut = asyncio.create_task(hang(gateway, "cut"))
        await eventually(lambda: "cut" in {each["mcp"]["requestId"] for each in records(path, stage="RequestReceived")})
    await cut
    found = ends(path)
    begun = {record["auditID"] for record in records(path, kind="Event", stage="RequestReceived")}
    assert begun == {record["auditID"] for record in found.values()}
    assert found.keys() == {"plain", "stream", "timeout", "gone", "bug", "cut"}
    outcomes = {name: record["response"]["outcome"] for name, record in found.items()}  # type: ignore[index]
    assert outcomes["plain"] == outcomes["stream"] == "success"
    assert outcomes["gone"] == "cancelled"
    assert "success" not in {outcomes[name] for name in ("timeout", "bug", "cut")}


async def broken(*_: object) -> None:
    raise RuntimeError("a bug on purpose")


async def hang(gateway: RunningGateway, name: str) -> None:
    async with mcp_caller(gateway.url("patient")) as caller:
        with contextlib.suppress(aiohttp.ClientError):
            await caller.post(call("hang", id=name))


async def leave(gateway: RunningGateway, requests: list[Arrived]) -> None:
    """Make a call, and close the connection once the server has it."""
    before = len(requests)
    task = asyncio.create_task(hang(gateway, "gone"))
    await eventually(lambda: len(requests) > before)
    task.cancel()
    await asyncio.wait([task])


async def test_a_call_that_cannot_be_recorded_takes_nothing_of_its_limits(tmp_path: Path, mock: str) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    file = AuditFileConfig(path=str(folder / "audit.jsonl"), max_bytes=10**6, max_files=2)
    async with running_gateway() as gateway:
        floor = AuditConfig(level="Metadata", failure_policy="Fail")
        audit = GatewayAuditConfig(floor=floor, sinks=[AuditSinkConfig(file=file)])
        gateway.settings = gateway.settings.model_copy(update={"audit": audit})
        limit = limit_config(tools={"verbs": ["Call"], "names": ["echo"]}, requests=3)
        await gateway.apply(gateway.entry("mock", mock, [limiting(limit)]))
        message = modern("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
        async with mcp_caller(gateway.url()) as caller:
            assert not (await caller.post(message)).result.get("isError")
            await eventually(lambda: len(records(folder / "audit.jsonl", stage="ResponseComplete")) == 1)
            folder.rename(tmp_path / "gone")
            assert not (await caller.post(message)).result.get("isError")  # the file is missed when this is written
            await eventually(lambda: gateway.app.auditor.fault is not None)
            for _ in range(5):
                assert "cannot be recorded" in (await caller.post(message)).result["content"][0]["text"]
            (tmp_path / "gone").rename(folder)
            await eventually(lambda: gateway.app.not_ready() is None)
            assert not (await caller.post(message)).result.get("isError")
            assert "Limit reached" in (await caller.post(message)).result["content"][0]["text"]


async def test_a_full_queue_drops_records_under_ignore_and_a_gap_counts_them(tmp_path: Path, mock: str) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    path = folder / "audit.jsonl"
    async with audited(path) as gateway:
        await gateway.apply(gateway.entry("mock", mock))
        message = modern("tools/list")
        async with mcp_caller(gateway.url()) as caller:
            await caller.post(message)
            await eventually(lambda: len(records(path, kind="Event")) == 1)
            gateway.app.auditor.queue.capacity = 0
            for _ in range(7):
                assert (await caller.post(message)).status == 200
            gateway.app.auditor.queue.capacity = 100
            await caller.post(message)
            await eventually(lambda: len(records(path, kind="Event")) == 2)
            await eventually(lambda: records(path, kind="Gap") != [])
    gaps = [record["gap"] for record in records(path, kind="Gap")]
    assert {gap["reason"] for gap in gaps} == {"QueueFull"}
    assert sum(gap["dropped"] for gap in gaps) == 7
