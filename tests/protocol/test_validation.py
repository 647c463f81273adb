"""Arguments and results against the schemas of servers: what does not fit never travels (SEP-1303)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from merged_proxies import merged
from modern_server import modern_server
from rest_services import described, rest_service
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.masks import MaskConfig
from ostiary_core.contract.validation import ValidationConfig

CARD = "4111111111111111"
TOOL: dict[str, Any] = {
    "name": "forecast",
    "inputSchema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        "required": ["city"],
    },
    "outputSchema": {
        "type": "object",
        "properties": {"degrees": {"type": "number"}, "card": {"type": "string", "pattern": "^[0-9*]{16}$"}},
        "required": ["degrees"],
    },
}
PROMPT = {"name": "report", "arguments": [{"name": "city", "required": True}, {"name": "style"}]}
ENFORCE = {"arguments": "Enforce"}
PARAMETERS = [
    {"name": "city", "in": "query", "schema": {"type": "string"}},
    {"name": "days", "in": "query", "schema": {"type": "integer"}},
]


class Weather:
    """A server whose tools, prompts and results can be changed."""

    def __init__(self) -> None:
        self.tools = [TOOL]
        self.result: dict[str, Any] = {"content": [], "structuredContent": {"degrees": 20}}
        self.list_status = 200
        self.streams = False

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if not arrived.body:
            return web.Response(status=405)
        if arrived.method == "tools/list" and self.list_status != 200:
            return web.Response(status=self.list_status)
        result = {"tools/list": {"tools": self.tools}, "prompts/list": {"prompts": [PROMPT]}}.get(arrived.method)
        result = result or ({"messages": []} if arrived.method == "prompts/get" else self.result)
        if not self.streams:
            return document(answer(arrived, result))
        async with events(request) as stream:
            await stream.send(answer(arrived, result))
        return stream.response


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
async def upstream(weather: Weather) -> AsyncIterator[Upstream]:
    async with serving(with_handshake(weather.script)) as upstream:
        yield upstream


def validated(name: str = "shape", **validation: Any) -> PolicyDocument:
    config = ValidationConfig.model_validate_json(json.dumps(validation))
    return policy(name, {"name": "all", "effect": "Allow"}).model_copy(update={"validation": config})


def call(**arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": "forecast", "arguments": arguments})


def text(result: dict[str, Any]) -> str:
    [block] = result["content"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert isinstance(block["text"], str)
    return block["text"]


def sent(upstream: Upstream) -> list[Any]:
    return [each.message["params"].get("arguments") for each in upstream.arrived if each.method == "tools/call"]


@pytest.fixture
async def enforced(gateway: RunningGateway, upstream: Upstream) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE)]))


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_of_the_sdk_reads_what_is_wrong_with_its_arguments(gateway: RunningGateway, era: Era) -> None:
    async with modern_server(tools=[{**TOOL, "outputSchema": {"type": "object"}}]) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE)]))
        async with connect(gateway.url(), era=era) as client:
            result = await client.call_tool("forecast", {"city": CARD, "days": CARD})
    assert result.is_error
    assert "/days: expected null or integer" in result.content[0].text  # type: ignore[union-attr]
    assert CARD not in result.content[0].text  # type: ignore[union-attr]
    assert sent(upstream) == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_of_sessions_is_asked_for_its_list_in_the_callers_session(
    gateway: RunningGateway, upstream: Upstream, era: Era
) -> None:
    known = {"protocol_version": "2025-11-25"}
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE)], server=known))
    async with connect(gateway.url(), era=era) as client:
        result = await client.call_tool("forecast", {"days": 1})
    assert result.is_error
    assert sent(upstream) == []


@pytest.mark.usefixtures("enforced")
async def test_arguments_that_fit_travel_as_they_were_sent(caller: McpCaller, upstream: Upstream) -> None:
    assert (await caller.post(call(city="x", days=None))).result["structuredContent"] == {"degrees": 20}
    assert sent(upstream) == [{"city": "x", "days": None}]


@pytest.mark.usefixtures("enforced")
async def test_a_legacy_caller_in_a_session_is_told_the_same(caller: McpCaller, upstream: Upstream) -> None:
    await caller.initialize()
    result = (await caller.post(legacy("tools/call", {"name": "forecast", "arguments": {"cty": 1}}))).result
    assert "/city: is missing, and required; expected string" in text(result)
    assert sent(upstream) == []
    listed = [each for each in upstream.arrived if each.method == "tools/list"]
    assert {each.headers.get("Mcp-Session-Id") for each in listed} == {"upstream-session"}


@pytest.mark.usefixtures("enforced")
async def test_a_list_that_passed_is_not_asked_for_until_a_call_would_be_refused(
    caller: McpCaller, upstream: Upstream
) -> None:
    await caller.post(modern("tools/list"))
    await caller.post(call(city="x"))
    assert upstream.count("tools/list") == 1
    for _ in range(3):
        await caller.post(call())
    assert upstream.count("tools/list") == 2


@pytest.mark.usefixtures("enforced")
async def test_a_schema_that_has_changed_refuses_nothing_that_it_takes_now(
    caller: McpCaller, upstream: Upstream, weather: Weather
) -> None:
    await caller.post(modern("tools/list"))
    weather.tools = [{"name": "forecast", "inputSchema": {"type": "object", "required": ["town"]}}]
    assert "isError" not in (await caller.post(call(town="x"))).result
    assert sent(upstream) == [{"town": "x"}]


@pytest.mark.usefixtures("enforced")
async def test_a_list_that_is_asked_for_teaches_which_headers_mirror_arguments(
    caller: McpCaller, weather: Weather
) -> None:
    properties = {"city": {"type": "string", "x-mcp-header": "City"}}
    weather.tools = [{"name": "forecast", "inputSchema": {"type": "object", "properties": properties}}]
    await caller.post(call(city="x"))
    refused = (await caller.post(call(city="x"), {"Mcp-Param-City": "y"})).messages[-1]
    assert refused["error"]["code"] == -32020


@pytest.mark.usefixtures("enforced")
async def test_a_hundred_calls_at_once_ask_for_the_list_once(caller: McpCaller, upstream: Upstream) -> None:
    replies = await asyncio.gather(*(caller.post(modern("tools/call", {"name": "forecast"}, id=n)) for n in range(100)))
    assert all(reply.result["isError"] for reply in replies)
    assert upstream.count("tools/list") == 1


@pytest.mark.usefixtures("enforced")
async def test_names_that_the_server_does_not_list_do_not_have_it_asked_each_time(
    caller: McpCaller, upstream: Upstream
) -> None:
    for number in range(5):
        await caller.post(modern("tools/call", {"name": f"other{number}", "arguments": {}}))
    assert upstream.count("tools/list") == 1
    assert upstream.count("tools/call") == 5


@pytest.mark.parametrize("more", [ENFORCE, {"arguments": "Warn"}, {}])
async def test_unknown_names_are_refused_where_a_policy_says_so(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, more: dict[str, str]
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**more, unknownArguments="Refuse")]))
    assert '/dayz: is not known; did you mean "days"?' in text((await caller.post(call(city="x", dayz=1))).result)
    assert sent(upstream) == []


async def test_a_text_becomes_an_integer_where_only_that_is_taken(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE, coerce="Lossless")]))
    assert "isError" not in (await caller.post(call(city="5", days="5"))).result
    assert sent(upstream) == [{"city": "5", "days": 5}]


@pytest.mark.parametrize("shadow", [False, True])
async def test_warnings_and_shadows_change_nothing_and_are_counted(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, shadow: bool
) -> None:
    demanded = validated(arguments="Enforce" if shadow else "Warn")
    if shadow:
        demanded = demanded.model_copy(update={"mode": "Shadow"})
    await gateway.apply(gateway.entry("mock", upstream.url, [demanded]))
    assert "isError" not in (await caller.post(call())).result
    assert sent(upstream) == [{}]


async def test_prompts_are_refused_as_invalid_params(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, enforced: None
) -> None:
    reply = await caller.post(modern("prompts/get", {"name": "report", "arguments": {"style": "x"}}))
    assert reply.error["code"] == -32602
    assert "/city: is missing, and required" in reply.error["message"]
    assert upstream.count("prompts/get") == 0
    assert "result" in (await caller.post(modern("prompts/get", {"name": "report", "arguments": {"city": "x"}}))).json


@pytest.mark.parametrize("when", ["Pass", "Refuse"])
async def test_what_cannot_be_checked_passes_or_not_as_the_policy_says(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, weather: Weather, when: str
) -> None:
    weather.tools = [{"name": "forecast", "inputSchema": {"$ref": "file:///etc/passwd"}}]
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE, whenUncheckable=when)]))
    result = (await caller.post(call(city="x"))).result
    assert ("cannot be checked" in str(result)) == (when == "Refuse")
    assert len(sent(upstream)) == (when == "Pass")


async def test_a_server_that_does_not_list_its_tools_leaves_calls_unchecked(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, weather: Weather
) -> None:
    weather.list_status = 500
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE)]))
    assert "isError" not in (await caller.post(call())).result
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE, whenUncheckable="Refuse")]))
    assert "cannot be checked" in text((await caller.post(call())).result)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("structured", "words"),
    [({"degrees": "hot"}, "/degrees: expected number"), ({}, "/degrees: is missing"), (None, "content is missing")],
)
async def test_a_result_that_does_not_fit_is_withheld(
    gateway: RunningGateway,
    caller: McpCaller,
    upstream: Upstream,
    weather: Weather,
    structured: Any,
    words: str,
    streams: bool,
) -> None:
    weather.streams = streams
    weather.result = {"content": []} | ({"structuredContent": structured} if structured is not None else {})
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(results="Enforce")]))
    reply = await caller.post(call())
    found = reply.messages[-1]["result"] if streams else reply.result
    assert words in text(found)
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(results="Warn")]))
    assert "does not match" not in (await caller.post(call())).body.decode()


async def test_an_error_of_a_tool_has_no_structured_content_to_check(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, weather: Weather
) -> None:
    weather.result = {"content": [{"type": "text", "text": "down"}], "isError": True}
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(results="Enforce")]))
    assert text((await caller.post(call())).result) == "down"


async def test_a_masked_result_still_fits_its_schema(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, weather: Weather
) -> None:
    weather.result = {"content": [], "structuredContent": {"degrees": 20, "card": CARD}}
    config = MaskConfig.model_validate_json(
        '{"name": "cards", "directions": ["Results"], "detect": [{"kind": "CardNumber"}], "action": "Mask"}'
    )
    masked = policy("masked", {"name": "all", "effect": "Allow"}).model_copy(update={"masks": [config]})
    await gateway.apply(gateway.entry("mock", upstream.url, [masked]))
    found = (await caller.post(call())).result["structuredContent"]
    assert found["degrees"] == 20
    assert (len(found["card"]), CARD in str(found)) == (16, False)
    weather.result = {"content": [], "structuredContent": {"degrees": int(CARD)}}
    assert (await caller.post(call())).result["structuredContent"] == {"degrees": 0}
    weather.tools = [{**TOOL, "outputSchema": {"required": ["kind"], "properties": {"kind": {"enum": [CARD]}}}}]
    weather.result = {"content": [], "structuredContent": {"kind": CARD}}
    await caller.post(modern("tools/list"))
    assert CARD not in text((await caller.post(call())).result)


@pytest.mark.usefixtures("enforced")
async def test_servers_of_one_catalogue_each_judge_by_their_own_schema(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    other = {"name": "forecast", "inputSchema": {"type": "object", "required": ["town"]}}
    async with modern_server(tools=[other]) as second:
        await gateway.apply(merged(gateway, {"a": upstream.url, "b": second.url}, [validated(**ENFORCE)]))
        first = await caller.post(modern("tools/call", {"name": "a_forecast", "arguments": {"town": "x"}}))
        assert "/city: is missing" in text(first.result)
        found = await caller.post(modern("tools/call", {"name": "b_forecast", "arguments": {"town": "x"}}))
        assert "isError" not in found.result
        assert sent(second) == [{"town": "x"}]
        assert sent(upstream) == []


async def test_a_schema_bomb_holds_nothing_and_is_not_checked(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, weather: Weather
) -> None:
    """Compiled by the engine, either of these would take it minutes."""
    doubled = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(25):
        deep = {"if": deep, "then": {}, "else": {}, "unevaluatedProperties": False}
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE, whenUncheckable="Refuse")]))
    for schema in ({"$defs": {**doubled, "d30": {}}, "$ref": "#/$defs/d0"}, deep):
        weather.tools = [{"name": "forecast", "inputSchema": schema}]
        await caller.post(modern("tools/list"))
        assert "cannot be checked" in text((await caller.post(call(city="x"))).result)
    assert sent(upstream) == []


async def test_definitions_that_alternate_with_each_list_cost_one_more_list_at_most(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, weather: Weather
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [validated(**ENFORCE)]))
    strict = {"name": "forecast", "inputSchema": {"type": "object", "required": ["town"]}}
    for number in range(20):
        weather.tools = [strict if number % 2 else TOOL]
        await caller.post(modern("tools/list"))
        assert "/" in text((await caller.post(call())).result)
    assert (upstream.count("tools/list"), upstream.count("tools/call")) == (21, 0)


async def test_what_one_credential_is_shown_judges_no_other(gateway: RunningGateway, weather: Weather) -> None:
    """The server tells callers apart by what they present, and shows each another schema."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        needs = "town" if "alice" in request.headers.get("Authorization", "") else "city"
        weather.tools = [{"name": "forecast", "inputSchema": {"type": "object", "required": [needs]}}]
        return await weather.script(request, arrived)

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        passed = validated(**ENFORCE).model_copy(update={"authentication": AuthenticationConfig(passthrough=True)})
        await gateway.apply(gateway.entry("mock", upstream.url, [passed]))
        for name, needs in (("alice", "town"), ("bob", "city"), ("alice", "town")):
            headers = {"Authorization": f"Bearer {name}"}
            assert f"/{needs}: is missing" in text((await caller.post(call(), headers)).result)
            assert "isError" not in (await caller.post(call(**{needs: "x"}), headers)).result


async def test_tools_that_are_made_of_a_rest_service_are_validated_too(gateway: RunningGateway) -> None:
    operation = {"operationId": "forecast", "parameters": PARAMETERS, "responses": {"200": {"description": "ok"}}}
    api = {"openapi": "3.1.0", "info": {"title": "w", "version": "1"}, "paths": {"/w": {"get": operation}}}

    async def script(_: web.BaseRequest, __: Arrived) -> web.StreamResponse:
        return web.json_response({})

    async with rest_service(script) as service, mcp_caller(gateway.url()) as caller:
        demanded = validated(**ENFORCE, unknownArguments="Refuse", coerce="Lossless")
        await gateway.apply(gateway.entry("mock", service.url, [demanded], server=described(api)))
        assert "did you mean" in text((await caller.post(call(city="x", dayz=1))).result)
        assert service.lines == []
        assert "isError" not in (await caller.post(call(city="x", days="5"))).result
        assert service.lines == ["GET /w?city=x&days=5"]
