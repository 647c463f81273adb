"""Spans contain the content of calls only where this is configured, and at most a limited size."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import legacy, mcp_caller, modern
from otlp_sink import SinkSpan, http_sink
from upstreams import Arrived, Script, answer, document, events, serving, with_handshake

from ostiary_gateway.pipeline import content_capture
from ostiary_gateway.telemetry import Telemetry

ARGUMENTS = "gen_ai.tool.call.arguments"
RESULT = "gen_ai.tool.call.result"
CAPTURE = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
CALL = {"name": "get_users", "arguments": {"city": "Zürich"}}
DENY = {"name": "no", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["get_*"]}}


async def spans_of(
    script: Script, message: Any, environ: dict[str, str], *, rules: Any = (), session: bool = False
) -> dict[str, SinkSpan]:
    """The spans of one call, by kind."""
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, **environ})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(with_handshake(script)) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await apply(gateway, upstream.url, rules)
            if session:
                await caller.initialize()
            await caller.post(message)
        spans = sink.wait_for(lambda found: any(is_call(span) and span.kind == "SERVER" for span in found))
    return {span.kind: span for span in spans if is_call(span)}


async def apply(gateway: RunningGateway, url: str, rules: Any) -> None:
    await gateway.apply(gateway.entry("mock", url, [policy("p", *rules)] if rules else []))


def is_call(span: SinkSpan) -> bool:
    return span.attributes.get("mcp.method.name") == "tools/call"


def returns_content(content: list[Any], **more: Any) -> Script:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"content": content, **more}))

    return script


HELLO = returns_content([{"type": "text", "text": "hello"}])


@pytest.mark.parametrize("value", [None, "NO_CONTENT", "EVENT_ONLY", "false", "nonsense"])
async def test_by_default_no_span_holds_what_a_call_says(value: str | None) -> None:
    environ = {} if value is None else {next(iter(CAPTURE)): value}
    spans = await spans_of(
        returns_content([{"type": "text", "text": "secret words"}], isError=True), modern("tools/call", CALL), environ
    )

    for span in spans.values():
        assert not {ARGUMENTS, RESULT} & span.attributes.keys()
        assert "secret" not in repr(span)
    assert spans["SERVER"].description == "The tool answered with isError"


@pytest.mark.parametrize("make", [legacy, modern])
@pytest.mark.parametrize("form", ["document", "events"])
async def test_with_captured_content_the_span_of_the_call_has_arguments_and_result(form: str, make: Any) -> None:
    async def as_events(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(answer(arrived, {"content": [{"type": "text", "text": "hello"}]}))
        return stream.response

    message = make("tools/call", CALL)
    spans = await spans_of(HELLO if form == "document" else as_events, message, CAPTURE)

    server, client = spans["SERVER"].attributes, spans["CLIENT"].attributes
    assert json.loads(server[ARGUMENTS]) == CALL["arguments"]
    assert json.loads(server[RESULT])["content"] == [{"type": "text", "text": "hello"}]
    assert not {ARGUMENTS, RESULT} & client.keys()


async def test_of_large_content_a_span_holds_the_beginning() -> None:
    message = legacy("tools/call", {"name": "get_users", "arguments": {"text": "x" * 100_000}})
    spans = await spans_of(returns_content([{"type": "text", "text": "y" * 100_000}]), message, CAPTURE)

    assert [len(spans["SERVER"].attributes[key]) for key in (ARGUMENTS, RESULT)] == [4096, 4096]
    assert spans["SERVER"].attributes[ARGUMENTS].startswith('{"text":"xxx')


async def test_content_that_no_strict_reader_takes_is_captured_all_the_same() -> None:
    async def script(_: web.BaseRequest, __: Arrived) -> web.StreamResponse:
        odd = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"\\ud83d"}],"n":' + b"9" * 80 + b"}}"
        return document(odd)

    spans = await spans_of(script, legacy("tools/call", CALL), CAPTURE)

    assert "9" * 80 in spans["SERVER"].attributes[RESULT]


async def test_of_a_result_of_very_many_values_only_what_is_kept_is_written() -> None:
    """An odd result is written by Python's own encoder: all of it, at once, would hold up everyone else."""
    values = b",".join([b"{}"] * 100_000)

    async def script(_: web.BaseRequest, __: Arrived) -> web.StreamResponse:
        return document(b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"a":"\\ud83d","b":[%b]}}' % values)

    with mock.patch.object(content_capture, "_ENCODER", CountingEncoder(separators=(",", ":"))):
        spans = await spans_of(script, legacy("tools/call", CALL), CAPTURE)

    assert len(spans["SERVER"].attributes[RESULT]) == 4096
    assert CountingEncoder.written < 10_000


class CountingEncoder(json.JSONEncoder):
    """Counts the characters that it writes."""

    written = 0

    def iterencode(self, o: Any, _one_shot: bool = False) -> Iterator[str]:
        for piece in super().iterencode(o, _one_shot):
            CountingEncoder.written += len(piece)
            yield piece


async def test_the_span_status_holds_the_error_of_a_tool_where_content_is_recorded() -> None:
    failing = returns_content([{"type": "image"}, {"type": "text", "text": "no such city"}], isError=True)
    spans = await spans_of(failing, legacy("tools/call", CALL), CAPTURE)

    server = spans["SERVER"]
    assert (server.status, server.description) == ("ERROR", "no such city")
    assert server.attributes["error.type"] == "tool_error"


async def test_the_span_status_of_a_denied_call_names_policy_and_rule() -> None:
    spans = await spans_of(HELLO, legacy("tools/call", CALL), {}, rules=[{"name": "a", "effect": "Allow"}, DENY])

    assert list(spans) == ["SERVER"]
    assert (spans["SERVER"].status, spans["SERVER"].description) == ("ERROR", "Denied by policy default/p, rule no")


async def test_a_call_is_one_tool_span_in_a_session() -> None:
    """As Phoenix and Langfuse read it: by the kind that OpenInference defines, else by the operation of GenAI."""
    spans = await spans_of(HELLO, legacy("tools/call", CALL), {}, session=True)

    server, client = spans["SERVER"].attributes, spans["CLIENT"].attributes
    assert (server.get("openinference.span.kind"), server["gen_ai.operation.name"]) == (None, "execute_tool")
    assert client["openinference.span.kind"] == "CHAIN"
    assert server["session.id"] == server["mcp.session.id"]
    assert len(server["session.id"]) == 32
