"""Spans record how a request ended, both downstream and upstream."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import SHORT_TIMEOUTS, RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import eventually
from otlp_sink import Sink, SinkSpan, http_sink
from upstreams import Arrived, Script, answer, document, events, initialize_answer, serving
from waiting import for_ever

from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.denials import ACCESS_DENIALS, SHADOW_DENIALS

CALL = {"name": "get_users", "arguments": {}}
Doing = Callable[[McpCaller, RunningGateway], Awaitable[Any]]


async def spans_of(script: Script, doing: Doing, *rules: dict[str, Any], **entry: Any) -> dict[str, SinkSpan]:
    """The spans of one request, by kind."""
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(script) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            policies = [policy("p", *rules)] if rules else []
            await gateway.apply(gateway.entry("mock", upstream.url, policies, **entry))
            await doing(caller, gateway)
        return by_kind(sink)


def by_kind(sink: Sink) -> dict[str, SinkSpan]:
    spans = sink.wait_for(lambda found: any(span.kind == "SERVER" for span in found))
    assert len({span.kind for span in spans}) == len(spans)
    return {span.kind: span for span in spans}


async def well(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, {"content": []}))


async def call(caller: McpCaller, _: RunningGateway) -> None:
    await caller.post(modern("tools/call", CALL))


def error(span: SinkSpan) -> tuple[Any, Any, str]:
    return span.attributes.get("error.type"), span.attributes.get("rpc.response.status_code"), span.status


async def test_an_answer_is_no_error_on_either_side() -> None:
    spans = await spans_of(well, call, {"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}})

    assert [error(span) for span in spans.values()] == [(None, None, "UNSET")] * 2
    server = spans["SERVER"]
    assert server.attributes["ostiary.access.decision"] == "allow"
    assert server.attributes["ostiary.access.policy"] == "default/p"
    assert server.attributes["ostiary.access.rule"] == "users"
    assert server.attributes["ostiary.access.generation"] == 1
    assert server.attributes["ostiary.config.revision"] == 1
    assert server.attributes["mcp.protocol.version"] == "2026-07-28"
    assert spans["CLIENT"].parent_span_id == server.span_id


async def spans_of_response(script_body: Any, status: int = 200) -> dict[str, SinkSpan]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(script_body(arrived) if callable(script_body) else script_body, status=status)

    return await spans_of(script, call)


async def test_an_error_of_the_server_is_its_code_on_both_sides() -> None:
    spans = await spans_of_response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32021, "message": "sampling"}}, 400)

    assert error(spans["SERVER"]) == ("-32021", "-32021", "ERROR")
    assert error(spans["CLIENT"]) == ("-32021", "-32021", "ERROR")


async def test_a_tool_that_fails_is_a_tool_error_on_both_sides() -> None:
    spans = await spans_of_response(lambda arrived: answer(arrived, {"isError": True, "content": []}))

    assert error(spans["SERVER"])[0] == error(spans["CLIENT"])[0] == "tool_error"


@pytest.mark.parametrize(
    ("status", "kind", "code"), [(500, "UpstreamUnavailable", "-31003"), (302, "UpstreamRedirected", "-31005")]
)
async def test_a_fault_is_its_kind_towards_the_server_and_its_code_towards_the_caller(
    status: int, kind: str, code: str
) -> None:
    spans = await spans_of_response(b"<html>", status)

    assert error(spans["CLIENT"])[0] == kind
    assert error(spans["SERVER"]) == (code, code, "ERROR")
    assert spans["CLIENT"].description != ""


async def test_a_fault_in_the_middle_of_a_stream_is_reported_like_one_before_it() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        return stream.response

    spans = await spans_of(script, call)

    assert error(spans["CLIENT"])[0] == "UpstreamReset"
    assert error(spans["SERVER"]) == ("-31003", "-31003", "ERROR")


async def test_a_server_that_hangs_is_a_timeout() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await for_ever()
        raise AssertionError

    spans = await spans_of(script, call, timeouts=SHORT_TIMEOUTS)

    assert error(spans["CLIENT"])[0] == "UpstreamTimeout"
    assert error(spans["SERVER"])[0] == "-31004"


async def test_a_caller_that_disconnects_before_its_response_is_recorded_as_such() -> None:
    reached = asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        reached.set()
        await for_ever()
        raise AssertionError

    async def leave(caller: McpCaller, gateway: RunningGateway) -> None:
        posting = asyncio.create_task(caller.post(modern("tools/call", CALL)))
        await reached.wait()
        posting.cancel()

    spans = await spans_of(script, leave)

    assert error(spans["SERVER"])[0] == "caller_left"
    assert error(spans["CLIENT"])[0] == "caller_left"


async def test_a_caller_that_disconnects_within_its_message_is_recorded_as_such() -> None:
    async def leave(_: McpCaller, gateway: RunningGateway) -> None:
        writer = (await asyncio.open_connection("127.0.0.1", gateway.app.port))[1]
        head = (
            "POST /mock/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        writer.write(head.encode())
        await eventually(lambda: gateway.app.pipeline.limiter.total.uploads == 1)
        writer.close()
        await eventually(lambda: gateway.app.pipeline.limiter.total.uploads == 0)

    spans = await spans_of(well, leave)

    assert error(spans["SERVER"]) == ("caller_left", None, "ERROR")


@pytest.mark.parametrize("make", [legacy, modern])
@pytest.mark.parametrize("failed", [False, True])
async def test_a_caller_that_disconnects_after_its_response_is_recorded_with_the_response(
    make: Any, failed: bool
) -> None:
    """The server has not ended its stream yet, and may never do so."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(answer(arrived, {"content": [], "isError": failed}))
            await for_ever()
        return stream.response

    async def leave(caller: McpCaller, gateway: RunningGateway) -> None:
        async with caller.stream(make("tools/call", CALL)) as stream:
            await stream.message()
            stream.drop()
        await eventually(lambda: gateway.app.pipeline.limiter.total.requests == 0)

    spans = await spans_of(script, leave)

    assert [span.attributes.get("error.type") for span in spans.values()] == ["tool_error" if failed else None] * 2


LISTEN = {"notifications": {"toolsListChanged": True}}


@pytest.mark.parametrize("how", ["GET", "listen"])
@pytest.mark.parametrize("begun", [True, False])
async def test_that_a_caller_ends_a_stream_which_it_opened_is_no_error(how: str, begun: bool) -> None:
    reached = asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        reached.set()
        if not begun:
            await for_ever()
        async with events(request) as stream:
            await stream.raw(b": here\n\n")
            await for_ever()
        return stream.response

    async def opened(caller: McpCaller) -> None:
        async with caller.listen() if how == "GET" else caller.stream(modern("subscriptions/listen", LISTEN)) as stream:
            assert await stream.block() == ": here"

    async def leave(caller: McpCaller, gateway: RunningGateway) -> None:
        opening = asyncio.create_task(opened(caller))
        await reached.wait()
        if not begun:
            opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await eventually(lambda: gateway.app.pipeline.limiter.total.streams == 0)

    spans = await spans_of(script, leave)

    assert {kind: error(span) for kind, span in spans.items()} == dict.fromkeys(spans, (None, None, "UNSET"))
    assert {span.name for span in spans.values()} == {"GET" if how == "GET" else "subscriptions/listen"}


async def test_what_no_mcp_method_names_is_named_by_that_of_http() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return initialize_answer(arrived) if arrived.method == "initialize" else web.Response(status=202)

    async def whole(caller: McpCaller, _: RunningGateway) -> None:
        await caller.initialize()
        await caller.post({"jsonrpc": "2.0", "id": 7, "result": {}})
        await caller.request("DELETE")

    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(script) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url))
            await whole(caller, gateway)
        spans = sink.wait_for(lambda found: sum(span.kind == "SERVER" for span in found) == 4)

    for span in spans:
        assert span.name != "HTTP"
        assert bool(span.attributes.get("mcp.method.name")) is ("http.request.method" not in span.attributes)
    clients = [span.name for span in spans if span.kind == "CLIENT"]
    assert sorted(clients) == ["DELETE", "POST", "initialize", "notifications/initialized"]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_request_that_its_caller_cancelled_is_recorded_as_cancelled(answered: bool) -> None:
    cancelled = asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "notifications/cancelled":
            cancelled.set()
            return web.Response(status=202)
        async with events(request) as stream:
            await cancelled.wait()
            if answered:
                await stream.send({"jsonrpc": "2.0", "id": 5, "error": {"code": 0, "message": "Request cancelled"}})
        return stream.response

    async def cancel(caller: McpCaller, gateway: RunningGateway) -> None:
        await caller.initialize()
        mcp_caller = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=5)))
        await eventually(lambda: len(gateway.app.pipeline.request_ids) == 1)
        await eventually(lambda: gateway.app.pipeline.limiter.total.requests == 1)
        assert (await caller.post(legacy("notifications/cancelled", {"requestId": 5}, id=None))).status == 202
        await mcp_caller

    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(with_handshake_alone(script)) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url))
            await cancel(caller, gateway)
        spans = sink.wait_for(lambda found: sum(span.kind == "SERVER" for span in found) == 4)

    calls = [span for span in spans if span.name == "tools/call get_users"]
    assert [span.attributes.get("error.type") for span in calls] == ["cancelled"] * 2
    others = [span for span in spans if span not in calls]
    assert {span.attributes.get("error.type") for span in others} == {None}


def with_handshake_alone(script: Script) -> Script:
    """Answer initialize, and leave the rest to the script."""

    async def whole(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            return initialize_answer(arrived)
        if arrived.method == "notifications/initialized":
            return web.Response(status=202)
        return await script(request, arrived)

    return whole


async def test_a_call_of_a_hidden_name_is_the_callers_error_and_span_and_log_show_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    ACCESS_DENIALS.forget({"default/mock"})
    spans = await spans_of(well, call, {"name": "no", "effect": "Deny", "tools": {"names": ["get_*"]}})

    assert list(spans) == ["SERVER"]
    server = spans["SERVER"]
    assert error(server) == (None, "-32602", "UNSET")
    assert server.name == "tools/call"  # no name that may not exist names an operation
    assert server.attributes["ostiary.access.decision"] == "deny"
    assert server.attributes["ostiary.access.rule"] == "no"
    assert server.attributes["ostiary.access.generation"] == 1
    denials = [record.getMessage() for record in caplog.records if ": denied tools/call" in record.getMessage()]
    assert [denial.rpartition("policy ")[2] for denial in denials] == ["default/p, generation 1, rule no: Denied"]


NO_GETS = {"name": "no", "effect": "Deny", "tools": {"names": ["get_*"]}}
SMALL = {"name": "small", "effect": "Allow", "tools": {"names": ["get_*"]}, "when": "args.n == 1"}


async def spans_in_shadow(*messages: dict[str, Any], rule: dict[str, Any], denials: int) -> list[SinkSpan]:
    """The server spans of messages that all pass, under one policy in Shadow mode."""
    trial = policy("trial", rule).model_copy(update={"mode": "Shadow"})
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(well) as upstream,
            mcp_caller(gateway.url("trial")) as caller,
        ):
            SHADOW_DENIALS.forget({"default/trial"})
            await gateway.apply(gateway.entry("trial", upstream.url, [trial]))
            for message in messages:
                assert (await caller.post(message)).result == {"content": []}
            metrics = f"http://127.0.0.1:{gateway.app.admin_port}/metrics"
            async with aiohttp.ClientSession() as http, http.get(metrics) as page:
                counted = f'ostiary_shadow_denials_total{{ostiary_proxy="default/trial"}} {denials}.0'
                assert (counted in await page.text()) is (denials > 0)
        spans = sink.wait_for(lambda found: sum(span.kind == "SERVER" for span in found) == len(messages))
    return [span for span in spans if span.kind == "SERVER"]


async def test_a_call_that_a_shadow_policy_would_deny_passes_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    messages = modern("tools/call", CALL), modern("tools/call", CALL)
    for span in await spans_in_shadow(*messages, rule=NO_GETS, denials=2):
        assert error(span) == (None, None, "UNSET")
        found = {key: value for key, value in span.attributes.items() if key.startswith("ostiary.access.")}
        assert found == {
            "ostiary.access.shadow.decision": "deny",
            "ostiary.access.shadow.policy": "default/trial",
            "ostiary.access.shadow.rule": "no",
            "ostiary.access.shadow.generation": 1,
            "ostiary.access.shadow.reason": "Denied",
        }
    warnings = [record.getMessage() for record in caplog.records if "Shadow" in record.getMessage()]
    origin = "proxy default/trial: policy default/trial, generation 1, rule no, in Shadow mode"
    assert warnings == [f"{origin} would deny tools/call of 'get_users': Denied"]


async def test_a_call_that_a_shadow_policy_allows_and_a_list_report_no_denial() -> None:
    other = modern("tools/call", {**CALL, "name": "put_users"})
    for span in await spans_in_shadow(other, modern("tools/list", {}), rule=NO_GETS, denials=0):
        assert "ostiary.access.shadow.decision" not in span.attributes


async def test_a_condition_of_a_shadow_policy_reads_the_call_and_refuses_no_odd_arguments() -> None:
    passing, denied, odd = (modern("tools/call", {**CALL, "arguments": found}) for found in ({"n": 1}, {"n": 2}, [1]))
    spans = await spans_in_shadow(passing, denied, odd, rule=SMALL, denials=1)
    reasons = [span.attributes.get("ostiary.access.shadow.reason") for span in spans]
    assert reasons == [None, "ConditionNotMet", None]


@pytest.mark.parametrize(
    ("doing", "name", "code", "status"),
    [
        (lambda caller, _: caller.post(b"{"), "POST", "-32700", None),
        (lambda caller, _: caller.post(legacy("no/such")), "POST", "-32601", None),
        (lambda caller, _: caller.post(legacy("ping"), {"Accept": "text/html"}), "POST", None, 406),
        (lambda caller, _: caller.post(legacy("ping"), {"Origin": "https://evil.example"}), "POST", None, 403),
        (lambda caller, _: caller.post(legacy("ping"), {"Mcp-Session-Id": "x"}), "POST", "-32001", None),
        (lambda caller, _: caller.request("DELETE", {"Mcp-Session-Id": "x"}), "DELETE", "-32001", None),
        (lambda caller, _: caller.request("PUT"), "PUT", None, 405),
    ],
)
async def test_what_never_became_a_message_is_a_span_too(
    doing: Doing, name: str, code: str | None, status: int | None
) -> None:
    spans = await spans_of(well, doing)

    assert list(spans) == ["SERVER"]
    server = spans["SERVER"]
    assert server.name == name
    assert server.attributes.get("rpc.response.status_code") == code
    assert server.attributes.get("http.response.status_code") == status
    assert server.attributes.get("ostiary.proxy.name") == (None if name == "PUT" else "mock")


async def test_the_session_is_recorded_as_a_digest_and_its_id_never() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}
            return document(answer(arrived, result), headers={"Mcp-Session-Id": "upstream-session"})
        return web.Response(status=202) if "id" not in arrived.message else document(answer(arrived, {}))

    sessions: list[str] = []

    async def three(caller: McpCaller, gateway: RunningGateway) -> None:
        await caller.initialize()
        sessions.append(caller.session or "")
        await caller.post(legacy("ping"))

    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(script) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url))
            await three(caller, gateway)
        spans = sink.wait_for(lambda found: len(found) == 6)

    session_ids = {str(span.attributes["mcp.session.id"]) for span in spans if "mcp.session.id" in span.attributes}
    assert len(session_ids) == 2  # the caller's, and the server's own
    assert not [span for span in spans if sessions[0] in str(span) or "upstream-session" in str(span)]


async def test_the_span_names_the_caller_and_not_the_trusted_proxy_in_front() -> None:
    async def trusting(caller: McpCaller, gateway: RunningGateway) -> None:
        gateway.settings = gateway.settings.model_copy(update={"trusted_proxies": ["127.0.0.0/8"]})
        await gateway.apply(gateway.entry("mock", "http://127.0.0.1:1/mcp"))
        await caller.post(modern("tools/call", CALL), {"X-Forwarded-For": "1.1.1.1, 2001:db8::7"})

    assert (await spans_of(well, trusting))["SERVER"].attributes["client.address"] == "2001:db8::7"
    assert (await spans_of(well, call))["SERVER"].attributes["client.address"] == "127.0.0.1"


async def test_the_span_of_a_response_that_is_too_large_names_the_limit_and_its_setting() -> None:
    spans = await spans_of_response(lambda arrived: answer(arrived, {"content": "x" * (5 << 20)}))
    assert "bytes or more, and a message may have 4194304 (bounds.messageBytes)" in spans["CLIENT"].description
    assert "4194304 (bounds.messageBytes)" in spans["SERVER"].description


async def test_the_span_of_a_body_that_is_too_large_names_the_limit_and_its_setting() -> None:
    async def too_much(caller: McpCaller, _: RunningGateway) -> None:
        refused = await caller.post(modern("tools/call", {**CALL, "arguments": {"x": "y" * (2 << 20)}}))
        assert refused.status == 413

    spans = await spans_of(well, too_much)
    assert "A message may be 1048576 bytes long (bounds.requestBytes)" in spans["SERVER"].description
