"""A proxy with a debug capture shows its latest exchanges on the admin port, redacted, until it ends by itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from api_keys import bearer
from gateways import RunningGateway, policy
from mcp_caller import legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, answer, document, events, serving, with_handshake

from ostiary_core.contract.debug_capture import DebugCaptureConfig
from ostiary_gateway.debug_capture import reader

TOKEN = "admin-for-tests"
DENY = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["delete_*"]}}
ALLOW = {"name": "yes", "effect": "Allow"}


def until(seconds: float, contents: str = "Redacted") -> DebugCaptureConfig:
    return DebugCaptureConfig.model_validate({"until": int((time.time() + seconds) * 1000), "contents": contents})


async def apply(gateway: RunningGateway, upstream: str, capture: DebugCaptureConfig | None) -> None:
    await gateway.apply(gateway.entry("mock", upstream, [policy("p", ALLOW, DENY)], debug_capture=capture))


def url(gateway: RunningGateway, query: str) -> str:
    return f"http://127.0.0.1:{gateway.app.admin_port}/capture{query}"


async def capture(gateway: RunningGateway, query: str = "?proxy=default/mock", *, token: str = TOKEN) -> Any:
    async with (
        aiohttp.ClientSession() as http,
        http.get(url(gateway, query), headers={"Authorization": f"Bearer {token}"}) as response,
    ):
        return response.status, [json.loads(line) for line in (await response.read()).splitlines() if line]


async def records(gateway: RunningGateway, **wanted: Any) -> list[dict[str, Any]]:
    """The records that have these fields."""
    status, lines = await capture(gateway)
    assert (status, lines[0]["kind"]) == (200, "Capture")
    return [line for line in lines[1:] if all(line.get(key) == value for key, value in wanted.items())]


async def echo(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    arguments = arrived.message.get("params", {}).get("arguments")
    return document(answer(arrived, {"content": [{"type": "text", "text": "hello"}], "structuredContent": arguments}))


@asynccontextmanager
async def following(gateway: RunningGateway, query: str = "") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The lines of a reader that follows, without the empty ones."""

    async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
        async for line in response.content:
            if line.strip():
                yield json.loads(line)

    async with (
        aiohttp.ClientSession() as http,
        http.get(
            url(gateway, f"?proxy=default/mock&follow=true{query}"), headers={"Authorization": f"Bearer {TOKEN}"}
        ) as response,
    ):
        assert response.status == 200
        yield lines(response)


async def take(lines: AsyncIterator[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The next line with these fields."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async for line in lines:
            if all(line.get(key) == value for key, value in wanted.items()):
                return line
    raise AssertionError(f"no line with {wanted}")


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_is_shown_with_arguments_result_decision_and_duration(
    gateway: RunningGateway, mock: str, era: Era
) -> None:
    await apply(gateway, mock, until(3600))
    async with connect(gateway.url(), era=era) as client:
        await client.list_tools()
        await client.call_tool("echo", {"message": "hello"})
    (record,) = await records(gateway, method="tools/call")

    assert (record["kind"], record["direction"], record["message"]) == ("Exchange", "ClientToServer", "request")
    assert (record["name"], record["arguments"], record["caller"]) == ("echo", {"message": "hello"}, "anonymous")
    assert record["result"]["structuredContent"] == {"message": "hello"}
    assert record["decision"] == {"effect": "Allow", "policy": "default/p", "rule": "yes", "reason": "Allowed"}
    assert (record["outcome"], record["durationMs"] > 0) == ("Ok", True)
    listed = await records(gateway, method="tools/list")
    assert listed[0]["result"]["tools"][0]["name"]


async def test_a_call_that_policies_refuse_is_shown_with_policy_rule_and_reason(
    gateway: RunningGateway, mock: str
) -> None:
    await apply(gateway, mock, until(3600))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "delete_user", "arguments": {"id": 1}}))
    (record,) = await records(gateway, method="tools/call")

    assert (record["name"], record["arguments"], record["outcome"]) == ("delete_user", {"id": 1}, "Refused")
    assert record["decision"] == {"effect": "Deny", "policy": "default/p", "rule": "no", "reason": "Denied"}
    assert record["refusal"]["code"] == -31001


async def test_a_request_that_is_no_message_is_shown_as_refused(gateway: RunningGateway, mock: str) -> None:
    await apply(gateway, mock, until(3600))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post([legacy("tools/call", {"name": "echo"})])
    (record,) = await records(gateway)

    assert (record["outcome"], record["status"], "method" in record) == ("Refused", 400, False)


async def test_secrets_are_replaced_in_arguments_and_results_and_so_are_the_credentials_of_the_request(
    gateway: RunningGateway,
) -> None:
    key = "caller-key-0123456789"

    async def tells(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"content": [{"type": "text", "text": f"you sent {key} and cookie-abcdefgh"}]}))

    async with serving(with_handshake(tells)) as upstream:
        await apply(gateway, upstream.url, until(3600))
        credential = {**bearer(key), "Cookie": "session=cookie-abcdefgh"}
        async with mcp_caller(gateway.url(), credential=credential) as caller:
            arguments = {"password": "pass-canary-1", "note": "token=tok-canary-2", "city": "Zürich"}
            await caller.post(modern("tools/call", {"name": "x", "arguments": arguments}))
    (record,) = await records(gateway, method="tools/call")

    assert record["arguments"]["city"] == "Zürich"
    written = json.dumps(record)
    assert [canary for canary in (key, "cookie-abcdefgh", "pass-canary-1", "tok-canary-2") if canary in written] == []
    assert record["result"]["content"][0]["text"] == "you sent [redacted] and [redacted]"


async def test_without_contents_only_what_surrounds_them_is_shown(gateway: RunningGateway, mock: str) -> None:
    await apply(gateway, mock, until(3600, "None"))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "hello"}}))
    (record,) = await records(gateway, method="tools/call")

    assert (record["name"], record["outcome"]) == ("echo", "Ok")
    assert not {"arguments", "params", "result"} & record.keys()


async def test_large_contents_are_cut_and_say_so(gateway: RunningGateway) -> None:
    async with serving(with_handshake(echo)) as upstream:
        await apply(gateway, upstream.url, until(3600))
        async with mcp_caller(gateway.url()) as caller:
            arguments = {"text": "x" * 200_000, "list": [{"a": "y" * 50}] * 1000}
            await caller.post(modern("tools/call", {"name": "x", "arguments": arguments}))
    (record,) = await records(gateway, method="tools/call")

    assert record["cut"] == ["arguments", "result"]
    assert len(json.dumps(record)) < 20_000


@pytest.mark.parametrize("capturing", [False, True], ids=["open before", "open after"])
async def test_messages_of_the_server_in_a_stream_are_shown_when_they_come(
    gateway: RunningGateway, capturing: bool
) -> None:
    go = asyncio.Event()
    asks = {"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {"api_key": "k-canary-9"}}

    async def script(request: web.BaseRequest, _: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await go.wait()
            await stream.send(asks)
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await apply(gateway, upstream.url, until(3600) if capturing else None)
        await caller.initialize()
        async with caller.listen() as stream:
            await eventually(lambda: len(list(gateway.app.pipeline.streams)) == 1)
            if not capturing:
                await apply(gateway, upstream.url, until(3600))
            go.set()
            assert (await stream.message())["method"] == "sampling/createMessage"
            (record,) = await records(gateway, kind="ServerMessage")

    assert (record["direction"], record["message"]) == ("ServerToClient", "request")
    assert (record["method"], record["id"]) == ("sampling/createMessage", "s1")
    assert record["params"] == {"api_key": "[redacted]"}


async def test_a_reader_that_follows_sees_each_exchange_and_why_it_ends(gateway: RunningGateway, mock: str) -> None:
    await apply(gateway, mock, until(3600))
    async with following(gateway) as one, following(gateway) as other, mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "1"}}))
        for lines in (one, other):
            assert (await take(lines, kind="Exchange"))["arguments"] == {"message": "1"}
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "2"}}))
        assert (await take(one, kind="Exchange"))["arguments"] == {"message": "2"}
        await apply(gateway, mock, None)
        for lines in (one, other):
            assert (await take(lines, kind="Ended"))["reason"] == "Removed"


async def test_a_capture_ends_by_itself(gateway: RunningGateway, mock: str) -> None:
    await apply(gateway, mock, until(-1))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "1"}}))
    status, lines = await capture(gateway)

    assert (status, [line["kind"] for line in lines], lines[0]["ended"]) == (200, ["Capture"], "Expired")


async def test_without_a_capture_nothing_is_kept_and_removing_it_forgets_everything(
    gateway: RunningGateway, mock: str
) -> None:
    await apply(gateway, mock, until(3600))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "1"}}))
        await apply(gateway, mock, None)
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "2"}}))
    status, lines = await capture(gateway)

    assert (status, lines[0]["reason"]) == (404, "NotCaptured")
    assert (await capture(gateway, ""))[1] == []


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_only_the_bearer_of_the_gateways_token_reads(gateway: RunningGateway, mock: str, token: str) -> None:
    await apply(gateway, mock, until(3600))
    async with (
        aiohttp.ClientSession() as http,
        http.get(url(gateway, "?proxy=default/mock"), headers={"Authorization": f"Bearer {token}"}) as response,
    ):
        assert response.status == 401


@pytest.mark.parametrize(
    "query", ["?proxy=default/mock&since=x", "?proxy=default/mock&after=-1", "?proxy=default/mock&follow=1", "?what=1"]
)
async def test_a_query_that_cannot_be_served_is_refused_with_the_parameter(
    gateway: RunningGateway, mock: str, query: str
) -> None:
    await apply(gateway, mock, until(3600))
    status, lines = await capture(gateway, query)
    assert (status, lines[0]["reason"]) == (400, "InvalidQuery")


async def test_readers_that_follow_are_bounded(
    gateway: RunningGateway, mock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_READERS", 1)
    await apply(gateway, mock, until(3600))
    async with following(gateway) as lines:
        await take(lines, kind="Capture")
        assert (await capture(gateway, "?proxy=default/mock&follow=true"))[0] == 503
        assert (await capture(gateway))[0] == 200


async def test_the_report_says_until_when_a_proxy_is_captured(gateway: RunningGateway, mock: str) -> None:
    ends = until(3600)
    await apply(gateway, mock, ends)
    assert gateway.app.pipeline.captures.of(next(iter(gateway.app.store.snapshot.proxies.values()))) is not None  # type: ignore[union-attr]
    async with (
        aiohttp.ClientSession() as http,
        http.get(
            f"http://127.0.0.1:{gateway.app.admin_port}/config", headers={"Authorization": f"Bearer {TOKEN}"}
        ) as response,
    ):
        report: Mapping[str, Any] = await response.json()
    assert report["entries"]["default/mock"]["debugCapture"] == {"until": ends.until}


async def test_metrics_say_which_proxies_are_captured_until_when(gateway: RunningGateway, mock: str) -> None:
    ends = until(3600)
    await apply(gateway, mock, ends)
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "1"}}))
    registry = gateway.app.metrics.registry
    of_proxy = {"ostiary_proxy": "default/mock"}
    assert registry.get_sample_value("ostiary_debug_capture_end_timestamp_seconds", of_proxy) == ends.until / 1000
    taken = of_proxy | {"outcome": "captured"}
    assert registry.get_sample_value("ostiary_debug_capture_records_total", taken) == 1
    await apply(gateway, mock, None)
    assert registry.get_sample_value("ostiary_debug_capture_end_timestamp_seconds", of_proxy) is None
